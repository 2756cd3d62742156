"""Caches of frames in memory: of a whole period, of the most recently used, and of the first ones up to a limit."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from airmass.data.loading.latitude_band import LatitudeBand

Read = Callable[[Mapping[int, np.ndarray]], None]


class PeriodCache(NamedTuple):
    """The frames of a whole period, on some nodes."""

    band: LatitudeBand
    frames: Float[np.ndarray, "time node target"]

    def part(self, band: LatitudeBand) -> np.ndarray | None:
        """The frames on these nodes, None if some nodes are not cached."""
        if band.first < self.band.first or band.stop > self.band.stop:
            return None
        return self.frames[:, band.first - self.band.first : band.stop - self.band.first]


class RecentCache:
    """A cache of the `count` most recently used frames, which reuses its memory, since clearing new pages takes time.

    Thread-safe: if one thread reads a frame, others wait for it.
    """

    def __init__(self, count: int, shape: tuple[int, ...]):
        self.count, self._shape = count, shape
        self._slots, self._lock = OrderedDict[int, _Slot](), threading.Lock()

    def copy(self, numbers: Sequence[int], out: Iterable[np.ndarray], read: Read) -> None:
        """Copy the frames of these numbers into `out`; one call of `read` fills those that are not cached.

        `read` gets the arrays to fill, by number. Its exceptions are raised only in threads that need a frame that
        cannot be read.
        """
        slots, missing = self._taken(numbers)
        try:
            if missing:
                self._fill(missing, read)
            for number, place in zip(numbers, out, strict=True):
                # Another thread failed; perhaps on another frame of its call, so this one is read again.
                if slots[number].read.exception() is None:
                    place[...] = slots[number].frame
                else:
                    read({number: place})
        finally:
            with self._lock:
                for slot in slots.values():
                    slot.users -= 1

    def _taken(self, numbers: Sequence[int]) -> tuple[dict[int, "_Slot"], dict[int, "_Slot"]]:
        """The slots of all numbers, protected from eviction, and those of them that this thread has to fill."""
        slots, missing = {}, {}
        with self._lock:
            for number in dict.fromkeys(numbers):
                if number not in self._slots:
                    self._slots[number] = missing[number] = self._free()
                self._slots.move_to_end(number)
                slots[number] = self._slots[number]
                slots[number].users += 1
        return slots, missing

    def _free(self) -> "_Slot":
        if len(self._slots) >= self.count:
            for number, slot in self._slots.items():
                if not slot.users:
                    del self._slots[number]
                    return _Slot(slot.frame)
        return _Slot(np.empty(self._shape, np.float32))

    def _fill(self, missing: dict[int, "_Slot"], read: Read) -> None:
        try:
            read({number: slot.frame for number, slot in missing.items()})
        except BaseException as error:
            with self._lock:
                for number in missing:
                    del self._slots[number]
            for slot in missing.values():
                slot.read.set_exception(error)
            raise
        for slot in missing.values():
            slot.read.set_result(None)


class _Slot:
    def __init__(self, frame: np.ndarray):
        self.frame, self.users, self.read = frame, 0, Future[None]()


class FixedCache(dict[int, np.ndarray]):
    """A cache of the arrays offered first, by number, up to `limit` bytes in all, without eviction.

    If windows are drawn at random, or once an epoch, old and recent ones are equally likely to be needed next, so
    eviction would not help. Thread-safe.
    """

    def __init__(self, limit: float):
        super().__init__()
        self._room, self._lock = limit, threading.Lock()

    def offer(self, number: int, array: np.ndarray) -> None:
        """Store a copy if it fits."""
        with self._lock:
            if number not in self and array.nbytes <= self._room:
                self._room -= array.nbytes
                self[number] = array.copy()

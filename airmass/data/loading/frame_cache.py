"""Frames kept in memory: those of a whole period, those asked for last, those offered first."""

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
        """The frames on these nodes, None where some are not held."""
        if band.first < self.band.first or band.stop > self.band.stop:
            return None
        return self.frames[:, band.first - self.band.first : band.stop - self.band.first]


class RecentCache:
    """The `count` frames that were asked for last, in memory that is used again, since clearing new pages takes time.

    Safe from several threads: what one of them reads, the others wait for.
    """

    def __init__(self, count: int, shape: tuple[int, ...]):
        self.count, self._shape = count, shape
        self._slots, self._lock = OrderedDict[int, _Slot](), threading.Lock()

    def copy(self, numbers: Sequence[int], out: Iterable[np.ndarray], read: Read) -> None:
        """Put the frames of these numbers into `out`; `read` is asked for those that are not here, in one call.

        It is given the arrays to fill, by number. What it raises comes to whoever needs a frame that cannot be read,
        and to nobody else.
        """
        slots, missing = self._taken(numbers)
        try:
            if missing:
                self._fill(missing, read)
            for number, place in zip(numbers, out, strict=True):
                # Where another thread failed, this frame may yet be read.
                if slots[number].read.exception() is None:
                    place[...] = slots[number].frame
                else:
                    read({number: place})
        finally:
            with self._lock:
                for slot in slots.values():
                    slot.users -= 1

    def _taken(self, numbers: Sequence[int]) -> tuple[dict[int, "_Slot"], dict[int, "_Slot"]]:
        """The slots of all, which nobody gives away meanwhile, and those of them that have to be filled here."""
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
    """The arrays offered first, by number, up to `limit` bytes in all; nothing is ever dropped for something else.

    Of windows that are drawn at random, or each once before any again, those read long ago are as likely to come next
    as those read just now. Safe from several threads at once.
    """

    def __init__(self, limit: float):
        super().__init__()
        self._room, self._lock = limit, threading.Lock()

    def offer(self, number: int, array: np.ndarray) -> None:
        """Keep a copy if there is room."""
        with self._lock:
            if number not in self and array.nbytes <= self._room:
                self._room -= array.nbytes
                self[number] = array.copy()

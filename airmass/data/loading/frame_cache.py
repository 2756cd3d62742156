"""Frames kept in memory by number for as long as they are among those read last."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np

Read = Callable[[Mapping[int, np.ndarray]], None]


class Recent:
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

"""Cache of one variable's fields by valid time."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

# Bytes read at once from one variable of one store.
READ_BYTES = 256 << 20


class FieldCache:
    """Cache of one variable's fields: reads each once, ahead in blocks, until `forget_before` drops it.

    `read` maps times to an array (time, level, node). `times` are all times that will be needed, sorted; they should be
    asked for in about this order.
    """

    def __init__(self, read: Callable[[np.ndarray], np.ndarray], times: np.ndarray, frame_bytes: int):
        self._read, self._times = read, times
        self._ahead = max(1, READ_BYTES // frame_bytes)
        self._held: dict[np.datetime64, np.ndarray] = {}
        # Masks of frames with missing values. Most frames are complete and have no entry.
        self._present: dict[np.datetime64, np.ndarray] = {}

    def at(self, times: Sequence[np.datetime64] | np.ndarray) -> Float[np.ndarray, "time level node"]:
        self._hold(times)
        return np.stack([self._held[time] for time in times])

    def present_at(self, times: Sequence[np.datetime64] | np.ndarray) -> Bool[np.ndarray, "time level node"] | None:
        """Mask of finite values at these times; None if all are finite."""
        self._hold(times)
        if not any(time in self._present for time in times):
            return None
        everywhere = np.ones(self._held[times[0]].shape, bool)
        return np.stack([self._present.get(time, everywhere) for time in times])

    def forget_before(self, time: np.datetime64) -> None:
        """Drop all fields before `time`."""
        for frames in (self._held, self._present):
            for past in [held for held in frames if held < time]:
                del frames[past]

    def _hold(self, times: Sequence[np.datetime64] | np.ndarray) -> None:
        while absent := [time for time in times if time not in self._held]:
            start = np.searchsorted(self._times, absent[0])
            ahead = np.array([t for t in self._times[start : start + self._ahead] if t not in self._held])
            frames = self._read(ahead)
            self._held.update(zip(ahead, frames, strict=True))
            for time, frame in zip(ahead, frames, strict=True):
                if not (present := np.isfinite(frame)).all():
                    self._present[time] = present

"""Memory to work in: what fields are decoded into on their way to channels last, and arrays larger than memory."""

import threading
from pathlib import Path

import numpy as np
from jaxtyping import Float

# Numbers of float32 in a line of the cache.
_LINE = 16
_KEPT_BYTES = 64 * 2**20
# Arrays beyond this live in a file.
_MEMORY_BYTES = 2**30


class Workspace(threading.local):
    """One for each thread, used again by every read of up to 64 MiB: clearing fresh pages takes longer than a copy."""

    def __init__(self):
        self._kept = np.empty(0, np.float32)

    def array(self, times: int, channels: int, rows: int, columns: int) -> Float[np.ndarray, "time channel row column"]:
        """An array with anything in it, to be done with before the next; its channels lie an odd number of lines apart.

        To turn it into channels last is to walk over channels. A power of two apart, all fall into the same few places
        of the cache: at 64 x 32 that took 0.30 ms for 47 channels and three frames, and so it takes 0.07.
        """
        lines = -(-rows * columns // _LINE) | 1
        size = times * channels * lines * _LINE
        whole = self._kept if size <= self._kept.size else np.empty(size, np.float32)
        if 4 * size <= _KEPT_BYTES:
            self._kept = whole
        spaced = whole[:size].reshape(times, channels, lines * _LINE)
        return spaced[..., : rows * columns].reshape(times, channels, rows, columns)


def large_zeros(shape: tuple[int, ...], dtype: type, path: Path) -> np.ndarray:
    """An array of zeros; beyond 1 GiB it lives in the new file `path`."""
    if np.prod(shape, dtype=float) * np.dtype(dtype).itemsize <= _MEMORY_BYTES:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "w+", shape=shape)

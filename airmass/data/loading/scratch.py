"""Arrays that may be larger than memory."""

from pathlib import Path

import numpy as np

_MEMORY_BYTES = 2**30


def zeros(shape: tuple[int, ...], dtype: type, path: Path) -> np.ndarray:
    """An array of zeros; beyond 1 GiB it lives in the new file `path`."""
    if np.prod(shape, dtype=float) * np.dtype(dtype).itemsize <= _MEMORY_BYTES:
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "w+", shape=shape)

"""Memory of the process: how much it has, and keeping freed memory between compiled calls."""

import ctypes
import os
import sys
from pathlib import Path

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next call instead of returning it to the system; without it do nothing.

    On a CPU, XLA allocates all temporaries of a call at its start and frees them at its end. glibc maps blocks of that
    size anew each time, and the system clears their pages at first use: half the time of the demo's training step
    (gradient 88 ms, with this 46 ms, on one core; decision 22). In XLA's own threads glibc maps blocks beyond 64 MiB
    anew in spite of this; `GLIBC_TUNABLES` can ask for huge pages there (docs/decisions/0017).
    """
    if not _is_glibc():
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    library.mallopt(_M_TOP_PAD, 64 * 2**20)


def _is_glibc() -> bool:
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def resident() -> int:
    """Resident memory of this process in bytes; 0 where the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

"""How the C library keeps memory between compiled calls."""

import ctypes
import sys

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next call instead of giving it back to the system; elsewhere do nothing.

    On a CPU, XLA takes the room for all temporaries of a call at its start and frees it at its end. glibc maps blocks
    of that size anew each time, and the system clears their pages as they are touched: half the time of the demo's
    training step (gradient 88 ms, with this 46 ms, on one core; `docs/demo.md`). XLA's own threads would map blocks
    whatever the settings, as glibc's arenas for threads do: all threads share the first arena, if this is called
    before there are many.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "gnu_get_libc_version"):
        return
    library.mallopt(_M_ARENA_MAX, 1)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, -1)  # never
    library.mallopt(_M_TOP_PAD, 64 * 2**20)

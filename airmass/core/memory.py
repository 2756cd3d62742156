"""How the C library takes memory for compiled calls, and keeps it between them."""

import ctypes
import os
import sys
from pathlib import Path

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


# Set in a process that has been through `use_huge_pages`; set to anything beforehand, it keeps processes as they are.
HUGE_PAGES = "AIRMASS_HUGE_PAGES"
_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use_huge_pages() -> None:
    """Start this process anew, with the same arguments, so that glibc asks for pages of 2 MiB; elsewhere do nothing.

    glibc maps anew what XLA's threads ask for beyond 64 MiB, whatever `keep_freed_memory` says, and a page is cleared
    when it is first touched. A gradient of GraphCast at 1 degree (4 steps) met 1.1 million pages of 4 KiB and took
    12.1 s, with huge pages 10.9 s (two cores, 2026-11-26). glibc reads its tunables at the start of a process alone.
    Keeping all memory in one heap instead was as fast and took up to 1.7 times the memory: freed blocks of several GB
    are rarely met by requests of their size.
    """
    if HUGE_PAGES in os.environ or not _is_glibc() or not _SYSTEM.exists() or "[madvise]" not in _SYSTEM.read_text():
        return
    tunables = [*filter(None, [os.environ.get("GLIBC_TUNABLES")]), "glibc.malloc.hugetlb=1"]
    os.environ |= {HUGE_PAGES: "1", "GLIBC_TUNABLES": ":".join(tunables)}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next call instead of giving it back to the system; elsewhere do nothing.

    On a CPU, XLA takes the room for all temporaries of a call at its start and frees it at its end. glibc maps blocks
    of that size anew each time, and the system clears their pages as they are touched: half the time of the demo's
    training step (gradient 88 ms, with this 46 ms, on one core; `docs/demo.md`).
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
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

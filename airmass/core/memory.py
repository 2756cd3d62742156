"""Memory of the process: huge pages, and keeping freed memory between compiled calls."""

import ctypes
import os
import sys
from pathlib import Path

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


# Set in a process that `use_huge_pages` has restarted. If a user sets it to anything, no process is restarted.
HUGE_PAGES = "AIRMASS_HUGE_PAGES"
_SYSTEM = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def use_huge_pages() -> None:
    """Restart this process with the same arguments so that glibc asks for pages of 2 MiB; without glibc do nothing.

    In XLA's threads glibc maps every block beyond 64 MiB anew, in spite of `keep_freed_memory`, and the system clears
    each page at its first use. A gradient of GraphCast at 1 degree (4 steps) touched 1.1 million pages of 4 KiB and
    took 12.1 s, with huge pages 10.9 s (two cores, 2026-11-26). glibc reads its tunables only when a process starts.
    Keeping all memory in one heap instead was as fast and took up to 1.7 times the memory: freed blocks of several GB
    seldom fit later requests.
    """
    if HUGE_PAGES in os.environ or not _is_glibc() or not _SYSTEM.exists() or "[madvise]" not in _SYSTEM.read_text():
        return
    tunables = [*filter(None, [os.environ.get("GLIBC_TUNABLES")]), "glibc.malloc.hugetlb=1"]
    os.environ |= {HUGE_PAGES: "1", "GLIBC_TUNABLES": ":".join(tunables)}
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next call instead of returning it to the system; without it do nothing.

    On a CPU, XLA allocates all temporaries of a call at its start and frees them at its end. glibc maps blocks of that
    size anew each time, and the system clears their pages at first use: half the time of the demo's training step
    (gradient 88 ms, with this 46 ms, on one core; `docs/demo.md`).
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

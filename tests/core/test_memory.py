"""Memory that is freed stays with the process."""

import os
import subprocess
import sys

import pytest

from airmass.core.memory import _SYSTEM, HUGE_PAGES

PROBE = """
import ctypes, resource, sys
from airmass.core.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes, library.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
size, faults = 64 * 2**20, []
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(size)
    ctypes.memset(block, 1, size)
    library.free(block)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_pages_are_cleared_once():
    faults = {}
    for way in ("kept", "given back"):
        shown = subprocess.run([sys.executable, "-c", PROBE, way], capture_output=True, text=True, check=True)
        faults[way] = int(shown.stdout)
    assert faults["kept"] < 100 < faults["given back"]


THREAD = """
import ctypes, resource, sys, threading
if sys.argv[2:] == ["asks"]:
    from airmass.core.memory import use_huge_pages
    use_huge_pages()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.malloc.argtypes = [ctypes.c_size_t]
def use():
    ctypes.memset(library.malloc(256 * 2**20), 1, 256 * 2**20)
thread = threading.Thread(target=use)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
thread.start()
thread.join()
print(sys.argv[1], resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not _SYSTEM.exists() or "[madvise]" not in _SYSTEM.read_text(), reason="no huge pages for who asks for them"
)
def test_huge_pages_are_met_by_whoever_asks():
    environment = {name: value for name, value in os.environ.items() if name not in (HUGE_PAGES, "GLIBC_TUNABLES")}
    met = {}
    for way in ("asks", "not"):
        command = [sys.executable, "-c", THREAD, "kept argument", way]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        *words, faults = shown.stdout.split()
        assert words == ["kept", "argument"]
        met[way] = int(faults)
    # A page of 4 KiB each, or one of 2 MiB for 512 of them.
    assert met["not"] > 60_000 > 6_000 > met["asks"]

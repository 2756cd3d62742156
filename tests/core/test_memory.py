"""Memory that is freed stays with the process."""

import subprocess
import sys

import pytest

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

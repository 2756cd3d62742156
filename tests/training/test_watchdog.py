"""A run that has stopped moving says where, by itself."""

import io
import subprocess
import sys
import time

from airmass.training.watchdog import STALLS_FILE, Watchdog

STALLED = """
import sys, time
from pathlib import Path
from airmass.training.watchdog import Watchdog

def never_comes_back(seconds):
    time.sleep(seconds)

with Watchdog(Path(sys.argv[1]), 0.3 / 60) as dog:
    dog.beat("update 7")
    dog.beat("reading data")
    never_comes_back(2)
    dog.beat("saving")
print("went on")
"""


def test_a_stalled_process_says_once_what_it_was_doing_and_where(tmp_path):
    done = subprocess.run([sys.executable, "-c", STALLED, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "went on\n"
    assert done.stderr.count("while reading data") == 1 and "saving" not in done.stderr
    assert "in never_comes_back" in done.stderr and str(tmp_path / STALLS_FILE) in done.stderr
    logged = (tmp_path / STALLS_FILE).read_text()
    assert logged.count("while reading data") == 1
    assert "in never_comes_back" in logged and "thread MainThread" in logged and "thread watchdog" in logged


def test_each_stall_is_said(tmp_path):
    said = io.StringIO()
    with Watchdog(tmp_path, 0.05 / 60, said) as dog:
        for phase in ("reading data", "saving"):
            dog.beat(phase)
            while f"while {phase}" not in said.getvalue():  # a hang here is the failure
                time.sleep(0.01)
    assert said.getvalue().count("no progress") == 2


def test_a_run_that_moves_is_left_alone(tmp_path):
    said = io.StringIO()
    with Watchdog(tmp_path, 30, said) as dog:
        dog.beat("update 1")
    with Watchdog(tmp_path, 0, said) as dog:
        dog.beat("update 1")
    assert said.getvalue() == "" and not list(tmp_path.iterdir())

"""Watchdog that reports a stalled run: its current phase, and the stacks of its threads."""

import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from airmass.core.errors import one_line

STALLS_FILE = "stalls.txt"


class Watchdog:
    """Context manager with a thread that reports once if `beat` is not called for `stall_minutes`; 0 for never.

    The stack of the thread that made it goes to `stream`, the stacks of all threads to `stalls.txt` in the run's
    folder. Nothing is stopped: an apparent stall may be a long compilation.
    """

    def __init__(self, run: Path, stall_minutes: float, stream: TextIO | None = None):
        self._path, self._limit, self._stream = run / STALLS_FILE, 60 * stall_minutes, stream
        self._watched = threading.get_ident()
        self._beat = time.monotonic(), "starting"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self.beat("starting")
        if self._limit:
            self._thread.start()
        return self

    def __exit__(self, *exception) -> None:
        self._ended.set()
        if self._limit:
            self._thread.join()

    def beat(self, phase: str) -> None:
        """Report progress; `phase` is the next activity, such as "reading data", "update 123" or "saving"."""
        self._beat = time.monotonic(), phase

    def _watch(self) -> None:
        reported: float | None = None
        while True:
            since, phase = self._beat
            left = since + self._limit - time.monotonic()
            if left <= 0 and reported != since:
                self._say(phase, time.monotonic() - since)
                reported = since
            if self._ended.wait(left if left > 0 else self._limit / 10):
                return

    def _say(self, phase: str, seconds: float) -> None:
        frames = sys._current_frames()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        head = f"{now} no progress for {seconds / 60:.3g} minutes, while {phase}"
        stack = "".join(traceback.format_stack(frames[self._watched])) if self._watched in frames else ""
        self._print(f"{head}; all threads are in {self._path}", stack)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stacks = (f"thread {names.get(i, i)}\n" + "".join(traceback.format_stack(f)) for i, f in frames.items())
        try:
            with self._path.open("a") as log:
                log.write("\n".join([head, *stacks]) + "\n")
        except OSError as error:  # perhaps a full disk; training itself will report that
            self._print(f"{self._path}: cannot write: {error.strerror}")

    def _print(self, text: str, stack: str = "") -> None:
        print("\n".join(filter(None, (one_line(text), stack))), file=self._stream or sys.stderr, flush=True)

"""Running a command so that nothing escapes: its status, what it said, how long it took, and what it left behind."""

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airmass.commands.main import main

SECONDS = 10
_WAIT = float(os.environ.get("WAIT", 3 * SECONDS))  # after which a command is stopped, where nobody else is busy
_ROOM = 6 << 30  # bytes that a command may ask for beyond what the process has


@dataclass(frozen=True)
class Outcome:
    """The end of a command. `trace` is the traceback of what came out of `main`, empty where nothing did."""

    status: int | None
    out: str
    err: str
    trace: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """Lines that a person reads on stderr."""
        return [line for line in self.err.splitlines() if line.strip()]


class TooLong(BaseException):
    """Not an Exception, so that nothing on the way takes it for its own."""


def run(arguments: Sequence[str], wait: float | None = None) -> Outcome:
    """Run a command in this process, and stop it where it hangs."""
    wait = _WAIT * _busy() if wait is None else wait
    out, err, status, trace = io.StringIO(), io.StringIO(), None, ""
    began = time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _warnings_shown(), _bounded(wait):
        try:
            status = main(list(arguments))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except (Exception, TooLong):
            trace = traceback.format_exc()
    return Outcome(status, out.getvalue(), err.getvalue(), trace, time.perf_counter() - began)


def run_alone(arguments: Sequence[str], folder: Path) -> Outcome:
    """Run a command in a process of its own, which is killed where it hangs or asks for too much memory."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({8 * _ROOM}, {8 * _ROOM}));"
    code += f"resource.setrlimit(resource.RLIMIT_DATA, ({_ROOM}, {_ROOM}));"
    code += "import sys; from airmass.commands.main import main; sys.exit(main(sys.argv[1:]))"
    began = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=_WAIT, cwd=folder
        )
    except subprocess.TimeoutExpired:
        return Outcome(None, "", "", f"still running after {_WAIT} s", _WAIT)
    trace = done.stderr if "Traceback" in done.stderr else ""
    return Outcome(done.returncode, done.stdout, done.stderr, trace, time.perf_counter() - began)


def allowed_seconds(alone: bool) -> float:
    """`SECONDS` on a machine with a core for us; more where others keep it busy, and to start a process."""
    return SECONDS * _busy() * (1.5 if alone else 1)


def _busy() -> float:
    """Processes that want a core, for each core, 1 at least."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def listing(*folders: Path) -> dict[str, tuple]:
    """Everything in these folders, hidden files too: size and time of change by path."""
    found = {}
    for folder in folders:
        for parent, inner, names in os.walk(os.fsencode(folder)):
            for name in (*inner, *names):
                path = os.path.join(parent, name)  # noqa: PTH118  names that no text decodes
                held = os.lstat(path)
                only_there = name in inner or name == b"lock"  # an empty file that every run of a command opens
                found[os.fsdecode(path)] = (name in inner, None if only_there else (held.st_size, held.st_mtime_ns))
    return found


@contextlib.contextmanager
def _bounded(wait: float) -> Iterator[None]:
    """Raise TooLong after a while, and MemoryError for an array out of all measure."""

    def stop(*_):
        raise TooLong(f"still running after {wait} s")

    old = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _ROOM, hard))
    signal.setitimer(signal.ITIMER_REAL, wait)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, old)


@contextlib.contextmanager
def _warnings_shown() -> Iterator[None]:
    """Warnings go to stderr, as they do at a terminal; pytest would keep them."""

    def show(message, category, *_, **__):
        print(f"{category.__name__}: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.showwarning = show
        yield

"""Being asked to end: SIGTERM and SIGHUP as Ctrl-C, so that what is half done is cleaned up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """A request to end by a signal other than that of Ctrl-C."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def number_of(stop: KeyboardInterrupt) -> int:
    """The signal that asked for an end."""
    return stop.number if isinstance(stop, Stopped) else signal.SIGINT


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped where SIGTERM or SIGHUP comes. One that is ignored, as under nohup, or has a handler keeps that."""
    signals = signal.SIGTERM, signal.SIGHUP
    main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    ours = [number for number in signals if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once more, as schedulers send it, must not disturb the cleaning up
    raise Stopped(number)

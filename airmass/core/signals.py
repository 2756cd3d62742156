"""Interrupts: SIGTERM and SIGHUP are handled as Ctrl-C is, so that partial output is cleaned up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """An interrupt by a signal other than SIGINT."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


def number_of(stop: KeyboardInterrupt) -> int:
    """The number of the signal that interrupted the process."""
    return stop.number if isinstance(stop, Stopped) else signal.SIGINT


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise Stopped on SIGTERM or SIGHUP; a signal that is ignored (nohup) or has a handler is left as it is."""
    signals = signal.SIGTERM, signal.SIGHUP
    main = threading.current_thread() is threading.main_thread()  # only the main thread may set handlers
    ours = [number for number in signals if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # schedulers send it again, which must not interrupt the cleanup
    raise Stopped(number)

"""Requests to stop a run: signals, and the time limit."""

import signal
import time

from airmass.recipes.settings import SafetySettings


class Interrupts:
    """Context manager that turns the first Ctrl-C, SIGTERM or SIGHUP into a request to stop after the current update.

    A second signal acts as usual. The time limit counts from when this object is made, so make it early.
    """

    def __init__(self, safety: SafetySettings):
        minutes = safety.time_limit_minutes
        self._end = None if minutes is None else time.monotonic() + 60 * (minutes - safety.margin_minutes)
        self._signalled = False

    def __enter__(self) -> "Interrupts":
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        # Ignored signals, as under nohup, stay ignored.
        self._handlers = {number: old for number, old in handlers.items() if old is not signal.SIG_IGN}
        for number in self._handlers:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        return self._signalled or (self._end is not None and time.monotonic() > self._end)

    def _ask(self, number, frame) -> None:
        self._signalled = True
        signal.signal(number, self._handlers[number])

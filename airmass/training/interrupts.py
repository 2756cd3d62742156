"""When a run is asked to stop: by hand, by the system, or because its time is nearly over."""

import signal
import time

from airmass.recipes.settings import SafetySettings


class Interrupts:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a wish to stop after the current update; a second is not caught.

    A time limit is counted from when this was made, which should be early in the life of the process.
    """

    def __init__(self, safety: SafetySettings):
        minutes = safety.time_limit_minutes
        self._end = None if minutes is None else time.monotonic() + 60 * (minutes - safety.margin_minutes)
        self._signalled = False

    def __enter__(self) -> "Interrupts":
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        self._held = {number: held for number, held in handlers.items() if held is not signal.SIG_IGN}  # as under nohup
        for number in self._held:
            signal.signal(number, self._ask)
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._held.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        return self._signalled or (self._end is not None and time.monotonic() > self._end)

    def _ask(self, number, frame) -> None:
        self._signalled = True
        signal.signal(number, self._held[number])

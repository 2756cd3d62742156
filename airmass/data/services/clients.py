"""Clients of others, kept from printing and from waiting for ever."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

_PATIENCE = 30.0  # seconds without a byte


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep a client's bars, warnings and log from the terminal: one line is said of each failure, by us."""
    spent = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(spent), contextlib.redirect_stderr(spent):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def patient(session: Any) -> None:
    """Give every request of a `requests.Session` a time limit, where the client gives none."""
    send = session.request

    def limited(method: str, url: str, **options: Any) -> Any:
        return send(method, url, **{**options, "timeout": options.get("timeout") or _PATIENCE})

    session.request = limited

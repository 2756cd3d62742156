"""Questions to ecCodes, which runs in processes of its own: one for each thread that asks."""

import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.reading import error_line

_PATIENCE = 60.0  # seconds for one message
_LONGEST_ANSWER = 2**20
_workers = threading.local()


class DecodingError(Exception):
    """Bytes that ecCodes cannot decode."""


def require_eccodes(path: Place) -> None:
    """Raise InputError, with the extra that brings it, unless ecCodes is installed."""
    if importlib.util.find_spec("eccodes") is None:
        raise InputError(f"{path}: a GRIB file, which needs ecCodes; install it with pip install 'airmass[grib]'")


def ask(do: str, message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """The answer to `do`, one of header, grid, values and coefficients, for a message: words and numbers.

    Raises DecodingError for bytes that ecCodes cannot decode, or that end its process.
    """
    worker = getattr(_workers, "held", None)
    if worker is None or worker.ended:
        worker = _workers.held = _Worker()
    return worker.ask(do, message)


class _Worker:
    """One process of ecCodes. It ends when this object is deleted, as its pipe is closed then."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        words = [sys.executable, "-P", str(Path(__file__).with_name("grib_worker.py"))]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def ask(self, do: str, message: bytes) -> tuple[dict[str, Any], np.ndarray]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, "bytes": len(message)}).encode() + b"\n" + message)
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], _PATIENCE)[0]:
                raise DecodingError(f"ecCodes takes more than {_PATIENCE:g} s for it")
            line = self._process.stdout.readline(_LONGEST_ANSWER)
            answer = json.loads(line) if line else None
            data = self._process.stdout.read(answer["bytes"]) if answer else b""
        except BrokenPipeError:
            answer, data = None, b""
        except BaseException:  # a stop or a long wait: what follows would read the rest of this answer
            self.close()
            raise
        if answer is None:
            self.close()
            raise DecodingError("ecCodes ends over it, as it does for some damaged bytes")
        if "error" in answer:
            raise DecodingError(error_line(Exception(answer["error"])))
        return answer, np.frombuffer(data, "<f8")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process.wait()

    def __del__(self) -> None:
        if hasattr(self, "_process"):
            self.close()

"""The process in which ecCodes runs: headers, grids and values of single messages, asked for through a pipe.

ecCodes writes to standard error, and ends the process that it is in when some bytes of a message are wrong. In a
process of its own, that is an answer like others. A request is a line of JSON with `do` and `bytes`, and that many
bytes of a message; an answer is a line of JSON with `bytes`, and that many bytes of float64. The file is run as a
script, which imports nothing but numpy and ecCodes.
"""

import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

_MISSING = 9.999e35
# Memory for one message, whatever its bytes say.
_MOST_MEMORY = 4 * 2**30
_HEADER = (
    "shortName", "paramId", "typeOfLevel", "level", "dataDate", "dataTime", "stepType", "number", "centre", "edition",
    "expver", "units", "name", "gridType", "Ni", "Nj", "numberOfPoints", "latitudeOfFirstGridPoint",
    "longitudeOfFirstGridPoint", "latitudeOfLastGridPoint", "longitudeOfLastGridPoint", "jScansPositively",
    "iScansNegatively", "jPointsAreConsecutive", "alternativeRowScanning", "NV",
)  # fmt: skip

Answer = tuple[dict[str, Any], bytes]


def main() -> None:
    """Answer requests until the pipe is closed."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while line := asked.readline():
        request = json.loads(line)
        said, data = _answered(_WAYS[request["do"]], asked.read(request["bytes"]))
        answers.write(json.dumps({**said, "bytes": len(data)}).encode() + b"\n" + data)
        answers.flush()


def _answered(way: Callable[[Any], Answer], message: bytes) -> Answer:
    try:
        with _handle(message) as held:
            return way(held)
    except Exception as error:  # ecCodes does not document what it raises for damaged bytes
        return {"error": f"{error}" or type(error).__name__}, b""


@contextmanager
def _handle(message: bytes) -> Iterator[Any]:
    import eccodes

    held = eccodes.codes_new_from_message(message)
    try:
        yield held
    finally:
        eccodes.codes_release(held)


def _get(held: Any, key: str) -> Any:
    import eccodes

    try:
        return eccodes.codes_get(held, key)
    except eccodes.KeyValueNotFoundError:
        return None


def _header(held: Any) -> Answer:
    """Keys of the header; `start` and `end` of its interval in seconds after the reference time, None if not known."""
    import eccodes

    said = {key: _get(held, key) for key in _HEADER} | {"start": None, "end": None}
    with suppress(eccodes.CodesInternalError):
        eccodes.codes_set(held, "stepUnits", "s")
        said["start"], said["end"] = (eccodes.codes_get_long(held, key) for key in ("startStep", "endStep"))
    return said, b""


def _grid(held: Any) -> Answer:
    """Latitudes, then longitudes, of all points in the order of the values."""
    import eccodes

    axes = [eccodes.codes_get_array(held, key) for key in ("latitudes", "longitudes")]
    return {}, np.concatenate(axes).astype("<f8").tobytes()


def _coefficients(held: Any) -> Answer:
    """Coefficients of half levels: a, then b."""
    import eccodes

    return {}, np.asarray(eccodes.codes_get_array(held, "pv"), "<f8").tobytes()


def _values(held: Any) -> Answer:
    import eccodes

    eccodes.codes_set(held, "missingValue", _MISSING)
    values = np.asarray(eccodes.codes_get_values(held), "<f8")
    if _get(held, "bitmapPresent"):
        values = np.where(values == _MISSING, np.nan, values)
    return {}, values.tobytes()


_WAYS: dict[str, Callable[[Any], Answer]] = {
    "header": _header, "grid": _grid, "values": _values, "coefficients": _coefficients,
}  # fmt: skip

if __name__ == "__main__":
    main()

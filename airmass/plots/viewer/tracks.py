"""Tracks of tropical cyclones for a page, from a Parquet file with one row a position."""

from pathlib import Path
from typing import Any

import numpy as np

from airmass.core.errors import InputError
from airmass.core.files import open_regular
from airmass.data.formats.reading import reading

_NUMBERS = ("lon", "lat", "wind", "slp")
_TIMES = ("time", "init_time")
COLUMNS = ("track_id", "time", "lon", "lat", "wind", "slp", "number", "init_time")
_MOST_ROWS = 2_000_000


def read_tracks(path: str | Path) -> list[dict[str, Any]]:
    """Tracks as one record each: id, member, initial time (seconds since 1970, None for an observed track), and lists.

    `wind` in m/s, `slp` in Pa, `lon` and `lat` in degrees; positions of a track in the order of their times.
    """
    table = _table(path)
    rows = len(table["track_id"])
    keys = list(zip(map(str, table["track_id"]), table["number"], table["init_time"], strict=True))
    groups: dict[tuple, list[int]] = {}
    for row in range(rows):
        groups.setdefault(keys[row], []).append(row)
    return [_track(key, sorted(found, key=lambda row: table["time"][row]), table) for key, found in groups.items()]


def _track(key: tuple, rows: list[int], table: dict[str, list]) -> dict[str, Any]:
    name, number, init = key
    columns = {column: [_rounded(table[column][row]) for row in rows] for column in _NUMBERS}
    return {"id": name, "member": number, "init": init, "times": [table["time"][row] for row in rows], **columns}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 3)


def _table(path: str | Path) -> dict[str, list]:
    """The file's columns as lists, times in seconds. Raises InputError for other files and for values out of range."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with open_regular(path) as file, reading(path):
        opened = pq.ParquetFile(file)
        if opened.metadata.num_rows > _MOST_ROWS:
            raise InputError(f"{path}: holds {opened.metadata.num_rows} positions, expected at most {_MOST_ROWS}")
        names = opened.schema_arrow.names
        if missing := [name for name in COLUMNS if name not in names]:
            raise InputError(
                f"{path}: has no column {', '.join(missing)}, only {', '.join(names)}; expected a table of "
                "cyclone tracks"
            )
        table = opened.read(columns=list(COLUMNS))
        columns: dict[str, list] = {}
        for name in COLUMNS:
            column = table[name]
            if name in _TIMES:
                columns[name] = _seconds(path, name, column, pa, pc)
            elif name in _NUMBERS:
                columns[name] = pc.cast(column, pa.float64()).to_pylist()
            else:
                columns[name] = pc.cast(column, pa.int64() if name == "number" else pa.string()).to_pylist()
    _check(path, columns)
    return columns


def _seconds(path: str | Path, name: str, column: Any, pa: Any, pc: Any) -> list:
    if not pa.types.is_timestamp(column.type):
        raise InputError(f"{path}: column {name} is {column.type}, expected times")
    return pc.cast(pc.cast(column, pa.timestamp("s"), safe=False), pa.int64()).to_pylist()


def _check(path: str | Path, columns: dict[str, list]) -> None:
    for name, least, most in (("lat", -90.0, 90.0), ("lon", -180.0, 360.0)):
        for at, value in enumerate(columns[name]):
            if value is None or not least <= value <= most:
                raise InputError(f"{path}: {name} of row {at} is {value}, expected {least:g} to {most:g}")
    if (row := next((row for row, time in enumerate(columns["time"]) if time is None), None)) is not None:
        raise InputError(f"{path}: time of row {row} is missing")
    columns["number"] = [member if member is not None and member >= 0 else None for member in columns["number"]]

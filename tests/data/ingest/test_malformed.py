"""Malformed input: each fault is one line that names it, exit status 2, and nothing is written."""

import os
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import eccodes
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from tests.conftest import make_store, synthetic_dataset
from tests.grib import message, messages, write

NAMES = (
    "temperature",
    "2m_temperature",
    "geopotential",
    "sea_surface_temperature",
    "land_sea_mask",
    "specific_humidity",
    "mean_sea_level_pressure",
)
FRAME = np.full((8, 16), 280, np.float32)
DAY = {"dataDate": 20000101, "dataTime": 0}
ROWS = {"latitude": -90 + 11.25 + 22.5 * np.arange(8), "longitude": np.arange(16) * 22.5}

Maker = Callable[[Path], list[Path]]
CASES: dict[str, tuple[Maker, list[str], str]] = {}


def base() -> xr.Dataset:
    return synthetic_dataset(days=0.5, names=NAMES)


def case(name: str, said: str, *options: str) -> Callable[[Maker], Maker]:
    def add(maker: Maker) -> Maker:
        CASES[name] = (maker, list(options), said)
        return maker

    return add


def changed(name: str, said: str, change: Callable[[xr.Dataset], xr.Dataset], *options: str) -> None:
    """A NetCDF file of healthy fields with one change."""

    def make(folder: Path) -> list[Path]:
        change(base()).to_netcdf(folder / "a.nc", engine="h5netcdf")
        return [folder / "a.nc"]

    CASES[name] = (make, list(options), said)


def content(name: str, said: str, data: Callable[[], bytes], suffix: str = "nc", *options: str) -> None:
    """A file of these bytes."""

    def make(folder: Path) -> list[Path]:
        (folder / f"a.{suffix}").write_bytes(data())
        return [folder / f"a.{suffix}"]

    CASES[name] = (make, list(options), said)


def grib(name: str, said: str, parts: Callable[[], list[bytes]], *options: str) -> None:
    content(name, said, lambda: b"".join(parts()), "grib", *options)


def values(name: str, change: Callable[[np.ndarray], np.ndarray], **attrs) -> Callable[[xr.Dataset], xr.Dataset]:
    def put_in(dataset: xr.Dataset) -> xr.Dataset:
        field = dataset[name].copy(data=change(dataset[name].values).astype(np.float32))
        field.attrs = {**field.attrs, **attrs}
        field.attrs = {key: value for key, value in field.attrs.items() if value is not None}
        return dataset.assign({name: field})

    return put_in


def at(axis: str, new, **attrs) -> Callable[[xr.Dataset], xr.Dataset]:
    """The dataset with other values of a coordinate."""

    def put_in(dataset: xr.Dataset) -> xr.Dataset:
        given = new(dataset[axis].values) if callable(new) else new
        return dataset.assign_coords({axis: (axis, given, {**dataset[axis].attrs, **attrs})})

    return put_in


def spoiled(index: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def put_in(field: np.ndarray) -> np.ndarray:
        field = field.copy()
        field.flat[index] = value
        return field

    return put_in


def one(keys: dict | None = None, frame: np.ndarray = FRAME, on_levels: bool = False, edition: int = 2) -> bytes:
    return message(frame, {"shortName": "2t", **DAY, **(keys or {})}, on_levels, edition)


def level(p: int, **keys) -> bytes:
    return message(FRAME, {"shortName": "t", "level": p, **DAY, **keys}, True)


def sample(name: str, **keys) -> bytes:
    held = eccodes.codes_grib_new_from_samples(name)
    for key, value in keys.items():
        eccodes.codes_set(held, key, value)
    data = eccodes.codes_get_message(held)
    eccodes.codes_release(held)
    return data


def patched(data: bytes, at_byte: int, new: bytes) -> bytes:
    return data[:at_byte] + new + data[at_byte + len(new) :]


def rain(start: int, end: int, amount: float = 1.0) -> bytes:
    keys = {"shortName": "tp", **DAY, "stepType": "accum", "stepRange": f"{start}-{end}"}
    return message(FRAME * 0 + amount, keys, False)


RAIN = ("--variables", "tp06", "--times", "2000-01-01T06:2000-01-01T12:6h")

# --- GRIB ---
grib(
    "GRIB cut off",
    r"truncated: message 2 at byte \d+ has \d+ bytes, of which the file holds",
    lambda: [one(), one({"dataTime": 600})[:-9]],
)
grib("GRIB cut within a heading", r"truncated: message 2 at byte \d+ has 10 bytes", lambda: [one(), one()[:10]])
grib("GRIB edition 3", "is GRIB edition 3, expected 1 or 2", lambda: [patched(one(), 7, b"\3")])
grib("GRIB with junk", r"900 bytes after message 1, at byte \d+, are no GRIB message", lambda: [one(), b"\1" * 900])
grib("GRIB without its end", "does not end with 7777", lambda: [one()[:-4] + b"7767"])
grib("GRIB with a section too long", "has a section of 65280 bytes", lambda: [patched(one(), 18, b"\xff\0")])
grib("GRIB with a length of nothing", "says that it has 0 bytes", lambda: [patched(one(), 8, bytes(8))])
grib("GRIB field twice", r"2t at 2000-01-01T00:00 is there twice, at bytes 0 and \d+", lambda: [one(), one()])
grib(
    "GRIB on two grids",
    "fields on two grids, 2t on regular_ll 16 x 8 and 2t on regular_ll 8 x 4",
    lambda: [one(), one({"dataTime": 600}, FRAME[::2, ::2])],
)
grib(
    "GRIB in spherical harmonics",
    "t at byte 0 is in spherical harmonics",
    lambda: [sample("sh_pl_grib2", shortName="t")],
)
grib(
    "GRIB on a stereographic grid",
    "is on the grid polar_stereographic, expected one of regular_ll",
    lambda: [sample("polar_stereographic_pl_grib2", shortName="t")],
)
grib("GRIB of unknown fields", "no field that airmass knows; it holds swvl1", lambda: [one({"shortName": "swvl1"})])
grib("GRIB of month 13", "has the date 20001301|cannot be read", lambda: [patched(one(), 16 + 14, b"\x0d")])
grib(
    "GRIB on half a globe",
    "expected rows of the whole globe",
    lambda: [one({"latitudeOfLastGridPointInDegrees": 10, "jDirectionIncrementInDegrees": 10})],
)
grib(
    "GRIB members of other levels",
    r"temperature is missing at 850 hPa at 2000-01-01T00:00|not every variable has the levels",
    lambda: (
        [level(500, **{"productDefinitionTemplateNumber": 1, "number": n}) for n in (0, 1)]
        + [level(850, **{"productDefinitionTemplateNumber": 1, "number": 0})]
    ),
    "--levels",
    "500",
    "850",
)
grib(
    "GRIB that lacks a level at one time",
    "temperature is missing at 850 hPa at 2000-01-01T06:00; it has 500",
    lambda: [level(500), level(850), level(500, dataTime=600)],
    "--levels",
    "500",
    "850",
)
grib(
    "GRIB forecasts that overlap",
    "2t has the two axes of time time and step; choose forecasts of one lead time with --lead",
    lambda: [one({"dataTime": t, "step": s}) for t in (0, 600) for s in (0, 6)],
)
grib(
    "GRIB without that lead",
    "step has no 12 h",
    lambda: [one({"dataTime": t, "step": s}) for t in (0, 600) for s in (0, 6)],
    "--lead",
    "12",
)
grib(
    "GRIB without that member",
    "no member 3; the sources have 0, 1",
    lambda: [one({"productDefinitionTemplateNumber": 1, "number": n}) for n in (0, 1)],
    "--member",
    "3",
)
grib(
    "GRIB masked inside",
    r"2m_temperature at 2000-01-01T00:00 has 1 NaN or infinite values of 128",
    lambda: [one(frame=np.where(np.arange(128).reshape(8, 16) == 5, np.nan, FRAME))],
)
grib(
    "sums with a gap",
    "6 h to 2000-01-01T12:00 cannot be put together: sums that end then are over 3 h",
    lambda: [rain(0, 6), rain(9, 12)],
    *RAIN,
)
grib(
    "sums that fall", "falls by 3 m within|total_precipitation_6hr", lambda: [rain(0, 6, 4e3), rain(0, 12, 1e3)], *RAIN
)
grib("a sum twice", r"tp at 2000-01-01T06:00.* is there twice", lambda: [rain(0, 6), rain(0, 6), rain(6, 12)], *RAIN)
grib(
    "GRIB whose data decode to nonsense",
    "has the value|cannot be decoded|cannot be read",
    lambda: [patched(one(), len(one()) - 40, b"\x7f\x7f\x7f\x7f")],
)
# --- axes ---
changed(
    "axes exchanged",
    r"latitude .*(expected -90 to 90|expected the whole circle)",
    lambda d: d.rename(latitude="longitude", longitude="latitude"),
)
changed("the northern half", "expected rows of the whole globe", lambda d: d.isel(latitude=slice(4, None)))
changed(
    "a region",
    r"longitude runs 0 to 135 in 7 columns, expected the whole circle",
    lambda d: d.isel(longitude=slice(0, 7)),
)
changed(
    "the first meridian twice",
    "the first meridian is there twice",
    lambda d: xr.concat([d, d.isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude", data_vars="minimal"),
)
changed("uneven longitudes", "in even steps of 22.5", at("longitude", lambda v: np.where(v == 45, 50, v)))
changed(
    "uneven latitudes",
    "latitude runs from -77.175 to 77.175 in 8 rows, expected .*choose a grid with --grid",
    at("latitude", lambda v: v * 0.98),
)
changed("latitude missing a row", "latitude", lambda d: d.isel(latitude=[0, 1, 2, 4, 5, 6, 7]))
changed("latitude with NaN", "not finite", at("latitude", spoiled(2, np.nan)))
changed("latitude as text", "latitude is <U6, expected numbers", at("latitude", lambda v: v.astype(str)))
changed("no latitude", "has no latitude, expected fields of latitude and longitude", lambda d: d.drop_vars("latitude"))
changed(
    "a projection", "has the axis y of length 8, expected none such", lambda d: d.rename(latitude="y", longitude="x")
)
changed("an axis more", "has the axis colour of length 2, expected none such", lambda d: d.expand_dims(colour=2))
changed(
    "another grid in one file",
    "t2m: latitude runs from .*choose a grid with --grid",
    lambda d: d.drop_vars("2m_temperature").assign(
        t2m=d["2m_temperature"]
        .isel(latitude=slice(0, 8, 2), longitude=slice(0, 16, 2))
        .rename(latitude="lat", longitude="lon")
    ),
)
# --- levels ---
changed(
    "a level that is not there",
    "temperature is missing at 700 hPa at 2000-11-01T00:00; it has 300 500 850",
    lambda d: d,
    "--variables",
    "t",
    "--levels",
    "500",
    "700",
)
changed("levels in Pa called hPa", "levels from 30000 to 85000 hPa: are they in Pa", at("level", lambda v: v * 100))
changed("a level below zero", "levels from -300 to 850 hPa", at("level", [-300, 500, 850]))
changed("a level that is NaN", "has levels float64, expected pressures", at("level", [300.0, np.nan, 850]))
changed("levels as text", "expected pressures in hPa", at("level", ["a", "b", "c"]))
changed("a level twice", "has a level twice, expected each once", at("level", [300, 500, 500]))
changed("levels in km", "has levels in 'km', expected hPa or Pa", at("level", [9, 5, 1], units="km"))
changed(
    "levels that differ between variables",
    "not every variable has the levels",
    lambda d: d.drop_vars("temperature").assign(t=d.temperature.isel(level=[0, 1]).rename(level="plev")),
)
# --- times ---
changed("a time twice", "has the time 2000-11-01T00:00 twice", at("time", lambda v: v[[0, 0]]))
changed("times backwards", "has times that run backwards after 2000-11-01T06:00", lambda d: d.isel(time=[1, 0]))
changed("a time missing its value", "missing", at("time", lambda v: np.array([v[0], np.datetime64("NaT")])))
changed("no times", "only fields that never change are there with a time", lambda d: d.isel(time=slice(0, 0)))
changed(
    "a calendar without leap days",
    "in the calendar 'noleap', expected dates of the standard calendar",
    at("time", xr.date_range("2000-01-01", periods=2, freq="6h", calendar="noleap", use_cftime=True)),
)
changed(
    "a calendar of 360 days",
    "in the calendar '360_day'",
    at("time", xr.date_range("2000-01-01", periods=2, freq="6h", calendar="360_day", use_cftime=True)),
)
changed("times as plain numbers", "has times without dates, expected dates", at("time", [0, 6]))
changed(
    "dates far in the future",
    "has times such as 2400-01-02 00:00:00, expected dates from 1800-01-01T00:00 to 2262",
    at("time", np.array(["2400-01-01", "2400-01-02"], "datetime64[s]")),
)
changed(
    "a time that is asked for and absent",
    "missing at 2000-11-01T12:00; it has 2 times",
    lambda d: d,
    "--times",
    "2000-11-01:2000-11-01:6h",
)
changed(
    "a step that is not there", "missing at 2000-11-01T03:00", lambda d: d, "--times", "2000-11-01T00:2000-11-01T06:3h"
)
changed(
    "reference and lead time without dates",
    "expected durations with units",
    lambda d: d.assign_coords(step=("time", [0, 6])),
)
# --- values and units ---
changed(
    "K called degrees Celsius",
    "the file's units 'degC' were converted: are they right?",
    values("2m_temperature", lambda v: v, units="degC"),
)
changed(
    "Pa called hPa",
    "has the value .*units 'hPa' were converted",
    values("mean_sea_level_pressure", lambda v: v, units="hPa"),
)
changed(
    "unknown units",
    "2m_temperature has units 'furlong', expected 'K'",
    values("2m_temperature", lambda v: v, units="furlong"),
)
changed("units that are a number", "has units '7', expected 'K'", values("2m_temperature", lambda v: v, units=7))
changed("°C without units", "are these °C", values("2m_temperature", lambda v: v - 273.15, units=None))
changed("hPa without units", "are these hPa", values("mean_sea_level_pressure", lambda v: v / 100, units=None))
changed("heights called geopotential", "are these heights in m", values("geopotential", lambda v: v / 9.80665))
changed("a mask in per cent", "are these %", values("land_sea_mask", lambda v: v * 100))
changed(
    "a NaN",
    r"temperature at 300 hPa at 2000-11-01T00:00 has 1 NaN or infinite values",
    values("temperature", spoiled(7, np.nan)),
)
changed("an infinity", "has 1 NaN or infinite values", values("2m_temperature", spoiled(7, np.inf)))
changed(
    "1e20 undeclared",
    r"has the value 1e\+20.*a fill value that the file does not declare",
    values("2m_temperature", spoiled(7, 1e20)),
)
changed("netCDF's own fill undeclared", r"9\.96921e\+36.*fill value", values("2m_temperature", spoiled(7, 9.96921e36)))
changed("-9999 undeclared", "-9999.*fill value", values("2m_temperature", spoiled(7, -9999.0)))
changed(
    "a field of text",
    "2m_temperature is .*expected numbers",
    lambda d: d.assign({"2m_temperature": d["2m_temperature"].astype(str)}),
)
changed(
    "a static field that changes",
    "differs between 2000-11-01T00:00 and 2000-11-01T06:00",
    lambda d: d.assign(
        land_sea_mask=(
            ("time", "latitude", "longitude"),
            np.stack([d.land_sea_mask, 0 * d.land_sea_mask]),
            {"units": "1"},
        )
    ),
)
changed(
    "two versions with values",
    "has values in 2 versions of expver",
    lambda d: d[["2m_temperature"]].expand_dims(expver=[1, 5]),
)
changed(
    "rain without its hours",
    "nothing says over how many hours it is summed",
    lambda d: d.assign(tp=(d["2m_temperature"] * 0).assign_attrs(units="m")),
    "--variables",
    "tp06",
)
changed(
    "nothing known",
    "no quantity that airmass knows; it holds swvl1",
    lambda d: d[["2m_temperature"]].rename({"2m_temperature": "swvl1"}),
)
changed("only static fields", "only fields that never change", lambda d: d[["land_sea_mask"]])
# --- files ---
content("an empty file", "an empty file", lambda: b"")
content("a web page", "a web page", lambda: b"<html>404</html>")
content("text", "text", lambda: b"time,temperature\n")
content("HDF5 cut off", "cannot be read", lambda: b"\x89HDF\r\n\x1a\n" + bytes(200))
content("NetCDF 3 cut off", "cannot be read", lambda: b"CDF\1" + bytes(9))
content("a broken zip", "a zip archive that cannot be unpacked", lambda: b"PK\3\4" + bytes(60), "zip")


@case("a zip without fields", "a zip archive without NetCDF or GRIB files")
def _(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "a.zip", "w") as held:
        held.writestr("readme.txt", "nothing")
    return [folder / "a.zip"]


@case("a zip that explodes", "unpacks to more than 100 times its size")
def _(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("a.nc", bytes(300_000_000))
    return [folder / "a.zip"]


@case("an absent file", "no such file or folder")
def _(folder: Path) -> list[Path]:
    return [folder / "absent.nc"]


@case("an empty folder", "a folder without zarr.json")
def _(folder: Path) -> list[Path]:
    (folder / "tree").mkdir()
    return [folder / "tree"]


@case("a pipe", "a named pipe")
def _(folder: Path) -> list[Path]:
    os.mkfifo(folder / "pipe")
    return [folder / "pipe"]


@case("a source twice", "given twice as a source")
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base())] * 2


@case(
    "a variable in two files", "geopotential at 300 hPa at 2000-11-01T00:00 is there twice, in .*a.zarr.* and .*b.zarr"
)
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base()), make_store(folder / "b.zarr", base())]


@case(
    "files at other times",
    "geopotential has 2 times from 2000-11-01T00:00 .*2m_temperature has 2 times from 2000-11-02T00:00",
)
def _(folder: Path) -> list[Path]:
    surface = base()[["2m_temperature"]]
    later = surface.assign_coords(time=surface.time + np.timedelta64(24, "h"))
    return [make_store(folder / "a.zarr", base()[["geopotential"]]), make_store(folder / "b.zarr", later)]


@case("a chunk that does not decode", "temperature.* cannot be read")
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base(), corrupt_chunk="temperature")]


@case("members that differ", "expected the same members")
def _(folder: Path) -> list[Path]:
    both = base()[["temperature", "2m_temperature"]]
    two = both[["temperature"]].expand_dims(number=[0, 1]).transpose("time", "number", ...)
    three = both[["2m_temperature"]].expand_dims(number=[0, 1, 2]).transpose("time", "number", ...)
    two.to_netcdf(folder / "a.nc", engine="h5netcdf")
    three.to_netcdf(folder / "b.nc", engine="h5netcdf")
    return [folder / "a.nc", folder / "b.nc"]


# --- options ---
for _name, _said, *_options in (
    ("an unknown variable", "unknown variable 'temprature'; did you mean temperature", "--variables", "temprature"),
    ("a computed variable", "is computed from time and grid", "--variables", "tisr"),
    (
        "a variable that no source has",
        "no source has vertical_velocity: expected vertical_velocity or upward_air_velocity and temperature",
        "--variables",
        "w",
    ),
    ("a grid of no sense", "--grid is 'fine', expected degrees", "--grid", "fine"),
    (
        "a grid that thinning cannot give",
        "its nodes are not points of the regular grid",
        "--grid",
        "7x5",
        "--method",
        "thin",
    ),
    ("times of no sense", "--times is 'always', expected FIRST:LAST:STEP", "--times", "always"),
    ("a level of no sense", "--levels has 5000, expected hPa from 1 to 1100", "--levels", "5000"),
    ("a member of no ensemble", "--member is 3, but the sources have no members", "--member", "3"),
):
    changed(_name, _said, lambda d: d, *_options)


def test_there_are_sixty():
    assert len(CASES) >= 60


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_malformed_input_is_one_line(name, tmp_path, capsys):
    maker, options, said = CASES[name]
    (tmp_path / "in").mkdir()
    sources = maker(tmp_path / "in")
    (tmp_path / "out").mkdir()
    status = main(["data", "ingest", *map(str, sources), "--out", str(tmp_path / "out" / "o.zarr"), *options])
    shown = capsys.readouterr().err
    assert status == 2, shown
    assert shown.count("\n") == 1 and re.search(said, shown), shown
    assert not list((tmp_path / "out").iterdir())


def test_a_finished_store_is_not_written_over(tmp_path, capsys):
    source = make_store(tmp_path / "a.zarr", base())
    words = partial(lambda *more: ["data", "ingest", str(source), *more])
    assert main([*words("--out", str(tmp_path / "o.zarr"))]) == 0
    for out, said in (("o.zarr", "already exists"), ("o.nc", "ends in .zarr"), ("a.zarr/b.zarr", "lies in the input")):
        assert main([*words("--out", str(tmp_path / out))]) == 2
        assert said in capsys.readouterr().err


def test_messages_of_a_store_read_back(tmp_path):
    """The writer of these tests is right: an unchanged file is taken in."""
    path = write(tmp_path / "a.grib", messages(base()[["2m_temperature"]], {"2m_temperature": "2t"}))
    assert main(["data", "ingest", str(path), "--out", str(tmp_path / "o.zarr")]) == 0

"""Stores and NetCDF files of fields whose coordinates, dtypes, attributes, values or chunks are wrong."""

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from tests.border.case import Case, Make, changed
from tests.border.healthy import Home, dataset

Change = Callable[[Path], object]
READERS = ("check", "stats", "forecast from")
ALL = ("check", "stats", "train", "forecast from", "evaluate with", "plot with")
FIELD = ("check", "stats", "train", "evaluate with")
_DIMS = {"time": ("time",), "level": ("level",), "latitude": ("latitude",), "longitude": ("longitude",)}


def copied(home: Home, folder: Path) -> Path:
    shutil.copytree(home.store, folder / "bad.zarr")
    return folder / "bad.zarr"


def copied_v2(home: Home, folder: Path) -> Path:
    shutil.copytree(home.store_v2, folder / "bad.zarr")
    return folder / "bad.zarr"


def put(name: str, values: Any, dims: Sequence[str] | None = None, attributes: dict | None = None) -> Change:
    """An array in place of the one of that name, with its attributes unless others are given."""

    def change(store: Path) -> None:
        group = zarr.open_group(store, mode="r+")
        held = dict(group[name].attrs) if name in group else {}
        of = values(np.asarray(group[name][...])) if callable(values) else np.asarray(values)
        kept = held if attributes is None else attributes
        if of.dtype.kind != "f":  # else it is the mark of missing values, of another type, that is wrong first
            kept.pop("_FillValue", None)
        old = group[name].metadata.dimension_names if name in group else None
        shutil.rmtree(store / name, ignore_errors=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr on dtypes of no standard, which is the point
            group.create_array(name, data=of, dimension_names=dims or old, attributes=kept)

    return change


def metadata(name: str, edit: Callable[[dict], object]) -> Change:
    """Another description of an array, or of the store where `name` is empty."""

    def change(store: Path) -> None:
        path = store / name / "zarr.json"
        text = json.loads(path.read_text())
        edit(text)
        path.write_text(json.dumps(text))

    return change


def attribute(name: str, **values) -> Change:
    return metadata(name, lambda text: text["attributes"].update(values))


def removed(name: str) -> Change:
    return lambda store: shutil.rmtree(store / name)


def value(name: str, number: float, everywhere: bool = False) -> Change:
    """One value of the second frame, or every value, is a number."""

    def change(store: Path) -> None:
        array = zarr.open_group(store, mode="r+")[name]
        if everywhere:
            array[...] = np.full(array.shape, number, np.float32)
        elif array.ndim > 2:
            array[(1, *[0] * (array.ndim - 3), 2, 3)] = number
        else:
            array[(2, 3)] = number

    return change


def arithmetic(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Every value turned into another, under the same attributes or none of units."""

    def change(store: Path) -> None:
        array = zarr.open_group(store, mode="r+")[name]
        array[...] = of(array[...])

    return change


def both(*changes: Change) -> Change:
    def change(store: Path) -> None:
        for one in changes:
            one(store)

    return change


def text_of(name: str, text: str | bytes) -> Change:
    return lambda store: (store / name).write_bytes(text.encode() if isinstance(text, str) else text)


def _stretch(name: str, index: int, by: float) -> Callable[[np.ndarray], np.ndarray]:
    def of(values: np.ndarray) -> np.ndarray:
        out = values.copy()
        out[index] += by
        return out

    return of


def _unitless(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Change:
    return both(arithmetic(name, of), metadata(name, lambda text: text["attributes"].pop("units", None)))


_LAT, _LON = np.arange(8) * 22.5 - 78.75, np.arange(16) * 22.5
_TIME = {"units": "hours since 2000-11-01", "calendar": "proleptic_gregorian"}
_HOURS = np.arange(8) * 6

COORDINATES = [
    ("latitude complex", put("latitude", _LAT + 0j), ("latitude",)),
    ("latitude of text", put("latitude", np.array([f"{x}" for x in _LAT])), ("latitude",)),
    ("latitude of flags", put("latitude", _LAT > 0), ("latitude",)),
    ("latitude NaN", put("latitude", _stretch("", 3, np.nan)), ("latitude",)),
    ("latitude beyond the pole", put("latitude", _LAT * 2), ("latitude",)),
    ("latitude north to south", put("latitude", _LAT[::-1].copy()), ("latitude",)),
    ("latitude uneven", put("latitude", _stretch("", 2, 3.0)), ("latitude",)),
    ("latitude twice the same", put("latitude", _stretch("", 2, -22.5)), ("latitude",)),
    ("latitude missing", removed("latitude"), ("latitude",)),
    ("latitude in radians", put("latitude", np.deg2rad(_LAT)), ("latitude",)),
    ("longitude infinite", put("longitude", _stretch("", 3, np.inf)), ("longitude",)),
    ("longitude of text", put("longitude", np.array([f"{x}" for x in _LON])), ("longitude",)),
    ("longitude over half the globe", put("longitude", _LON / 2), ("longitude",)),
    ("longitude backwards", put("longitude", _LON[::-1].copy()), ("longitude",)),
    ("longitude from -180", put("longitude", _LON - 180), ("longitude",)),
    ("longitude missing", removed("longitude"), ("longitude",)),
    ("level of text", put("level", np.array(["500", "850"])), ("level",)),
    ("level NaN", put("level", np.array([500.0, np.nan])), ("level",)),
    ("level below zero", put("level", np.array([-500, 850])), ("level",)),
    ("level zero", put("level", np.array([0, 850])), ("level",)),
    ("level between hectopascals", put("level", np.array([500.5, 850.0])), ("level",)),
    ("level in Pa", put("level", np.array([50000, 85000])), ("level",)),
    ("level with units of metres", attribute("level", units="m"), ("level",)),
    ("level with a number for units", attribute("level", units=7), ("level",)),
    ("level falling", put("level", np.array([850, 500])), ("level",)),
    ("level twice the same", put("level", np.array([500, 500])), ("level",)),
    ("level complex", put("level", np.array([500 + 1j, 850])), ("level",)),
    ("level without coordinate", removed("level"), ("level",)),
    ("time twice the same", put("time", _stretch("", 3, -6)), ("time",)),
    ("time backwards", put("time", _HOURS[::-1].copy(), attributes=_TIME), ("time",)),
    ("time NaT", put("time", np.where(_HOURS == 12, np.iinfo(np.int64).min, _HOURS), attributes=_TIME), ("time",)),
    ("time without units", put("time", _HOURS, attributes={}), ("time",)),
    ("time of text", put("time", np.array([f"day {h}" for h in _HOURS]), attributes={}), ("time",)),
    ("time since nonsense", put("time", _HOURS, attributes=_TIME | {"units": "hours since the flood"}), ("time",)),
    ("time in fortnights", put("time", _HOURS, attributes=_TIME | {"units": "fortnights since 2000-11-01"}), ("time",)),
    ("time with a number for units", put("time", _HOURS, attributes={"units": 7}), ("time",)),
    ("time in a calendar without leap days", put("time", _HOURS, attributes=_TIME | {"calendar": "noleap"}), ("time",)),
    ("time in a calendar of 360 days", put("time", _HOURS, attributes=_TIME | {"calendar": "360_day"}), ("time",)),
    ("time beyond all dates", put("time", _HOURS + 10**15, attributes=_TIME), ("time",)),
    ("time missing", removed("time"), ("time",)),
    ("time as durations", put("time", _HOURS, attributes={"units": "hours"}), ("time",)),
]

FIELDS = [
    ("field complex", put("2m_temperature", lambda v: v + 0j), ("2m_temperature",)),
    ("field of text", put("2m_temperature", lambda v: v.astype(str)), ("2m_temperature",)),
    ("field of flags", put("2m_temperature", lambda v: v > 0), ("2m_temperature",)),
    (
        "field of dates",
        put("2m_temperature", lambda v: v.astype(np.int64), attributes={"units": "days since 2000-01-01"}),
        ("2m_temperature",),
    ),
    ("field with units of Celsius", attribute("2m_temperature", units="degC"), ("2m_temperature", "degc")),
    ("field with a number for units", attribute("2m_temperature", units=7), ("2m_temperature", "units")),
    ("field with a list for units", attribute("2m_temperature", units=["K"]), ("2m_temperature", "units")),
    ("scale factor of text", attribute("2m_temperature", scale_factor="1.0"), ("2m_temperature", "scale_factor")),
    ("scale factor zero", attribute("2m_temperature", scale_factor=0.0), ("2m_temperature",)),
    ("scale factor null", attribute("2m_temperature", scale_factor=None), ("2m_temperature", "scale_factor")),
    ("scale factor of two", attribute("2m_temperature", scale_factor=[1.0, 2.0]), ("2m_temperature", "scale_factor")),
    ("offset of text", attribute("2m_temperature", add_offset="warm"), ("2m_temperature", "add_offset")),
    ("offset below absolute zero", attribute("2m_temperature", add_offset=-500.0), ("2m_temperature",)),
    ("fill value of text", attribute("2m_temperature", _FillValue="none"), ()),
    (
        "dimensions in another order",
        put("2m_temperature", lambda v: v.transpose(0, 2, 1), ("time", "longitude", "latitude")),
        ("2m_temperature",),
    ),
    (
        "a dimension of members",
        put("2m_temperature", lambda v: np.stack([v, v]), ("number", "time", "latitude", "longitude")),
        ("2m_temperature",),
    ),
    ("a dimension too few", put("2m_temperature", lambda v: v[0], ("latitude", "longitude")), ("2m_temperature",)),
    (
        "a level where none belongs",
        put("2m_temperature", lambda v: np.stack([v, v], 1), ("time", "level", "latitude", "longitude")),
        ("2m_temperature",),
    ),
    ("dimensions without names", put("2m_temperature", lambda v: v, (None, None, None)), ("2m_temperature",)),
    ("dimensions of one name", put("2m_temperature", lambda v: v, ("time", "latitude", "latitude")), ()),
    ("dimensions of another length", put("2m_temperature", lambda v: v[:, :4]), ()),
    ("no values along time", put("2m_temperature", lambda v: v[:0], ("time", "latitude", "longitude")), ()),
]

# Without units, as in the published samples, or with the right ones over wrong numbers.
VALUES = [
    ("one value of 9.999e20", value("2m_temperature", 9.999e20), ("2m_temperature", "2000-11-01t06")),
    ("one infinite value", value("2m_temperature", np.inf), ("2m_temperature", "2000-11-01t06")),
    ("one NaN", value("2m_temperature", np.nan), ("2m_temperature", "2000-11-01t06")),
    ("one value of -32767", value("2m_temperature", -32767.0), ("2m_temperature", "2000-11-01t06")),
    ("Celsius without units", _unitless("2m_temperature", lambda v: v - 273.15), ("2m_temperature",)),
    ("Celsius called kelvin", arithmetic("2m_temperature", lambda v: v - 273.15), ("2m_temperature",)),
    ("heights for geopotential", _unitless("geopotential", lambda v: v / 9.80665), ("geopotential",)),
    ("millimetres of rain", _unitless("total_precipitation_6hr", lambda v: v * 1000), ("total_precipitation_6hr",)),
    ("a mask in percent", _unitless("land_sea_mask", lambda v: v * 100), ("land_sea_mask",)),
    ("a mask of NaN", value("land_sea_mask", np.nan), ("land_sea_mask",)),
    ("upper air in Celsius", _unitless("temperature", lambda v: v - 273.15), ("temperature",)),
    ("a surface of NaN", value("geopotential_at_surface", np.nan, everywhere=True), ("geopotential_at_surface",)),
]
_READ = {
    "heights for geopotential": ("stats", "train", "forecast from"),
    "a mask in percent": ("check", "train", "forecast from"),
    "millimetres of rain": ("check", "stats", "train"),
    "a mask of NaN": ("check", "train", "forecast from"),
    "a surface of NaN": ("check", "train", "forecast from"),
}


def _chunk(name: str, data: Callable[[bytes], bytes]) -> Change:
    """Other bytes in a chunk of the second frame."""

    def change(store: Path) -> None:
        path = next(p for p in sorted((store / name / "c" / "1").rglob("*")) if p.is_file())
        path.write_bytes(data(path.read_bytes()))

    return change


def _chunk_folder(store: Path) -> None:
    path = next(p for p in sorted((store / "2m_temperature" / "c" / "1").rglob("*")) if p.is_file())
    path.unlink()
    path.mkdir()


def _set(*path_and_value) -> Callable[[dict], None]:
    *path, last, new = path_and_value

    def edit(text: dict) -> None:
        for key in path:
            text = text[key]
        text[last] = new

    return edit


_CHUNKS = ("chunk_grid", "configuration", "chunk_shape")
LAYOUT = [
    (
        "chunk of nonsense",
        _chunk("2m_temperature", lambda d: b"no chunk"),
        ("2m_temperature",),
        ("check", "stats", "train", "forecast from", "evaluate with"),
    ),
    (
        "chunk cut off",
        _chunk("2m_temperature", lambda d: d[: len(d) // 2]),
        ("2m_temperature",),
        ("check", "stats", "train"),
    ),
    ("chunk empty", _chunk("temperature", lambda d: b""), ("temperature",), ("check", "stats", "train")),
    ("chunk that is a folder", _chunk_folder, ("2m_temperature",), ("check", "stats", "train")),
    ("chunk shape 0", metadata("2m_temperature", _set(*_CHUNKS, [0, 8, 16])), ()),
    ("chunk shape below zero", metadata("2m_temperature", _set(*_CHUNKS, [-1, 8, 16])), ()),
    ("chunk shape of text", metadata("2m_temperature", _set(*_CHUNKS, ["1", 8, 16])), ()),
    ("chunk shape too short", metadata("2m_temperature", _set(*_CHUNKS, [1])), ()),
    ("codec unknown", metadata("2m_temperature", _set("codecs", [{"name": "colour"}])), ()),
    ("codecs empty", metadata("2m_temperature", _set("codecs", [])), ()),
    ("codecs of text", metadata("2m_temperature", _set("codecs", "zstd")), ()),
    ("dtype unknown", metadata("2m_temperature", _set("data_type", "float7")), ()),
    ("dtype a number", metadata("2m_temperature", _set("data_type", 32)), ()),
    ("shape below zero", metadata("2m_temperature", _set("shape", [-8, 8, 16])), ()),
    ("shape of 10^18", metadata("2m_temperature", _set("shape", [10**18, 8, 16])), ()),
    ("shape of text", metadata("2m_temperature", _set("shape", "big")), ()),
    ("attributes of text", metadata("2m_temperature", _set("attributes", "none")), ()),
    ("array description of nonsense", text_of("2m_temperature/zarr.json", "{"), ()),
    ("array description empty", text_of("2m_temperature/zarr.json", ""), ()),
    ("array description a list", text_of("2m_temperature/zarr.json", "[]"), ()),
    ("array description not UTF-8", text_of("2m_temperature/zarr.json", b"\xff\xfe{}"), ()),
    ("store description of nonsense", text_of("zarr.json", "{"), ()),
    ("store description a number", text_of("zarr.json", "7"), ()),
    ("store description nested 100,000 deep", text_of("zarr.json", "[" * 100_000), ()),
    ("format 9", metadata("", _set("zarr_format", 9)), ()),
    ("kind of node unknown", metadata("", _set("node_type", "tree")), ()),
    ("an array in place of a store", lambda store: _only_array(store), ()),
    ("no variables", lambda store: _no_variables(store), ()),
    ("nothing that airmass knows", lambda store: _unknown_names(store), ()),
    (
        "consolidated metadata of nonsense",
        metadata("", _set("consolidated_metadata", {"kind": "inline", "metadata": 7})),
        (),
    ),
]


def _only_array(store: Path) -> None:
    shutil.move(store / "2m_temperature", store.with_name("aside"))
    shutil.rmtree(store)
    shutil.move(store.with_name("aside"), store)


def _no_variables(store: Path) -> None:
    for path in store.iterdir():
        if path.is_dir() and path.name not in _DIMS:
            shutil.rmtree(path)


def _unknown_names(store: Path) -> None:
    for path in list(store.iterdir()):
        if path.is_dir() and path.name not in _DIMS:
            path.rename(store / f"my_{path.name}")


def _v2(name: str, edit: Callable[[dict], object]) -> Change:
    """Another description of an array of format 2; without the consolidated copy."""

    def change(store: Path) -> None:
        (store / ".zmetadata").unlink(missing_ok=True)
        path = store / name
        text = json.loads(path.read_text())
        edit(text)
        path.write_text(json.dumps(text))

    return change


V2 = [
    ("compressor unknown", _v2("2m_temperature/.zarray", _set("compressor", {"id": "colour"})), ()),
    ("filters unknown", _v2("2m_temperature/.zarray", _set("filters", [{"id": "colour"}])), ()),
    ("dtype of objects", _v2("2m_temperature/.zarray", _set("dtype", "|O")), ()),
    ("dtype of nonsense", _v2("2m_temperature/.zarray", _set("dtype", "<q9")), ()),
    ("chunks of zero", _v2("2m_temperature/.zarray", _set("chunks", [0, 8, 16])), ()),
    ("shape too short", _v2("2m_temperature/.zarray", _set("shape", [8])), ()),
    ("format 5", _v2("2m_temperature/.zarray", _set("zarr_format", 5)), ()),
    ("dimension names of numbers", _v2("2m_temperature/.zattrs", _set("_ARRAY_DIMENSIONS", [1, 2, 3])), ()),
    ("dimension names gone", _v2("2m_temperature/.zattrs", lambda text: text.pop("_ARRAY_DIMENSIONS")), ()),
    ("attributes a list", lambda store: _v2_attributes(store), ()),
    ("consolidated metadata of nonsense", text_of(".zmetadata", "{"), ()),
    ("a zero that reads as missing", _v2("longitude/.zarray", _set("fill_value", 0.0)), ("longitude",)),
]


def _v2_attributes(store: Path) -> None:
    (store / ".zmetadata").unlink(missing_ok=True)
    (store / "2m_temperature" / ".zattrs").write_text("[]")


def netcdf(change: Callable[[xr.Dataset], xr.Dataset], engine: str = "h5netcdf", **options) -> Make:
    """A NetCDF file of the healthy fields with a change."""

    def make(home: Home, folder: Path) -> Path:
        options.setdefault("invalid_netcdf", True) if engine == "h5netcdf" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of what is invalid, which is the point
            change(dataset()).to_netcdf(folder / "bad.nc", engine=engine, **options)
        return folder / "bad.nc"

    return make


def _cut(home: Home, folder: Path) -> Path:
    data = home.netcdf.read_bytes()
    (folder / "bad.nc").write_bytes(data[: len(data) - 4096])
    return folder / "bad.nc"


def _hdf5(write: Callable) -> Make:
    def make(home: Home, folder: Path) -> Path:
        import h5py

        with h5py.File(folder / "bad.nc", "w") as file:
            write(file)
        return folder / "bad.nc"

    return make


def _outside(file) -> None:
    """A variable whose values lie in another file, which a reader must not open for it."""
    file.create_dataset("2m_temperature", (4,), "f4", external=[("/etc/hostname", 0, 16)])


_NETCDF = ("check", "stats", "forecast from")
NETCDF = [
    Case("NetCDF 4 cut off", _cut, (*_NETCDF, "evaluate with")),
    Case("NetCDF 4 without latitude", netcdf(lambda d: d.drop_vars("latitude")), _NETCDF, ("latitude",)),
    Case("NetCDF 4 north to south", netcdf(lambda d: d.isel(latitude=slice(None, None, -1))), _NETCDF, ("latitude",)),
    Case(
        "NetCDF 4 of complex values",
        netcdf(lambda d: d.assign({"2m_temperature": d["2m_temperature"] + 0j})),
        _NETCDF,
        ("2m_temperature",),
    ),
    Case("NetCDF 4 without times", netcdf(lambda d: d.isel(time=slice(0))), ("check", "stats"), ("time",)),
    Case("HDF5 of nothing", _hdf5(lambda file: None), _NETCDF),
    Case("HDF5 of groups", _hdf5(lambda file: file.create_group("a/b")), _NETCDF),
    Case("HDF5 that names another file", _hdf5(_outside), _NETCDF),
    Case("HDF5 without dimensions", _hdf5(lambda f: f.create_dataset("2m_temperature", data=np.ones(3))), _NETCDF),
    Case(
        "NetCDF 3 north to south",
        netcdf(lambda d: d.isel(latitude=slice(None, None, -1)), "scipy"),
        _NETCDF,
        ("latitude",),
    ),
    Case(
        "NetCDF 3 in Celsius",
        netcdf(lambda d: d.assign({"2m_temperature": d["2m_temperature"].assign_attrs(units="C")}), "scipy"),
        _NETCDF,
        ("2m_temperature",),
    ),
    Case(
        "NetCDF 3 with one value of 9.999e20",
        netcdf(lambda d: _spoilt(d), "scipy"),
        ("check", "stats", "forecast from"),
        ("2m_temperature",),
    ),
]


def _spoilt(fields: xr.Dataset) -> xr.Dataset:
    fields["2m_temperature"].values[1, 2, 3] = 9.999e20
    return fields


_CONVERTIBLE = ("level in Pa", "latitude north to south", "longitude from -180", "longitude backwards")
_ARE_CONVERTED = (*_CONVERTIBLE, "level falling", "time backwards")
CASES = [
    *changed("store", copied, COORDINATES, ALL[:4]),
    *changed("store", copied, [fault for fault in FIELDS if len(fault) == 3], FIELD),
    *(
        Case(f"store: {name}", case.make, _READ.get(name, ("check", "stats", "train", "forecast from")), words)
        for (name, _, words), case in zip(VALUES, changed("store", copied, VALUES, ()), strict=True)
    ),
    *changed("store", copied, LAYOUT, READERS),
    *changed("store of format 2", copied_v2, V2, READERS),
    *NETCDF,
]
# What convert must refuse too, rather than write what no reader takes.
CASES += [
    Case(f"to convert: {name}", case.make, ("convert",), case.words)
    for (name, *_), case in zip(COORDINATES, changed("", copied, COORDINATES, ()), strict=True)
    if name not in _ARE_CONVERTED and name.split()[-1] not in ("hectopascals",)
]

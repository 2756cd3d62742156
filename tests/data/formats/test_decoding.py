"""The same numbers on disk mean the same through every reader, in every encoding, format and order of dimensions."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import open_forecast, read_lead_times
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import open_store, read
from airmass.data.loading.frames import Frames
from airmass.data.loading.lazy_array import lazy_array
from airmass.fields.task import Task
from tests.conftest import make_store, synthetic_dataset

NAME = "sea_surface_temperature"  # the table lets it be missing over land
TASK = Task((NAME,), (), (), (), (500,))
TIMES = np.datetime64("2000-01-01", "ns") + np.arange(3) * np.timedelta64(6, "h")
LATITUDE, LONGITUDE = np.arange(-67.5, 90, 45.0), np.arange(0, 360, 45.0)
KELVIN = np.random.default_rng(0).integers(271, 300, (3, 4, 8)).astype("f8")
LAND = np.random.default_rng(1).random((4, 8)) < 0.3


@dataclass(frozen=True)
class Packing:
    """Numbers on disk for `KELVIN`, with `fill` over `LAND`, and the attributes that say how they are meant."""

    dtype: str = "f4"
    fill: float | None = None
    scale: float | None = None
    offset: float | None = None
    word: str = "_FillValue"
    more: dict[str, Any] = field(default_factory=dict)  # attributes
    array: dict[str, Any] = field(default_factory=dict)  # of zarr

    @property
    def numbers(self) -> np.ndarray:
        values = (KELVIN - (self.offset or 0)) / (self.scale or 1)
        values = values if np.dtype(self.dtype).kind == "f" else np.round(values).astype("i8")
        return (values if self.fill is None else np.where(LAND, self.fill, values)).astype(self.dtype)

    @property
    def values(self) -> np.ndarray:
        numbers = self.numbers.view("u2") if "_Unsigned" in self.more else self.numbers
        values = numbers.astype("f8") * (self.scale or 1) + (self.offset or 0)
        return values if self.fill is None else np.where(LAND, np.nan, values)

    def attributes(self, kind: str) -> dict[str, Any]:
        words = {"scale_factor": self.scale, "add_offset": self.offset, "units": "K", **self.more}
        if self.fill is not None and (kind != "2" or self.word != "_FillValue"):
            number = np.dtype(self.dtype).newbyteorder("=").type(self.fill)
            encoded = self.word == "_FillValue" and kind == "3"
            words[self.word] = (
                xr.backends.zarr.FillValueCoder.encode(number, number.dtype)
                if encoded
                else number
                if kind == "nc"
                else number.item()
            )
        return {word: value for word, value in words.items() if value is not None}


PACKINGS = {
    "float32": Packing(),
    "float64": Packing("f8"),
    "float16": Packing("f2"),
    "big-endian": Packing(">f4"),
    "a fill value of 9.999e20": Packing(fill=9.999e20),
    "a fill value of NaN": Packing(fill=np.nan),
    "-9e33 in float64": Packing("f8", -9e33),
    "big-endian with a fill value": Packing(">f8", -1e34),
    "missing_value alone": Packing(fill=-999.0, word="missing_value"),
    "two words for missing": Packing(fill=-1.0, more={"missing_value": -1.0}),
    "integers with a fill value": Packing("i2", -32767),
    "packed": Packing("i2", -32768, 0.25, 285.0),
    "packed in a byte": Packing("u1", 255, 0.25, 270.0),
    "packed in 32 bits": Packing("i4", -(2**31), 2.0**-20, 285.0),
    "packed with a scale that is not a binary fraction": Packing("i2", -32768, 0.001, 285.1),
    "packed without a fill value": Packing("i2", None, 0.25, 285.0),
    "packed, big-endian": Packing(">i2", -32768, 0.25, 285.0),
    "packed floats": Packing("f4", -1.0, 0.5, 273.0),
    "an offset alone": Packing("f4", -999.0, None, 273.0),
    "a scale alone": Packing("u2", None, 0.01),
    "zero for missing": Packing("u2", 0, 0.25),
    "unsigned": Packing("i2", None, 0.005, more={"_Unsigned": "true"}),
    "sharded": Packing(fill=-1.0, array={"chunks": (1, 2, 4), "shards": (1, 4, 8)}),
    "a codec that tensorstore has not": Packing("i2", -1, 0.25, array={"compressors": [numcodecs.LZ4()]}),
    "a filter that tensorstore has not": Packing("i2", -1, 0.25, array={"filters": [numcodecs.Delta("i2")]}),
}
ONE_FORMAT = {"sharded": "3", "a codec that tensorstore has not": "2", "a filter that tensorstore has not": "2"}
CASES = [
    pytest.param(packing, kind, id=f"{name}-{kind}")
    for name, packing in PACKINGS.items()
    for kind in ("2", "3", "nc")
    if ONE_FORMAT.get(name, kind) == kind
]


def write(path: Path, packing: Packing, kind: str, order: tuple[str, ...], coords: dict[str, Any]) -> Path:
    """One variable on the disk, over these coordinates, with its dimensions in this order."""
    numbers = packing.numbers.reshape([len(coords[name]) for name in coords])
    numbers = numbers.transpose([[*coords].index(name) for name in order])
    labels = xr.Dataset(coords=coords)
    if "lead_time" in coords:
        labels.lead_time.encoding = {"units": "hours", "dtype": "i8"}
    if kind == "nc":
        labels.assign({NAME: (order, numbers, packing.attributes(kind))}).to_netcdf(path, engine="h5netcdf")
        return path
    labels.to_zarr(path, zarr_format=int(kind), consolidated=False)
    names = {"dimension_names": order} if kind == "3" else {}
    words = packing.attributes(kind) | ({} if kind == "3" else {"_ARRAY_DIMENSIONS": order})
    shapes = {k: v for k, v in packing.array.items() if k not in ("chunks", "shards")}
    for k in packing.array.keys() - shapes.keys():
        sizes = dict(zip(("latitude", "longitude"), packing.array[k][1:], strict=True))
        shapes[k] = tuple(sizes.get(name, 1) for name in order)
    array = zarr.open_group(path, mode="r+").create_array(
        NAME,
        shape=numbers.shape,
        dtype=packing.dtype,
        fill_value=0 if kind == "3" else packing.fill if packing.word == "_FillValue" else None,
        attributes=words,
        **{"chunks": tuple(1 if name.endswith("time") else len(coords[name]) for name in order)} | names | shapes,
    )
    array[...] = numbers
    return path


GRID = {"latitude": LATITUDE, "longitude": LONGITUDE}


def store_of(path: Path, packing: Packing, kind: str, order=("time", "latitude", "longitude")) -> Path:
    return write(path, packing, kind, order, {"time": TIMES, **GRID})


def forecast_of(path: Path, packing: Packing, kind: str) -> Path:
    order = ("init_time", "lead_time", "latitude", "longitude")
    return write(path, packing, kind, order, {"init_time": TIMES[:1], "lead_time": TIMES - TIMES[0], **GRID})


def by_training(path: Path) -> np.ndarray:
    frames = Frames(path, TASK, missing=True)
    return frames.at(frames.times).reshape(3, 4, 8)


@pytest.mark.parametrize(("packing", "kind"), CASES)
def test_every_reader_reads_the_same(tmp_path, packing, kind):
    suffix = ".nc" if kind == "nc" else ".zarr"
    path = store_of(tmp_path / f"s{suffix}", packing, kind)
    labelled = read(open_store(path)[NAME], path)
    np.testing.assert_allclose(labelled, packing.values, rtol=1e-6, equal_nan=True)
    np.testing.assert_array_equal(by_training(path), labelled.astype("f4"))
    path = forecast_of(tmp_path / f"f{suffix}", packing, kind)
    forecast = open_forecast(path)
    np.testing.assert_array_equal(forecast[NAME][0], labelled)
    np.testing.assert_array_equal(read_lead_times(forecast, path, NAME, 0, [2, 0, 1]), labelled.astype("f4")[[2, 0, 1]])


ORDERS = [("time", "longitude", "latitude"), ("latitude", "time", "longitude"), ("longitude", "latitude", "time")]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("name", "kind"), [("float32", "2"), ("float32", "3"), ("packed", "3"), ("packed", "nc")])
def test_dimensions_in_any_order_are_read_by_their_names(tmp_path, order, name, kind):
    path = store_of(tmp_path / ("s.nc" if kind == "nc" else "s.zarr"), PACKINGS[name], kind, order)
    field = open_unchecked(path)[NAME]
    assert field.dims == order
    place = np.empty((2, 1, 4, 8), np.float32)
    lazy_array(field, path).into(place, np.array([2, 0]), slice(0, 4)).result()
    np.testing.assert_array_equal(place[:, 0], PACKINGS[name].values[[2, 0]].astype("f4"))
    lazy_array(field, path).into(place[:, :, 1:3], slice(1, 3), slice(2, 4)).result()
    np.testing.assert_array_equal(place[:, 0, 1:3], PACKINGS[name].values[1:3, 2:4].astype("f4"))


@pytest.mark.parametrize("packed", [True, False])
def test_levels_are_found_by_value_whatever_their_order(tmp_path, packed):
    data = synthetic_dataset(days=0.5, levels=(50, 300, 500, 850, 1000), names=("temperature",))
    mixed = data.isel(level=[3, 0, 4, 1, 2]).transpose("longitude", "level", "time", "latitude")
    encoding = {"temperature": {"dtype": "i4", "scale_factor": 2.0**-16, "_FillValue": -1}} if packed else {}
    mixed.to_zarr(tmp_path / "s.zarr", zarr_format=3, consolidated=False, encoding=encoding)
    field = open_unchecked(tmp_path / "s.zarr").temperature
    place = np.empty((2, 3, 8, 16), np.float32)
    lazy_array(field, tmp_path / "s.zarr", (300, 500, 850)).into(place, slice(0, 2), slice(0, 8)).result()
    np.testing.assert_allclose(place, data.temperature.sel(level=[300, 500, 850]), rtol=1e-6)
    with pytest.raises(InputError, match=r"s.zarr: temperature has level 700 hPa 0 times, expected once"):
        lazy_array(field, tmp_path / "s.zarr", (300, 700))
    with pytest.raises(InputError, match=r"s.zarr: temperature has dimensions .*'level'.*, expected \('time', "):
        lazy_array(field, tmp_path / "s.zarr")


@pytest.mark.parametrize("kind", ["2", "3"])
def test_a_fill_value_of_zero_that_no_attribute_declares(tmp_path, kind):
    """In format 2 zeros read as missing everywhere, and a refusal says so; in format 3 they are zeros everywhere."""
    rain = synthetic_dataset(days=0.5, names=("total_precipitation_6hr",)).fillna(0)
    assert bool((rain.total_precipitation_6hr == 0).any())
    path = make_store(tmp_path / "s.zarr", rain.drop_vars("total_precipitation_6hr"), zarr_format=int(kind))
    values = rain.total_precipitation_6hr.values
    names = {"dimension_names": rain.total_precipitation_6hr.dims} if kind == "3" else {}
    array = zarr.open_group(path, mode="r+").create_array("total_precipitation_6hr", data=values, **names)
    if kind == "2":
        array.attrs["_ARRAY_DIMENSIONS"] = rain.total_precipitation_6hr.dims
        zarr.consolidate_metadata(path)
    task = Task(("total_precipitation_6hr",), (), (), (), (500,))
    labelled = read(open_store(path).total_precipitation_6hr, path)
    if kind == "3":
        np.testing.assert_array_equal(labelled, values)
        np.testing.assert_array_equal(Frames(path, task).window(0, 2)[..., 0].reshape(values.shape), values)
        return
    np.testing.assert_array_equal(labelled, np.where(values == 0, np.nan, values))
    with pytest.raises(InputError, match=r"total_precipitation_6hr has \d+ NaN .*its Zarr v2 fill_value is 0.*convert"):
        Frames(path, task).window(0, 2)


def test_a_lost_chunk_is_not_read_as_zeros(tmp_path):
    path = forecast_of(tmp_path / "f.zarr", PACKINGS["packed"], "3")
    shutil.rmtree(path / NAME / "c" / "0" / "1")
    forecast = open_forecast(path)
    assert np.isnan(read_lead_times(forecast, path, NAME, 0, [0])).sum() == LAND.sum()
    with pytest.raises(InputError, match=rf"f.zarr: {NAME} cannot be read from 2000-01-01T00:00: .*c/0/1/0/0"):
        read_lead_times(forecast, path, NAME, 0, slice(0, 3))


def test_chunks_that_no_memory_holds_are_refused(tmp_path):
    """tensorstore ends the process where memory does."""
    path = store_of(tmp_path / "s.zarr", PACKINGS["float32"], "3")
    about = json.loads((path / NAME / "zarr.json").read_text())
    about["chunk_grid"]["configuration"]["chunk_shape"] = [1, 10**7, 10**7]
    (path / NAME / "zarr.json").write_text(json.dumps(about))
    words = r"has chunks of shape \(1, 10000000, 10000000\), \d+ GiB each; this machine has \d+ GiB"
    with pytest.raises(InputError, match=rf"s.zarr: {NAME} {words}"):
        Frames(path, TASK, missing=True)

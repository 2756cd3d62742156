"""The same numbers on disk mean the same through every reader, in every encoding, format and order of dimensions."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.data.formats.forecast_reader import open_forecast, read_lead_times
from airmass.data.formats.store import open_store, read
from airmass.data.loading.frames import Frames
from airmass.fields.task import Task

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

"""Every usual arrangement of a store becomes the same store; what is ambiguous is refused with nothing written."""

import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.formats.store import open_store
from airmass.data.preparation.checks import check_store
from airmass.data.preparation.convert import convert
from tests.conftest import NAMES, make_store, synthetic_dataset


@pytest.fixture(scope="module")
def healthy() -> xr.Dataset:
    return synthetic_dataset(days=1)


def west(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.assign_coords(longitude=(dataset.longitude + 180) % 360 - 180).sortby("longitude")


def pascals(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.assign_coords(level=("level", dataset.level.values * 100, {"units": "Pa"}))


ARRANGEMENTS = {
    "as it is": (lambda d: d, []),
    "north to south": (lambda d: d.isel(latitude=slice(None, None, -1)), ["latitude turned"]),
    "columns first": (lambda d: d.transpose(..., "longitude", "latitude"), ["dimensions ordered"]),
    "short coordinates": (lambda d: d.rename(latitude="lat", longitude="lon"), ["lat renamed", "lon renamed"]),
    "west to east": (west, ["longitude -180 to 157.5 rolled to 0 to 337.5"]),
    "levels downward": (lambda d: d.isel(level=slice(None, None, -1)), ["level sorted"]),
    "levels in Pa": (pascals, ["level taken from Pa to hPa"]),
    "double precision": (lambda d: d.astype(np.float64), ["stored as float32"]),
    "static in time": (
        lambda d: d.assign(land_sea_mask=d.land_sea_mask.expand_dims(time=d.time)),
        ["land_sea_mask: the same at all times"],
    ),
    "no units": (lambda d: d.drop_attrs(), ["units not given"]),
    "all at once": (
        lambda d: (
            pascals(west(d)).isel(latitude=slice(None, None, -1)).transpose("longitude", ...).rename(latitude="lat")
        ),
        ["lat renamed", "latitude turned", "longitude -180", "level taken", "dimensions ordered"],
    ),
}


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_arrangements_become_one(tmp_path, healthy, name):
    arrange, said = ARRANGEMENTS[name]
    arrange(healthy).to_zarr(tmp_path / "in.zarr", zarr_format=2)
    changes = convert(tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert len(changes) == len(said) and all(a.startswith(b) for a, b in zip(changes, said, strict=True)), changes
    converted = open_store(tmp_path / "out.zarr").load()
    xr.testing.assert_equal(converted[sorted(NAMES)], healthy[sorted(NAMES)])
    assert all(converted[n].attrs == healthy[n].attrs for n in NAMES)
    assert check_store(tmp_path / "out.zarr") == []
    array = zarr.open_group(tmp_path / "out.zarr", mode="r")["temperature"]
    assert array.metadata.zarr_format == 3 and array.chunks == (1, 3, 8, 16)


def test_zeros_lost_to_zarr_v2_come_back_but_not_over_land(tmp_path, healthy):
    encoding = {name: {"_FillValue": 0.0} for name in ("longitude", "land_sea_mask", "total_precipitation_6hr")}
    healthy.to_zarr(tmp_path / "in.zarr", zarr_format=2, encoding=encoding)
    changes = convert(tmp_path / "in.zarr", tmp_path / "out.zarr")
    assert sorted(c.split(":")[0] for c in changes) == sorted(encoding)
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load()[sorted(NAMES)], healthy[sorted(NAMES)])


def test_single_level_becomes_a_dimension(tmp_path, healthy):
    healthy.sel(level=500)[["temperature", "2m_temperature"]].to_zarr(tmp_path / "in.zarr", consolidated=False)
    convert(tmp_path / "in.zarr", tmp_path / "out.zarr")
    converted = open_store(tmp_path / "out.zarr")
    xr.testing.assert_equal(converted.temperature.load(), healthy.temperature.sel(level=[500]))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"units": {"temperature": "C"}}, "temperature has units 'C', expected 'K'; conversion cannot mend this"),
        ({"units": {"level": "m"}}, "level has units 'm'"),
        ({"duplicate_time": 1}, "appears twice"),
        ({"uneven_latitude": True}, "unevenly spaced"),
        ({"corrupt_chunk": "geopotential"}, "cannot be read: .*`airmass data check` names the chunk"),
    ],
)
def test_what_cannot_be_mended_is_refused_with_nothing_written(tmp_path, fault, said):
    path = make_store(tmp_path / "in.zarr", days=1, **fault)
    with pytest.raises(InputError, match=said) as caught:
        convert(path, tmp_path / "out.zarr")
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in.zarr"]


def test_static_field_that_changes_is_refused(tmp_path, healthy):
    moving = healthy.land_sea_mask * xr.DataArray(np.linspace(0.5, 1, 4), {"time": healthy.time})
    healthy.assign(land_sea_mask=moving.astype("f4")).to_zarr(tmp_path / "in.zarr", consolidated=False)
    with pytest.raises(InputError, match="land_sea_mask has dimensions"):
        convert(tmp_path / "in.zarr", tmp_path / "out.zarr")


def test_existing_output_is_kept(tmp_path, store):
    (tmp_path / "out.zarr").mkdir()
    with pytest.raises(InputError, match="already exists"):
        convert(store, tmp_path / "out.zarr")

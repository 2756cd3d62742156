"""Every usual arrangement of a store becomes the same store; what is ambiguous is refused with nothing written."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from airmass.core.errors import InputError
from airmass.data.formats.store import open_store
from airmass.data.preparation.checks import check_store
from airmass.data.preparation.convert import convert
from tests.conftest import NAMES, make_store, synthetic_dataset

GOLDEN = Path(__file__).parents[2] / "golden" / "graphcast"


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


CDS = {"temperature": "t", "2m_temperature": "t2m", "10m_u_component_of_wind": "u10", "geopotential": "z",
       "mean_sea_level_pressure": "msl", "surface_pressure": "sp", "specific_humidity": "q",
       "sea_surface_temperature": "sst", "land_sea_mask": "lsm", "vertical_velocity": "w"}  # fmt: skip


def written(dataset: xr.Dataset, path) -> str:
    dataset.to_netcdf(path, engine="h5netcdf")
    return str(path)


def test_names_of_the_climate_data_store_become_the_tables(tmp_path, healthy):
    """Its levels run downward, its times are valid_time, and versions and members stand beside them."""
    dataset = healthy[[*CDS]].rename({**CDS, "time": "valid_time", "level": "pressure_level"})
    dataset = dataset.isel(latitude=slice(None, None, -1), pressure_level=slice(None, None, -1))
    dataset = dataset.assign(tp=dataset.msl * 0, d=dataset.t * 0)
    dataset = dataset.assign_coords(number=0, expver=("valid_time", ["0001"] * 4))
    changes = convert(written(dataset, tmp_path / "cds.nc"), tmp_path / "out.zarr")
    converted = open_store(tmp_path / "out.zarr").load()
    xr.testing.assert_equal(converted[sorted(CDS)], healthy[sorted(CDS)])
    assert "tp left out: nothing says that it is of 6 or 12 hours; ERA5's is of one hour" in changes
    assert "not known, kept as they are: d" in changes and "coordinates left out: number, expver" in changes
    assert "t2m renamed to 2m_temperature" in changes


def test_z_without_levels_is_the_surfaces(tmp_path, healthy):
    surface = healthy[["geopotential_at_surface"]].rename(geopotential_at_surface="z")
    surface = surface.expand_dims(valid_time=healthy.time.values[:1])
    convert(written(surface, tmp_path / "z.nc"), tmp_path / "out.zarr")
    found = open_store(tmp_path / "out.zarr").geopotential_at_surface
    np.testing.assert_array_equal(found, healthy.geopotential_at_surface)


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"cell_methods": "time: sum (interval: 6 hours)"}, "total_precipitation_6hr"),
        ({"cell_methods": "time: sum (interval: 12 hours)"}, "total_precipitation_12hr"),
        ({"GRIB_stepRange": "0-6"}, "total_precipitation_6hr"),
        ({"GRIB_stepRange": "5-6"}, None),
        ({}, None),
    ],
)
def test_precipitation_is_named_by_the_hours_that_it_says(tmp_path, healthy, attributes, name):
    rain = healthy.total_precipitation_6hr.drop_attrs().assign_attrs(units="m", **attributes)
    dataset = healthy[["2m_temperature"]].assign(tp=rain)
    convert(written(dataset, tmp_path / "in.nc"), tmp_path / "out.zarr")
    assert set(open_store(tmp_path / "out.zarr")) == {"2m_temperature", *([name] if name else [])}


def test_a_conversion_in_which_nothing_is_known_is_refused(tmp_path, healthy):
    path = written(healthy[["2m_temperature"]].rename({"2m_temperature": "x"}), tmp_path / "in.nc")
    with pytest.raises(InputError, match=r"in.nc: no variable that airmass can use; variables found: x; expected some"):
        convert(path, tmp_path / "out.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["in.nc"]


def versions(dataset: xr.Dataset, final, preliminary) -> xr.Dataset:
    parts = [dataset.where(dataset.time < final), dataset.where(dataset.time >= preliminary)]
    return xr.concat(parts, dim=xr.DataArray([1, 5], dims="expver", name="expver")).transpose("time", "expver", ...)


def test_final_and_preliminary_versions_are_merged_where_one_has_values(tmp_path, healthy):
    dataset, times = healthy[["2m_temperature", "sea_surface_temperature"]], healthy.time.values
    convert(written(versions(dataset, times[2], times[2]), tmp_path / "in.nc"), tmp_path / "out.zarr")
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load(), dataset)
    both = written(versions(dataset, times[3], times[2]), tmp_path / "both.nc")
    with pytest.raises(InputError, match="2m_temperature has values in more than one of them at one time"):
        convert(both, tmp_path / "no.zarr")


@pytest.mark.parametrize("origin", [-180, -90, 0, 90, 180, 22.5])
def test_longitudes_of_any_origin(tmp_path, healthy, origin):
    columns = int(origin % 360 / 22.5)
    rolled = healthy.roll(longitude=-columns, roll_coords=False)
    rolled = rolled.assign_coords(longitude=origin + np.arange(16) * 22.5)
    convert(written(rolled, tmp_path / "in.nc"), tmp_path / "out.zarr")
    converted = open_store(tmp_path / "out.zarr").load()
    xr.testing.assert_equal(converted[sorted(NAMES)], healthy[sorted(NAMES)])


def wrapped(dataset: xr.Dataset) -> xr.Dataset:
    return xr.concat([dataset, dataset.isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude",
                     data_vars="minimal")  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrapped, "longitude runs 0 to 360 and holds 1 meridian twice, such as 0; expected each once"),
        (lambda d: d.expand_dims(number=[0, 1]), "number is an ensemble of length 2, expected one"),
        (lambda d: d.expand_dims(height=[2.0, 10.0]), "height is an axis of length 2, expected one"),
    ],
)
def test_axes_that_are_more_than_one_are_refused_without_advice_to_convert(tmp_path, healthy, change, said):
    path = written(change(healthy[["2m_temperature"]]), tmp_path / "in.nc")
    with pytest.raises(InputError, match=said) as error:
        convert(path, tmp_path / "out.zarr")
    assert str(error.value).startswith(path) and "data convert" not in str(error.value)
    with pytest.raises(InputError) as error:
        open_store(path)
    assert "data convert" not in str(error.value)


def test_axes_of_length_one_are_dropped(tmp_path, healthy):
    dataset = healthy[["2m_temperature"]].expand_dims(number=[3], height=[2.0])
    changes = convert(written(dataset, tmp_path / "in.nc"), tmp_path / "out.zarr")
    assert {"number, of length 1, dropped", "height, of length 1, dropped"} <= set(changes)
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load(), healthy[["2m_temperature"]])


def test_deepminds_sample_north_to_south_becomes_a_store(tmp_path):
    sample = xr.open_dataset(GOLDEN / "dataset.nc", decode_timedelta=True).load()
    path = written(sample.isel(lat=slice(None, None, -1)), tmp_path / "in.nc")
    convert(path, tmp_path / "out.zarr")
    found = open_store(tmp_path / "out.zarr").load()
    np.testing.assert_array_equal(found.time.values, sample.datetime.values[0])
    np.testing.assert_array_equal(found.temperature.values, sample.temperature.values[0])


def test_static_field_that_changes_is_refused(tmp_path, healthy):
    moving = healthy.land_sea_mask * xr.DataArray(np.linspace(0.5, 1, 4), {"time": healthy.time})
    healthy.assign(land_sea_mask=moving.astype("f4")).to_zarr(tmp_path / "in.zarr", consolidated=False)
    with pytest.raises(InputError, match="land_sea_mask has dimensions"):
        convert(tmp_path / "in.zarr", tmp_path / "out.zarr")


def test_existing_output_is_kept(tmp_path, store):
    (tmp_path / "out.zarr").mkdir()
    with pytest.raises(InputError, match="already exists"):
        convert(store, tmp_path / "out.zarr")

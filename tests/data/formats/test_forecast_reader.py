"""Forecast files of every layout and format come out as one, with the right values; what is refused and said."""

import shutil

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import notes, open_forecast, read_members, system_of
from tests.forecasts import ensemble_dataset, forecast_dataset, truth_dataset, write_forecast

NAMES = ("temperature", "2m_temperature", "sea_surface_temperature")
TRUTH = truth_dataset(names=NAMES)
SINGLE, ENSEMBLE = forecast_dataset(TRUTH, error=1.5), ensemble_dataset(TRUTH, members=3)
WEATHERBENCH = {"init_time": "time", "lead_time": "prediction_timedelta"}


def written(path, data: xr.Dataset, kind: str, units: str = "hours", lead: str = "lead_time"):
    """The file `path` of this kind: Zarr format 2 or 3, NetCDF 3 or 4."""
    data = data.copy()
    data[lead].encoding = {"units": units, "dtype": "i4" if kind == "nc3" else "i8"}
    if kind == "nc4":
        data.to_netcdf(path, engine="h5netcdf")
    elif kind == "nc3":
        data.to_netcdf(path, engine="scipy", format="NETCDF3_64BIT")
    else:
        data.to_zarr(path, zarr_format=int(kind), consolidated=False)
    return path


def as_weatherbench(data: xr.Dataset, member: str = "number", southwards: bool = False) -> xr.Dataset:
    """In WeatherBench2's names and its order, with longitude before latitude and no valid time."""
    names = WEATHERBENCH | ({"number": member} if "number" in data.dims else {})
    data = data.drop_vars("valid_time").rename(names)
    order = ["time", "prediction_timedelta", member, "level", "longitude", "latitude"]
    data = data.transpose(*(dim for dim in order if dim in data.dims))
    return data.isel(latitude=slice(None, None, -1)) if southwards else data


def require_same(path, expected: xr.Dataset) -> None:
    """All values by both ways, of a layout that is ours."""
    found = open_forecast(path, ensemble=True)
    for name in expected.dims:
        np.testing.assert_array_equal(found[name], expected[name])
    for name in expected.data_vars:
        assert found[name].dims == expected[name].dims
        np.testing.assert_array_equal(found[name], expected[name])
        truth = expected[name].values if "number" in expected.dims else expected[name].values[:, None]
        for leads in (slice(1, 3), [2, 0]):
            np.testing.assert_array_equal(read_members(found, path, name, 1, leads), truth[1][:, leads])


KINDS = ["3", "2", "nc4", "nc3"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [SINGLE, ENSEMBLE], ids=["single", "ensemble"])
def test_our_own_layout_in_every_format(tmp_path, data, kind):
    require_same(written(tmp_path / ("f.nc" if "nc" in kind else "f.zarr"), data, kind), data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("southwards", [False, True])
def test_the_layout_of_weatherbench(tmp_path, kind, southwards):
    data = as_weatherbench(SINGLE, southwards=southwards)
    path = tmp_path / ("f.nc" if "nc" in kind else "f.zarr")
    require_same(written(path, data, kind, "hours" if kind == "nc3" else "nanoseconds", "prediction_timedelta"), SINGLE)


@pytest.mark.parametrize("member", ["number", "realization", "sample"])
def test_an_ensemble_in_the_layout_of_weatherbench(tmp_path, member):
    data = as_weatherbench(ENSEMBLE, member, southwards=True).drop_vars(member)
    require_same(written(tmp_path / "f.zarr", data, "2", lead="prediction_timedelta"), ENSEMBLE)


def test_latitude_before_longitude_and_levels_that_fall(tmp_path):
    data = as_weatherbench(SINGLE).transpose("level", ..., "latitude", "longitude").isel(level=slice(None, None, -1))
    require_same(written(tmp_path / "f.zarr", data, "3", lead="prediction_timedelta"), SINGLE)


def test_packed_numbers_in_another_order(tmp_path):
    data = as_weatherbench(SINGLE[["2m_temperature"]].drop_vars("level", errors="ignore"), southwards=True)
    data["2m_temperature"].encoding = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32768}
    path = written(tmp_path / "f.zarr", data, "2", lead="prediction_timedelta")
    found = read_members(open_forecast(path), path, "2m_temperature", 2, [1])
    np.testing.assert_allclose(found[0, 0], SINGLE["2m_temperature"][2, 1], rtol=0, atol=0.0051)


@pytest.mark.parametrize("kind", ["i8", "f4"])
@pytest.mark.parametrize("units", ["hours", "h", "hour"])
def test_lead_times_in_numbers_of_hours(tmp_path, units, kind):
    data = as_weatherbench(SINGLE)
    data["prediction_timedelta"] = ("prediction_timedelta", np.array([6, 12, 24], kind), {"units": units})
    data.to_zarr(tmp_path / "f.zarr", zarr_format=2, consolidated=False)
    np.testing.assert_array_equal(open_forecast(tmp_path / "f.zarr").lead_time, SINGLE.lead_time)


def test_a_truth_store_is_no_forecast(store):
    with pytest.raises(InputError, match=r"healthy.zarr: no coordinate 'init_time', so not a forecast"):
        open_forecast(store)


def _no_units(data):
    return data.assign_coords(prediction_timedelta=[6, 12, 24])


def _of_ensemble(data):
    return data.expand_dims(sample=[0], number=[0])


def _descending(data):
    return data.isel(time=slice(None, None, -1))


def _pascal(data):
    return data.assign_coords(level=("level", data.level.values, {"units": "Pa"}))


def _mixed(data):
    return data.isel(level=[1, 0, 2])


def _nothing_known(data):
    return data.rename({name: f"my_{name}" for name in data.data_vars})


def _static(data):
    return data.assign({"2m_temperature": data["2m_temperature"].isel(prediction_timedelta=0, drop=True)})


def _text(data):
    return data.assign({"2m_temperature": data["2m_temperature"].astype("U3")})


def _text_latitude(data):
    return data.assign_coords(latitude=[f"{latitude}N" for latitude in data.latitude.values])


def _squares(data):
    return data.rename_vars(prediction_timedelta="other").assign(prediction_timedelta=data["2m_temperature"])


def _units(data):
    return data.assign({"temperature": data.temperature.assign_attrs(units="degC")})


def _moved(data):
    valid = data.time + data.prediction_timedelta + np.timedelta64(1, "h")
    return data.assign_coords(valid_time=valid)


def _valid_of_one_axis(data):
    return data.assign_coords(valid_time=("prediction_timedelta", data.prediction_timedelta.values))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_no_units, r"lead times are numbers without units, expected durations with units 'hours'"),
        (_of_ensemble, r"has dimensions .*(number and sample|sample and number), expected one for number"),
        (_descending, r"init_time must be one value or more, rising, each once"),
        (_pascal, r"level has units 'Pa', expected 'hPa'"),
        (_mixed, r"level is \[500.0, 300.0, 850.0\], expected rising, each once"),
        (_nothing_known, r"holds no variable that is in the table .*, only my_2m_temperature, my_sea"),
        (
            _static,
            r"2m_temperature has dimensions \(.*\), expected \('init_time', 'lead_time', 'latitude', 'longitude'\)",
        ),
        (_text, r"2m_temperature holds <U3, expected real numbers"),
        (_text_latitude, r"latitude is <U\d+, expected numbers"),
        (_squares, r"lead_time is float32, expected durations with units 'hours'"),
        (_units, r"temperature has units 'degC', expected 'K'"),
        (_moved, r"valid_time 2000-11-01T19:00 differs from init_time \+ lead_time 2000-11-01T18:00"),
        (_valid_of_one_axis, r"valid_time is .*, expected dates of"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, fault, words):
    data = fault(as_weatherbench(SINGLE))
    data.to_zarr(tmp_path / "f.zarr", zarr_format=2, consolidated=False)
    with pytest.raises(InputError, match=f"f.zarr: {words}") as refused:
        open_forecast(tmp_path / "f.zarr", ensemble=True)
    assert "\n" not in str(refused.value)


def test_a_file_of_another_system_is_called_after_itself_and_what_is_left_out_is_said(tmp_path):
    data = as_weatherbench(
        SINGLE.assign(rain=SINGLE["2m_temperature"], land_sea_mask=TRUTH[NAMES[1]].isel(time=0, drop=True))
    )
    data.attrs = {}
    path = written(tmp_path / "pangu_2020.zarr", data, "2", lead="prediction_timedelta")
    forecast = open_forecast(path)
    assert system_of(forecast, path) == system_of(forecast, f"https://host/{path.name}/") == "pangu_2020"
    assert set(forecast.data_vars) == set(NAMES)
    assert list(notes(forecast, path)) == [
        f"{path}: does not name its system (attribute 'airmass_system'), so it is called 'pangu_2020'",
        f"{path}: leaves out land_sea_mask, rain: not in the table of forecast variables (ERA5 long names)",
    ]
    path = write_forecast(tmp_path / "f.zarr", SINGLE)
    assert system_of(open_forecast(path), path) == "graphcast" and not list(notes(open_forecast(path), path))


@pytest.mark.parametrize("kind", ["2", "3"])
def test_a_chunk_that_does_not_decode_is_named(tmp_path, kind):
    path = written(tmp_path / "f.zarr", SINGLE, kind)
    forecast = open_forecast(path)
    chunk = next(found for found in sorted((path / "temperature").rglob("*0*")) if found.is_file())
    chunk.write_bytes(b"these bytes do not decode")
    with pytest.raises(
        InputError, match=r"f.zarr: temperature cannot be read from 2000-11-01T12:00: .*temperature/"
    ) as no:
        read_members(forecast, path, "temperature", 0, slice(0, 3))
    assert "\n" not in str(no.value)
    shutil.rmtree(path / "2m_temperature")
    with pytest.raises(InputError, match=r"f.zarr: 2m_temperature cannot be opened"):
        read_members(forecast, path, "2m_temperature", 0, slice(0, 3))

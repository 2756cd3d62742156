"""Opening a climatology: read right in any order, and refused in one line where it is not one."""

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.climatology import climatology_at, open_climatology, quantiles_at
from tests.conftest import synthetic_dataset

TIMES = np.array(["2000-11-01T06", "2001-11-03T18", "2000-11-01T00"], "datetime64[ns]")
QUANTILES = [0.01, 0.5, 0.99]


@pytest.fixture(scope="module")
def climatology() -> xr.Dataset:
    """Every value another one, of a field on levels, one that is not, and quantiles."""
    grid = synthetic_dataset(days=1, names=("temperature", "2m_temperature")).isel(time=0, drop=True)
    dataset = grid.expand_dims(hour=[0, 6, 12, 18], dayofyear=np.arange(305, 311)).copy()
    for name, field in dataset.items():
        dataset[name] = field.dims, np.arange(field.size, dtype=np.float32).reshape(field.shape), field.attrs
    quantiles = grid["2m_temperature"].expand_dims(hour=dataset.hour, quantile_day=[306, 309], quantile=QUANTILES)
    values = np.arange(quantiles.size, dtype=np.float32).reshape(quantiles.shape)
    return dataset.assign({"2m_temperature_quantiles": quantiles.copy(data=values)})


def written(dataset: xr.Dataset, path) -> str:
    dataset.to_zarr(path, zarr_format=3, consolidated=False)
    return str(path)


@pytest.mark.parametrize(
    "order",
    [
        ("hour", "dayofyear", "level", "latitude", "longitude"),
        ("hour", "dayofyear", "level", "longitude", "latitude"),  # as WeatherBench2 publishes its own
        ("level", "longitude", "dayofyear", "latitude", "hour"),
    ],
)
def test_any_order_of_dimensions_gives_the_same_values(tmp_path, climatology, order):
    path = written(climatology.transpose(*order, ...), tmp_path / "c.zarr")
    found = climatology_at(open_climatology(path), TIMES)
    assert found.temperature.dims == ("time", "level", "latitude", "longitude")
    assert found["2m_temperature"].dims == ("time", "latitude", "longitude")
    for row, (hour, day) in enumerate([(6, 306), (18, 307), (0, 306)]):
        expected = climatology.sel(hour=hour, dayofyear=day)
        np.testing.assert_array_equal(found.temperature[row], expected.temperature)
        np.testing.assert_array_equal(found["2m_temperature"][row], expected["2m_temperature"])


def test_quantiles_in_any_order_give_the_same_values(tmp_path, climatology):
    path = written(climatology.transpose("longitude", "quantile", ..., "hour"), tmp_path / "c.zarr")
    found = quantiles_at(open_climatology(path), path, "2m_temperature", TIMES)
    held = climatology["2m_temperature_quantiles"].sel(quantile=[0.01, 0.99])
    np.testing.assert_array_equal(found[0], held.sel(hour=6, quantile_day=306))
    np.testing.assert_array_equal(found[1], held.sel(hour=18, quantile_day=306))


@pytest.mark.parametrize("name", ["latitude", "level", "hour", "dayofyear"])
def test_axes_that_run_the_other_way_are_read_by_their_labels(tmp_path, climatology, name):
    path = written(climatology.isel({name: slice(None, None, -1)}), tmp_path / "c.zarr")
    found, expected = (climatology_at(opened, TIMES) for opened in (open_climatology(path), climatology))
    xr.testing.assert_equal(found.load(), expected)


def test_hours_and_days_in_no_order_are_read_by_their_labels(tmp_path, climatology):
    path = written(climatology.isel(hour=[2, 0, 3, 1], dayofyear=[5, 0, 2, 1, 4, 3]), tmp_path / "c.zarr")
    found, expected = (climatology_at(opened, TIMES) for opened in (open_climatology(path), climatology))
    xr.testing.assert_equal(found.load(), expected)


def coordinate(name, values):
    return lambda dataset: dataset.assign_coords({name: np.asarray(values)})


DAYS = [305, 306, 307, 308, 309]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (coordinate("hour", [0, 6, 6, 18]), "hour is 0, 6, 6, 18, expected each once"),
        (coordinate("hour", [0, 6, 12, 24]), "hour has 24, expected whole numbers from 0 to 23"),
        (coordinate("hour", [0, 6, 12.5, 18]), "hour has 12.5, expected whole numbers from 0 to 23"),
        (coordinate("hour", [0, 6, np.nan, 18]), "hour has 1 missing values of 4"),
        (coordinate("hour", ["0", "6", "12", "18"]), "hour is <U2, expected numbers"),
        (coordinate("dayofyear", [0, *DAYS]), "dayofyear has 0, expected whole numbers from 1 to 366"),
        (coordinate("dayofyear", [*DAYS, 305]), "dayofyear is 305, 305 to 309, expected each once"),
        (coordinate("dayofyear", [*DAYS, 367.0]), "dayofyear has 367, expected whole numbers from 1 to 366"),
        (coordinate("level", [300, 300, 850]), r"level is \[300.0, 300.0, 850.0\], expected rising, each once"),
        (coordinate("level", [300, 50.5, 850]), "level has 50.5, expected whole hPa above 0"),
        (coordinate("quantile_day", [306, 306]), "quantile_day is 306, 306, expected each once"),
        (coordinate("quantile", [0, 0.5, 1.0]), r"quantile is \[0.0, 0.5, 1.0\], expected numbers between 0 and 1"),
        (coordinate("latitude", np.arange(8.0) * 1j), "latitude is complex128, expected numbers"),
        (lambda dataset: dataset.drop_vars("hour"), "no coordinate hour, expected a climatology by hour and dayofyear"),
        (lambda dataset: dataset.drop_vars("quantile"), "quantile is missing, a dimension without values"),
        (
            lambda dataset: dataset.expand_dims("batch"),
            r"2m_temperature has dimensions \('batch', 'hour', .*expected \('h",
        ),
        (lambda dataset: dataset.isel(hour=slice(0, 0)), "hour is empty"),
        (
            lambda dataset: dataset.assign(temperature=dataset.temperature.assign_attrs(units=5)),
            "temperature has units 5, expected 'K'",
        ),
        (lambda dataset: dataset.astype(np.complex64), "2m_temperature is complex64, expected numbers"),
    ],
)
def test_faults_are_refused(tmp_path, climatology, change, said):
    path = written(change(climatology), tmp_path / "c.zarr")
    with pytest.raises(InputError, match=said) as caught:
        open_climatology(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)

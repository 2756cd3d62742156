"""Files that several modules verify."""

import numpy as np
import pytest
import xarray as xr

from tests.conftest import make_store
from tests.forecasts import forecast_dataset, truth_dataset, write_climatology, write_forecast

TRUTH = truth_dataset()


@pytest.fixture(scope="session")
def shifted(tmp_path_factory):
    """Truth, climatology and a forecast that is 2 units too high everywhere."""
    folder = tmp_path_factory.mktemp("shifted")
    make_store(folder / "truth.zarr", TRUTH)
    write_climatology(folder / "climatology.zarr", TRUTH)
    forecast = forecast_dataset(TRUTH, error=2.0, climatology=folder / "climatology.zarr")
    write_forecast(folder / "forecast.zarr", forecast)
    return folder


@pytest.fixture(scope="session")
def growing(shifted):
    """A forecast whose error is 2, 3 and 4 from its three initial times, so that each date shows in a mean."""
    forecast = forecast_dataset(TRUTH, error=2.0, climatology=shifted / "climatology.zarr")
    forecast = forecast + xr.DataArray(np.arange(3, dtype=np.float32), dims="init_time")
    for name in forecast.data_vars:
        forecast[name].attrs = TRUTH[name].attrs
    forecast.attrs = {"airmass_system": "graphcast", "airmass_climatology": str(shifted / "climatology.zarr")}
    return write_forecast(shifted / "growing.zarr", forecast)

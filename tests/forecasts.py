"""A small forecast file for tests of judging and looking: the truth of a synthetic store with a known error."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import xarray as xr
from rich.console import Console

from airmass.evaluation.evaluate import evaluate
from airmass.evaluation.inputs import VerificationData, open_verification
from airmass.evaluation.request import EvaluationRequest, VerificationRequest
from airmass.evaluation.scores import ScoreTable
from tests.conftest import synthetic_dataset

NAMES = ("geopotential", "temperature", "2m_temperature", "total_precipitation_6hr", "sea_surface_temperature")
WINDS = ("10m_u_component_of_wind", "10m_v_component_of_wind")
HOURS = (6, 12, 24)


def truth_dataset(days: float = 4, names: Sequence[str] = NAMES, **options) -> xr.Dataset:
    return synthetic_dataset(days=days, names=tuple(names), **options)


def forecast_dataset(
    truth: xr.Dataset,
    init_indices: Sequence[int] = (2, 4, 6),
    lead_hours: Sequence[int] = HOURS,
    error: float = 0.0,
    system: str = "graphcast",
    climatology: str | Path | None = None,
) -> xr.Dataset:
    """Truth plus a constant `error`, in the layout of a forecast file."""
    init_times = truth.time.values[list(init_indices)]
    leads = np.array(lead_hours) * np.timedelta64(1, "h").astype("timedelta64[ns]")
    valid = xr.DataArray(init_times[:, None] + leads, dims=("init_time", "lead_time"))
    dataset = truth.sel(time=valid).drop_vars("time") + np.float32(error)
    for name in dataset.data_vars:
        dataset[name].attrs = truth[name].attrs
    dataset = dataset.assign_coords(init_time=init_times, lead_time=leads, valid_time=valid)
    dataset = dataset.transpose("init_time", "lead_time", "level", "latitude", "longitude")
    dataset.attrs = {"airmass_system": system}
    if climatology is not None:
        dataset.attrs["airmass_climatology"] = str(climatology)
    return dataset


def ensemble_dataset(
    truth: xr.Dataset,
    members: int = 4,
    spread: float = 2.0,
    error: float = 0.0,
    system: str = "gencast",
    seed: int = 0,
    **options,
) -> xr.Dataset:
    """Members that are truth plus an `error` that all share plus normal noise of standard deviation `spread`."""
    single = forecast_dataset(truth, error=error, system=system, **options)
    rng = np.random.default_rng(seed)
    noise = {name: spread * rng.standard_normal((members, *field.shape)) for name, field in single.data_vars.items()}
    fields = {
        name: (("number", *field.dims), (field.values + noise[name]).astype(np.float32), field.attrs)
        for name, field in single.data_vars.items()
    }
    coords = dict(single.coords) | {"number": np.arange(members)}
    dataset = xr.Dataset(fields, coords, single.attrs)
    return dataset.transpose("init_time", "number", "lead_time", "level", "latitude", "longitude")


def write_forecast(path: Path, dataset: xr.Dataset) -> Path:
    encoding: dict = {name: {"fill_value": np.nan} for name in dataset.data_vars}
    encoding["lead_time"] = {"units": "hours", "dtype": "int64"}
    dataset.to_zarr(path, mode="w-", zarr_format=3, consolidated=False, encoding=encoding)
    return path


def write_climatology(path: Path, truth: xr.Dataset) -> Path:
    """The mean over all times, at every hour and day of year."""
    mean = truth.mean("time", keep_attrs=True)
    dataset = mean.expand_dims(hour=[0, 6, 12, 18], dayofyear=np.arange(1, 367)).copy()
    for name in dataset.data_vars:
        dataset[name].attrs = truth[name].attrs
    dataset = dataset.transpose("hour", "dayofyear", "level", "latitude", "longitude")
    dataset.to_zarr(path, mode="w-", zarr_format=3, consolidated=False)
    return path


def scored(
    forecasts: Sequence[Path], truth: Path | None, out: Path, console: Console | None = None, **options
) -> ScoreTable:
    """Scores of forecast files by `airmass evaluate`, quiet without a console; options are the request's."""
    request = EvaluationRequest(forecasts=tuple(forecasts), truth=truth, out=out, **_as_tuples(options))
    return evaluate(request, console or Console(file=StringIO()))


def opened(forecasts: Sequence[Path], truth: Path | None, **options) -> VerificationData:
    """Checked inputs of an evaluation; options are the request's."""
    return open_verification(VerificationRequest(forecasts=tuple(forecasts), truth=truth, **_as_tuples(options)))


def _as_tuples(options: Mapping[str, object]) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}

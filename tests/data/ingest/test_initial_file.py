"""Initial states: the golden samples rebuilt from raw fields in CDS layout are equal; a fault put in is named."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.ingest.comparison import compare
from airmass.data.ingest.initial_file import initial_dataset
from airmass.data.ingest.request import IngestRequest
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.forecasting.checkpoints.read import read_checkpoint
from tests.golden_case import ROOT
from tests.layouts import SHORT, cds_new

MODELS = ("graphcast", "gencast", "fgn")
_SUMS = ("total_precipitation_6hr", "total_precipitation_12hr")


@cache
def raw_fields(model: str) -> xr.Dataset:
    """The sample's fields in airmass's layout, without what a forecast does not read."""
    sample = xr.open_dataset(ROOT / model / "dataset.nc", engine="h5netcdf", decode_timedelta=True).load()
    dates = sample["datetime"].values[0]
    fields = sample.isel(batch=0).drop_vars("datetime").rename(lat="latitude", lon="longitude")
    fields = fields.assign_coords(time=dates)[[n for n in map(str, sample.data_vars) if n in (*SHORT, *_SUMS)]]
    for name in map(str, fields.data_vars):
        fields[name].attrs = dict(VARIABLES[name].attributes)
    return fields.isel(time=slice(0, 3))


def hourly(sums: xr.DataArray, hours: int) -> xr.Dataset:
    """Sums as ERA5 has them: a part for every hour, of which all of a window add up to the sum."""
    parts, times = [], []
    for time in sums.time.values:
        for hour in range(hours):
            parts.append((sums.sel(time=time).values.astype(np.float64) / hours).astype(np.float32))
            times.append(time - np.timedelta64(hours - 1 - hour, "h"))
    field = (("valid_time", "latitude", "longitude"), np.stack(parts)[:, ::-1], {"units": "m"})
    latitude = sums.latitude.values[::-1]
    coords = {"valid_time": np.array(times), "latitude": latitude, "longitude": sums.longitude.values}
    return xr.Dataset({"tp": field}, coords)


def as_cds(fields: xr.Dataset, folder: Path, window: int = 1) -> list[Path]:
    folder.mkdir(exist_ok=True)
    sums = [name for name in _SUMS if name in fields]
    files = cds_new(fields.drop_vars(sums), folder)
    for name in sums:
        files.append(folder / f"{name}.nc")
        hourly(fields[name], int(name[20:].removesuffix("hr")) // window).to_netcdf(files[-1], engine="h5netcdf")
    return files


def made(files: list[Path], model: str, out: Path, *options: str) -> int:
    golden = ROOT / model
    time = str(np.datetime_as_string(raw_fields(model).time.values[1], "m"))
    words = [
        "initial",
        *map(str, files),
        "--checkpoint",
        str(golden / "checkpoint.npz"),
        "--out",
        str(out),
        "--time",
        time,
    ]
    return main([*words, "--compare", str(golden / "dataset.nc"), *options])


@pytest.mark.parametrize("model", MODELS)
def test_golden_samples_are_rebuilt(model, tmp_path, capsys):
    files = as_cds(raw_fields(model), tmp_path / "cds")
    scales = ("--config", str(ROOT / model / "config.json")) if model == "fgn" else ("--statistics", str(ROOT / model))
    status = made(files, model, tmp_path / "initial.nc", "--accumulation", "1", *scales)
    shown = capsys.readouterr()
    assert status == 0, shown
    assert "equal to" in shown.out and "spreads from the mean of the checkpoint's climate" in shown.out


Fault = Callable[[xr.Dataset], xr.Dataset]
Change = Callable[[xr.DataArray], np.ndarray]


def on(name: str, change: Change) -> Fault:
    def put_in(fields: xr.Dataset) -> xr.Dataset:
        return fields.assign({name: fields[name].copy(data=change(fields[name]).astype(np.float32))})

    return put_in


def averaged(field: xr.DataArray) -> np.ndarray:
    """Each point with its neighbours, as the mean over cells that are twice as wide."""
    values = field.values
    rows = np.concatenate([values[..., :1, :], values, values[..., -1:, :]], axis=-2)
    return (4 * values + np.roll(values, 1, -1) + np.roll(values, -1, -1) + rows[..., :-2, :] + rows[..., 2:, :]) / 8


def iced(field: xr.DataArray) -> np.ndarray:
    """The sea at freezing where the sample has what is under ice."""
    cold = field.values < np.nanquantile(field.values, 0.1)
    return np.where(cold, np.float32(271.46), field.values)


T2 = "2m_temperature"
# One fault a variable, so that one state has many: the variable, its change, and the words on it.
FAULTS: dict[str, tuple[str, Change, str]] = {
    "g": ("geopotential", lambda f: f.values / 9.80665 * 9.81, r"g: ours is 1\.000342 times"),
    "level order": ("temperature", lambda f: f.values[:, ::-1], "level order: the levels run"),
    "two levels exchanged": (
        "specific_humidity", lambda f: f.values[:, [1, 0, *range(2, f.sizes["level"])]],
        "level order: (50 hPa holds what the sample has at 100|100 hPa holds what the sample has at 300) hPa",
    ),
    "latitude order": ("10m_v_component_of_wind", lambda f: f.values[:, ::-1], "latitude order"),
    "longitude shift": (
        "u_component_of_wind", lambda f: np.roll(f.values, 18, -1), "longitude shift: by 180 degrees",
    ),
    "longitude shift by a column": (
        "10m_u_component_of_wind", lambda f: np.roll(f.values, 1, -1), "longitude shift: by -10 degrees",
    ),
    "hemispheres": ("v_component_of_wind", lambda f: np.roll(f.values, -9, -2), "hemispheres"),
    "thinning vs averaging": (T2, averaged, "thinning against averaging: ours"),
    "time swap": (
        "mean_sea_level_pressure", lambda f: f.values[[1, 0, *range(2, f.sizes["time"])]], "time swap",
    ),
    "SST under ice": ("sea_surface_temperature", iced, "SST under ice"),
    "g left out": ("geopotential_at_surface", lambda f: f.values / 9.80665, ".*ours heights in m"),
}  # fmt: skip
PRECIPITATION = "total_precipitation_6hr"


def a_step_early(fields: xr.Dataset) -> xr.Dataset:
    return fields.assign_coords(time=fields.time.values - np.diff(fields.time.values)[0])


# Faults that refuse the file, or change all variables, or are of a variable that has another fault above.
OTHERS: dict[str, tuple[Fault, str]] = {
    "valid time": (a_step_early, "temperature .*: valid time: our frames are the sample's 1 later"),
    "missing level": (
        lambda fields: fields.drop_sel(level=500), "missing at 500 hPa at .*; it has .*(400 600|300 700)",
    ),
    "units": (
        lambda fields: fields.assign({T2: fields[T2].assign_attrs(units="degC")}),
        r"2m_temperature .*has the value \d+.*units 'degC' were converted",
    ),
    "window of precipitation": (
        on(PRECIPITATION, lambda f: f.values / 6), r"total_precipitation_6hr .*: .*window: ours is 0\.166667 times",
    ),
}  # fmt: skip


# Variables with a fault that the states of a model do not have.
LACKS = {"graphcast": {"sea_surface_temperature"}, "gencast": {PRECIPITATION}, "fgn": {PRECIPITATION}}


def planted(model: str) -> list[str]:
    """The faults of variables that the states of a model have."""
    return [fault for fault, (variable, *_) in FAULTS.items() if variable not in LACKS[model]]


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    config = {"fgn": ROOT / "fgn" / "config.json"}
    return {model: read_checkpoint(ROOT / model / "checkpoint.npz", config.get(model)).task for model in MODELS}


def told(model: str, fields: xr.Dataset, task: Task, folder: Path) -> str:
    """The message on an initial state from these fields in CDS layout, beside the sample."""
    request = IngestRequest(tuple(as_cds(fields, folder)), accumulation=1)
    time = str(raw_fields(model).time.values[1])[:16]
    try:
        made = initial_dataset(request, task, time, None)
        return "\n".join(map(str, compare(made, ROOT / model / "dataset.nc", task)))
    except InputError as error:
        return str(error)


@pytest.fixture(scope="module")
def told_of_all(tasks, tmp_path_factory) -> dict[str, str]:
    """The messages on a state of each model with all faults of its variables."""
    found = {}
    for model in MODELS:
        fields = raw_fields(model)
        for variable, change, _ in (FAULTS[fault] for fault in planted(model)):
            fields = on(variable, change)(fields)
        found[model] = told(model, fields, tasks[model], tmp_path_factory.mktemp(model) / "cds")
    return found


@pytest.mark.parametrize(("model", "fault"), [(model, fault) for model in MODELS for fault in planted(model)])
def test_a_fault_of_a_variable_is_named(model, fault, told_of_all):
    variable, _, words = FAULTS[fault]
    assert re.search(rf"^{variable} differs .*: {words}", told_of_all[model], re.MULTILINE), told_of_all[model]


@pytest.mark.parametrize("model", MODELS)
def test_variables_without_a_fault_are_equal(model, told_of_all):
    assert len(told_of_all[model].splitlines()) == len(planted(model))


@pytest.mark.parametrize(
    ("model", "fault"),
    [(m, f) for m in MODELS for f in OTHERS if f != "window of precipitation" or PRECIPITATION not in LACKS[m]],
)
def test_a_fault_of_a_file_is_named(model, fault, tasks, tmp_path):
    put_in, said = OTHERS[fault]
    found = told(model, put_in(raw_fields(model)), tasks[model], tmp_path / "cds")
    assert re.search(said, found), found


def test_another_centres_analysis_is_refused_unless_told(tmp_path, capsys):
    real = Path(__file__).parents[1] / "real" / "gfs_20110110T12_f120_2p5deg.grib2"
    words = [
        "initial",
        str(real),
        "--checkpoint",
        str(ROOT / "gencast" / "checkpoint.npz"),
        "--out",
        str(tmp_path / "i.nc"),
    ]
    assert main(words) == 2
    assert "no source has sea_surface_temperature" in capsys.readouterr().err

"""Files in the published layouts, made of random numbers: checkpoints of any size, statistics and initial frames.

python -m benchmarks.made small|full|mini|1deg FOLDER
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import h5netcdf
import jax
import numpy as np
import xarray as xr

from airmass.core.files import new_output
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import COMPUTED, VARIABLES
from airmass.models.gencast import published as gencast
from airmass.models.gencast.model import DenoiserNetwork, denoiser_sizes
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.graphcast import published as graphcast
from airmass.models.graphcast.model import GraphCastNetwork, network_sizes
from airmass.models.graphcast.settings import GraphCastSettings
from airmass.recipes.recipes import RECIPES

LEVELS_37 = (
    *(1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 550, 600, 650),
    *(700, 750, 775, 800, 825, 850, 875, 900, 925, 950, 975, 1000),
)
_TASK = RECIPES["graphcast-small"].task
GRAPHCAST = {
    "small": (_TASK, GraphCastSettings(mesh_level=5)),
    "full": (Task(_TASK.prognostic, (), _TASK.forcing, _TASK.static, LEVELS_37), GraphCastSettings(mesh_level=6)),
}
_GENCAST_TASK = Task(
    (*(name for name in _TASK.prognostic if "precipitation" not in name), "sea_surface_temperature"),
    ("total_precipitation_12hr",),
    tuple(name for name in _TASK.forcing if "progress" in name),
    _TASK.static,
    _TASK.levels,
    step=12,
)
GENCAST = {
    "mini": (_GENCAST_TASK, GenCastSettings(mesh_level=4)),
    "1deg": (_GENCAST_TASK, GenCastSettings(mesh_level=5)),
}
DEGREES = {"small": 1.0, "full": 0.25, "mini": 1.0, "1deg": 1.0}


def make(folder: Path, name: str) -> list[str]:
    """Write checkpoint, statistics and initial frames to `folder`; the options of `airmass forecast` to use them."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, initial = folder / "checkpoint.npz", folder / "initial.nc"
    grid = LatLonGrid.equiangular(round(180 / DEGREES[name]) + 1, round(360 / DEGREES[name]), poles=True)
    task = (GRAPHCAST | GENCAST)[name][0]
    if not initial.exists():
        (_write_graphcast if name in GRAPHCAST else _write_gencast)(checkpoint, name)
        _write_statistics(folder, task)
        with new_output(initial) as aside:
            _write_initial(aside, task, grid)
    return ["--checkpoint", str(checkpoint), "--statistics", str(folder), "--initial", str(initial)]


def _task_config(task: Task) -> dict[str, object]:
    lists = {
        "input_variables": (*task.prognostic, *task.forcing, *task.static),
        "target_variables": (*task.prognostic, *task.diagnostic),
        "forcing_variables": task.forcing,
        "pressure_levels": task.levels,
    }
    flat = {f"task_config:{key}:{i}": value for key, values in lists.items() for i, value in enumerate(values)}
    return flat | {"task_config:input_duration": f"{2 * task.step}h", "description": "random", "license": "none"}


def _write_graphcast(path: Path, name: str) -> None:
    task, settings = GRAPHCAST[name]
    network = jax.jit(lambda: GraphCastNetwork(settings, *network_sizes(task), key=jax.random.key(0)))()
    parameters = {f"params:{key}": value for key, value in graphcast.to_published(network, task).items()}
    config = {
        "model_config:resolution": DEGREES[name],
        "model_config:mesh_size": settings.mesh_level,
        "model_config:latent_size": settings.width,
        "model_config:gnn_msg_steps": settings.steps,
        "model_config:hidden_layers": settings.hidden_layers,
        "model_config:radius_query_fraction_edge_length": settings.radius_fraction,
    }
    np.savez(path, **parameters, **config, **_task_config(task))


def _write_gencast(path: Path, name: str) -> None:
    task, settings = GENCAST[name]
    network = jax.jit(lambda: DenoiserNetwork(settings, *denoiser_sizes(task), key=jax.random.key(0)))()
    parameters = {f"params:{key}": value for key, value in gencast.to_published(network, task).items()}
    architecture = "denoiser_architecture_config:"
    transformer = f"{architecture}sparse_transformer_config:"
    config = {
        f"{architecture}mesh_size": settings.mesh_level,
        f"{architecture}latent_size": settings.width,
        f"{architecture}hidden_layers": settings.hidden_layers,
        f"{architecture}radius_query_fraction_edge_length": settings.radius_fraction,
        f"{transformer}attention_k_hop": settings.hops,
        f"{transformer}d_model": settings.width,
        f"{transformer}num_layers": settings.layers,
        f"{transformer}num_heads": settings.heads,
        f"{transformer}ffw_hidden": settings.feedforward,
        "sampler_config:max_noise_level": 80.0,
        "sampler_config:min_noise_level": 0.03,
        "sampler_config:num_noise_levels": 20,
        "sampler_config:rho": 7.0,
        "sampler_config:stochastic_churn_rate": 2.5,
        "sampler_config:churn_min_noise_level": 0.75,
        "sampler_config:churn_max_noise_level": np.inf,
        "sampler_config:noise_level_inflation_factor": 1.05,
        "noise_config:training_noise_level_rho": 7.0,
        "noise_config:training_max_noise_level": 88.0,
        "noise_config:training_min_noise_level": 0.02,
        "noise_encoder_config:apply_log_first": True,
        "noise_encoder_config:base_period": settings.base_period,
        "noise_encoder_config:num_frequencies": settings.frequencies,
    }
    sizes = {f"noise_encoder_config:output_sizes:{i}": size for i, size in enumerate(settings.encoder_sizes)}
    np.savez(path, **parameters, **config, **sizes, **_task_config(task))


def random_values(name: str, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Random float32 values about the middle of a variable's range, as reading refuses others."""
    mean, spread = usual(name)
    return mean + spread * rng.standard_normal(shape, np.float32).clip(-5, 5)


def usual(name: str) -> tuple[np.float32, np.float32]:
    """Mean and spread of `random_values`."""
    if name == "geopotential_at_surface":  # mean and spread of the Earth's, as reading asks for
        return np.float32(2500), np.float32(500)
    low, high = VARIABLES[name].valid_range
    return np.float32((low + high) / 2), np.float32((high - low) / 20)


def _write_statistics(folder: Path, task: Task) -> None:
    """Means and spreads of `random_values`."""
    names = (*task.targets, *task.forcing, *task.static)
    for kind, center, spread in (("mean", 1, 0), ("stddev", 0, 1), ("diffs_stddev", 0, 0.1), ("min", 1, -5)):
        with h5netcdf.File(folder / f"{kind}_by_level.nc", "w") as file:
            file.dimensions["level"] = len(task.levels)
            file.create_variable("level", ("level",), "i4", data=np.array(task.levels, "i4"))
            for name in names:
                dims = ("level",) if VARIABLES[name].on_levels else ()
                shape = (len(task.levels),) if dims else ()
                value = center * usual(name)[0] + spread * usual(name)[1]
                file.create_variable(name, dims, "f4", data=np.full(shape, value, "f4"))


def _write_initial(path: Path, task: Task, grid: LatLonGrid) -> None:
    """Two frames in the layout of the published examples, a field at a time so that 0.25 degree fits."""
    rng = np.random.default_rng(0)
    rows, columns = grid.shape
    land = (rng.random(grid.shape) < 0.3).astype("f4")
    with h5netcdf.File(path, "w") as file:
        file.dimensions.update({"batch": 1, "time": 2, "level": len(task.levels), "lat": rows, "lon": columns})
        file.create_variable("lat", ("lat",), "f4", data=grid.latitude.astype("f4"))
        file.create_variable("lon", ("lon",), "f4", data=grid.longitude.astype("f4"))
        file.create_variable("level", ("level",), "i4", data=np.array(task.levels, "i4"))
        time = file.create_variable("time", ("time",), "i8", data=np.arange(2) * task.step)
        time.attrs["units"] = "hours"
        dates = file.create_variable("datetime", ("batch", "time"), "i8", data=np.arange(2)[None] * task.step)
        dates.attrs["units"] = "hours since 2022-01-01"
        for name in (*task.prognostic, *task.static):
            if name in COMPUTED:
                continue
            dims = ("lat", "lon") if name in task.static else ("batch", "time", "lat", "lon")
            if VARIABLES[name].on_levels:
                dims = (*dims[:-2], "level", *dims[-2:])
            shape = [file.dimensions[dim].size for dim in dims]
            values = random_values(name, shape, rng)
            if name == "land_sea_mask":
                values = land
            if VARIABLES[name].missing_over_land:
                values = np.where(land == 1, np.nan, values)
            file.create_variable(name, dims, "f4", data=values)


def write_store(path: Path, task: Task, grid: LatLonGrid, times: int) -> None:
    """A Zarr store to train on, one time a chunk: a task's targets and static fields, of random numbers."""
    rng = np.random.default_rng(0)
    land = rng.random(grid.shape) < 0.3
    fields = {}
    for name in (*task.targets, *task.static):
        lead = {} if name in task.static else {"time": times}
        lead |= {"level": len(task.levels)} if VARIABLES[name].on_levels else {}
        values = random_values(name, (*lead.values(), *grid.shape), rng)
        if VARIABLES[name].missing_over_land:
            values = np.where(land, np.float32(np.nan), values)
        fields[name] = ((*lead, "latitude", "longitude"), values, VARIABLES[name].attributes)
    axis = np.datetime64("2000-01-01", "ns") + task.step * np.arange(times) * np.timedelta64(1, "h")
    coords = {"time": axis, "level": list(task.levels), "latitude": grid.latitude, "longitude": grid.longitude}
    dataset = xr.Dataset(fields, coords)
    chunks = {
        name: {"chunks": (1, *field.shape[1:])} for name, field in dataset.data_vars.items() if "time" in field.dims
    }
    dataset.to_zarr(path, zarr_format=2, consolidated=True, encoding=chunks)


if __name__ == "__main__":
    make(Path(sys.argv[2]), sys.argv[1])

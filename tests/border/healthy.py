"""One healthy input of every kind, made once a session; bad ones are copies with a change."""

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from PIL import Image
from rich.console import Console

import airmass
from airmass.data.loading.frames import Frames
from airmass.evaluation.scores import Score, ScoreTable
from airmass.evaluation.tracks.run import track_features
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.forecasting.checkpoints.model_file import ModelFile, write_model
from airmass.models.family import new_network
from airmass.recipes.saved import as_settings
from tests.conftest import make_store, synthetic_dataset
from tests.evaluation.tracks.planting import forecast, hourly, straight
from tests.forecasts import ensemble_dataset, forecast_dataset, write_climatology, write_forecast
from tests.golden_case import ROOT as GOLDEN
from tests.training.small import OPTIONS, SMALL, small_model

NAMES = (*SMALL.task.targets, *SMALL.task.static)
BEST_TRACKS = Path(__file__).parents[1] / "evaluation" / "tracks" / "ibtracs_october_2019.csv"
DATES = ("2000-11-01", "2000-11-02")
TRAINING = (
    "--training.updates 1 --training.rollout 1 --training.batch 1 --optimiser.warmup 1 --safety.save-updates 100 "
    "--training.dates 2000-11-01 2000-11-02 --watch.no-tensorboard"
).split()


ABOUT = {
    "forecasts": {"graphcast": ["forecast.zarr"]},
    "truth": "store.zarr",
    "grid": "16 x 8",
    "lead_time_hours": [6, 24],
    "init_times": ["2000-11-01T06:00"],
}


@dataclass(frozen=True)
class Home:
    """Paths of the healthy inputs; read them, never write to them."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return (
            self.folder
            / {
                "store": "store.zarr",
                "store_v2": "store_v2.zarr",
                "netcdf": "store.nc",
                "forecast": "forecast.zarr",
                "ensemble": "ensemble.zarr",
                "climatology": "climatology.zarr",
                "model": "model.npz",
                "golden": "golden",
                "scores": "scores",
                "pictures": "pictures",
                "run": "run",
                "storm": "storm.zarr",
                "best": "best.csv",
                "tracks": "tracks.csv",
            }[name]
        )


def dataset(**options) -> xr.Dataset:
    """Eight frames of what the small recipe reads, on two levels."""
    return synthetic_dataset(days=2, levels=(500, 850), names=NAMES, **options)


def make_home(folder: Path) -> Home:
    folder.mkdir(exist_ok=True)
    home, fields = Home(folder), dataset()
    make_store(home.store, fields)
    make_store(home.store_v2, fields, zarr_format=2)
    fields.to_netcdf(home.netcdf, engine="h5netcdf")
    varying = fields.drop_vars(list(SMALL.task.static))
    inits, leads = (1, 3), (6, 12)
    write_forecast(home.forecast, forecast_dataset(varying, inits, leads, error=0.5))
    write_forecast(
        home.ensemble, ensemble_dataset(varying, init_indices=inits, lead_hours=leads, spread=0.1, members=3)
    )
    write_climatology(home.climatology, varying)
    _write_model(home)
    shutil.copytree(GOLDEN / "graphcast", home.golden)
    _write_scores(home.scores)
    _write_run(home.run)
    _write_storm(home)
    home.pictures.mkdir()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(home.pictures / "curves.png")
    return home


def _write_storm(home: Home) -> None:
    """A cyclone in a forecast, its tracks, and best tracks of the same."""
    start, leads = np.datetime64("2019-10-08", "ns"), tuple(range(6, 67, 6))
    storm = straight(hourly("2019-10-08T06", len(leads)), (12, 170), (18, -176), 7000, radius=90)
    write_forecast(home.storm, forecast(LatLonGrid.equiangular(60, 120), start, leads, [[storm]]))
    shutil.copy(BEST_TRACKS, home.best)
    track_features([home.storm], home.tracks, console=Console(file=io.StringIO()))


def _write_model(home: Home) -> None:
    """An untrained model of the small recipe."""
    frames, task = Frames(home.store, SMALL.task), SMALL.task
    network = new_network(task, SMALL.model, jax.random.key(0))
    scales = small_model(SMALL, frames).normaliser
    fill = np.full(len(ChannelLayout.of(task.prognostic, task.levels)), np.nan, np.float32)
    write_model(home.model, ModelFile(SMALL, frames.grid, scales, network, {"updates": 0}, fill))


def _write_scores(folder: Path) -> None:
    folder.mkdir()
    systems = {"graphcast": 1.0, "persistence": 2.0, "climatology": 3.0}
    scores = [
        Score(system, "geopotential", 500, hour, metric, value + hour / 24)
        for system, value in systems.items()
        for hour in (6, 24)
        for metric in ("rmse", "bias")
    ]
    (folder / "scores.json").write_text(ScoreTable(scores).to_json())
    (folder / "evaluation.json").write_text(json.dumps(ABOUT))


def _write_run(folder: Path) -> None:
    """A run as it stands before its first update, but for its statistics."""
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "settings.json").write_text(json.dumps({"recipe": as_settings(SMALL), "airmass": airmass.__version__}))


__all__ = ["DATES", "OPTIONS", "TRAINING", "Home", "dataset", "make_home"]

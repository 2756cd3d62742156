"""A model whose forecasts no mistake in resuming would leave the same, run as `airmass forecast` runs models."""

import json
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.data.formats import forecast_writer
from airmass.data.formats.forecast_reader import open_forecast
from airmass.fields.channels import ChannelLayout
from airmass.fields.task import Task
from airmass.forecasting.forecast import forecast
from airmass.forecasting.request import ForecastRequest
from airmass.forecasting.system import ForecastSystem
from airmass.models.runner import NOTHING_WRITTEN

ROOT = Path(__file__).parents[2]
TASK = Task(("temperature", "2m_temperature"), ("total_precipitation_6hr",), (), ("land_sea_mask",), (300, 500, 850))
COLUMNS = [
    i for i, (name, _) in enumerate(ChannelLayout.of(TASK.targets, TASK.levels).channels) if name in TASK.prognostic
]  # fmt: skip
INITS = ["2000-11-01T06", "2000-11-01T12"]
MEMBERS, STEPS = 5, 6


class Chaotic:
    """Members whose every frame takes all bits of the two before it, and which stop after so many frames."""

    group_size, stop_after, stop, pause = 2, None, KeyboardInterrupt, 0.0
    made = 0

    def __init__(self, grid, static, seed=0, noise=None, stored=None):
        self.seed = seed

    def frames(self, history, init, members, made=NOTHING_WRITTEN):
        states = made.histories([history] * len(members))
        for step in count(made.count):
            yield (self._next(states, place, member, step) for place, member in enumerate(members))

    def _next(self, states, place, member, step):
        if Chaotic.made == Chaotic.stop_after:
            raise self.stop
        Chaotic.made += 1
        time.sleep(Chaotic.pause)
        draw = np.random.default_rng([self.seed, member, step]).normal(size=states[place].shape[1:])
        new = (3 * states[place][-1] - 2.1 * states[place][0]).astype(np.float32) % 300 + draw.astype(np.float32)
        states[place] = np.stack([states[place][-1], new])
        frame = np.full((len(new), len(ChannelLayout.of(TASK.targets, TASK.levels))), step, np.float32)
        frame[:, COLUMNS] = new
        return frame


def system(ensemble: bool = True) -> ForecastSystem:
    return ForecastSystem("gencast", "GenCast", TASK, None, 0, {}, ensemble, "36h", Chaotic)


def run(out, initial, members=MEMBERS, stop_after=None, ensemble=True, pause=0.0, **options):
    """As `airmass forecast` runs the members above; returns how many frames were computed."""
    Chaotic.made, Chaotic.stop_after, Chaotic.pause = 0, stop_after, pause
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("airmass.forecasting.forecast.load_system", lambda *_: system(ensemble))
        patch.setattr(forecast_writer, "_CHUNK_BYTES", 3072)  # two frames of three levels
        options = {"members": members if ensemble else None, "seed": 1 if ensemble else None} | options
        forecast(ForecastRequest("x.npz", initial, out, init_time=tuple(INITS), **options))
    return Chaotic.made


def opened(out: Path) -> xr.Dataset:
    return open_forecast(out, ensemble=True).load()


def recorded(out: Path) -> int:
    """Frames that are noted as whole."""
    record = out.with_name(f"{out.name}.partial") / "progress.json"
    return int(np.sum(json.loads(record.read_text())["whole"])) if record.exists() else 0


def chunks(folder: Path) -> dict[str, int]:
    """When each chunk of a field was last written."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.glob("*temp*/c/**/*[0-9]")}

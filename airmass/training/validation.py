"""Validation during training: scores of forecasts from fixed dates outside the training dates."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.data.loading.frames import Frames
from airmass.evaluation.metrics.base import Fields, ScoreSum, score_sum
from airmass.evaluation.metrics.rmse import RMSE
from airmass.fields.channels import Channel
from airmass.fields.clock import parse_dates
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from airmass.recipes.monitoring import MonitoringSettings
from airmass.training.loggers import Picture

# Function from the last frames of the prognostic channels, [time, node, prognostic], and the time of the newest one, to
# frames [node, target] one step apart, in physical units; the mean of a few members for an ensemble.
Forecast = Callable[[Float[np.ndarray, "time node prognostic"], np.datetime64], Iterator[Float[Array, "node target"]]]
_SHOWN: Channel = ("geopotential", 500)


@dataclass(frozen=True)
class Validated:
    """Result of a validation: RMSE in the variables' units, by names such as `geopotential/500/24h`, and a map."""

    rmse: dict[str, float]
    picture: Picture


class Validation:
    """Fixed initial times of a run, with the truth after them.

    With `missing`, variables that are missing over land may be NaN in the truth, with `sparse` those that exist only
    around cyclones; these points are not scored, and nothing is reported where there are no others. The first step,
    every whole day and the last step are scored. Raises InputError if the store does not cover the dates, if they
    overlap with the training dates, or if there are too few of them.
    """

    def __init__(
        self,
        settings: MonitoringSettings,
        task: Task,
        data: str | Path,
        training_dates: tuple[str, str] | None,
        missing: bool = False,
        sparse: bool = False,
    ):
        assert settings.validation_dates is not None
        require_apart(training_dates, settings.validation_dates, data)
        self._frames, self._task = Frames(data, task, settings.validation_dates, missing, sparse), task
        self._steps = _steps(settings.validation_lead_hours, task.step)
        starts = self._frames.starts(task.history + self._steps)
        if len(starts) < settings.validation_starts:
            raise InputError(
                f"{data}: {len(starts)} forecasts of {settings.validation_lead_hours} h fit into the validation dates "
                f"{' to '.join(settings.validation_dates)}, expected {settings.validation_starts}"
            )
        self._starts = starts[np.linspace(0, len(starts) - 1, settings.validation_starts).round().astype(int)]
        self._leads = _scored_leads(self._steps, task.step)

    @property
    def grid(self) -> LatLonGrid:
        return self._frames.grid

    @property
    def init_times(self) -> np.ndarray:
        return self._frames.times[self._starts] + (self._task.history - 1) * np.timedelta64(self._task.step, "h")

    def stored_forcing(self, times: np.ndarray) -> Float[np.ndarray, "time node stored"]:
        """The forcings that come from the store at these times."""
        return self._frames.stored_forcing(times)

    def run(self, forecast: Forecast) -> Validated:
        """Forecast from every initial time and score against truth; one forecast is in memory at a time."""
        total: ScoreSum | None = None
        for start, init in zip(self._starts, self.init_times, strict=True):
            frames, truth = self._one(forecast, int(start), init)
            by_channel, true = (np.moveaxis(x, -1, -2)[None] for x in (frames, truth))
            present = ~np.isnan(true)
            fields = Fields(by_channel[None], true, self.grid.area_weights, present=None if present.all() else present)
            scored = score_sum(RMSE(), fields)
            total = scored if total is None else total + scored
            if start == self._starts[0]:
                picture = self._picture(init, frames[-1], truth[-1])
        assert total is not None
        return Validated(self._named(RMSE().finish(total.mean)), picture)

    def _one(
        self, forecast: Forecast, start: int, init: np.datetime64
    ) -> tuple[Float[np.ndarray, "lead node target"], Float[np.ndarray, "lead node target"]]:
        """Scored frames of one forecast, and the truth."""
        window, history = self._frames.window(start, self._task.history + self._steps), self._task.history
        columns = [i for i, (name, _) in enumerate(self._frames.layout.channels) if name in self._task.prognostic]
        frames = islice(forecast(window[:history][..., columns], init), self._steps)
        kept = [np.asarray(frame) for step, frame in enumerate(frames, 1) if step in self._leads]
        return np.stack(kept), window[history:][[lead - 1 for lead in self._leads]]

    def _named(self, values: Float[np.ndarray, "lead target"]) -> dict[str, float]:
        return {
            f"{name}/{level}/{lead * self._task.step}h" if level else f"{name}/{lead * self._task.step}h": float(value)
            for by_channel, lead in zip(values, self._leads, strict=True)
            for (name, level), value in zip(self._frames.layout.channels, by_channel, strict=True)
            if np.isfinite(value) or not VARIABLES[name].around_cyclones
        }

    def _picture(self, init: np.datetime64, frame: np.ndarray, truth: np.ndarray) -> Picture:
        """Map of geopotential at 500 hPa, or of the first field, at the last lead time: forecast, truth, difference."""
        # Importing matplotlib takes a second, so only runs with validation do.
        from airmass.plots.fields import Frame
        from airmass.plots.globe import Globe
        from airmass.plots.maps import map_figure
        from airmass.plots.png import render

        channels = self._frames.layout.channels
        column = channels.index(_SHOWN) if _SHOWN in channels else 0
        name, level = channels[column]
        fields = (x[:, column].reshape(self.grid.shape) for x in (frame, truth))
        shown = Frame(VARIABLES[name], level, init, float(self._steps * self._task.step), *fields)
        return np.asarray(render(map_figure(Globe(self.grid), [shown])))


def require_apart(training_dates: tuple[str, str] | None, validation_dates: tuple[str, str], path: str | Path) -> None:
    """Raise InputError if training and validation dates overlap; training dates of None are the whole store.

    Statistics are computed over the training dates, so validation is independent of them too.
    """
    if training_dates is None:
        raise InputError(
            f"{path}: trained on the whole store, so nothing is left for validation; expected training dates outside "
            f"the validation dates {' to '.join(validation_dates)}"
        )
    (first, end), (other_first, other_end) = parse_dates(training_dates), parse_dates(validation_dates)
    if first < other_end and other_first < end:
        raise InputError(
            f"{path}: training dates {' to '.join(training_dates)} overlap with validation dates "
            f"{' to '.join(validation_dates)}"
        )


def _steps(lead_hours: int, step: int) -> int:
    if lead_hours < step or lead_hours % step:
        raise InputError(f"watch.validation_lead_hours is {lead_hours}, expected a multiple of the task's step {step}")
    return lead_hours // step


def _scored_leads(steps: int, step: int) -> list[int]:
    """Lead times to score, in steps: the first, whole days, the last."""
    return [lead for lead in range(1, steps + 1) if lead in (1, steps) or lead * step % 24 == 0]

"""Several checkpoints as one system, their members dealt out in turn: WeatherNext 2's four models, or runs of ours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid
from airmass.forecasting.system import ForecastSystem
from airmass.models.runner import NOTHING_WRITTEN, History, MakeRunner, ModelRunner, Written

_Frames = Iterator[Iterator[Float[Array, "node target"]]]


class PooledRunner:
    """Runner whose member of number n is computed by model n modulo the number of models."""

    def __init__(self, runners: Sequence[ModelRunner]):
        self._runners = runners

    @property
    def group_size(self) -> int:
        """Number of members that run together: those of one model, or with several devices those of all models."""
        most = max(runner.group_size for runner in self._runners)
        return most * len(self._runners) if jax.local_device_count() > 1 else most

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int], made: Written = NOTHING_WRITTEN
    ) -> _Frames:
        return self.trajectories(made.histories([history] * len(members)), init, members, made.count)

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> _Frames:
        models = [self.model_of(member) for member in members]
        runs = {}
        for model in dict.fromkeys(models):
            own = [place for place, other in enumerate(models) if other == model]
            starts, numbers = [histories[place] for place in own], [members[place] for place in own]
            runs[model] = self._runners[model].trajectories(starts, init, numbers, count)
        while True:
            by_model = {model: next(run) for model, run in runs.items()}
            yield (next(by_model[model]) for model in models)

    def model_of(self, member: int) -> int:
        """Index of the model that computes a member."""
        return member % len(self._runners)


def pooled(systems: Mapping[str | Path, ForecastSystem]) -> ForecastSystem:
    """One system of several, by the path of their checkpoints.

    Of deterministic models it is an ensemble of one member a model. Raises InputError for models of different kinds,
    tasks or grids, and for one that is given twice.
    """
    (path, first), *others = systems.items()
    seen = {first.fingerprint: path}
    for other, system in others:
        for what in ("name", "task", "grid", "spacing"):
            one, two = getattr(first, what), getattr(system, what)
            if one != two:
                raise InputError(
                    f"{other}: {_difference(what, one, two)} of {path}: members of one ensemble need the same"
                )
        if system.fingerprint in seen:
            raise InputError(f"{other}: holds the same model as {seen[system.fingerprint]}, expected another")
        seen[system.fingerprint] = other
    makers: list[Any] = [system.runner for system in systems.values()]

    def runner(grid: LatLonGrid, static, seed: int = 0, noise=None, **options) -> PooledRunner:
        return PooledRunner([make(grid, static, seed, noise, **options) for make in makers])

    made: MakeRunner = runner
    return replace(
        first,
        title=f"{len(systems)} models of {first.title}",
        about={
            name: value for name, value in first.about.items() if all(s.about.get(name) == value for _, s in others)
        },
        ensemble=True,
        runner=made,
        most_members=None if first.ensemble else len(systems),
        models=tuple(map(str, systems)),
        fingerprint=" ".join(seen),
        build=None,
    )


def dealt(system: ForecastSystem, members: range) -> str:
    """Words on how members are dealt out to the models of a system, where they do not divide equally; else empty."""
    count = len(system.models)
    by_model = [sum(member % count == model for member in members) for model in range(count)]
    if len(set(by_model)) == 1:
        return ""
    shares = ", ".join(f"{Path(path).name} {share}" for path, share in zip(system.models, by_model, strict=True))
    return f"{len(members)} members over {count} models are not equally many of each: {shares}"


def _difference(what: str, one: Any, two: Any) -> str:
    if what != "task":
        return f"{what} is {two}, expected {one}, that"
    for name in vars(one):
        if getattr(one, name) != getattr(two, name):
            return f"{name} is {getattr(two, name)}, expected {getattr(one, name)}, that"
    raise AssertionError("equal tasks")

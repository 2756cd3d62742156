"""The whole of airmass in one command: simulate, train, forecast, judge, look."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from rich.console import Console
from rich.progress import Progress

from airmass.core.errors import InputError
from airmass.core.files import new_output
from airmass.core.place import local_path
from airmass.core.strict_json import read_json
from airmass.core.tables import say
from airmass.core.typed import Range
from airmass.recipes.recipes import RECIPES, Recipe
from airmass.training.run_folder import STATISTICS_FOLDER

START = "2000-11-01"
TRAINING_DATES = ("2000-11-01", "2000-12-30")
DAYS = 90
INIT_TIMES = tuple(f"{day}T00" for day in np.arange("2000-12-31", "2001-01-20", dtype="datetime64[D]"))
LEAD_TIME = "10d"
# An ensemble takes longer: every other day, half as far.
MEMBERS = 8
ENSEMBLE_INIT_TIMES, ENSEMBLE_LEAD_TIME = INIT_TIMES[::2], "5d"
# Of initial states, in standard deviations of a change over a model's step (docs/demo.md).
GENCAST_PERTURBATION, GRAPHCAST_PERTURBATION = 0.3, 0.5


_MARK = "demo.json"
Model = Literal["graphcast", "gencast"]


@dataclass(frozen=True)
class Begun:
    """What a demo's folder says of itself: seconds by finished part."""

    seed: int
    timings: dict[str, Annotated[float, Range(0)]]
    model: Model = "graphcast"


@dataclass(frozen=True)
class Part:
    """One part of the demo: what to tell the person who waits, what it makes, and how.

    `goes_on` marks parts whose output is there before it is complete; they know themselves where to go on.
    """

    title: str
    output: Path
    make: Callable[[], object]
    goes_on: bool = False


def demo(
    out: str | Path,
    seed: int = 0,
    model: Model = "graphcast",
    recipes: Mapping[str, Recipe] = RECIPES,
    console: Console | None = None,
) -> Path:
    """Run every part whose output is not there yet; returns the path of the report.

    Sixty days are simulated to train on and the next thirty held out, from which forecasts start: with "graphcast" of
    ten days from each of the first twenty, with "gencast" an ensemble of five days from every other of them, beside
    GraphCast alone and from perturbed states. Stopped at any moment, the same command goes on: the simulation, the
    training and forecasts from where they were, other parts from their start. Raises InputError when `out` was made
    with another seed or model.
    """
    out, console = local_path(out, "output"), console or Console()
    _claim(out, seed, model)
    plans = {"graphcast": _graphcast_parts, "gencast": _gencast_parts}
    parts = plans[model](out, seed, {name: _of_demo(made, seed) for name, made in recipes.items()}, console)
    for number, part in enumerate(parts, 1):
        if part.output.exists() and (part.title in _timings(out) or not part.goes_on):
            say(console, f"{number}/{len(parts)} {part.title}: done before", "dim")
            continue
        say(console, f"{number}/{len(parts)} {part.title} -> {part.output}", "bold")
        began = time.perf_counter()
        part.make()
        _note_timing(out, part.title, time.perf_counter() - began)
    for title, seconds in _timings(out).items():
        say(console, f"  {title:<52} {seconds:6.0f} s")
    say(console, f"Look at {out / 'report.html'}")
    return out / "report.html"


def _of_demo(recipe: Recipe, seed: int) -> Recipe:
    return replace(recipe, training=replace(recipe.training, seed=seed, dates=TRAINING_DATES))


def _graphcast_parts(out: Path, seed: int, recipes: Mapping[str, Recipe], console: Console) -> list[Part]:
    store, run, forecasts, recipe = out / "simulated.zarr", out / "run", out / "forecast.zarr", recipes["demo"]
    scores, pictures = out / "scores", out / "pictures"
    return [
        Part(f"Simulate {DAYS} days of weather", store, lambda: _simulate(store, seed), True),
        Part("Train GraphCast on the first 60", run / "model.npz", lambda: _train(recipe, store, run, console), True),
        Part(
            f"Forecast {LEAD_TIME} from {len(INIT_TIMES)} held-out days",
            forecasts,
            lambda: _forecast(run, store, INIT_TIMES, LEAD_TIME, forecasts, console),
        ),
        Part("Judge against persistence and climatology", scores, lambda: _judge([forecasts], store, scores, console)),
        Part("Draw maps, curves and an animation", pictures, lambda: _draw(forecasts, store, scores, pictures)),
        Part("Write the report", out / "report.html", lambda: _report(out, seed, "graphcast", recipe)),
    ]


def _gencast_parts(out: Path, seed: int, recipes: Mapping[str, Recipe], console: Console) -> list[Part]:
    store, run, other = out / "simulated.zarr", out / "run", out / "run-graphcast"
    ensemble, single, perturbed = out / "forecast.zarr", out / "graphcast.zarr", out / "perturbed.zarr"
    scores, pictures, inits, lead = out / "scores", out / "pictures", ENSEMBLE_INIT_TIMES, ENSEMBLE_LEAD_TIME
    recipe, other_recipe = recipes["gencast-demo"], recipes["demo"]
    random = {"members": MEMBERS, "seed": seed}

    def judge():
        leads = {"lead_times": ["common"], "spectra": ["24h", "120h"]}
        _judge([ensemble, single, perturbed], store, scores, console, climatology=run / STATISTICS_FOLDER, **leads)

    return [
        Part(f"Simulate {DAYS} days of weather", store, lambda: _simulate(store, seed), True),
        Part("Train GenCast on the first 60", run / "model.npz", lambda: _train(recipe, store, run, console), True),
        Part(
            "Train GraphCast on them, to compare with",
            other / "model.npz",
            lambda: _train(other_recipe, store, other, console),
            True,
        ),
        Part(
            f"Forecast {lead} from {len(inits)} held-out days, {MEMBERS} members",
            ensemble,
            lambda: _forecast(run, store, inits, lead, ensemble, console, perturb=GENCAST_PERTURBATION, **random),
        ),
        Part("Forecast with GraphCast", single, lambda: _forecast(other, store, inits, lead, single, console)),
        Part(
            f"Forecast with GraphCast from {MEMBERS} perturbed states",
            perturbed,
            lambda: _forecast(other, store, inits, lead, perturbed, console, perturb=GRAPHCAST_PERTURBATION, **random),
        ),
        Part("Judge all of them", scores, judge),
        Part("Draw maps, plumes, stamps and curves", pictures, lambda: _draw(ensemble, store, scores, pictures)),
        Part("Write the report", out / "report.html", lambda: _report(out, seed, "gencast", recipe)),
    ]


def _simulate(store: Path, seed: int) -> None:
    # A process of its own: the circulation model sets JAX up in its way, and gives its memory back at the end.
    command = [sys.executable, "-m", "airmass", "simulate", str(store), "--days", str(DAYS), "--start", START]
    status = subprocess.run([*command, "--seed", str(seed)]).returncode
    if status:
        raise InputError(f"{store}: the simulation ended with status {status}; the same command goes on with it")


def _train(recipe: Recipe, store: Path, run: Path, console: Console) -> None:
    from airmass.training.train import train

    train(recipe, store, run, console)


def _forecast(
    run: Path, store: Path, init_times: Sequence[str], lead_time: str, out: Path, console: Console, **options
) -> None:
    from airmass.forecasting.forecast import forecast

    with Progress(console=console) as shown:
        bar = shown.add_task("forecasting", total=None)

        def progress(done: int, total: int) -> None:
            shown.update(bar, completed=done, total=total)

        forecast(run, store, init_times, lead_time, out, progress, **options)


def _judge(forecasts: Sequence[Path], store: Path, scores: Path, console: Console, **options) -> None:
    from airmass.evaluation.evaluate import evaluate

    evaluate(forecasts, store, scores, console=console, **options)


def _draw(forecasts: Path, store: Path, scores: Path, pictures: Path) -> None:
    from airmass.plots.plot import plot

    plot(forecasts, store, pictures, scores=scores / "scores.json")


def _report(out: Path, seed: int, model: str, recipe: Recipe) -> None:
    from airmass.plots.report.report import write_report

    settings = {
        "Model": asdict(recipe.model),
        "Training": asdict(recipe.training),
        "Optimiser": asdict(recipe.optimiser),
        "Variables": asdict(recipe.task),
    }
    command = f"airmass demo --out {out} --seed {seed} --model {model}"
    write_report(
        out / "report.html", "airmass demo", out / "scores", out / "pictures", settings, _timings(out), [command]
    )


def _claim(out: Path, seed: int, model: Model) -> None:
    """Make the demo's folder, or see that it is one, of this seed and model."""
    mark, wanted = out / _MARK, Begun(seed, {}, model)
    if mark.exists():
        held = read_json(mark, Begun)
        for name in ("seed", "model"):
            if (found := getattr(held, name)) != (value := getattr(wanted, name)):
                raise InputError(f"{out}: this demo was begun with {name} {found}, not {value}; name another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not a demo")
    if find_spec("jcm") is None:
        raise InputError("the demo simulates its data, which needs jcm: pip install 'airmass[simulate]'")
    with new_output(mark) as aside:
        aside.write_text(json.dumps(asdict(wanted)))


def _timings(out: Path) -> dict[str, float]:
    return read_json(out / _MARK, Begun).timings


def _note_timing(out: Path, title: str, seconds: float) -> None:
    """Parts are done once their time is noted."""
    held = read_json(out / _MARK, Begun)
    held = replace(held, timings=held.timings | {title: round(seconds, 1)})
    with new_output(out / _MARK, replace=True) as aside:
        aside.write_text(json.dumps(asdict(held)))

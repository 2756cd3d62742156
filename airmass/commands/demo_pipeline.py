"""The demo: simulate, train, forecast, evaluate, plot and report in one command."""

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

from airmass.core.errors import InputError
from airmass.core.files import new_output
from airmass.core.place import local_path
from airmass.core.strict_json import read_json
from airmass.core.tables import counted, say
from airmass.core.typed import Range
from airmass.recipes.recipes import RECIPES, Recipe
from airmass.training.run_folder import STATISTICS_FOLDER

Model = Literal["graphcast", "gencast", "fgn"]
# First and last day to train on. Ensembles are slower to train, and their settings were chosen on sixty days.
TRAINING_DATES: dict[Model, tuple[str, str]] = {
    "graphcast": ("2000-09-01", "2000-12-30"),
    "gencast": ("2000-11-01", "2000-12-30"),
    "fgn": ("2000-11-01", "2000-12-30"),
}
HELD_OUT_DAYS = 30
INIT_TIMES = tuple(f"{day}T00" for day in np.arange("2000-12-31", "2001-01-20", dtype="datetime64[D]"))
LEAD_TIME = "10d"
# An ensemble costs more: every other day, half the lead time.
MEMBERS = 8
ENSEMBLE_INIT_TIMES, ENSEMBLE_LEAD_TIME = INIT_TIMES[::2], "5d"
# Perturbation of initial states, in standard deviations of the change over one model step (docs/demo.md). FGN's
# members start from the same state.
PERTURBATION: dict[str, float | None] = {"gencast": 0.3, "fgn": None}
GRAPHCAST_PERTURBATION = 0.5
# What the demo trains; ensembles are compared with the plain recipe, for which the perturbation was chosen.
GRAPHCAST, PLAIN = "demo-curriculum", "demo"
# Fields of the viewer; all levels would make a page of 40 MB.
VIEWED = tuple("2t msl tp06 10u 10v z500 t850 u850 v850 q700".split())

_MARK = "demo.json"


@dataclass(frozen=True)
class DemoRecord:
    """Contents of `demo.json`: the demo's seed and model, and the seconds of each finished part."""

    seed: int
    timings: dict[str, Annotated[float, Range(0)]]
    model: Model = "graphcast"


@dataclass(frozen=True)
class Part:
    """One part of the demo: its title, its output, and the function that makes it.

    `resumable` marks parts whose output exists before it is complete; they resume by themselves.
    """

    title: str
    output: Path
    make: Callable[[], object]
    resumable: bool = False


def demo(
    out: str | Path,
    seed: int = 0,
    model: Model = "graphcast",
    recipes: Mapping[str, Recipe] = RECIPES,
    console: Console | None = None,
) -> Path:
    """Run every part whose output does not exist yet; return the path of the report.

    Days to train on (`TRAINING_DATES`) are simulated, and thirty held out from which forecasts start. "graphcast" makes
    a forecast of ten days from each of the first twenty held-out days. "gencast" and "fgn" make an ensemble of five
    days from every other of these days, and compare it with GraphCast, unperturbed and from perturbed states. A stopped
    demo resumes with the same command: simulation, training and forecasts where they stopped, other parts from their
    beginning. Raises InputError if `out` was made with another seed or model.
    """
    out, console = local_path(out, "output"), console or Console()
    _claim(out, seed, model)
    by_name = {name: _demo_recipe(made, seed, model) for name, made in recipes.items()}
    if model == "graphcast":
        parts = _graphcast_parts(out, seed, by_name, console)
    else:
        parts = _ensemble_parts(out, seed, by_name, console, model)
    for number, part in enumerate(parts, 1):
        if part.output.exists() and (part.title in _timings(out) or not part.resumable):
            say(console, f"{number}/{len(parts)} {part.title}: done before", "dim")
            continue
        say(console, f"{number}/{len(parts)} {part.title} -> {part.output}", "bold")
        began = time.perf_counter()
        part.make()
        _note_timing(out, part.title, time.perf_counter() - began)
    for title, seconds in _timings(out).items():
        say(console, f"  {title:<52} {seconds:6.0f} s")
    say(console, f"Open {out / 'report.html'} and {out / 'view.html'}")
    return out / "report.html"


def _demo_recipe(recipe: Recipe, seed: int, model: Model) -> Recipe:
    return replace(recipe, training=replace(recipe.training, seed=seed, dates=TRAINING_DATES[model]))


def _training_days(model: Model) -> int:
    """Number of days that a model is trained on."""
    first, last = (np.datetime64(day) for day in TRAINING_DATES[model])
    return int((last - first).astype(int)) + 1


def _graphcast_parts(out: Path, seed: int, recipes: Mapping[str, Recipe], console: Console) -> list[Part]:
    store, run, forecasts, recipe = out / "simulated.zarr", out / "run", out / "forecast.zarr", recipes[GRAPHCAST]
    scores, pictures = out / "scores", out / "pictures"
    return [
        _simulation(out, seed, "graphcast"),
        _training(recipe, "graphcast", store, run, console),
        Part(
            f"Forecast {LEAD_TIME} from {len(INIT_TIMES)} held-out days",
            forecasts,
            lambda: _forecast(run, store, INIT_TIMES, LEAD_TIME, forecasts, console),
        ),
        Part(
            "Evaluate against persistence and climatology",
            scores,
            lambda: _evaluate([forecasts], store, scores, console),
        ),
        Part("Draw maps, curves and an animation", pictures, lambda: _draw(forecasts, store, scores, pictures)),
        Part("Write the report", out / "report.html", lambda: _report(out, seed, "graphcast", recipe)),
        Part(
            "Write the viewer", out / "view.html", lambda: _view([forecasts], store, out / "view.html", INIT_TIMES[::5])
        ),
    ]


def _ensemble_parts(out: Path, seed: int, recipes: Mapping[str, Recipe], console: Console, model: Model) -> list[Part]:
    store, run, other = out / "simulated.zarr", out / "run", out / "run-graphcast"
    ensemble, single, perturbed = out / "forecast.zarr", out / "graphcast.zarr", out / "perturbed.zarr"
    scores, pictures, inits, lead = out / "scores", out / "pictures", ENSEMBLE_INIT_TIMES, ENSEMBLE_LEAD_TIME
    recipe, other_recipe = recipes[f"{model}-demo"], recipes[PLAIN]
    perturb = PERTURBATION[model]
    random = {"members": MEMBERS, "seed": seed}

    def evaluate_all():
        leads = {"lead_times": ("common",), "spectra": ("24h", "120h")}
        _evaluate([ensemble, single, perturbed], store, scores, console, climatology=run / STATISTICS_FOLDER, **leads)

    return [
        _simulation(out, seed, model),
        _training(recipe, model, store, run, console),
        Part(
            "Train GraphCast on them, to compare with",
            other / "model.npz",
            lambda: _train(other_recipe, store, other, console),
            True,
        ),
        Part(
            f"Forecast {lead} from {len(inits)} held-out days, {MEMBERS} members",
            ensemble,
            lambda: _forecast(run, store, inits, lead, ensemble, console, perturb=perturb, **random),
        ),
        Part("Forecast with GraphCast", single, lambda: _forecast(other, store, inits, lead, single, console)),
        Part(
            f"Forecast with GraphCast from {MEMBERS} perturbed states",
            perturbed,
            lambda: _forecast(other, store, inits, lead, perturbed, console, perturb=GRAPHCAST_PERTURBATION, **random),
        ),
        Part("Evaluate all of them", scores, evaluate_all),
        Part("Draw maps, plumes, stamps and curves", pictures, lambda: _draw(ensemble, store, scores, pictures)),
        Part("Write the report", out / "report.html", lambda: _report(out, seed, model, recipe)),
        Part(
            "Write the viewer",
            out / "view.html",
            lambda: _view([ensemble, perturbed], store, out / "view.html", inits[:1]),
        ),
    ]


def _simulation(out: Path, seed: int, model: Model) -> Part:
    store, days, start = out / "simulated.zarr", _training_days(model) + HELD_OUT_DAYS, TRAINING_DATES[model][0]
    return Part(f"Simulate {days} days of weather", store, lambda: _simulate(store, seed, start, days), True)


def _training(recipe: Recipe, model: Model, store: Path, run: Path, console: Console) -> Part:
    title = f"Train {recipe.family.title} on the first {_training_days(model)}"
    return Part(title, run / "model.npz", lambda: _train(recipe, store, run, console), True)


def _simulate(store: Path, seed: int, start: str, days: int) -> None:
    # In its own process: the circulation model changes JAX's settings, and its memory is freed at the end.
    command = [sys.executable, "-m", "airmass", "simulate", str(store), "--days", str(days), "--start", start]
    status = subprocess.run([*command, "--seed", str(seed)]).returncode
    if status == 2:  # bad input, of which it has printed the line
        raise InputError(f"{store}: not simulated, for the reason above; choose another --out")
    if status:
        raise InputError(f"{store}: the simulation ended with status {status}; the same command resumes it")


def _train(recipe: Recipe, store: Path, run: Path, console: Console) -> None:
    from airmass.training.train import train

    train(recipe, store, run, console)


def _forecast(
    run: Path, store: Path, init_times: Sequence[str], lead_time: str, out: Path, console: Console, **options
) -> None:
    from airmass.forecasting.forecast import forecast
    from airmass.forecasting.request import ForecastRequest

    request = ForecastRequest((run,), store, out, init_time=tuple(init_times), lead_time=lead_time, **options)
    with counted("forecasting", console) as tell:
        forecast(request, tell)


def _evaluate(forecasts: Sequence[Path], store: Path, scores: Path, console: Console, **options) -> None:
    from airmass.evaluation.evaluate import evaluate
    from airmass.evaluation.request import EvaluationRequest

    evaluate(EvaluationRequest(forecasts=tuple(forecasts), truth=store, out=scores, **options), console)


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


def _view(forecasts: Sequence[Path], store: Path, page: Path, init_times: Sequence[str]) -> None:
    from airmass.plots.viewer.sources import open_contents
    from airmass.plots.viewer.view import write_view

    held = {field.key for field in open_contents(forecasts).fields}
    fields = [field for field in VIEWED if field in held]
    write_view(page, forecasts, store, fields=fields or None, init_times=init_times)


def _claim(out: Path, seed: int, model: Model) -> None:
    """Create the demo's folder, or check that it holds a demo of this seed and model."""
    mark, wanted = out / _MARK, DemoRecord(seed, {}, model)
    if mark.exists():
        found = read_json(mark, DemoRecord)
        for name in ("seed", "model"):
            if (old := getattr(found, name)) != (new := getattr(wanted, name)):
                raise InputError(f"{out}: this demo was started with {name} {old}, not {new}; choose another --out")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: exists and is not a demo")
    if find_spec("jcm") is None:
        raise InputError("the demo needs jcm, which is not installed: pip install 'airmass[simulate]'")
    with new_output(mark) as aside:
        aside.write_text(json.dumps(asdict(wanted)))


def _timings(out: Path) -> dict[str, float]:
    return read_json(out / _MARK, DemoRecord).timings


def _note_timing(out: Path, title: str, seconds: float) -> None:
    """Record the seconds of a part, which marks it as done."""
    record = read_json(out / _MARK, DemoRecord)
    record = replace(record, timings=record.timings | {title: round(seconds, 1)})
    with new_output(out / _MARK, replace=True) as aside:
        aside.write_text(json.dumps(asdict(record)))

"""Forecasts that are scored as they are made: one initial time is on disk at a time, and removed once scored.

The scores are those of `airmass evaluate` on the stored forecasts. A run that was stopped goes on with the initial time
that it was at.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from airmass import __version__
from airmass.core.errors import InputError
from airmass.core.files import made_parents, refuse_existing
from airmass.core.locks import alone
from airmass.core.place import is_url
from airmass.core.tables import say
from airmass.data.formats.layout import minute
from airmass.data.formats.store import open_store, require_times
from airmass.evaluation.evaluate import write_scores
from airmass.evaluation.inputs import VerificationData, open_verification
from airmass.evaluation.request import EvaluationRequest, VerificationRequest
from airmass.evaluation.restart import stamps
from airmass.evaluation.scores import ScoreTable
from airmass.evaluation.scoring import VariableScores, joined, score_variable
from airmass.evaluation.workers import Piece, read_piece, write_piece
from airmass.forecasting.forecast import ResolvedForecast, forecast, resolve
from airmass.forecasting.request import ForecastRequest


def forecast_and_score(request: ForecastRequest, console: Console) -> ScoreTable:
    """Score a forecast against `request.score_against`, initial time by initial time; write `request.output`.

    Raises InputError before the first forecast if truth lacks one of the times.
    """
    truth, out = request.score_against, request.output
    if truth is None:
        raise InputError("expected a store of truth to score against")
    refuse_existing(out, request.initial, truth)
    plan = resolve(replace(request, out=out.with_name(f"{out.name}.zarr"), score_against=None))
    _require_truth(plan, truth)
    with made_parents(out), alone(out):
        folder = out.with_name(f".{out.name}.scoring-{_digest(plan, request)}")
        for other in out.parent.glob(f".{out.name}.scoring-*"):
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(exist_ok=True)
        try:
            data, scores = _scored(plan, request, truth, folder, console)
        except InputError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        scored = EvaluationRequest(forecasts=(folder,), truth=truth, out=out)
        table = write_scores(data, scores, scored, console)
        shutil.rmtree(folder)
    return table


def _scored(
    plan: ResolvedForecast, request: ForecastRequest, truth: str, folder: Path, console: Console
) -> tuple[VerificationData, dict[str, VariableScores]]:
    """Scores of every variable over all initial times, and inputs that stand for all of them."""
    data: VerificationData | None = None
    held: dict[np.datetime64, dict[str, VariableScores]] = {}
    for i, init in enumerate(track(plan.inits, "Forecasting and scoring", console=console, transient=True)):
        done = _read(folder, i)
        if done and (data is not None or i + 1 < len(plan.inits)):
            held[init] = done
            continue
        store = folder / f"{i}.zarr"
        shutil.rmtree(store, ignore_errors=True)
        forecast(replace(request, out=store, init_time=(minute(init),), score_against=None))
        data = open_verification(VerificationRequest(forecasts=(store,), truth=truth))
        held[init] = {name: score_variable(data, name) for name in data.variables}
        for name, scores in held[init].items():
            write_piece(folder, Piece(name, i, i + 1), scores)
        (folder / f"{i}.json").write_text(json.dumps(list(held[init])))
        shutil.rmtree(store)
    assert data is not None
    inits = np.sort(plan.inits).astype("datetime64[ns]")
    in_order = [held[init] for init in sorted(held)]
    every = {name: joined([one[name] for one in in_order]) for name in data.variables}
    for line in data.systems[0].notes:
        say(console, line)
    return replace(data, init_times=inits), every


def _read(folder: Path, i: int) -> dict[str, VariableScores] | None:
    """Scores of an initial time that was scored before a stop; None if it was not, or not completely."""
    names = folder / f"{i}.json"
    if not names.exists():
        return None
    found = {name: read_piece(folder, Piece(name, i, i + 1)) for name in json.loads(names.read_text())}
    complete = {name: scores for name, scores in found.items() if scores is not None}
    return complete if len(complete) == len(found) else None


def _require_truth(plan: ResolvedForecast, truth: str) -> None:
    leads = np.arange(plan.steps + 1) * np.timedelta64(plan.system.task.step, "h")
    times = np.unique((plan.inits[:, None] + leads).ravel())
    require_times(open_store(truth, dask=False), truth, times)


def _digest(plan: ResolvedForecast, request: ForecastRequest) -> str:
    """Digits that change with all that determines the scores."""
    places = [place for place in (request.score_against,) if place and not is_url(place)]
    parts = [plan.settings(), __version__, [stamps(Path(place)) for place in places]]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:12]

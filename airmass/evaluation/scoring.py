"""Judging one variable: every system against truth, one initial time after another, as sums that only ever add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from airmass.core.errors import InputError
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.store import minute
from airmass.evaluation.forecasts import System
from airmass.evaluation.inputs import Frames, Judged
from airmass.evaluation.metrics import Fields, Metric, State, known_metrics
from airmass.evaluation.metrics.base import scores_of
from airmass.evaluation.metrics.rank_histogram import rank_frequencies
from airmass.fields.derived import scored

# Values handled at once, in float64: a few arrays of this size stay in cache, which is worth a factor of three.
_AT_ONCE = 1 << 16

# Of ensembles, beside the metrics: the share of each rank.
RANKS = "rank histogram"

# Sums over initial times for one system and variable, by metric; each of shape (lead_time, level, *part).
States = dict[str, State]


@dataclass(frozen=True)
class Scene:
    """What forecasts of one variable from one initial time are compared with, at some lead times."""

    lead_times: np.ndarray
    start: Float[np.ndarray, "1 level node"]
    truth: Float[np.ndarray, "lead_time level node"]
    climatology: Float[np.ndarray, "lead_time level node"] | None
    thresholds: Mapping[float, Float[np.ndarray, "lead_time level node"]]
    present: Bool[np.ndarray, "lead_time level node"] | None


def judge_variable(judged: Judged, name: str) -> dict[str, States]:
    """Scores of one variable summed over all initial times, by system."""
    total: dict[str, States] = {}
    frames = judged.truth_frames(name), judged.climatology_frames(name), judged.quantile_frames(name)
    for init_time in judged.init_times:
        for held in frames:
            if held is not None:
                held.forget_before(init_time)
        parts: dict[str, list[dict[str, np.ndarray]]] = {}
        for scene in _scenes(judged, name, init_time, *frames):
            for label, members in _candidates(judged, name, init_time, scene):
                parts.setdefault(label, []).append(_judge(judged, label, members, scene))
        for label, found in parts.items():
            new = {key: State(np.concatenate([part[key] for part in found]), 1) for key in found[0]}
            old = total.get(label)
            total[label] = new if old is None else {key: old[key] + new[key] for key in new}
    return total


def _scenes(
    judged: Judged, name: str, init_time: np.datetime64, truth: Frames, climatology: Frames | None, quantiles
) -> Iterator[Scene]:
    start = truth.at([init_time])
    for lead_times in judged.lead_blocks(name):
        times = init_time + lead_times
        expected = truth.at(times)
        normal = None if climatology is None else climatology.at(times)
        limits = {}
        if quantiles is not None:
            held = quantiles.at(times)
            limits = {quantile: held[:, i : i + 1] for i, quantile in enumerate(judged.quantiles(name))}
        yield Scene(lead_times, start, expected, normal, limits, _present(judged, name, times, expected))


def _candidates(
    judged: Judged, name: str, init_time: np.datetime64, scene: Scene
) -> Iterator[tuple[str, Float[np.ndarray, "member lead_time level node"]]]:
    """The baselines, then the systems one after another, so that the members of only one are in memory."""
    yield "persistence", np.broadcast_to(scene.start, scene.truth.shape)[None]
    if scene.climatology is not None:
        yield "climatology", scene.climatology[None]
    for system in judged.systems:
        if name in system.variables:
            members = system.read(name, init_time, scene.lead_times)
            for member in members:
                _refuse_missing(system, name, init_time, scene, member)
            yield system.name, members


def _judge(
    judged: Judged, label: str, members: Float[np.ndarray, "member lead_time level node"], scene: Scene
) -> dict[str, Float[np.ndarray, "lead_time level *part"]]:
    """Everything that is asked of one system, at the lead times of the scene."""
    metrics = _metrics(label, len(members), scene)
    blocks = [_judge_rows(metrics, fields) for fields in _blocks(members, scene, judged.weights)]
    joined = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
    return {key: values.reshape(*scene.truth.shape[:2], *values.shape[1:]) for key, values in joined.items()}


def _metrics(label: str, members: int, scene: Scene) -> dict[str, Metric]:
    """The metrics that can be had. The climatological mean is no forecast of extremes, so not one of its is judged."""
    quantiles = () if label == "climatology" else scene.thresholds
    return {
        name: metric
        for name, metric in known_metrics().items()
        if (scene.climatology is not None or not metric.needs_climatology)
        and members >= metric.least_members
        and (metric.quantile is None or metric.quantile in quantiles)
    }


def _blocks(
    members: Float[np.ndarray, "member lead_time level node"], scene: Scene, weights: np.ndarray
) -> Iterator[Fields]:
    """Rows of (lead_time, level), a few at once, in float64."""

    def rows(field, block):
        return None if field is None else field.reshape(-1, field.shape[-1])[block]

    def double(field, block):
        return None if field is None else rows(field, block).astype(np.float64)

    n, nodes = np.prod(scene.truth.shape[:2]), scene.truth.shape[-1]
    step = max(1, _AT_ONCE // (len(members) * nodes))
    for start in range(0, n, step):
        block = slice(start, start + step)
        yield Fields(
            np.stack([double(member, block) for member in members]),
            double(scene.truth, block),
            weights,
            double(scene.climatology, block),
            rows(scene.present, block),
            {quantile: double(limit, block) for quantile, limit in scene.thresholds.items()},
        )


def _judge_rows(metrics: Mapping[str, Metric], fields: Fields) -> dict[str, np.ndarray]:
    found = scores_of(metrics, fields)
    if len(fields.members) > 1:
        found[RANKS] = rank_frequencies(fields)
    return found


def _present(
    judged: Judged, name: str, valid_times: np.ndarray, truth: Float[np.ndarray, "lead_time level node"]
) -> Bool[np.ndarray, "lead_time level node"] | None:
    """Where truth has values, None if everywhere.

    A field of truth may be absent as a whole (the first accumulation of precipitation in an archive): its scores are
    undefined. One with holes is refused, unless it is of a variable that is missing over land.
    """
    present = np.isfinite(truth)
    if present.all():
        return None
    holes = present.any(-1) & ~present.all(-1)
    if holes.any() and not scored(name).missing_over_land:
        lead = np.argmax(holes.any(-1))
        count = int((~present[lead][holes[lead]]).sum())
        raise InputError(
            f"{judged.truth_path}: {name} has {count} NaN or infinite values at {minute(valid_times[lead])}; "
            "expected none"
        )
    return present


def _refuse_missing(
    system: System,
    name: str,
    init_time: np.datetime64,
    scene: Scene,
    forecast: Float[np.ndarray, "lead_time level node"],
) -> None:
    missing = ~np.isfinite(forecast)
    if scene.present is not None:
        missing &= scene.present
    counts = missing.sum(axis=(1, 2))
    if counts.any():
        lead = np.argmax(counts > 0)
        raise InputError(
            f"{system.path(init_time)}: {name} has {counts[lead]} NaN or infinite values at lead time "
            f"{hours(scene.lead_times[lead])[0]} h from {minute(init_time)}; expected none"
        )

"""Scoring loop for one variable: every system against truth, by initial time.

All systems and baselines are compared on the same initial times. If one of them lacks a value at an initial time (for
example because a frame of truth is lost), that initial time is left out for all, separately for each variable, level
and lead time; `lacking` records which and why. A baseline that lacks values at every initial time is left out itself
instead.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, UInt8

from airmass.core.errors import InputError
from airmass.data.formats.climatology import DRY
from airmass.data.formats.forecast_reader import hours
from airmass.data.formats.layout import minute
from airmass.evaluation.field_cache import FieldCache
from airmass.evaluation.forecasts import SystemForecasts, with_level_axis
from airmass.evaluation.history import LABEL as HISTORY
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics import Fields, Metric, known_metrics
from airmass.evaluation.metrics.base import scores_of
from airmass.evaluation.metrics.rank_histogram import rank_frequencies
from airmass.evaluation.metrics.seeps import Wetness
from airmass.fields.derived import VECTORS, scored

# Float64 values processed at once: a few arrays of this size fit in cache, which is three times faster.
BLOCK_VALUES = 1 << 16

# Key of the rank histogram, which ensembles have beside their metrics.
RANKS = "rank histogram"

# Sources that may lack values, as bits of one number. Without truth nothing can be scored.
TRUTH, START, CLIMATOLOGY, QUANTILES = 1, 2, 4, 8

# system -> metric -> array ([init_time,] lead_time, level, bin, *part).
Values = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class VariableScores:
    """Scores of one variable by initial time, of each system and metric, over the globe and in each region.

    `lacking` has the bits of TRUTH, START, CLIMATOLOGY and QUANTILES that lack values.
    """

    scores: Values
    lacking: UInt8[np.ndarray, "init_time lead_time level"]

    @cached_property
    def given_up(self) -> UInt8[np.ndarray, "lead_time level"]:
        """Fewest sources to do without so that at least one initial time counts, as bits; TRUTH if none counts."""
        given_up = np.full(self.lacking.shape[1:], TRUTH, np.uint8)
        for bits in sorted(np.unique(self.lacking).tolist(), key=lambda bits: (bits.bit_count(), bits)):
            if not bits & TRUTH:
                held = (self.lacking == bits).any(axis=0)
                given_up = np.where((given_up == TRUTH) & held, np.uint8(bits), given_up)
        return given_up

    @cached_property
    def counted(self) -> Bool[np.ndarray, "init_time lead_time level"]:
        """Mask of the initial times that scores are means over: those that lack just what is given up."""
        return (self.lacking == self.given_up) & (self.given_up & TRUTH == 0)

    def kept(self, system: str, metric: str) -> Float[np.ndarray, "init_time lead_time level bin *part"]:
        """Scores by initial time; NaN where the initial time does not count."""
        values = self.scores[system][metric]
        return np.where(_beside(self.counted, values), values, np.nan)

    def mean(
        self, system: str, metric: str, dates: Bool[np.ndarray, "init_time lead_time"] | None = None
    ) -> Float[np.ndarray, "lead_time level bin *part"]:
        """Mean over the initial times that count, of these `dates` only; NaN if there are none."""
        values = self.scores[system][metric]
        where = self.counted if dates is None else self.counted & dates[..., None]
        count = _beside(where.sum(axis=0), values[0])
        total = np.where(_beside(where, values), values, 0.0).sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def values(
        self, dates: Bool[np.ndarray, "init_time lead_time"] | None = None
    ) -> Iterator[tuple[str, str, Float[np.ndarray, "lead_time level bin"]]]:
        """Yield (system, metric, values), NaN where undefined."""
        metrics = known_metrics()
        for system, by_metric in self.scores.items():
            for metric in by_metric:
                if metric != RANKS:
                    yield system, metric, metrics[metric].finish(self.mean(system, metric, dates))


@dataclass(frozen=True)
class VerificationCase:
    """Truth and baselines for the forecasts of one variable from one initial time, at some lead times."""

    lead_times: np.ndarray
    start: Float[np.ndarray, "1 level node"]
    truth: Float[np.ndarray, "lead_time level node"]
    climatology: Float[np.ndarray, "lead_time level node"] | None
    thresholds: Mapping[float, Float[np.ndarray, "lead_time level node"]]
    present: Bool[np.ndarray, "lead_time level node"] | None
    lacking: UInt8[np.ndarray, "lead_time level"]
    wetness: Wetness | None = None

    def wetness_of(self, rows: slice) -> Wetness | None:
        """The climatology of precipitation at some lead times, in float64."""
        if self.wetness is None:
            return None
        return replace(self.wetness, heavy=self.wetness.heavy[rows].astype(np.float64))


def score_variable(data: VerificationData, name: str, init_times: np.ndarray | None = None) -> VariableScores:
    """Score one variable of every system, over all initial times or those given."""
    init_times = data.init_times if init_times is None else init_times
    scores, lacking = [], []
    frames = frames_of(data, name)
    for init_time in init_times:
        frames.forget_before(init_time)
        parts: dict[str, list[dict[str, np.ndarray]]] = {}
        found = []
        for case in cases(data, name, init_time, frames, data.lead_blocks(name)):
            found.append(case.lacking)
            for label, members in candidates(data, name, init_time, case):
                parts.setdefault(label, []).append(_score(data, name, label, members, case))
        lacking.append(np.concatenate(found))
        scores.append({label: _joined(blocks) for label, blocks in parts.items()})
    return VariableScores(stacked(scores), np.stack(lacking))


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def stacked(scores: Sequence[Values]) -> Values:
    """Scores of several initial times, along a new first axis."""
    return {
        label: {key: np.stack([one[label][key] for one in scores]) for key in by_metric}
        for label, by_metric in scores[0].items()
    }


def joined(parts: Sequence[VariableScores]) -> VariableScores:
    """Scores of the initial times of all parts, in the order given."""
    scores = {
        label: {key: np.concatenate([part.scores[label][key] for part in parts]) for key in by_metric}
        for label, by_metric in parts[0].scores.items()
    }
    return VariableScores(scores, np.concatenate([part.lacking for part in parts]))


def with_vectors(scores: Mapping[str, VariableScores]) -> dict[str, VariableScores]:
    """Scores of the variables, and of the wind vectors whose two components were scored."""
    found = dict(scores)
    for name, (_, parts) in VECTORS.items():
        if all(part in scores for part in parts):
            u, v = (scores[part] for part in parts)
            shared = [system for system in u.scores if system in v.scores]
            errors = {s: {"vector_rmse": u.scores[s]["rmse"] + v.scores[s]["rmse"]} for s in shared}
            found[name] = VariableScores(errors, u.lacking | v.lacking)
    return found


def _beside(a: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Reshape ([init_time,] lead_time, level) to broadcast against `values`, which has more axes after these."""
    return a.reshape(*a.shape, *(1,) * (values.ndim - a.ndim))


@dataclass(frozen=True)
class Sources:
    """Truth, climatology and quantiles of one variable by valid time."""

    truth: FieldCache
    climatology: FieldCache | None
    quantiles: FieldCache | None
    heavy: FieldCache | None
    dry_fraction: Float[np.ndarray, " place"] | None

    def forget_before(self, time: np.datetime64) -> None:
        for held in (self.truth, self.climatology, self.quantiles, self.heavy):
            if held is not None:
                held.forget_before(time)


def frames_of(data: VerificationData, name: str) -> Sources:
    dry, heavy = data.wetness(name)
    return Sources(data.truth_frames(name), data.climatology_frames(name), data.quantile_frames(name), heavy, dry)


def cases(
    data: VerificationData, name: str, init_time: np.datetime64, sources: Sources, lead_blocks: Iterable[np.ndarray]
) -> Iterator[VerificationCase]:
    """Yield truth and baselines from one initial time, for each block of lead times."""
    truth, climatology, quantiles = sources.truth, sources.climatology, sources.quantiles
    start, at_start = truth.at([init_time]), truth.present_at([init_time])
    for lead_times in lead_blocks:
        times = init_time + lead_times
        expected, present = truth.at(times), truth.present_at(times)
        if data.stations is None:
            _refuse_holes(data, name, times, present)
        normal = None if climatology is None else climatology.at(times)
        limits = {}
        if quantiles is not None:
            held = quantiles.at(times)
            limits = {quantile: held[:, i : i + 1] for i, quantile in enumerate(data.quantiles(name))}
        others = {
            START: at_start if data.stations is None else None,
            CLIMATOLOGY: None if climatology is None else climatology.present_at(times),
            QUANTILES: None if quantiles is None else _at_every_quantile(quantiles.present_at(times)),
        }
        lacking = _lacking(expected.shape[:2], present, others)
        wetness = None
        if sources.heavy is not None and sources.dry_fraction is not None:
            wetness = Wetness(DRY[name], sources.dry_fraction, sources.heavy.at(times)[:, 0])
        yield VerificationCase(lead_times, start, expected, normal, limits, present, lacking, wetness)


def _lacking(
    shape: tuple[int, ...],
    present: Bool[np.ndarray, "lead_time level node"] | None,
    others: Mapping[int, Bool[np.ndarray, "lead_time level node"] | None],
) -> UInt8[np.ndarray, "lead_time level"]:
    """Bits of the sources that lack values: TRUTH where it has none, others where truth has values and they do not."""
    lacking = np.zeros(shape, np.uint8)
    if present is not None:
        lacking[~present.any(axis=-1)] = TRUTH
    for bit, held in others.items():
        if held is not None:
            lacks = ~held if present is None else present & ~held
            lacking |= np.where(lacks.any(axis=-1), bit, 0).astype(np.uint8)
    return lacking


def _at_every_quantile(present: np.ndarray | None) -> Bool[np.ndarray, "lead_time 1 node"] | None:
    return None if present is None else np.asarray(present.all(axis=1, keepdims=True))


def candidates(
    data: VerificationData, name: str, init_time: np.datetime64, case: VerificationCase
) -> Iterator[tuple[str, Float[np.ndarray, "member lead_time level node"]]]:
    """Yield the baselines, then each system, so that the members of only one system are in memory."""
    if data.stations is None:
        yield "persistence", np.broadcast_to(case.start, case.truth.shape)[None]
    if case.climatology is not None:
        yield "climatology", case.climatology[None]
    if data.history is not None:
        past = data.history.read(name, init_time + case.lead_times)
        yield HISTORY, np.stack([data.placed(name, with_level_axis(name, member)) for member in past])
    for system in data.systems:
        if name in system.variables:
            members = data.placed(name, system.read(name, init_time, case.lead_times))
            for member in members:
                _refuse_missing(system, name, init_time, case, member)
            yield system.name, members


def _score(
    data: VerificationData,
    name: str,
    label: str,
    members: Float[np.ndarray, "member lead_time level node"],
    case: VerificationCase,
) -> dict[str, Float[np.ndarray, "lead_time level bin *part"]]:
    """Scores of one system at the lead times of the case, by metric."""
    metrics = metrics_for(data, name, label, len(members), case)
    blocks = [_score_rows(metrics, fields) for fields in _blocks(data, members, case)]
    joined = _joined(blocks)
    return {key: values.reshape(*case.truth.shape[:2], *values.shape[1:]) for key, values in joined.items()}


def metrics_for(
    data: VerificationData, name: str, label: str, members: int, case: VerificationCase
) -> dict[str, Metric]:
    """Metrics that can be computed. The climatological mean has no anomaly and does not forecast extremes."""
    normal, known = label == "climatology", known_metrics()
    return {
        key: metric
        for key, metric in ((key, known[key]) for key in data.metrics)
        if (not metric.needs_climatology or (case.climatology is not None and not normal))
        and members >= metric.least_members
        and (metric.variables is None or name in metric.variables)
        and (not metric.needs_grid or data.stations is None)
        and (metric.quantile is None or (metric.quantile in case.thresholds and not normal))
        and (not metric.needs_wetness or case.wetness is not None)
        and (not metric.needs_quantiles or (len(case.thresholds) > 1 and not normal))
    }


def _blocks(
    data: VerificationData, members: Float[np.ndarray, "member lead_time level node"], case: VerificationCase
) -> Iterator[Fields]:
    """Yield a few rows of (lead_time, level) at once, in float64."""

    def rows(field, block):
        return None if field is None else field.reshape(-1, field.shape[-1])[block]

    def double(field, block):
        return None if field is None else rows(field, block).astype(np.float64)

    n, nodes = np.prod(case.truth.shape[:2]), case.truth.shape[-1]
    step = max(1, BLOCK_VALUES // (len(members) * nodes))
    for start in range(0, n, step):
        block = slice(start, start + step)
        yield Fields(
            np.stack([double(member, block) for member in members]),
            double(case.truth, block),
            data.weights,
            double(case.climatology, block),
            rows(case.present, block),
            {quantile: double(limit, block) for quantile, limit in case.thresholds.items()},
            data.grid,
            case.wetness_of(block),
        )


def _score_rows(metrics: Mapping[str, Metric], fields: Fields) -> dict[str, np.ndarray]:
    found = scores_of(metrics, fields)
    if len(fields.members) > 1:
        found[RANKS] = rank_frequencies(fields)
    return found


def _refuse_holes(
    data: VerificationData,
    name: str,
    valid_times: np.ndarray,
    present: Bool[np.ndarray, "lead_time level node"] | None,
) -> None:
    """Raise InputError for a field of truth with some values missing, unless the variable is missing over land.

    A field that is missing as a whole (a lost frame, the first accumulation of precipitation in an archive) is left
    out.
    """
    if present is None or scored(name).missing_over_land:
        return
    holes = np.asarray(present.any(-1) & ~present.all(-1))
    if holes.any():
        lead = np.argmax(holes.any(-1))
        count = int((~present[lead][holes[lead]]).sum())
        raise InputError(
            f"{data.truth_path}: {name} has {count} NaN or infinite values at {minute(valid_times[lead])}; "
            "expected none"
        )


def _refuse_missing(
    system: SystemForecasts,
    name: str,
    init_time: np.datetime64,
    case: VerificationCase,
    forecast: Float[np.ndarray, "lead_time level node"],
) -> None:
    missing = ~np.isfinite(forecast)
    if case.present is not None:
        missing &= case.present
    counts = missing.sum(axis=(1, 2))
    if counts.any():
        lead = np.argmax(counts > 0)
        raise InputError(
            f"{system.path(init_time)}: {name} has {counts[lead]} NaN or infinite values at lead time "
            f"{hours(case.lead_times[lead])[0]} h from {minute(init_time)}; expected none"
        )

"""Scores on disk and in memory, and the headline fields and lead times.

A scores folder holds `scores.json`, for ensembles `rank_histograms.json` and, where extremes are scored,
`event_tables.json`, and `spectra.json` if spectra were requested.
Each is a flat list of objects. `evaluation.json` records what was compared.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.core.strict_json import read_json
from airmass.core.typed import Form, Range
from airmass.evaluation.metrics import Metric, known_metrics
from airmass.evaluation.metrics.events import EVENTS, PROBABILITIES
from airmass.fields.derived import is_scored, scored
from airmass.fields.variables import variable_at_level

# Fields and lead times of WeatherBench 2's scorecards, and 6 h, the error after one step.
HEADLINE_FIELDS = ("z500", "t850", "u850", "q700", "2t", "msl", "10u", "tp")
HEADLINE_HOURS = (6, 24, 72, 120, 240)
BASELINES = ("persistence", "climatology", "probabilistic_climatology")

SCORES, RANK_HISTOGRAMS, SPECTRA = "scores.json", "rank_histograms.json", "spectra.json"
EVENT_TABLES = "event_tables.json"
EVALUATION = "evaluation.json"

# Units in which errors are shown, if not those on disk: (factor, units, decimals).
_QUOTED = {
    "specific_humidity": (1e3, "g/kg", 3),
    "mean_sea_level_pressure": (1e-2, "hPa", 2),
    "surface_pressure": (1e-2, "hPa", 2),
    "total_precipitation_6hr": (1e3, "mm", 3),
    "total_precipitation_12hr": (1e3, "mm", 3),
    "geopotential": (1.0, "m²/s²", 0),
    "vertical_velocity": (1.0, "Pa/s", 3),
}
_PLAIN = {"m s-1": "m/s", "J m-2": "J/m²"}

# What a score is the mean over: region and period, None for the globe and for all dates.
Part = tuple[str | None, str | None]
WHOLE: Part = (None, None)


Level = Annotated[int, Range(1, 2000)]
# Up to ten years, so that plots against lead time stay finite in size.
Hours = Annotated[float, Range(0, 87_840)]
Finite = Annotated[float, Range()]
Minute = Annotated[str, Form(r"\d{4}-\d\d-\d\dT\d\d:\d\d", "a time such as 2020-01-31T12:00")]


@dataclass(frozen=True)
class Score:
    """One value of one metric: `level` in hPa, None for a field not on levels; `value` in the units on disk.

    It is a mean over the `region`, or the globe, and over the initial times whose valid time is in the `period`, or
    all. `low` and `high` are ends of a confidence interval, if it was asked for.
    """

    system: str
    variable: str
    level: Level | None
    lead_time_hours: Hours
    metric: str
    value: Finite
    region: str | None = None
    period: str | None = None
    low: Finite | None = None
    high: Finite | None = None

    @property
    def part(self) -> Part:
        return self.region, self.period


@dataclass(frozen=True)
class RankHistogram:
    """Share of the area where truth lies above 0, 1, ... m of an ensemble's m members; shares sum to 1.

    `slope` is above 0 where truth is too often above the members (they are too low), `curvature` where it is too often
    outside (too little spread); both are 0 if the histogram is flat, and `slope_p` and `curvature_p` are the
    probabilities of such values then.
    """

    system: str
    variable: str
    level: Level | None
    lead_time_hours: Hours
    shares: list[Annotated[float, Range(0, 1.001)]]
    slope: Finite | None = None
    slope_p: Annotated[float, Range(0, 1)] | None = None
    curvature: Finite | None = None
    curvature_p: Annotated[float, Range(0, 1)] | None = None


@dataclass(frozen=True)
class EventTable:
    """Probability forecasts of an event, by class of forecast probability (0, 0.1, ... 1), over the globe.

    `area` is the share of the area and dates in each class, `probability` and `occurrence` that area times the mean
    forecast probability and times the observed frequency. ROC, reliability and economic value follow from it.
    """

    system: str
    variable: str
    level: Level | None
    lead_time_hours: Hours
    event: str
    area: list[Annotated[float, Range(0, 1.001)]]
    probability: list[Annotated[float, Range(0, 1.001)]]
    occurrence: list[Annotated[float, Range(0, 1.001)]]


@dataclass(frozen=True)
class Spectrum:
    """Zonal power by wavenumber from 0, area-weighted from 60°S to 60°N, mean over initial times, in squared units.

    For an ensemble it is the mean of its members' spectra or, with `of_mean`, the spectrum of the ensemble mean.
    The system "truth" is the truth. `ratio` is power / power of the truth, `error` the power of forecast - truth, and
    `coherence` the squared coherence of both (the share of variance in common, phases apart); None where a power is 0.
    The effective resolution is the greatest wavenumber up to which ratio and coherence are at least one half.
    """

    system: str
    variable: str
    level: Level | None
    lead_time_hours: Hours
    of_mean: bool
    power: list[Annotated[float, Range(0)]]
    ratio: list[Finite | None]
    error: list[Annotated[float, Range(0)]] | None = None
    coherence: list[Annotated[float, Range(0, 1.001)] | None] | None = None
    resolved_wavenumber: Annotated[int, Range(0)] | None = None
    coherent_wavenumber: Annotated[int, Range(0)] | None = None


@dataclass(frozen=True)
class LeftOut:
    """Missing scores of one variable at one lead time: all scores of some initial times, or only `what`.

    `levels` are the affected levels in hPa, None for a variable without levels.
    """

    variable: str
    levels: list[Level] | None
    lead_time_hours: Hours
    init_times: list[Minute]
    what: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """Record of an evaluation: what was compared, and what was left out, as sentences and as values."""

    forecasts: dict[str, list[str]]
    truth: str
    grid: str
    lead_time_hours: list[Hours]
    init_times: list[Minute]
    climatology: str | None = None
    regions: list[str] = field(default_factory=list)
    by: str | None = None
    members: dict[str, Annotated[int, Range(1)]] = field(default_factory=dict)
    extremes: dict[str, list[Annotated[float, Range(0, 1)]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    left_out_values: list[LeftOut] = field(default_factory=list)
    airmass_version: str = ""


Kept = TypeVar("Kept", Score, RankHistogram, EventTable, Spectrum)


@dataclass(frozen=True)
class Quoted:
    """Display units of a variable's errors: multiply by `factor`, show `decimals` decimals, then `units`."""

    factor: float
    units: str
    decimals: int

    def text(self, value: float) -> str:
        return f"{value * self.factor:z.{self.decimals}f}"


NO_UNITS = Quoted(1.0, "", 3)


def shown(metric: str, name: str) -> Quoted:
    """Display units of a metric of a variable: the variable's, their square, or none."""
    known = known_metrics()[metric]
    units = quoted(name) if known.in_units else NO_UNITS
    if known.units_power == 1:
        return units
    return Quoted(units.factor**known.units_power, f"({units.units})²", units.decimals)


def units_of(metric: str, name: str) -> str:
    """Units of a metric of a variable on disk."""
    known, units = known_metrics()[metric], scored(name).units
    if not known.in_units or units == "1":
        return "1"
    return units if known.units_power == 1 else f"({units}){known.units_power}"


def quoted(name: str) -> Quoted:
    """Display units of a variable's errors."""
    units = scored(name).units
    return Quoted(*_QUOTED.get(name, (1.0, _PLAIN.get(units, units), 2)))


class ScoreTable:
    """Scores over one region and period, looked up by (system, variable, level, lead time in hours, metric).

    `all_scores` has those of all regions and periods, `scores` those of the part: the globe and all dates by default.
    """

    def __init__(self, scores: Iterable[Score], part: Part = WHOLE):
        self.all_scores = tuple(scores)
        self.scores = tuple(score for score in self.all_scores if score.part == part)
        self.part = part
        self._found = {(s.system, s.variable, s.level, s.lead_time_hours, s.metric): s for s in self.scores}

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Regions and periods of the scores, the globe and all dates first."""
        return tuple(dict.fromkeys((WHOLE, *(score.part for score in self.all_scores))))

    def over(self, part: Part) -> "ScoreTable":
        """The scores of another region or period."""
        return ScoreTable(self.all_scores, part)

    @cached_property
    def systems(self) -> tuple[str, ...]:
        """Models in alphabetical order, then the baselines."""
        found = {score.system for score in self.scores}
        return (*sorted(found - set(BASELINES)), *(name for name in BASELINES if name in found))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        return tuple(sorted({score.metric for score in self.scores}))

    @cached_property
    def headline_metrics(self) -> tuple[Metric, ...]:
        """Metrics to show first, in their order; those of ensembles only if there is one."""
        ensemble = "spread" in self.metrics
        known = [known_metrics()[name] for name in self.metrics]
        found = [m for m in known if m.headline is not None and (ensemble or not m.ensemble)]
        return tuple(sorted(found, key=lambda metric: metric.headline or 0))

    @cached_property
    def channels(self) -> tuple[tuple[str, int | None], ...]:
        """All scored (variable, level), sorted by name, then by pressure."""
        found = {(score.variable, score.level) for score in self.scores}
        return tuple(sorted(found, key=lambda channel: (channel[0], channel[1] or 0)))

    @cached_property
    def hours(self) -> tuple[float, ...]:
        return tuple(sorted({score.lead_time_hours for score in self.scores}))

    @cached_property
    def headline_hours(self) -> tuple[float, ...]:
        """Headline lead times that were scored; all lead times if none of them was."""
        return tuple(hour for hour in self.hours if hour in HEADLINE_HOURS) or self.hours

    def headline_fields(self, fields: Sequence[str] = HEADLINE_FIELDS) -> dict[str, tuple[str, int | None]]:
        """Field name -> (variable, level), for those of the given fields that were scored."""
        channels = set(self.channels)
        known = {text: (found.name, level) for text, (found, level) in ((t, variable_at_level(t)) for t in fields)}
        return {text: channel for text, channel in known.items() if channel in channels}

    def value(self, system: str, channel: tuple[str, int | None], hour: float, metric: str) -> float | None:
        """One value; None if it is undefined or was not scored."""
        found = self.find(system, channel, hour, metric)
        return None if found is None else found.value

    def find(self, system: str, channel: tuple[str, int | None], hour: float, metric: str) -> Score | None:
        return self._found.get((system, *channel, hour, metric))

    def curve(self, system: str, channel: tuple[str, int | None], metric: str) -> tuple[list[float], list[float]]:
        """Lead times in hours, and the values of the metric, where it is defined."""
        points = [(hour, self.value(system, channel, hour, metric)) for hour in self.hours]
        defined = [(hour, value) for hour, value in points if value is not None]
        return [hour for hour, _ in defined], [value for _, value in defined]

    def to_json(self) -> str:
        """JSON of the scores, which must all be finite: JSON has no NaN."""
        return to_json(self.all_scores)


def to_json(kept: Iterable[Any]) -> str:
    """JSON of a flat list of dataclass objects, one per line, without the optional values that are absent."""
    return "[\n" + ",\n".join(json.dumps(_present(one), allow_nan=False) for one in kept) + "\n]\n"


def _present(one: Any) -> dict[str, object]:
    optional = _optional(one.__class__)
    return {name: value for name, value in vars(one).items() if value is not None or name not in optional}


@cache
def _optional(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind) if field.default is None)


def scores_folder(place: str | Path) -> Path:
    """Scores folder, from its own path or that of its `scores.json`."""
    path = local_path(place, "scores")
    return path.parent if path.name == SCORES and path.is_file() else path


def read_scores(path: str | Path) -> ScoreTable:
    """Read `scores.json`. Raises InputError for a missing or invalid file, and for a repeated score."""
    table = ScoreTable(_read(path, Score))
    if not table.scores:
        raise InputError(f"{path}: holds no scores")
    for i, score in enumerate(table.scores):
        if score.metric not in known_metrics():
            raise InputError(f"{path}: [{i}].metric is {score.metric!r}, expected one of {', '.join(known_metrics())}")
    return table


def read_rank_histograms(folder: str | Path) -> list[RankHistogram]:
    """Read the rank histograms of a scores folder, if any. Raises InputError for an invalid file."""
    path = Path(folder) / RANK_HISTOGRAMS
    found = _read(path, RankHistogram) if path.exists() else []
    for i, histogram in enumerate(found):
        if len(histogram.shares) < 2 or not math.isclose(sum(histogram.shares), 1, abs_tol=1e-3):
            raise InputError(f"{path}: [{i}].shares are {histogram.shares}, expected two or more that add up to 1")
    return found


def read_event_tables(folder: str | Path) -> list[EventTable]:
    """Read the probability tables of events of a scores folder, if any. Raises InputError for an invalid file."""
    path = Path(folder) / EVENT_TABLES
    found = _read(path, EventTable) if path.exists() else []
    for i, table in enumerate(found):
        sizes = {name: len(getattr(table, name)) for name in ("area", "probability", "occurrence")}
        if set(sizes.values()) != {PROBABILITIES}:
            raise InputError(f"{path}: [{i}] has {sizes}, expected {PROBABILITIES} values each")
        if table.event not in {event.name for event in EVENTS}:
            raise InputError(f"{path}: [{i}].event is {table.event!r}, which is no event that is scored")
    return found


def read_spectra(folder: str | Path) -> list[Spectrum]:
    """Read the spectra of a scores folder, if any. Raises InputError for an invalid file."""
    path = Path(folder) / SPECTRA
    found = _read(path, Spectrum) if path.exists() else []
    for i, spectrum in enumerate(found):
        sizes = len(spectrum.power), len(spectrum.ratio)
        if sizes[0] < 2 or sizes[0] != sizes[1]:
            raise InputError(
                f"{path}: [{i}] has {sizes[0]} powers and {sizes[1]} ratios, expected as many, two or more"
            )
        for name in ("error", "coherence"):
            if (held := getattr(spectrum, name)) is not None and len(held) != sizes[0]:
                raise InputError(f"{path}: [{i}].{name} has {len(held)} values, expected {sizes[0]}, one a wavenumber")
    return found


def read_evaluation(folder: str | Path) -> Evaluation | None:
    """Read the record of an evaluation; None if the folder has only scores."""
    path = Path(folder) / EVALUATION
    return read_json(path, Evaluation) if path.exists() else None


def _read(path: str | Path, kind: type[Kept]) -> list[Kept]:
    found: list[Kept] = read_json(path, list[kind])  # type: ignore[valid-type]
    problems: dict[tuple, str | None] = {}
    keys: set[tuple] = set()
    one: Score | RankHistogram | EventTable | Spectrum
    for i, one in enumerate(found):
        named: tuple = (one.system, one.variable, one.level)
        if named not in problems:
            problems[named] = _problem(one)
        if problem := problems[named]:
            raise InputError(f"{path}: [{i}].{problem}")
        key = *named, one.lead_time_hours, *_rest_of_key(one)
        if key in keys:
            raise InputError(f"{path}: [{i}] stands there twice: {_in_words(key)}")
        keys.add(key)
    return found


def _problem(one: Score | RankHistogram | EventTable | Spectrum) -> str | None:
    """Problem of a record, beginning with the name of its field; None for a valid one."""
    if not one.system:
        return "system is empty, expected a name"
    if not is_scored(one.variable):
        return f"variable is {one.variable!r}, which is not in the table of variables (ERA5 long names)"
    if scored(one.variable).on_levels != (one.level is not None):
        return f"level is {one.level}, expected {'hPa' if one.level is None else 'null'} for {one.variable}"
    return None


def _rest_of_key(one: Score | RankHistogram | EventTable | Spectrum) -> tuple:
    """Values that identify a record beside its system, variable, level and lead time."""
    if isinstance(one, Score):
        return one.metric, one.region, one.period
    if isinstance(one, EventTable):
        return (one.event,)
    return ("of the mean" if one.of_mean else "of members",) if isinstance(one, Spectrum) else ()


def _in_words(key: tuple) -> str:
    system, variable, level, hours, *rest = key
    return ", ".join(map(str, (system, variable, level, f"{hours:g} h", *(text for text in rest if text is not None))))

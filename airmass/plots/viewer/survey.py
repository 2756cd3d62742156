"""What a page must know of every field before its values: units, step of rounding, colours; from a sample of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from airmass.plots.style import Style
from airmass.plots.viewer.colours import difference_scale, probability_scale, safe_style, scale, spread_scale
from airmass.plots.viewer.packing import step_for
from airmass.plots.viewer.sources import Contents, ForecastSource, TruthSource, ViewField, holds

# Numbers that a field's range is divided into, by how many values a page holds at most with so many.
_LEVELS = ((15e6, 2000), (100e6, 500), (np.inf, 250))
_MOST_MEMBERS = 8
_SPEED = Style("m/s", colours="viridis")


@dataclass(frozen=True)
class Sample:
    """Frames of one field in display units, and how far apart members, and mean and truth, are in them."""

    values: np.ndarray
    difference: float
    spread: float


def levels_for(values: int) -> int:
    """Number of steps of a field's range, in a page of so many values."""
    return next(levels for most, levels in _LEVELS if values <= most)


def described(contents: Contents, times: int) -> list[dict[str, Any]]:
    """Records of all fields for the page, from up to `times` frames of each source, and of the winds' speeds."""
    levels = levels_for(contents.values)
    samples = {field: _sample(contents, field, times) for field in contents.fields}
    records = [_record(field, sample, levels) for field, sample in samples.items()]
    return records + [_speed(level, u, v, samples) for level, u, v in winds(contents)]


def winds(contents: Contents) -> Iterator[tuple[str, ViewField, ViewField]]:
    """Place (`10 m`, `850 hPa`) and components of every wind that all sources with one component hold whole."""
    by_key = {field.key: field for field in contents.fields}
    for key, field in by_key.items():
        other = by_key.get({"10u": "10v", "100u": "100v"}.get(key, "v" + key[1:] if key.startswith("u") else ""))
        if other is not None and other.variable.short_name in ("v", "10v", "100v"):
            place = f"{field.level} hPa" if field.level is not None else f"{key.rstrip('u')} m"
            yield place, field, other


def _record(field: ViewField, sample: Sample, levels: int) -> dict[str, Any]:
    style = safe_style(field.variable)
    finite = sample.values[np.isfinite(sample.values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    return {
        "key": field.key,
        "variable": field.variable.name.replace("_", " "),
        "level": field.level,
        "title": field.title,
        "units": style.units,
        "difference_units": style.difference_units,
        "isolines": style.isolines,
        "step": step_for(low, high, levels),
        "sum": field.variable.accumulation_hours > 0,
        **_scales(style, sample),
    }


def _scales(style: Style, sample: Sample) -> dict[str, Any]:
    return {
        "scale": scale(style, sample.values),
        "difference": difference_scale(sample.difference),
        "spread": spread_scale(sample.spread),
        "probability": probability_scale(),
    }


def _speed(place: str, u: ViewField, v: ViewField, samples: dict[ViewField, Sample]) -> dict[str, Any]:
    """Record of a wind's speed, which the page computes from the components of every member."""
    parts = samples[u], samples[v]
    size = min(len(part.values) for part in parts)
    speed = np.hypot(parts[0].values[:size], parts[1].values[:size])
    apart = {name: float(np.hypot(*(getattr(part, name) for part in parts))) for name in ("difference", "spread")}
    return {
        "key": f"wind{u.level or u.key.rstrip('u') + 'm'}",
        "variable": "wind speed",
        "level": u.level,
        "title": f"Wind speed at {place}",
        "units": "m/s",
        "difference_units": "m/s",
        "isolines": 0.0,
        "parts": [u.key, v.key],
        "sum": False,
        **_scales(_SPEED, Sample(speed, **apart)),
    }


def _sample(contents: Contents, field: ViewField, times: int) -> Sample:
    style, values, differences, spreads = safe_style(field.variable), [], [], []
    for source in contents.forecasts:
        if not holds(source, field):
            continue
        for lead in _some(source.shape[1], times):
            members = style.shown(source.read_frame(field, 0, lead, _MOST_MEMBERS)[:, 0])
            values.append(members)
            if len(members) > 1:
                spreads.append(members.std(0, ddof=1))
            truth = _truth_at(contents.truth, field, source, lead)
            if truth is not None:
                differences.append(np.abs(members.mean(0) - style.shown(truth)))
    sampled = np.concatenate([value.ravel() for value in values])
    reach = float(np.nanpercentile(sampled, 99) - np.nanpercentile(sampled, 1)) if np.isfinite(sampled).any() else 1.0
    return Sample(sampled, _large(differences, reach), _large(spreads, reach / 4))


def _truth_at(truth: TruthSource | None, field: ViewField, source: ForecastSource, lead: int) -> np.ndarray | None:
    if truth is None or not holds(truth, field):
        return None
    index = np.flatnonzero(truth.times == source.init_times[0] + source.dataset.lead_time.values[lead])
    return truth.read_frame(field, 0, int(index[0]))[0, 0] if index.size else None


def _large(fields: list[np.ndarray], otherwise: float) -> float:
    """A size that few values exceed."""
    held = np.concatenate([field[np.isfinite(field)] for field in fields]) if fields else np.array([])
    found = float(np.percentile(held, 99.5)) if held.size else 0.0
    return found if found > 0 else max(otherwise, 1e-6)


def _some(count: int, wanted: int) -> list[int]:
    """Indices spread over a range, with its last."""
    return sorted({int(index) for index in np.linspace(count - 1, 0, min(wanted, count)).round()})

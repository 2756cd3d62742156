"""Maps of scores: the same metrics at every grid point, as means over initial times."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from airmass.data.formats.forecast_reader import hours
from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics import Metric, known_metrics
from airmass.evaluation.metrics.base import NodeFields, scores_of
from airmass.evaluation.scores import units_of
from airmass.evaluation.scoring import VerificationCase, candidates, cases, frames_of, metrics_for
from airmass.fields.derived import scored

MAPS, STATION_SCORES = "maps.nc", "stations.csv"

_Channel = tuple[str, int | None]
# (system, metric) -> sum over initial times, and their number, (2, lead_time, level, node, *part).
_Sums = dict[tuple[str, str], np.ndarray]


def score_maps(
    data: VerificationData,
    channels: Mapping[str, _Channel],
    counted: Mapping[str, Bool[np.ndarray, "init_time lead_time level"]],
) -> xr.Dataset:
    """Maps of the mapped metrics of the given (variable, level) at `data.maps_lead_times`.

    Variables are named `rmse_z500`, with dims (system, lead_time, latitude, longitude) and the units of the metric;
    NaN where a metric is undefined. Means are over the initial times that count for the scores and have a value.
    """
    found: dict[str, xr.DataArray] = {}
    for label, name, level, metric, by_system in _means(data, channels, counted):
        known = known_metrics()[metric]
        values = np.stack([value for value, _ in by_system.values()]).reshape(len(by_system), -1, *data.grid.shape)
        about: dict[str, Any] = {"long_name": f"{known.title} of {scored(name).name.replace('_', ' ')}"}
        about |= {"units": units_of(metric, name), "variable": name, "metric": metric}
        about |= {} if level is None else {"level_hpa": level}
        dims = ("system", "lead_time", "latitude", "longitude")
        found[f"{metric}_{label}"] = xr.DataArray(
            values.astype(np.float32), dims=dims, coords={"system": list(by_system)}, attrs=about
        )
    coords = {
        "lead_time": data.maps_lead_times,
        "latitude": ("latitude", data.grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", data.grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    systems = list(dict.fromkeys(str(system) for a in found.values() for system in a.system.values))
    return xr.Dataset(found, {"system": systems, **coords}, {"Conventions": "CF-1.11"})


def station_scores(
    data: VerificationData,
    channels: Mapping[str, _Channel],
    counted: Mapping[str, Bool[np.ndarray, "init_time lead_time level"]],
) -> Iterator[dict[str, object]]:
    """Yield scores by station, as rows of a table with its position and the number of initial times."""
    at = data.stations
    assert at is not None
    for _, name, level, metric, by_system in _means(data, channels, counted):
        for system, (values, count) in by_system.items():
            for lead, place in np.argwhere(np.isfinite(values)).tolist():
                yield {
                    "station": at.names[place], "latitude": at.latitude[place], "longitude": at.longitude[place],
                    "height": at.height[place], "system": system, "variable": name, "level": level,
                    "lead_time_hours": hours(data.maps_lead_times)[lead], "metric": metric,
                    "value": values[lead, place], "init_times": int(count[lead, place]),
                }  # fmt: skip


def _means(
    data: VerificationData,
    channels: Mapping[str, _Channel],
    counted: Mapping[str, Bool[np.ndarray, "init_time lead_time level"]],
) -> Iterator[tuple[str, str, int | None, str, dict[str, tuple[np.ndarray, np.ndarray]]]]:
    """Yield label, variable, level and metric, and by system values (lead_time, node) and numbers of initial times."""
    for name in dict.fromkeys(name for name, _ in channels.values()):
        sums = _sums(data, name, counted[name])
        for label, level in ((label, level) for label, (other, level) in channels.items() if other == name):
            row = data.levels(name).index(level)
            for metric in dict.fromkeys(metric for _, metric in sums):
                by_system = {system: held[:, :, row] for (system, other), held in sums.items() if other == metric}
                yield (
                    label, name, level, metric,
                    {system: (_finished(known_metrics()[metric], *held), _numbers(held[1]))
                     for system, held in by_system.items()},
                )  # fmt: skip


def _finished(metric: Metric, total: np.ndarray, count: np.ndarray) -> Float[np.ndarray, "lead_time node"]:
    """The metric at every node; NaN where no initial time counts."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return metric.finish(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _numbers(count: np.ndarray) -> Float[np.ndarray, "lead_time node"]:
    return count if count.ndim == 2 else count[..., 0]


def _sums(data: VerificationData, name: str, counted: Bool[np.ndarray, "init_time lead_time level"]) -> _Sums:
    counted = counted[:, np.searchsorted(data.lead_times, data.maps_lead_times)]
    sums: _Sums = {}
    frames = frames_of(data, name)
    for init_time, at in zip(data.init_times, counted, strict=True):
        frames.forget_before(init_time)
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        for lead_time in data.maps_lead_times:
            for case in cases(data, name, init_time, frames, [np.array([lead_time])]):
                for label, members in candidates(data, name, init_time, case):
                    for metric, values in _at_nodes(data, name, label, members, case).items():
                        found.setdefault((label, metric), []).append(values)
        for key, blocks in found.items():
            values = np.concatenate(blocks)
            known = np.isfinite(values) & at.reshape(*at.shape, *(1,) * (values.ndim - 2))
            new = np.stack([np.where(known, values, 0.0), known])
            sums[key] = sums[key] + new if key in sums else new
    return sums


def _at_nodes(
    data: VerificationData, name: str, label: str, members: np.ndarray, case: VerificationCase
) -> dict[str, np.ndarray]:
    held = metrics_for(data, name, label, len(members), case)
    fields = NodeFields(
        members.astype(np.float64), case.truth.astype(np.float64), data.weights[0],
        None if case.climatology is None else case.climatology.astype(np.float64), case.present, case.thresholds,
        data.grid, case.wetness_of(slice(None)),
    )  # fmt: skip
    return scores_of({key: metric for key, metric in held.items() if metric.mapped}, fields)

"""Maps of scores: the same metrics at every grid point, as means over initial times."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from airmass.evaluation.inputs import VerificationData
from airmass.evaluation.metrics import Metric, known_metrics
from airmass.evaluation.metrics.base import NodeFields, scores_of
from airmass.evaluation.scoring import VerificationCase, candidates, cases, frames_of, metrics_for
from airmass.fields.derived import scored

MAPS = "maps.nc"

_Channel = tuple[str, int | None]
# (system, metric) -> sum over initial times (lead_time, level, node, *part).
_Sums = dict[tuple[str, str], np.ndarray]


def score_maps(
    data: VerificationData,
    channels: Mapping[str, _Channel],
    counted: Mapping[str, Bool[np.ndarray, "init_time lead_time level"]],
) -> xr.Dataset:
    """Maps of the mapped metrics of the given (variable, level) at `data.maps_lead_times`.

    Variables are named `rmse_z500`, with dims (system, lead_time, latitude, longitude) and the units of the metric;
    NaN where a metric is undefined. Means are over the initial times that count for the scores.
    """
    found: dict[str, xr.DataArray] = {}
    for name in dict.fromkeys(name for name, _ in channels.values()):
        sums, count = _sums(data, name, counted[name])
        for label, (other, level) in channels.items():
            if other == name:
                row = data.levels(name).index(level)
                found |= {f"{metric}_{label}": a for metric, a in _fields(data, name, level, row, sums, count)}
    coords = {
        "lead_time": data.maps_lead_times,
        "latitude": ("latitude", data.grid.latitude, {"units": "degrees_north", "standard_name": "latitude"}),
        "longitude": ("longitude", data.grid.longitude, {"units": "degrees_east", "standard_name": "longitude"}),
    }
    systems = list(dict.fromkeys(str(system) for a in found.values() for system in a.system.values))
    return xr.Dataset(found, {"system": systems, **coords}, {"Conventions": "CF-1.11"})


def _fields(
    data: VerificationData, name: str, level: int | None, row: int, sums: _Sums, count: np.ndarray
) -> Iterator[tuple[str, xr.DataArray]]:
    dims = ("system", "lead_time", "latitude", "longitude")
    for metric in dict.fromkeys(metric for _, metric in sums):
        known = known_metrics()[metric]
        held = {
            system: _finished(known, total[:, row], count[:, row]) for (system, m), total in sums.items() if m == metric
        }
        values = np.stack(list(held.values())).reshape(len(held), -1, *data.grid.shape).astype(np.float32)
        about: dict[str, Any] = {"long_name": f"{known.title} of {scored(name).name.replace('_', ' ')}"}
        about |= {"units": scored(name).units if known.in_units else "1", "variable": name, "metric": metric}
        about |= {} if level is None else {"level_hpa": level}
        yield metric, xr.DataArray(values, dims=dims, coords={"system": list(held)}, attrs=about)


def _finished(metric: Metric, total: np.ndarray, count: np.ndarray) -> Float[np.ndarray, "lead_time node"]:
    count = count.reshape(-1, *(1,) * (total.ndim - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return metric.finish(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _sums(
    data: VerificationData, name: str, counted: Bool[np.ndarray, "init_time lead_time level"]
) -> tuple[_Sums, np.ndarray]:
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
            new = np.where(at.reshape(*at.shape, *(1,) * (values.ndim - 2)), values, 0.0)
            sums[key] = sums[key] + new if key in sums else new
    return sums, counted.sum(axis=0)


def _at_nodes(
    data: VerificationData, name: str, label: str, members: np.ndarray, case: VerificationCase
) -> dict[str, np.ndarray]:
    held = metrics_for(data, name, label, len(members), case)
    fields = NodeFields(
        members.astype(np.float64), case.truth.astype(np.float64), data.weights[0],
        None if case.climatology is None else case.climatology.astype(np.float64), case.present, case.thresholds,
        data.grid,
    )  # fmt: skip
    return scores_of({key: metric for key, metric in held.items() if metric.mapped}, fields)

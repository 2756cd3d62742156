"""Plumes: every member at a few places against lead time, with truth and climatology."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.data.formats.climatology import climatology_at
from airmass.data.formats.store import read, require
from airmass.fields.variables import variable_at_level
from airmass.plots.axes import INK, PALE, lead_axis, legend, panel_rows
from airmass.plots.fields import PlotData
from airmass.plots.style import Style, style_of, title_of

# Latitude and longitude of a wet, a dry, a hot and a southern place.
PLACES = ((52.0, 0.0), (40.0, 255.0), (28.0, 77.0), (-34.0, 151.0))

_MEMBER: dict = {"color": "#6fa8d6", "linewidth": 0.8}
_MEAN: dict = {"color": "#0b4f8a", "linewidth": 2.2}
_TRUTH: dict = {"color": "#111111", "linewidth": 2.0}
_CLIMATOLOGY: dict = {"color": "#b08900", "linewidth": 1.6, "linestyle": ":"}


@dataclass(frozen=True)
class Plume:
    """One field at one grid point against lead time, in the units on disk. Truth starts at the initial time."""

    latitude: float
    longitude: float
    lead_hours: Sequence[float]
    members: Float[np.ndarray, "member lead_time"]
    truth: Float[np.ndarray, " lead_time+1"]
    climatology: Float[np.ndarray, " lead_time"] | None


def plumes(
    data: PlotData,
    field: str,
    init_index: int,
    climatology: xr.Dataset | None,
    places: Sequence[tuple[float, float]] = PLACES,
) -> list[Plume]:
    """Plumes over all lead times at the grid points nearest to `places` (latitude, longitude).

    Raises InputError if truth or climatology does not cover the dates.
    """
    latitude, longitude = data.grid.latitude, data.grid.longitude
    rows = [int(np.abs(latitude - place[0]).argmin()) for place in places]
    columns = [int(np.abs((longitude - place[1] + 180) % 360 - 180).argmin()) for place in places]
    members = np.stack(
        [values[:, rows, columns] for values in data.members_at(field, init_index, range(len(data.lead_hours)))], axis=1
    )
    init_time = data.forecast.init_time.values[init_index]
    times = init_time + data.forecast.lead_time.values
    truth = data.truth_at(field, np.array([init_time, *times]))[:, rows, columns]
    normal = None if climatology is None else _climatology(field, times, climatology)[:, rows, columns]
    return [
        Plume(
            float(latitude[rows[i]]),
            float(longitude[columns[i]]),
            data.lead_hours,
            members[..., i],
            truth[:, i],
            None if normal is None else normal[:, i],
        )
        for i in range(len(rows))
    ]


def plume_figure(field: str, init_text: str, drawn: Sequence[Plume]) -> Figure:
    """Plot a panel for each place: thin lines are members, the thick blue one is their mean."""
    variable, level = variable_at_level(field)
    style = style_of(variable)
    figure, panels = panel_rows(len(drawn), 1, 3.0)
    for (panel,), plume in zip(panels, drawn, strict=True):
        _draw(panel, plume, style)
        panel.set_title(_place(plume), loc="left", fontsize=11, color=INK)
        panel.set_title(style.units, loc="right", fontsize=9, color=PALE)
    styles = {"member": _MEMBER, "mean of the members": _MEAN, "truth": _TRUTH}
    if drawn[0].climatology is not None:
        styles["climatology"] = _CLIMATOLOGY
    legend(figure, styles, f"{title_of(variable, level)}, from {init_text}")
    return figure


def _draw(panel: Axes, plume: Plume, style: Style) -> None:
    days = np.asarray(plume.lead_hours) / 24
    members = style.shown(plume.members)
    alpha = max(0.25, min(0.9, 12 / len(members)))
    panel.plot(days, members.T, alpha=alpha, zorder=1, **_MEMBER)
    panel.plot(days, members.mean(axis=0), zorder=3, **_MEAN)
    panel.plot(np.concatenate([[0], days]), style.shown(plume.truth), zorder=4, **_TRUTH)
    if plume.climatology is not None:
        panel.plot(days, style.shown(plume.climatology), zorder=2, **_CLIMATOLOGY)
    lead_axis(panel, plume.lead_hours[-1])


def _climatology(
    field: str, times: np.ndarray, climatology: xr.Dataset
) -> Float[np.ndarray, "time latitude longitude"]:
    variable, level = variable_at_level(field)
    where = climatology.encoding.get("source", "climatology")
    require(climatology, where, [variable.name], [] if level is None else [level])
    found = climatology_at(climatology[[variable.name]], times)[variable.name]
    return read(found if level is None else found.sel(level=level), where)


def _place(plume: Plume) -> str:
    east = (plume.longitude + 180) % 360 - 180
    north = f"{abs(plume.latitude):.1f}° {'N' if plume.latitude >= 0 else 'S'}"
    return f"{north}, {abs(east):.1f}° {'E' if east >= 0 else 'W'}"

"""`airmass plot`: maps of fields, an animation and score curves, written to one folder."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.place import is_url
from airmass.data.formats.climatology import climatology_store, open_climatology
from airmass.evaluation.scores import HEADLINE_FIELDS
from airmass.fields.variables import variable_at_level
from airmass.plots.animation import write_animation
from airmass.plots.fields import PlotData, open_plot_data
from airmass.plots.globe import Globe
from airmass.plots.maps import map_figure
from airmass.plots.plumes import PLACES, plume_figure, plumes
from airmass.plots.png import save_png
from airmass.plots.score_pictures import read_held_scores, write_score_pictures
from airmass.plots.spaghetti import LINES, spaghetti_figure
from airmass.plots.stamp_maps import stamp_figure

DEFAULT_FIELDS = ("z500", "2t", "t850", "msl", "tp")
DEFAULT_HOURS = (24, 72, 120, 240)

# Members differ clearly by then, and comparing them with the truth still makes sense.
_STAMP_HOUR = 120


def plot(
    forecast: str | Path,
    truth: str | Path,
    out: str | Path,
    fields: Sequence[str] | None = None,
    init_time: str | None = None,
    lead_times: Sequence[float] | None = None,
    scores: str | Path | None = None,
    animate: Sequence[str] | None = None,
    places: Sequence[tuple[float, float]] | None = None,
    climatology: str | Path | None = None,
) -> list[Path]:
    """Plot one initial time of a forecast file against truth into the folder `out`; return the paths of the plots.

    Each of `fields` (such as `z500` or `2t`) gets `map_<field>.png` with a row for each of `lead_times` in hours. Each
    of `animate`, by default the first field, gets `animation_<field>.gif` over all lead times. For an ensemble, maps
    show the mean and the animation shows the first member. An ensemble also gets `plume_<field>.png` at `places`
    (latitude, longitude) with `climatology` (default: the one that the forecast names), `stamps_<field>.png` near
    120 h, and `spaghetti_<field>.png` of the fields in `spaghetti.LINES`.

    `scores`, a `scores.json` or its folder, gets `curves.png` and, if these were scored, `spread.png`, `ranks.png`,
    `extremes.png`, `spectra_<hours>h.png`, `scoremap_<metric>_<field>.png` and scorecards. By default the fields are
    those of DEFAULT_FIELDS and the lead times those of DEFAULT_HOURS that the forecast has, and the initial time is its
    first.

    Raises InputError for a field or time that is missing, for grids that differ, and for an `out` that exists.
    """
    refuse_existing(out, forecast, truth, climatology)
    data = open_plot_data(forecast, truth)
    fields = _fields(data, fields)
    animate = fields[:1] if animate is None else animate
    for field in (*fields, *animate):
        data.find(field)
    init_index = data.init_index(init_time)
    leads = data.lead_indices(lead_times if lead_times else _default_hours(data))
    normal = _climatology(data, climatology) if data.members > 1 else None
    held = None if scores is None else read_held_scores(scores)
    with new_output(out) as aside:
        aside.mkdir()
        if held is not None:
            write_score_pictures(aside, held)
        _write_maps(aside, data, fields, init_index, leads)
        if data.members > 1:
            _write_plumes(aside, data, fields, init_index, normal, places or PLACES)
        label = "Forecast" if data.members == 1 else "Member 0"
        for field in animate:
            frames = data.frames(field, init_index, range(len(data.lead_hours)), members=1)
            write_animation(aside / f"animation_{field}.gif", Globe(data.grid, 480), frames, label=label)
        names = sorted(path.name for path in aside.iterdir())
    return [Path(out) / name for name in names]


def _write_maps(folder: Path, data: PlotData, fields: Sequence[str], init_index: int, leads: Sequence[int]) -> None:
    """Write maps and, for an ensemble, stamps and spaghetti of the same frames."""
    globe, small = Globe(data.grid), Globe(data.grid, 480)
    for field in fields:
        frames = data.frames(field, init_index, leads)
        save_png(map_figure(globe, frames), folder / f"map_{field}.png")
        if data.members > 1:
            nearest = min(frames, key=lambda frame: abs(frame.lead_hours - _STAMP_HOUR))
            save_png(stamp_figure(small, nearest), folder / f"stamps_{field}.png")
            variable, level = variable_at_level(field)
            if (variable.name, level) in LINES:
                save_png(spaghetti_figure(globe, frames), folder / f"spaghetti_{field}.png")


def _write_plumes(
    folder: Path, data: PlotData, fields: Sequence[str], init_index: int, climatology: xr.Dataset | None, places
) -> None:
    for field in fields:
        drawn = plumes(data, field, init_index, climatology, places)
        init_text = data.init_text(init_index)
        save_png(plume_figure(field, init_text, drawn), folder / f"plume_{field}.png")


def _climatology(data: PlotData, given: str | Path | None) -> xr.Dataset | None:
    """Open the climatology given, else the one that the forecast names, if it exists."""
    path = given or data.forecast.attrs.get("airmass_climatology")
    if path is None or (given is None and not is_url(path) and not Path(path).exists()):
        return None
    return open_climatology(climatology_store(path))


def _fields(data: PlotData, fields: Sequence[str] | None) -> list[str]:
    if fields:
        return list(dict.fromkeys(fields))
    found = [field for field in DEFAULT_FIELDS if data.holds(field)]
    found = found or [field for field in HEADLINE_FIELDS if data.holds(field)]
    if not found:
        held = ", ".join(sorted(map(str, data.forecast.data_vars)))
        raise InputError(f"{data.forecast_path}: has none of the default fields; choose --fields from {held}")
    return found


def _default_hours(data: PlotData) -> list[float]:
    return [hour for hour in DEFAULT_HOURS if hour in data.lead_hours] or data.lead_hours[-1:]

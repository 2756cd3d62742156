"""What `airmass plot` does: maps of chosen fields, an animation, and curves of scores, into one folder."""

from collections.abc import Sequence
from pathlib import Path

from airmass.errors import InputError
from airmass.files import new_output, refuse_existing
from airmass.plots.animation import write_animation
from airmass.plots.curves import curve_figure
from airmass.plots.frames import Pair, open_pair
from airmass.plots.globe import Globe
from airmass.plots.maps import map_figure
from airmass.plots.picture import save_png
from airmass.scores import HEADLINE_FIELDS, read_scores

DEFAULT_FIELDS = ("z500", "2t", "t850", "msl", "tp")
DEFAULT_HOURS = (24, 72, 120, 240)


def plot(
    forecast: str | Path,
    truth: str | Path,
    out: str | Path,
    fields: Sequence[str] | None = None,
    init_time: str | None = None,
    lead_times: Sequence[float] | None = None,
    scores: str | Path | None = None,
    animate: Sequence[str] | None = None,
) -> list[Path]:
    """Draw one initial time of a forecast file against truth; return the paths of the pictures in the folder `out`.

    `fields` (as `z500` or `2t`) get `map_<field>.png` with a row for each of `lead_times` in hours; those in `animate`
    get `animation_<field>.gif` of every lead time, by default the first of the fields; `scores`, a `scores.json`, gets
    `curves.png`. Fields and lead times left out are the usual ones that the forecast has, the initial time its first.

    Raises InputError for a field or time that is not there, grids that differ, and an `out` that exists.
    """
    refuse_existing(out)
    table = None if scores is None else read_scores(scores)
    pair = open_pair(forecast, truth)
    fields = _fields(pair, fields)
    init_index = pair.init_index(init_time)
    leads = pair.lead_indices(lead_times if lead_times else _usual_hours(pair))
    with new_output(out) as aside:
        aside.mkdir()
        _write_maps(aside, pair, fields, init_index, leads)
        for field in fields[:1] if animate is None else animate:
            frames = pair.frames(field, init_index, range(len(pair.lead_hours)))
            write_animation(aside / f"animation_{field}.gif", Globe(pair.grid, 480), frames)
        if table is not None:
            save_png(curve_figure(table), aside / "curves.png")
        names = sorted(path.name for path in aside.iterdir())
    return [Path(out) / name for name in names]


def _write_maps(folder: Path, pair: Pair, fields: Sequence[str], init_index: int, leads: Sequence[int]) -> None:
    globe = Globe(pair.grid)
    for field in fields:
        save_png(map_figure(globe, pair.frames(field, init_index, leads)), folder / f"map_{field}.png")


def _fields(pair: Pair, fields: Sequence[str] | None) -> list[str]:
    if fields:
        return list(dict.fromkeys(fields))
    usual = [field for field in DEFAULT_FIELDS if pair.holds(field)]
    usual = usual or [field for field in HEADLINE_FIELDS if pair.holds(field)]
    if not usual:
        held = ", ".join(sorted(map(str, pair.forecast.data_vars)))
        raise InputError(f"{pair.forecast_path}: none of the usual fields is there; name some of {held}")
    return usual


def _usual_hours(pair: Pair) -> list[float]:
    return [hour for hour in DEFAULT_HOURS if hour in pair.lead_hours] or pair.lead_hours[-1:]

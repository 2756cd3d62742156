"""The work of `airmass plot`: maps of chosen fields, an animation, and curves of scores, into one folder."""

from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.place import is_url
from airmass.data.formats.climatology import climatology_store, open_climatology
from airmass.evaluation.scores import (
    HEADLINE_FIELDS,
    RANK_HISTOGRAMS,
    SCORES,
    SPECTRA,
    RankHistogram,
    ScoreTable,
    Spectrum,
    read_rank_histograms,
    read_scores,
    read_spectra,
    scores_folder,
)
from airmass.fields.variables import variable_at_level
from airmass.plots.animation import write_animation
from airmass.plots.curves import curve_figure
from airmass.plots.dispersion import rank_figure, spread_figure
from airmass.plots.extremes import extremes_figure, has_extremes
from airmass.plots.fields import Pair, open_pair
from airmass.plots.globe import Globe
from airmass.plots.maps import map_figure
from airmass.plots.plumes import PLACES, plume_figure, plumes
from airmass.plots.png import save_png
from airmass.plots.spaghetti import LINES, spaghetti_figure
from airmass.plots.spectra import spectra_figures
from airmass.plots.stamp_maps import stamp_figure

DEFAULT_FIELDS = ("z500", "2t", "t850", "msl", "tp")
DEFAULT_HOURS = (24, 72, 120, 240)

# When members have parted and the truth is still worth comparing.
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
    """Draw one initial time of a forecast file against truth; return the paths of the pictures in the folder `out`.

    `fields` (as `z500` or `2t`) get `map_<field>.png` with a row for each of `lead_times` in hours; those in `animate`
    get `animation_<field>.gif` of every lead time, by default the first of the fields. Of an ensemble the maps show the
    mean and the animation the first member, and there are besides `plume_<field>.png` at `places` (latitude, longitude)
    with the climatology of `climatology`, else of where the forecast says, `stamps_<field>.png` near 120 h, and
    `spaghetti_<field>.png` of fields that have usual isolines.

    `scores`, a `scores.json` or its folder, gets `curves.png` and, as far as it and the files beside it hold them,
    `spread.png`, `ranks.png`, `extremes.png` and `spectra_<hours>h.png`. Fields and lead times left out are the usual
    ones that the forecast has, the initial time its first.

    Raises InputError for a field or time that is not there, grids that differ, and an `out` that exists.
    """
    refuse_existing(out, forecast, truth, climatology)
    pair = open_pair(forecast, truth)
    fields = _fields(pair, fields)
    animate = fields[:1] if animate is None else animate
    for field in (*fields, *animate):
        pair.find(field)
    init_index = pair.init_index(init_time)
    leads = pair.lead_indices(lead_times if lead_times else _usual_hours(pair))
    normal = _climatology(pair, climatology) if pair.members > 1 else None
    kept = None if scores is None else _read_kept(scores_folder(scores))
    with new_output(out) as aside:
        aside.mkdir()
        if kept is not None:
            _write_curves(aside, *kept)
        _write_maps(aside, pair, fields, init_index, leads)
        if pair.members > 1:
            _write_plumes(aside, pair, fields, init_index, normal, places or PLACES)
        label = "Forecast" if pair.members == 1 else "Member 0"
        for field in animate:
            frames = pair.frames(field, init_index, range(len(pair.lead_hours)), members=1)
            write_animation(aside / f"animation_{field}.gif", Globe(pair.grid, 480), frames, label=label)
        names = sorted(path.name for path in aside.iterdir())
    return [Path(out) / name for name in names]


def _write_maps(folder: Path, pair: Pair, fields: Sequence[str], init_index: int, leads: Sequence[int]) -> None:
    """Maps and, of an ensemble, stamps and spaghetti of the same frames."""
    globe, small = Globe(pair.grid), Globe(pair.grid, 480)
    for field in fields:
        frames = pair.frames(field, init_index, leads)
        save_png(map_figure(globe, frames), folder / f"map_{field}.png")
        if pair.members > 1:
            nearest = min(frames, key=lambda frame: abs(frame.lead_hours - _STAMP_HOUR))
            save_png(stamp_figure(small, nearest), folder / f"stamps_{field}.png")
            variable, level = variable_at_level(field)
            if (variable.name, level) in LINES:
                save_png(spaghetti_figure(globe, frames), folder / f"spaghetti_{field}.png")


def _write_plumes(
    folder: Path, pair: Pair, fields: Sequence[str], init_index: int, climatology: xr.Dataset | None, places
) -> None:
    for field in fields:
        drawn = plumes(pair, field, init_index, climatology, places)
        init_text = pair.init_text(init_index)
        save_png(plume_figure(field, init_text, drawn), folder / f"plume_{field}.png")


def _read_kept(scores: Path) -> tuple[ScoreTable, list[RankHistogram], list[Spectrum]]:
    table, histograms, spectra = read_scores(scores / SCORES), read_rank_histograms(scores), read_spectra(scores)
    for name, kept in ((RANK_HISTOGRAMS, histograms), (SPECTRA, spectra)):
        if unknown := {one.system for one in kept} - {*table.systems, "truth"}:
            raise InputError(f"{scores / name}: system {min(unknown)!r} is not among those of {scores / SCORES}")
    return table, histograms, spectra


def _write_curves(
    folder: Path, table: ScoreTable, histograms: Sequence[RankHistogram], spectra: Sequence[Spectrum]
) -> None:
    save_png(curve_figure(table), folder / "curves.png")
    if "spread" in table.metrics:
        save_png(spread_figure(table), folder / "spread.png")
    if histograms:
        save_png(rank_figure(histograms, table), folder / "ranks.png")
    if has_extremes(table):
        save_png(extremes_figure(table), folder / "extremes.png")
    for hour, figure in spectra_figures(spectra, table).items():
        save_png(figure, folder / f"spectra_{hour:g}h.png")


def _climatology(pair: Pair, named: str | Path | None) -> xr.Dataset | None:
    """The climatology named, else the one that the forecast names, if it is here."""
    said = named or pair.forecast.attrs.get("airmass_climatology")
    if said is None or (named is None and not is_url(said) and not Path(said).exists()):
        return None
    return open_climatology(climatology_store(said))


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

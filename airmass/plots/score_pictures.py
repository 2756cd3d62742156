"""All pictures of a scores folder: scorecards, curves, spread, rank histograms, events, spectra and maps."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from airmass.core.errors import InputError
from airmass.evaluation.comparisons import COMPARISONS, read_comparisons
from airmass.evaluation.scores import (
    EVENT_TABLES,
    RANK_HISTOGRAMS,
    SCORES,
    SPECTRA,
    read_event_tables,
    read_rank_histograms,
    read_scores,
    read_spectra,
    scores_folder,
)
from airmass.plots.curves import curve_figure
from airmass.plots.dispersion import rank_figure, spread_figure
from airmass.plots.events import event_figures
from airmass.plots.extremes import extremes_figure, has_extremes
from airmass.plots.png import save_png
from airmass.plots.score_maps import read_score_maps, score_map_figures
from airmass.plots.scorecards import scorecard_figures
from airmass.plots.spectra import spectra_figures
from airmass.plots.station_maps import read_station_scores, station_figures

# File name without suffix, and the function that draws the picture.
Drawn = tuple[str, Callable[[], Figure]]


def score_pictures(scores: str | Path) -> list[Drawn]:
    """Pictures of a scores folder, read and checked but not yet drawn."""
    return list(_pictures(scores_folder(scores)))


def write_score_pictures(folder: Path, pictures: list[Drawn]) -> None:
    for name, draw in pictures:
        save_png(draw(), folder / f"{name}.png")


def _pictures(scores: Path) -> Iterator[Drawn]:
    table, histograms, spectra = read_scores(scores / SCORES), read_rank_histograms(scores), read_spectra(scores)
    compared, maps, events = read_comparisons(scores), read_score_maps(scores), read_event_tables(scores)
    stations = read_station_scores(scores)
    for name, kept in (
        (RANK_HISTOGRAMS, histograms), (EVENT_TABLES, events), (SPECTRA, spectra), (COMPARISONS, compared),
    ):  # fmt: skip
        if unknown := {one.system for one in kept} - {*table.systems, "truth"}:
            raise InputError(f"{scores / name}: system {min(unknown)!r} is not among those of {scores / SCORES}")
    for name, figure in scorecard_figures(compared).items():
        yield f"scorecard_{name}", partial(_given, figure)
    yield "curves", lambda: curve_figure(table)
    if "spread" in table.metrics:
        yield "spread", lambda: spread_figure(table)
    if histograms:
        yield "ranks", lambda: rank_figure(histograms, table)
    if has_extremes(table):
        yield "extremes", lambda: extremes_figure(table)
    for name, figure in event_figures(events, table).items():
        yield f"events_{name}", partial(_given, figure)
    for hour, figure in spectra_figures(spectra, table).items():
        yield f"spectra_{hour:g}h", partial(_given, figure)
    for name, figure in (score_map_figures(maps) if maps is not None else {}).items():
        yield f"scoremap_{name}", partial(_given, figure)
    for name, figure in (station_figures(stations) if stations is not None else {}).items():
        yield f"stationmap_{name}", partial(_given, figure)


def _given(figure: Figure) -> Figure:
    return figure

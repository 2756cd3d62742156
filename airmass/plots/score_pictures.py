"""All pictures of a scores folder: scorecards, curves, spread, rank histograms, events, spectra and maps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from airmass.core.errors import InputError
from airmass.evaluation.comparisons import COMPARISONS, Comparison, read_comparisons
from airmass.evaluation.scores import (
    EVENT_TABLES,
    RANK_HISTOGRAMS,
    SCORES,
    SPECTRA,
    EventTable,
    RankHistogram,
    ScoreTable,
    Spectrum,
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


@dataclass(frozen=True)
class HeldScores:
    """All that pictures are drawn of in a scores folder, read and checked once."""

    table: ScoreTable
    comparisons: list[Comparison]
    histograms: list[RankHistogram]
    events: list[EventTable]
    spectra: list[Spectrum]
    maps: xr.Dataset | None
    stations: pd.DataFrame | None


def read_held_scores(scores: str | Path) -> HeldScores:
    """Read a scores folder, or that of a `scores.json`. Raises InputError for files that do not belong together."""
    folder = scores_folder(scores)
    held = HeldScores(
        read_scores(folder / SCORES), read_comparisons(folder), read_rank_histograms(folder), read_event_tables(folder),
        read_spectra(folder), read_score_maps(folder), read_station_scores(folder),
    )  # fmt: skip
    for name, kept in (
        (RANK_HISTOGRAMS, held.histograms), (EVENT_TABLES, held.events), (SPECTRA, held.spectra),
        (COMPARISONS, held.comparisons),
    ):  # fmt: skip
        if unknown := {one.system for one in kept} - {*held.table.systems, "truth"}:
            raise InputError(f"{folder / name}: system {min(unknown)!r} is not among those of {folder / SCORES}")
    return held


def write_score_pictures(folder: Path, held: HeldScores) -> None:
    for name, figure in _pictures(held):
        save_png(figure, folder / f"{name}.png")


def _pictures(held: HeldScores) -> Iterator[tuple[str, Figure]]:
    """File names without suffix, and figures."""
    table = held.table
    yield from _named("scorecard_", scorecard_figures(held.comparisons))
    yield "curves", curve_figure(table)
    if "spread" in table.metrics:
        yield "spread", spread_figure(table)
    if held.histograms:
        yield "ranks", rank_figure(held.histograms, table)
    if has_extremes(table):
        yield "extremes", extremes_figure(table)
    yield from _named("events_", event_figures(held.events, table))
    for hour, figure in spectra_figures(held.spectra, table).items():
        yield f"spectra_{hour:g}h", figure
    if held.maps is not None:
        yield from _named("scoremap_", score_map_figures(held.maps))
    if held.stations is not None:
        yield from _named("stationmap_", station_figures(held.stations))


def _named(prefix: str, figures: Mapping[str, Figure]) -> Iterator[tuple[str, Figure]]:
    return ((f"{prefix}{name}", figure) for name, figure in figures.items())

"""Spectra: power against zonal wavenumber, and below it its ratio to the truth's, the error's, and the coherence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from airmass.evaluation.metrics.spectrum import RESOLVED
from airmass.evaluation.scores import ScoreTable, Spectrum, quoted
from airmass.plots.axes import INK, PALE, legend, panel_rows
from airmass.plots.curves import channels_of, line_styles

_TRUTH: dict = {"color": "#111111", "linewidth": 1.6}
_DEEPEST = 1e-7  # power this far below the maximum is rounding error
_OF_MEAN: dict = {"linestyle": ":", "linewidth": 1.8}


def spectra_figures(spectra: Sequence[Spectrum], table: ScoreTable) -> dict[float, Figure]:
    """Plot a figure for each lead time in hours: a column for each field, wavenumbers from 1, logarithmic axes."""
    hours = sorted({spectrum.lead_time_hours for spectrum in spectra})
    return {hour: _figure([s for s in spectra if s.lead_time_hours == hour], hour, table) for hour in hours}


def _figure(spectra: Sequence[Spectrum], hour: float, table: ScoreTable) -> Figure:
    lines = line_styles(table.systems) | {"truth": _TRUTH}
    channels = channels_of(table, among={(s.variable, s.level) for s in spectra})
    rows = 4 if any(spectrum.error for spectrum in spectra) else 2
    figure, panels = panel_rows(len(channels), rows, 2.1)
    styles: dict[str, dict] = {}
    for column, (label, channel) in zip(panels, channels.items(), strict=True):
        held = [s for s in spectra if (s.variable, s.level) == channel]
        truth = next((s.power for s in held if s.system == "truth"), None)
        for spectrum in held:
            style = lines[spectrum.system] | (_OF_MEAN if spectrum.of_mean else {})
            styles[f"mean of {spectrum.system}" if spectrum.of_mean else spectrum.system] = style
            _draw(column, spectrum, truth, style)
        units = quoted(channel[0])
        powers = units.factor**2 * np.concatenate([s.power[1:] for s in held])
        if (bottom := max(_DEEPEST * powers.max(), 0.5 * powers.min())) > 0:
            column[0].set_ylim(bottom=bottom)
        column[0].set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
        titles = (f"power, ({units.units})²", "power / power of the truth", "power of the error / power of the truth",
                  "squared coherence with the truth")  # fmt: skip
        for panel, title in zip(column, titles, strict=False):
            panel.set_title(title, loc="right", fontsize=9, color=PALE)
        column[-1].set_xlabel("zonal wavenumber", fontsize=9, color=PALE)
    legend(figure, styles, f"Zonal spectra at {hour:g} h, 60° S to 60° N")
    return figure


def _draw(column: Sequence[Axes], spectrum: Spectrum, truth: Sequence[float] | None, style: dict) -> None:
    wavenumber, power = np.arange(1, len(spectrum.power)), np.array(spectrum.power[1:])
    column[0].loglog(wavenumber, quoted(spectrum.variable).factor ** 2 * power, **style)
    column[1].loglog(wavenumber, _numbers(spectrum.ratio), **style)
    column[1].set(ylim=(0.1, 10), yticks=[0.1, 0.5, 1, 3, 10], yticklabels=["0.1", "0.5", "1", "3", "10"])
    if len(column) > 2 and spectrum.error is not None and spectrum.coherence is not None and truth is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            column[2].loglog(wavenumber, np.array(spectrum.error[1:]) / np.array(truth[1:]), **style)
        column[2].set(ylim=(1e-3, 5), yticks=[1e-3, 1e-2, 0.1, 1, 2], yticklabels=["0.001", "0.01", "0.1", "1", "2"])
        column[3].semilogx(wavenumber, _numbers(spectrum.coherence), **style)
        column[3].set(ylim=(0, 1), yticks=[0, 0.25, 0.5, 0.75, 1])
    for panel, guide in zip(column[1:], (RESOLVED, 2.0, RESOLVED), strict=False):
        panel.axhline(guide, color="#9a9a9a", linewidth=1.1, linestyle="--", zorder=0)
    for panel in column:
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= wavenumber[-1]]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    """Values from wavenumber 1 on, NaN where there is none."""
    return np.array([np.nan if value is None else value for value in values[1:]])

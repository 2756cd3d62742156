"""Power spectra: power against zonal wavenumber, and below it the ratio to the truth's power."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    figure, panels = panel_rows(len(channels), 2)
    styles: dict[str, dict] = {}
    for (above, below), (label, channel) in zip(panels, channels.items(), strict=True):
        held = [s for s in spectra if (s.variable, s.level) == channel]
        for spectrum in held:
            style = lines[spectrum.system] | (_OF_MEAN if spectrum.of_mean else {})
            styles[f"mean of {spectrum.system}" if spectrum.of_mean else spectrum.system] = style
            _draw(above, below, spectrum, style)
        units = quoted(channel[0])
        powers = units.factor**2 * np.concatenate([s.power[1:] for s in held])
        if (bottom := max(_DEEPEST * powers.max(), 0.5 * powers.min())) > 0:
            above.set_ylim(bottom=bottom)
        above.set_title(label, loc="left", fontsize=12, weight="bold", color=INK)
        above.set_title(f"power, ({units.units})²", loc="right", fontsize=9, color=PALE)
        below.set_title("power / power of the truth", loc="right", fontsize=9, color=PALE)
        below.set_xlabel("zonal wavenumber", fontsize=9, color=PALE)
    legend(figure, styles, f"Zonal power at {hour:g} h, 60° S to 60° N")
    return figure


def _draw(above: Axes, below: Axes, spectrum: Spectrum, style: dict) -> None:
    wavenumber, power = np.arange(1, len(spectrum.power)), np.array(spectrum.power[1:])
    ratio = np.array([np.nan if value is None else value for value in spectrum.ratio[1:]])
    above.loglog(wavenumber, quoted(spectrum.variable).factor ** 2 * power, **style)
    below.loglog(wavenumber, ratio, **style)
    below.set(ylim=(0.1, 10), yticks=[0.1, 0.3, 1, 3, 10], yticklabels=["0.1", "0.3", "1", "3", "10"])
    for panel in (above, below):
        ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500) if tick <= wavenumber[-1]]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()

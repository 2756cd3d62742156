"""Stamp maps: small maps of truth, ensemble mean and every member, for one field at one lead time."""

from matplotlib.figure import Figure

from airmass.plots.axes import INK, PALE
from airmass.plots.fields import Frame
from airmass.plots.globe import Globe, map_axes, show
from airmass.plots.maps import colour_bar, isolines, rectangle
from airmass.plots.style import colours, style_of, title_of

ACROSS, MOST = 4, 18

# All in inches.
_MAP, _GAP, _LEFT, _TOP, _BOTTOM, _HEAD = (3.6, 1.83), 0.1, 0.12, 0.55, 0.85, 0.27
_WIDTH = 2 * _LEFT + ACROSS * _MAP[0] + (ACROSS - 1) * _GAP


def stamp_figure(globe: Globe, frame: Frame) -> Figure:
    """Plot truth and mean first, then up to eighteen members, all on one colour scale. The frame must have members."""
    assert frame.members is not None
    style = style_of(frame.variable)
    shown = [("Truth", frame.truth), (frame.forecast_text, frame.forecast)]
    shown += [(f"Member {i}", member) for i, member in enumerate(frame.members[:MOST])]
    scale = colours(style, *(style.shown(field) for _, field in shown))
    rows = -(-len(shown) // ACROSS)
    height = _TOP + rows * (_MAP[1] + _HEAD) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), dpi=100, facecolor="white")
    for i, (text, field) in enumerate(shown):
        row, column = divmod(i, ACROSS)
        left, bottom = _LEFT + column * (_MAP[0] + _GAP), height - _TOP - (row + 1) * (_MAP[1] + _HEAD)
        axes = map_axes(figure, rectangle(figure, left, bottom, *_MAP), resolution="c")
        image = globe.image(style.shown(field))
        show(axes, image, *scale)
        if style.isolines:
            isolines(axes, globe, image, style, faint=True)
        y = (bottom + _MAP[1] + 0.03) / height
        weight = "bold" if i < 2 else "normal"
        figure.text(left / _WIDTH, y, text, fontsize=11, weight=weight, color=INK if i < 2 else PALE)
    _headings(figure, frame, height)
    colour_bar(figure, scale, _WIDTH / 4, _WIDTH / 2, style.units)
    return figure


def _headings(figure: Figure, frame: Frame, height: float) -> None:
    y = 1 - 0.12 / height
    title = f"{title_of(frame.variable, frame.level)}, {frame.lead_text}"
    figure.text(_LEFT / _WIDTH, y, title, fontsize=16, weight="bold", color=INK, va="top")
    times = f"from {frame.init_text}, valid {frame.valid_text}"
    figure.text(1 - _LEFT / _WIDTH, y, times, fontsize=12, color=PALE, va="top", ha="right")

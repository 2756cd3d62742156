"""Animated GIF of forecast beside truth."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

from airmass.plots.axes import INK, PALE
from airmass.plots.fields import Frame
from airmass.plots.globe import Globe, map_axes, show
from airmass.plots.png import in_palette, palette_of, render
from airmass.plots.style import colours, style_of, title_of

_DPI = 80
_SIZE = (12.0, 3.9)
_PAUSE = 1500  # ms on the last frame


def write_animation(
    path: str | Path, globe: Globe, frames: Sequence[Frame], milliseconds: int = 160, label: str = "Forecast"
) -> None:
    """Write an endless loop of one field at every lead time in `frames`, forecast on the left, truth on the right.

    For an ensemble, pass frames of one member, which has realistic detail, unlike the ensemble mean. The figure is
    built once; only the images and the date change between frames.
    """
    pictures = _pictures(globe, frames, label)
    opening = next(pictures)
    palette = palette_of(opening)
    first, *rest = (in_palette(picture, palette) for picture in chain([opening], pictures))
    durations = [milliseconds] * len(rest) + [_PAUSE]
    first.save(path, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)


def _pictures(globe: Globe, frames: Sequence[Frame], label: str) -> Iterator[Image.Image]:
    style = style_of(frames[0].variable)
    scale = colours(style, *(style.shown(field) for frame in frames for field in (frame.forecast, frame.truth)))
    figure = Figure(figsize=_SIZE, dpi=_DPI, facecolor="white")
    drawn = []
    for left, text in ((0.008, label), (0.504, "Truth")):
        axes = map_axes(figure, (left, 0.14, 0.488, 0.752), resolution="c")
        drawn.append(show(axes, globe.image(np.full(globe.grid.shape, np.nan)), *scale))
        figure.text(left + 0.004, 0.86, text, fontsize=11, weight="bold", color=INK)
    _draw_title_and_colour_bar(figure, frames[0], scale, style.units)
    date = figure.text(0.992, 0.945, "", fontsize=13, color=INK, ha="right", family="DejaVu Sans Mono")
    for frame in frames:
        for image, field in zip(drawn, (frame.forecast, frame.truth), strict=True):
            image.set_array(globe.image(style.shown(field)))
        date.set_text(f"{f'+{frame.lead_hours:g} h':>7}   {frame.valid_text}")
        yield render(figure)


def _draw_title_and_colour_bar(figure: Figure, frame: Frame, scale, units: str) -> None:
    """Draw the parts that stay the same in every frame."""
    cmap, norm = scale
    figure.text(0.008, 0.945, title_of(frame.variable, frame.level), fontsize=13, weight="bold", color=INK)
    figure.text(0.5, 0.945, f"from {frame.init_text}", fontsize=11, color=PALE, ha="center")
    axes = figure.add_axes((0.25, 0.095, 0.5, 0.035))
    bar = figure.colorbar(ScalarMappable(norm, cmap), cax=axes, orientation="horizontal", spacing="uniform")
    bar.set_label(units, fontsize=10, labelpad=0)
    bar.ax.tick_params(labelsize=8, length=2)

"""Rendering of figures without pyplot and its global state, and PNG files of 256 colours to keep them small."""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

_EXACT, _COLOURS = 64, 256


def render(figure: Figure) -> Image.Image:
    """Render a figure as an RGB image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def save_png(figure: Figure, path: str | Path) -> None:
    """Write the figure in 256 colours, a third of the size; maps with colour steps have few more."""
    picture = render(figure)
    in_palette(picture, palette_of(picture)).save(path, format="PNG", optimize=True)


def palette_of(picture: Image.Image) -> UInt8[np.ndarray, "colour 3"]:
    """Palette of up to 256 colours: the most frequent ones exactly, so that they match the colour bar and white stays
    white.

    The rest covers the remaining colours (edges between steps) evenly. Pillow's median cut merges rare strong colours.
    """
    where, coded = _distinct(picture)
    frequent = _decode(coded[np.argsort(-np.bincount(where), kind="stable")[:_EXACT]])
    covering = picture.quantize(_COLOURS - len(frequent), method=Image.Quantize.MAXCOVERAGE).getpalette() or []
    return np.concatenate([frequent, np.array(covering, np.uint8).reshape(-1, 3)])[:_COLOURS]


def in_palette(picture: Image.Image, palette: UInt8[np.ndarray, "colour 3"]) -> Image.Image:
    """Convert a picture to the nearest colours of the palette. (Pillow's own search is inexact and tints the white.)"""
    where, coded = _distinct(picture)
    nearest = cKDTree(palette.astype(float)).query(_decode(coded).astype(float))[1].astype(np.uint8)
    reduced = Image.fromarray(nearest[where].reshape(picture.height, picture.width), mode="P")
    reduced.putpalette(palette.tobytes())
    return reduced


def _distinct(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """Index of each pixel's colour among the distinct ones, and these, one integer each."""
    red, green, blue = np.moveaxis(np.asarray(picture, np.uint32), -1, 0)
    # A hash table: sorting millions of pixels takes ten times as long.
    return pd.factorize(((red << 16) | (green << 8) | blue).ravel())


def _decode(coded: np.ndarray) -> UInt8[np.ndarray, "colour 3"]:
    return np.stack([coded >> 16, coded >> 8 & 255, coded & 255], axis=-1).astype(np.uint8)

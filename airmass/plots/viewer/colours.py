"""Colours of a page's fields: steps and their colours as text, safe for readers with colour blindness."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap, to_hex

from airmass.fields.variables import Variable
from airmass.plots.style import Style, colours, difference_colours, round_up, style_of

# Maps of `plots/style.py` with red beside green; the others hold apart under every colour blindness (ColorBrewer).
_SAFE = {"Spectral_r": "viridis"}
_PROBABILITY = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))


def safe_style(variable: Variable) -> Style:
    style = style_of(variable)
    return replace(style, colours=_SAFE.get(style.colours, style.colours))


def scale(style: Style, shown: np.ndarray) -> dict[str, Any]:
    """Steps and colours of a field, from a sample of its values in display units."""
    scheme, norm = colours(style, shown[np.isfinite(shown)][:2_000_000], n=24)
    return _listed(scheme, norm)


def difference_scale(size: float) -> dict[str, Any]:
    """Steps and colours of differences between -size and size."""
    return _listed(*difference_colours(np.array([-size, size]), n=14))


def spread_scale(size: float) -> dict[str, Any]:
    """Steps and colours of a spread from 0 to `size`."""
    step = round_up(max(size, 1e-12) / 12)
    return scale(Style("", colours="YlOrBr", steps=()), np.arange(0, 12.5) * step)


def probability_scale() -> dict[str, Any]:
    """Steps of a tenth, in percent."""
    style = Style("%", colours="YlGnBu")
    found = scale(style, np.linspace(0, 100, 1001))
    edges = [100.0 * edge for edge in _PROBABILITY]
    picked = np.linspace(0, len(found["colours"]) - 1, len(edges) + 1).round().astype(int)
    return {"edges": edges, "colours": [found["colours"][index] for index in picked]}


def _listed(scheme: Colormap, norm: BoundaryNorm) -> dict[str, Any]:
    """Edges of the steps, and one colour more than edges: below the first, between them, above the last."""
    edges = np.asarray(norm.boundaries, np.float64)
    beyond = max(abs(edges[-1] - edges[0]), 1.0)
    inside = [edges[0] - beyond, *((edges[1:] + edges[:-1]) / 2), edges[-1] + beyond]
    return {
        "edges": [float(f"{edge:.10g}") for edge in edges],
        "colours": [to_hex(scheme(norm(value))) for value in inside],
    }

"""Plot style of each variable: units, colours, colour steps and isolines, as forecasters use them."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.colors import BoundaryNorm, Colormap, LinearSegmentedColormap, ListedColormap

from airmass.fields.variables import Variable

STANDARD_GRAVITY = 9.80665

# White through blue to purple: none, drizzle, rain, downpour.
_RAIN = ("#ffffff", "#d6eaf8", "#a9d3f0", "#6fb2e4", "#3a88cf", "#1f5fb0", "#173f8a", "#4b2a8f", "#7d2a91", "#b0308f")
_RAIN_STEPS = (0, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 50)


@dataclass(frozen=True)
class Style:
    """Plot style of a variable. Displayed value = `factor` * value + `offset`, in `units`.

    `colours` is a matplotlib colour map. `centre` is the displayed value at the middle of the colour map, such as no
    wind or 0 °C. `isolines` is the spacing of isolines and then also of colour steps; 0 for none. `steps` are fixed
    colour steps in place of even ones.
    """

    units: str
    factor: float = 1.0
    offset: float = 0.0
    colours: str = "viridis"
    centre: float | None = None
    isolines: float = 0.0
    steps: tuple[float, ...] = ()
    title: str = ""

    @property
    def difference_units(self) -> str:
        return "K" if self.units == "°C" else self.units

    def shown(self, values: np.ndarray) -> np.ndarray:
        return self.factor * np.asarray(values, np.float64) + self.offset

    def shown_difference(self, values: np.ndarray) -> np.ndarray:
        """Difference of two fields in display units: the offset cancels."""
        return self.factor * np.asarray(values, np.float64)


_WIND = Style("m/s", colours="PuOr_r", centre=0.0)
_STYLES = {
    "geopotential": Style("dam", 1 / STANDARD_GRAVITY / 10, colours="Spectral_r", isolines=8, title="height"),
    "temperature": Style("°C", offset=-273.15, colours="RdYlBu_r", centre=0.0),
    "2m_temperature": Style("°C", offset=-273.15, colours="RdYlBu_r", centre=0.0),
    "sea_surface_temperature": Style("°C", offset=-273.15, colours="RdYlBu_r"),
    "u_component_of_wind": _WIND,
    "v_component_of_wind": _WIND,
    "10m_u_component_of_wind": _WIND,
    "10m_v_component_of_wind": _WIND,
    "vertical_velocity": Style("Pa/s", colours="BrBG_r", centre=0.0),
    "specific_humidity": Style("g/kg", 1e3, colours="YlGnBu"),
    "mean_sea_level_pressure": Style("hPa", 1e-2, colours="PuOr_r", isolines=8),
    "surface_pressure": Style("hPa", 1e-2, colours="cividis"),
    "total_precipitation_6hr": Style("mm in 6 h", 1e3, steps=_RAIN_STEPS),
    "total_precipitation_12hr": Style("mm in 12 h", 1e3, steps=_RAIN_STEPS),
}


def style_of(variable: Variable) -> Style:
    """Style of a variable; for one without an entry, its own units and a neutral colour map."""
    return _STYLES.get(variable.name, Style(variable.units))


def title_of(variable: Variable, level: int | None) -> str:
    """Title of a field, such as `Geopotential height at 500 hPa`."""
    text = " ".join(filter(None, (variable.name.replace("_", " "), style_of(variable).title)))
    text = text.removesuffix(" 6hr").removesuffix(" 12hr")
    return text[0].upper() + text[1:] + (f" at {level} hPa" if level is not None else "")


def colours(style: Style, *fields: np.ndarray, n: int = 30) -> tuple[Colormap, BoundaryNorm]:
    """Colour map and steps shared by several fields in display units; covers all but the 0.4 % most extreme values."""
    if style.steps:
        scheme: Colormap = ListedColormap(_RAIN[: len(style.steps)])
        return scheme, BoundaryNorm(style.steps, len(style.steps), extend="max")
    values = np.concatenate([np.ravel(field) for field in fields])
    low, high = np.nanpercentile(values, [0.2, 99.8]) if np.isfinite(values).any() else (0.0, 1.0)
    step = spacing(style, low, high) or round_up(max(high - low, 1e-6 * max(abs(high), 1.0)) / n)
    first = np.floor(low / step)
    edges = np.arange(first, max(np.ceil(high / step), first + 1) + 1) * step
    return _stepped(style.colours, edges, style.centre)


def spacing(style: Style, low: float, high: float) -> float:
    """Spacing of isolines: the style's, or a multiple if it would give more than sixty lines; 0 for none."""
    return style.isolines * max(1.0, np.ceil((high - low) / (60 * style.isolines))) if style.isolines else 0.0


def difference_colours(difference: np.ndarray, n: int = 18) -> tuple[Colormap, BoundaryNorm]:
    """Colour map and steps of differences: blue below 0, red above, white around 0, the same range on both sides."""
    size = np.abs(difference[np.isfinite(difference)])
    reach = float(np.percentile(size, 99.8)) if size.size else 1.0
    step = round_up(2 * max(reach, 1e-12) / n, (1, 2, 4, 10))  # so that the edges, at odd halves of it, are round
    count = max(2, int(np.ceil(reach / step - 0.5)))
    edges = (np.arange(-count, count + 2) - 0.5) * step
    # An odd number of colours, so that the middle one is white.
    shades = ["#123a7a", "#5b9bd5", "#ffffff", "#ee7f5b", "#8b1020"]
    scheme = LinearSegmentedColormap.from_list("difference", shades, N=257)
    return scheme, BoundaryNorm(edges, 257, extend="both")


def round_up(step: float, digits: tuple[float, ...] = (1, 2, 2.5, 5, 10)) -> float:
    """Round up to one of the digits times a power of ten."""
    power = 10.0 ** np.floor(np.log10(step))
    return float(next(power * digit for digit in digits if power * digit >= step * (1 - 1e-9)))


def _stepped(name: str, edges: np.ndarray, centre: float | None) -> tuple[Colormap, BoundaryNorm]:
    """Colour map for even steps; with a centre, its middle colour is there and equal distances look equal."""
    scheme = mpl.colormaps[name]
    middles = (edges[1:] + edges[:-1]) / 2
    if centre is None:
        places = (middles - edges[0]) / (edges[-1] - edges[0])
    else:
        places = 0.5 + (middles - centre) / (2 * np.abs(edges - centre).max())
    return ListedColormap(scheme(places)), BoundaryNorm(edges, len(middles))

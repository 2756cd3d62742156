"""Regridding from regular and reduced grids of latitude and longitude, as one sparse matrix from points to nodes.

- conservative: first-order, by area of overlap, so that the area mean stays (Jones 1999, doi:10.1175/1520-0493(1999)127
  <2204:FASOCR>2.0.CO;2). Rows of Gaussian grids end where their quadrature weights add up to (Abramowitz and Stegun
  25.4.29); other rows end half-way to the next.
- bilinear: in latitude and longitude; beyond the last row towards the mean of that row, which stands for the pole.
- thinning: the points of the source that are nodes, as in the published samples at 1 degree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.fields.grid import LatLonGrid

METHODS = ("conservative", "bilinear", "thin")
_TOLERANCE = 1e-3
# The accuracy of latitudes of Gaussian grids in GRIB edition 1, in degrees.
_GAUSSIAN_TOLERANCE = 2e-3


@dataclass(frozen=True, eq=False)
class SourceGrid:
    """Rows of points in the order of the file: latitude of each row, and the longitudes of its points, even, global."""

    latitude: Float[np.ndarray, " row"]
    longitudes: tuple[Float[np.ndarray, " point"], ...]

    @classmethod
    def regular(cls, latitude: np.ndarray, longitude: np.ndarray) -> "SourceGrid":
        return cls(np.asarray(latitude, float), (np.asarray(longitude, float),) * len(latitude))._checked()

    @classmethod
    def of_points(cls, latitude: np.ndarray, longitude: np.ndarray) -> "SourceGrid":
        """Rows of a reduced grid, from the latitude and longitude of each point."""
        latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
        starts = np.flatnonzero(np.r_[True, np.abs(np.diff(latitude)) > 1e-6])
        return cls(latitude[starts], tuple(np.split(longitude, starts[1:])))._checked()

    @property
    def is_regular(self) -> bool:
        first = self.longitudes[0]
        return all(row is first or np.array_equal(row, first) for row in self.longitudes)

    @cached_property
    def key(self) -> bytes:
        """Bytes that differ between grids."""
        rows = self.longitudes[:1] if self.is_regular else self.longitudes
        return self.latitude.tobytes() + b"".join(row.tobytes() for row in rows)

    @property
    def size(self) -> int:
        return sum(map(len, self.longitudes))

    @property
    def is_gaussian(self) -> bool:
        nodes = _gaussian(len(self.latitude))[0]
        return len(nodes) > 1 and np.allclose(np.sort(self.latitude), nodes, rtol=0, atol=_GAUSSIAN_TOLERANCE)

    def __str__(self) -> str:
        kind = "regular" if self.is_regular else "reduced"
        kind += " Gaussian" if self.is_gaussian else ""
        return f"{kind} grid of {len(self.latitude)} rows, {self.latitude[0]:g} to {self.latitude[-1]:g}"

    def _checked(self) -> "SourceGrid":
        if not (np.isfinite(self.latitude).all() and all(np.isfinite(row).all() for row in self.longitudes)):
            raise InputError("latitude or longitude is missing or not finite, expected numbers")
        steps = np.diff(self.latitude)
        if len(self.latitude) < 2 or not (np.all(steps > 0) or np.all(steps < 0)):
            raise InputError(f"latitude has {len(self.latitude)} rows that neither rise nor fall throughout")
        if np.abs(self.latitude).max() > 90 + _TOLERANCE:
            raise InputError(f"latitude runs from {self.latitude[0]:g} to {self.latitude[-1]:g}, expected -90 to 90")
        ends, widest = 90 - np.abs(self.latitude[[0, -1]]), np.abs(steps).max()
        if self.latitude[0] * self.latitude[-1] > 0 or ends.max() > 1.02 * widest:
            raise InputError(
                f"latitude runs from {self.latitude[0]:g} to {self.latitude[-1]:g} in steps of {widest:g}, expected "
                "rows of the whole globe"
            )
        for row in dict.fromkeys(map(tuple, self.longitudes)) if not self.is_regular else [tuple(self.longitudes[0])]:
            _check_row(np.array(row))
        return self


def _check_row(longitude: np.ndarray) -> None:
    n = len(longitude)
    steps = np.diff(longitude) % 360
    if n < 2 or not np.allclose(steps, 360 / n, rtol=0, atol=_TOLERANCE * 2):
        what = f"{longitude[0]:g} to {longitude[-1]:g} in {n} columns"
        if n > 2 and abs((longitude[-1] - longitude[0]) % 360) < _TOLERANCE:
            raise InputError(f"longitude runs {what}: the first meridian is there twice, expected once")
        raise InputError(f"longitude runs {what}, expected the whole circle in even steps of {360 / max(n, 1):g}")


def parse_grid(text: str) -> LatLonGrid:
    """The grid of a text: `1.0` or `2.5` (degrees, rows on the poles) or `64x32` (longitudes x latitudes).

    An odd number of latitudes has rows on the poles, an even number half a spacing from them, as in WeatherBench2.
    """
    if sizes := re.fullmatch(r"(\d{1,5})x(\d{1,5})", text):
        columns, rows = map(int, sizes.groups())
        if not (4 <= columns <= 7200 and 3 <= rows <= 3601):
            raise InputError(f"--grid is {text!r}, expected 4x3 to 7200x3601")
        return LatLonGrid.equiangular(rows, columns, poles=rows % 2 == 1)
    try:
        spacing = float(text)
    except ValueError:
        raise InputError(f"--grid is {text!r}, expected degrees such as 1.0 or sizes such as 64x32") from None
    if not (0.05 <= spacing <= 60 and abs(180 / spacing - round(180 / spacing)) < 1e-9):
        raise InputError(f"--grid is {text!r} degrees, expected a divisor of 180 from 0.05 to 60")
    return LatLonGrid.equiangular(round(180 / spacing) + 1, round(360 / spacing), poles=True)


@dataclass(frozen=True, eq=False)
class Regridder:
    """Fields of a source on a grid."""

    grid: LatLonGrid
    words: str
    _matrix: sparse.csr_matrix

    @classmethod
    def build(cls, source: SourceGrid, grid: LatLonGrid | None, method: str = "conservative") -> "Regridder":
        """The regridder by a method; with the grid of the source, or None, points are only put in order.

        Raises InputError where the method cannot give the grid.
        """
        if grid is None:
            grid = _own_grid(source)
        if (exact := _selection(source, grid)) is not None and (method == "thin" or exact.shape[0] == exact.shape[1]):
            same = exact.shape[0] == exact.shape[1]
            return cls(grid, "" if same else f"thinned from the {source} by point", exact)
        if method == "thin":
            raise InputError(f"thinning to {grid}: its nodes are not points of the {source}; use another --method")
        build = {"conservative": _conservative, "bilinear": _bilinear}[method]
        return cls(grid, f"{method} from the {source}", build(source, grid))

    def __call__(self, values: Float[np.ndarray, "*lead point"]) -> Float[np.ndarray, "*lead latitude longitude"]:
        """Float32 fields on the grid. A node takes the mean of those source points that are not NaN (WeatherBench2)."""
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64).T
        missing = ~np.isfinite(flat)
        if missing.any():
            held = self._matrix @ (~missing).astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                out = self._matrix @ np.where(missing, 0.0, flat) / held
            out[held < 1e-9] = np.nan
        else:
            out = self._matrix @ flat
        return out.T.reshape(*values.shape[:-1], *self.grid.shape).astype(np.float32)


def cell_areas(grid: LatLonGrid) -> Float[np.ndarray, "latitude longitude"]:
    """Areas of a grid's cells as parts of the globe's: the weights that conservative regridding keeps the mean by."""
    edges = _edges(grid.latitude, False)
    return np.repeat(np.diff(edges)[:, None] / 2, grid.shape[1], axis=1) / grid.shape[1]


def point_areas(source: SourceGrid) -> Float[np.ndarray, " point"]:
    """Areas of a source's cells as parts of the globe's."""
    rows = np.abs(np.diff(_edges(source.latitude, source.is_gaussian))) / 2
    return np.concatenate(
        [np.full(len(row), area / len(row)) for row, area in zip(source.longitudes, rows, strict=True)]
    )


@lru_cache(8)
def _gaussian(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes in degrees and weights of a Gaussian grid, south to north."""
    if rows > 4000:
        return np.empty(0), np.empty(0)
    nodes, weights = np.polynomial.legendre.leggauss(rows)
    return np.rad2deg(np.arcsin(nodes)), weights


def _edges(latitude: np.ndarray, gaussian: bool) -> Float[np.ndarray, " edge"]:
    """Sines of the edges of rows, in their order, from pole to pole."""
    if gaussian:
        edges = np.r_[-1.0, -1.0 + np.cumsum(_gaussian(len(latitude))[1])]
        edges[-1] = 1.0
    else:
        rising = np.sort(latitude)
        edges = np.r_[-1.0, np.sin(np.deg2rad((rising[1:] + rising[:-1]) / 2)), 1.0]
    return edges if latitude[-1] > latitude[0] else edges[::-1]


def _own_grid(source: SourceGrid) -> LatLonGrid:
    if not source.is_regular or source.is_gaussian:
        raise InputError(f"the source is on a {source}; choose a regular grid with --grid")
    try:
        return LatLonGrid(np.sort(source.latitude), np.sort(np.round(source.longitudes[0] % 360, 6) % 360))
    except InputError as error:
        raise InputError(f"{error}; choose a grid with --grid") from None


def _selection(source: SourceGrid, grid: LatLonGrid) -> sparse.csr_matrix | None:
    """The matrix that picks the grid's nodes among a regular source's points, None if they are not all there."""
    if not source.is_regular:
        return None
    rows = _positions(source.latitude, grid.latitude, None)
    columns = _positions(source.longitudes[0], grid.longitude, 360.0)
    if rows is None or columns is None:
        return None
    chosen = (rows[:, None] * len(source.longitudes[0]) + columns).ravel()
    ones = np.ones(len(chosen))
    return sparse.csr_matrix((ones, (np.arange(len(chosen)), chosen)), (len(chosen), source.size))


def _positions(held: np.ndarray, wanted: np.ndarray, period: float | None) -> Int[np.ndarray, " wanted"] | None:
    away = np.abs(held[None] - wanted[:, None])
    away = away if period is None else np.minimum(away % period, -away % period)
    nearest = away.argmin(axis=1)
    return nearest if np.all(away[np.arange(len(wanted)), nearest] < _TOLERANCE) else None


def _conservative(source: SourceGrid, grid: LatLonGrid) -> sparse.csr_matrix:
    target = _edges(grid.latitude, False)
    rows = sparse.csc_matrix(_overlap(_edges(source.latitude, source.is_gaussian), target))
    columns = {}
    for row in source.longitudes:
        if (key := row.tobytes()) not in columns:
            columns[key] = sparse.csr_matrix(_around(row, grid.longitude))
    if source.is_regular:
        return sparse.csr_matrix(sparse.kron(rows, columns[source.longitudes[0].tobytes()]))
    blocks = [sparse.kron(rows[:, [j]], columns[row.tobytes()]) for j, row in enumerate(source.longitudes)]
    return sparse.csr_matrix(sparse.hstack(blocks))


def _overlap(held: np.ndarray, wanted: np.ndarray) -> Float[np.ndarray, "wanted held"]:
    """Parts of each wanted interval that lie in each held one, from their edges."""
    low, high = np.minimum(held[:-1], held[1:]), np.maximum(held[:-1], held[1:])
    common = np.minimum(high, wanted[1:, None]) - np.maximum(low, wanted[:-1, None])
    common = np.maximum(common, 0)
    return common / common.sum(axis=1, keepdims=True)


def _around(held: np.ndarray, wanted: np.ndarray) -> Float[np.ndarray, "wanted held"]:
    """Parts of each wanted cell of longitude that lie in each held one, around the circle."""
    width, step = 360 / len(held), 360 / len(wanted)
    apart = (held[None] - wanted[:, None] + 180) % 360 - 180
    common = np.zeros(apart.shape)
    for turn in (-360, 0, 360):  # cells of half the circle meet on both sides
        shifted = apart + turn
        part = np.minimum(shifted + width / 2, step / 2) - np.maximum(shifted - width / 2, -step / 2)
        common += np.maximum(part, 0)
    common[common < 1e-9 * step] = 0
    return common / common.sum(axis=1, keepdims=True)


def _bilinear(source: SourceGrid, grid: LatLonGrid) -> sparse.csr_matrix:
    order = np.argsort(source.latitude)
    rising = source.latitude[order]
    starts = np.r_[0, np.cumsum([len(row) for row in source.longitudes])]
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    n = len(grid.longitude)
    for m, latitude in enumerate(grid.latitude):
        nodes = m * n + np.arange(n)
        for j, weight in _two_rows(rising, float(latitude)):
            row = int(order[0 if latitude < 0 else -1] if j is None else order[j])
            held = source.longitudes[row]
            if j is None:
                points = np.tile(np.arange(len(held)), (n, 1))
                weights = np.full(points.shape, weight / len(held))
            else:
                points, weights = _two_points(held, grid.longitude, weight)
            parts.append((np.repeat(nodes, points.shape[1]), starts[row] + points.ravel(), weights.ravel()))
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sparse.csr_matrix((values, (rows, columns)), (grid.size, source.size))


def _two_rows(rising: np.ndarray, latitude: float) -> Sequence[tuple[int | None, float]]:
    """Rows on both sides of a latitude and their weights; None for the pole."""
    above = int(np.searchsorted(rising, latitude))
    if above < len(rising) and abs(rising[above] - latitude) < 1e-9:
        return [(above, 1.0)]
    if above in (0, len(rising)):
        edge, pole = (0, -90.0) if above == 0 else (len(rising) - 1, 90.0)
        part = (latitude - rising[edge]) / (pole - rising[edge])
        return [(edge, 1 - part), (None, part)]
    part = (latitude - rising[above - 1]) / (rising[above] - rising[above - 1])
    return [(above - 1, 1 - part), (above, part)]


def _two_points(held: np.ndarray, wanted: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of a row on both sides of each longitude, and their weights."""
    step = 360 / len(held)
    at = ((wanted - held[0]) % 360) / step
    whole = np.round(at)
    at = np.where(np.abs(at - whole) < 1e-6, whole, at)
    left = np.floor(at).astype(int)
    part = at - left
    points = np.stack([left % len(held), (left + 1) % len(held)], axis=1)
    return points, weight * np.stack([1 - part, part], axis=1)

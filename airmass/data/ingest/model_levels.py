"""Model levels of files, hybrid or sigma, and fields on them at pressures.

The pressure of level k is a_k + b_k times the pressure at the surface (CF conventions, appendix D:
`atmosphere_hybrid_sigma_pressure_coordinate`, `atmosphere_sigma_coordinate`). ECMWF gives a and b on the half levels
around each level; the pressure of the level is the mean of both (IFS Documentation CY47R3, part III, section 2.2).
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from airmass.core.csv_rows import read_rows
from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.core.reading import read_text
from airmass.data.ingest.formulas import DRY_AIR, G

HYBRID = "atmosphere_hybrid_sigma_pressure_coordinate"
SIGMA = "atmosphere_sigma_coordinate"
_LAPSE = 0.0065  # K m-1, of the standard atmosphere
_USUAL, _HIGHEST = 1.0e5, 1.1e5  # pressures at the surface, Pa
# The largest a of any table, Pa: 19,000 in ECMWF's, 5,000 or more elsewhere.
_LEAST = 1000.0
_AXES = ("hybrid", "model_level", "model_level_number")
# Names of a and b on half levels beside fields: ECMWF's, and those of the Community Earth System Model.
_HALVES = (("a_half", "b_half"), ("hyai", "hybi"), ("ap_half", "b_half"))


@dataclass(frozen=True, eq=False)
class ModelLevels:
    """Coefficients of the levels of a field, a in Pa, in the order of its file.

    `half` has those of their edges, from the top down to the ground, where they are known.
    """

    a: Float[np.ndarray, " level"]
    b: Float[np.ndarray, " level"]
    half: "HalfLevels | None" = None

    @property
    def order(self) -> Int[np.ndarray, " level"]:
        """Indices of the levels from the top down."""
        return np.argsort(self.a + self.b * _USUAL)

    @property
    def top(self) -> float:
        """The lowest pressure in Pa that the levels reach over any surface."""
        return float((self.a + self.b * _HIGHEST).min())

    @property
    def bottom(self) -> float:
        """The pressure of the lowest level over that at the surface."""
        return float((self.a / _USUAL + self.b).max())

    def at_pressures(
        self,
        values: Float[np.ndarray, "level point"],
        surface: Float[np.ndarray, " point"],
        pressures: Float[np.ndarray, " pressure"],
        name: str,
        below_ground: bool,
    ) -> Float[np.ndarray, "pressure point"]:
        """Values at pressures in Pa, linear in log pressure; NaN below ground, or extended there if `below_ground`.

        Between the lowest level and the ground, fields go on as `_downward` says.
        """
        order = self.order
        p = self.a[order, None] + self.b[order, None] * surface.astype(np.float64)
        values, log = values[order].astype(np.float64), np.log(p)
        out = np.empty((len(pressures), len(surface)))
        for row, pressure in zip(out, pressures, strict=True):
            below = np.clip((p < pressure).sum(axis=0), 1, len(p) - 1)[None]
            (x0,), (x1,) = (np.take_along_axis(log, below - k, 0) for k in (1, 0))
            (y0,), (y1,) = (np.take_along_axis(values, below - k, 0) for k in (1, 0))
            row[:] = y0 + (y1 - y0) * (np.log(pressure) - x0) / (x1 - x0)
            row[:] = np.where(pressure > p[-1], _downward(name, row, values[-1], pressure / p[-1]), row)
            if not below_ground:
                row[pressure > surface] = np.nan
        return out.astype(np.float32)


def _downward(name: str, line: np.ndarray, lowest: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Values below the lowest level, at `ratio` times its pressure.

    Geopotential goes on along its `line` in log pressure, temperature by 6.5 K km-1, other fields keep their value.
    """
    if name in ("geopotential", "geopotential_height"):
        return line
    return lowest * ratio ** (DRY_AIR * _LAPSE / G) if name == "temperature" else lowest


@dataclass(frozen=True, eq=False)
class HalfLevels:
    """Coefficients on half levels 0 to n, from the top down, a in Pa."""

    a: Float[np.ndarray, " half"]
    b: Float[np.ndarray, " half"]

    @property
    def top(self) -> float:
        """The pressure of the first half level in Pa, over a usual surface."""
        return float(self.a[0] + self.b[0] * _USUAL)

    def of(self, numbers: np.ndarray, described: str) -> ModelLevels:
        """The coefficients of levels by number, from 1; raises InputError for a number that is not there."""
        levels = np.asarray(numbers, float)
        index = levels.astype(int)
        if np.any(index != levels) or index.min() < 1 or index.max() >= len(self.a):
            raise InputError(
                f"{described} has the model levels {levels.min():g} to {levels.max():g}, expected numbers from 1 to "
                f"{len(self.a) - 1}"
            )
        held, last = np.sort(index), len(self.a) - 1
        whole = np.array_equal(held, np.arange(held[0], last + 1))
        edges = HalfLevels(self.a[held[0] - 1 :], self.b[held[0] - 1 :]) if whole else None
        return ModelLevels((self.a[index - 1] + self.a[index]) / 2, (self.b[index - 1] + self.b[index]) / 2, edges)


def read_half_levels(path: Path) -> HalfLevels:
    """ECMWF's table of half levels as CSV: columns `n`, `a` (Pa) and `b`; others are not read.

    Raises InputError, with the line, for values that are none or do not run from the top to the ground.
    """
    names, held = read_rows(read_text(path, most=2**20), path)
    columns = {re.split(r"[ \[]", name.strip())[0].lower(): name for name in names}
    if missing := [name for name in ("n", "a", "b") if name not in columns]:
        raise InputError(f"{path}: no column {missing[0]}, expected n, a (Pa) and b")
    rows = []
    for line, row in held:
        try:
            rows.append([float(row[columns[name]]) for name in ("n", "a", "b")])
        except (ValueError, TypeError):
            raise InputError(f"{path}: line {line}: expected numbers for n, a and b") from None
    n, a, b = np.array(rows, float).reshape(-1, 3).T
    if not np.array_equal(n, np.arange(len(n))) or len(n) < 2:
        raise InputError(f"{path}: n is {_ends(n)}, expected 0, 1, 2, ... from the top down")
    return _checked(a, b, str(path))


def model_levels(dataset: xr.Dataset, name: str, half: HalfLevels | None, where: str) -> tuple[str, ModelLevels] | None:
    """The axis of model levels of a field and their coefficients; None for a field without such an axis.

    Raises InputError where nothing tells the coefficients.
    """
    field = dataset[name]
    if (axis := model_axis(field)) is None:
        return None
    told = next((c for c in _along(field, axis) if _kind(c) in (HYBRID, SIGMA) and "formula_terms" in c.attrs), None)
    if told is not None:
        return axis, _by_formula(dataset, told, where)
    half = half or _beside(dataset, where)
    if half is None:
        raise InputError(
            f"{where} is on model levels, and nothing tells their pressures; give a and b of the half levels with "
            "--half-levels"
        )
    if axis not in field.coords:
        raise InputError(f"{where} has an axis {axis} without numbers, expected those of model levels")
    return axis, half.of(field[axis].values, where)


def model_axis(field: xr.DataArray) -> str | None:
    """The axis of model levels of a field, by what the file says of it."""
    for axis in map(str, field.dims):
        said = [c for c in _along(field, axis) if _kind(c) in (HYBRID, SIGMA) or "model_level" in _said(c)]
        if axis in _AXES or said:
            return axis
    return None


def _along(field: xr.DataArray, axis: str) -> list[xr.DataArray]:
    return [c for c in field.coords.values() if c.dims == (axis,)]


def _kind(axis: xr.DataArray) -> object:
    return axis.attrs.get("standard_name")


def _said(axis: xr.DataArray) -> str:
    return f"{axis.attrs.get('long_name')} {axis.attrs.get('standard_name')}".replace(" ", "_")


def _by_formula(dataset: xr.Dataset, axis: xr.DataArray, where: str) -> ModelLevels:
    """The coefficients that an axis names in its `formula_terms`."""
    text = str(axis.attrs["formula_terms"])
    terms = dict(re.findall(r"(\w+):\s*(\S+)", text))

    def values(term: str) -> np.ndarray:
        if (named := terms.get(term)) not in dataset.variables:
            raise InputError(f"{where}: {axis.name} has formula_terms {text!r}, but the file has no {named or term}")
        found = np.asarray(dataset[named].values, float)
        pascals = dataset[named].attrs.get("units") in (None, "Pa", "1", "") or term in ("a", "b", "sigma")
        if not pascals:
            raise InputError(f"{where}: {named} has units {dataset[named].attrs['units']!r}, expected Pa")
        return found

    if _kind(axis) == SIGMA:
        sigma = values("sigma")
        return _on(axis, values("ptop") * (1 - sigma), sigma, where)
    a = values("ap") if "ap" in terms else values("a") * values("p0")
    return _on(axis, a, values("b"), where)


def _on(axis: xr.DataArray, a: np.ndarray, b: np.ndarray, where: str) -> ModelLevels:
    if a.shape != axis.shape or b.shape != axis.shape:
        raise InputError(f"{where}: coefficients have the shapes {a.shape} and {b.shape}, expected {axis.shape}")
    _require_possible(a, b, where)
    return ModelLevels(a, b)


def _beside(dataset: xr.Dataset, where: str) -> HalfLevels | None:
    """Coefficients on half levels in variables of the file."""
    for names in _HALVES:
        if all(name in dataset.variables for name in names):
            a, b = (np.asarray(dataset[name].values, float) for name in names)
            a = a * float(dataset["P0"]) if names[0] == "hyai" and "P0" in dataset.variables else a
            return _checked(a, b, where)
    return None


def _checked(a: np.ndarray, b: np.ndarray, where: str) -> HalfLevels:
    p = a + b * _USUAL
    if a.ndim != 1 or a.shape != b.shape or not np.all(np.diff(p) > 0):
        raise InputError(f"{where}: a and b of half levels do not rise from the top down, expected them to")
    _require_possible(a, b, where)
    if 0 < a.max() < _LEAST:
        raise InputError(f"{where}: a of half levels is at most {a.max():g}, expected thousands of Pa: is it in hPa?")
    if abs(p[-1] / _USUAL - 1) > 0.01:
        raise InputError(f"{where}: the last half level lies at {p[-1] / _USUAL:g} of the surface pressure, expected 1")
    return HalfLevels(a, b)


def _require_possible(a: np.ndarray, b: np.ndarray, where: str) -> None:
    p = a + b * _USUAL
    if not (
        np.isfinite(p).all() and p.min() >= 0 and p.max() <= 1.02 * _USUAL and b.min() >= -1e-9 and b.max() <= 1.01
    ):
        raise InputError(
            f"{where}: over a surface at 1000 hPa the levels lie at {p.min() / 100:g} to {p.max() / 100:g} hPa, "
            "expected 0 to 1000: is a in Pa?"
        )


def require_reached(place: Place, name: str, levels: ModelLevels, pressures: Float[np.ndarray, " pressure"]) -> None:
    """Raise InputError unless the model levels reach from these pressures (Pa) down to the ground."""
    if (lowest := float(np.min(pressures))) < levels.top:
        raise InputError(
            f"{place}: {name} at {lowest / 100:g} hPa lies above the highest model level, at {levels.top / 100:.4g} hPa"
        )
    if levels.bottom < 0.9 or len(levels.a) < 2:
        raise InputError(
            f"{place}: the lowest model level of {name} lies at {levels.bottom:.2g} of the surface pressure, expected "
            "levels down to the ground"
        )


def _ends(values: np.ndarray) -> str:
    return f"{values[0]:g} to {values[-1]:g} in {len(values)} rows" if len(values) else "empty"

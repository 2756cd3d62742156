"""Fields of an archive on model levels at pressures, over the ground that the archive tells, and their geopotential."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.formulas import DRY_AIR, WATER_VAPOUR, Formula
from airmass.data.ingest.model_levels import ModelLevels, require_reached
from airmass.data.ingest.pieces import Piece

# Quantities that tell the pressure at the ground, the preferred first.
_GROUND = ("surface_pressure", "logarithm_of_surface_pressure")
_INPUTS = ("temperature", "specific_humidity")


# IFS Documentation CY47R3, part III, equation 2.21.
HYDROSTATIC = Formula("geopotential", _INPUTS, None, "integrated from virtual temperature on model levels")


def can_integrate(pieces: Mapping[str, Sequence[Piece]]) -> bool:
    """True with temperature and humidity on all model levels down to the ground."""
    held = [piece for quantity in _INPUTS for piece in pieces.get(quantity, ())]
    both = all(quantity in pieces for quantity in _INPUTS)
    return both and all(p.model is not None and p.model.half is not None for p in held)


class ModelLevelFields:
    """Fields on model levels. `holders` and `read` give the pieces and values of a quantity of the archive."""

    def __init__(
        self,
        pieces: Mapping[str, Sequence[Piece]],
        holders: Callable[..., list[tuple[Piece, list[float]]]],
        read: Callable[..., tuple[np.ndarray, Piece]],
        below_ground: bool,
    ):
        self._pieces, self._holders, self._read, self._below_ground = pieces, holders, read, below_ground

    @property
    def words(self) -> str:
        """Words on the way from model levels to pressures."""
        ground = "extended" if self._below_ground else "missing"
        return f"from model levels, linear in log pressure, {ground} below ground"

    def require(self, name: str, piece: Piece, time: np.datetime64, levels: Sequence[int]) -> None:
        """Raise InputError unless levels in hPa lie within a piece's model levels, over a ground that is known."""
        assert piece.model is not None
        require_reached(piece.place, name, piece.model, _pascals(levels))
        if self._ground is None:
            raise InputError(
                f"{piece.described} is on model levels: expected {' or '.join(_GROUND)} (sp, lnsp) beside it; the "
                f"sources hold {', '.join(sorted(self._pieces))}"
            )
        holder = self._holders(name, self._ground, time)[0][0]
        if holder.grid.key != piece.grid.key:
            raise InputError(f"{holder.described} is on another grid than {piece.described}, expected the same")

    def at_pressures(
        self,
        quantity: str,
        piece: Piece,
        values: Float[np.ndarray, "level point"],
        time: np.datetime64,
        number: int | None,
        levels: Sequence[float],
    ) -> Float[np.ndarray, "pressure point"]:
        """Values on model levels at pressures in hPa; raises InputError for missing ones."""
        assert piece.model is not None
        _require_finite(piece.described, values, time)
        surface = self._surface_pressure(time, number)
        return piece.model.at_pressures(values, surface, _pascals(levels), quantity, self._below_ground)

    def geopotential(
        self,
        pieces: Sequence[Piece],
        time: np.datetime64,
        number: int | None,
        ground: Float[np.ndarray, " point"],
        levels: Sequence[float],
    ) -> Float[np.ndarray, "pressure point"]:
        """Geopotential at pressures in hPa, from pieces of temperature and humidity and geopotential at the ground."""
        model = pieces[0].model
        assert model is not None and model.half is not None
        (temperature, humidity) = (p.read(time, (), number).astype(np.float64) for p in pieces)
        for piece, values in zip(pieces, (temperature, humidity), strict=True):
            _require_finite(piece.described, values, time)
        surface = self._surface_pressure(time, number)
        virtual = (temperature * (1 + (WATER_VAPOUR / DRY_AIR - 1) * humidity))[model.order]
        # Of the layers, one may reach to pressure zero; its upper edge is at no geopotential.
        first = int(model.half.top == 0)
        edges = ModelLevels(model.half.a[first:], model.half.b[first:])
        pressure = edges.a[:, None] + edges.b[:, None] * surface
        layers = DRY_AIR * virtual[-(len(pressure) - 1) :] * np.diff(np.log(pressure), axis=0)
        above = np.cumsum(layers[::-1], axis=0)[::-1]
        heights = np.concatenate([above, np.zeros((1, len(surface)))]) + ground
        return edges.at_pressures(heights, surface, _pascals(levels), HYDROSTATIC.variable, self._below_ground)

    @property
    def _ground(self) -> str | None:
        return next((quantity for quantity in _GROUND if quantity in self._pieces), None)

    def _surface_pressure(self, time: np.datetime64, number: int | None) -> Float[np.ndarray, " point"]:
        """The pressure at the ground in Pa; raises InputError for values that are none."""
        assert self._ground is not None
        surface, piece = self._read(self._ground, self._ground, time, number)
        _require_finite(piece.described, surface, time)
        surface = surface.astype(np.float64)
        surface = np.exp(surface) if self._ground == _GROUND[1] else surface
        if surface.min() < 3e4 or surface.max() > 1.15e5:
            raise InputError(
                f"{piece.described} at {minute(time)} is {surface.min() / 100:.5g} to {surface.max() / 100:.5g} hPa, "
                "expected 300 to 1150"
            )
        return surface


def _pascals(levels: Sequence[float]) -> Float[np.ndarray, " pressure"]:
    return 100.0 * np.array(levels, float)


def _require_finite(described: str, values: np.ndarray, time: np.datetime64) -> None:
    if bad := int((~np.isfinite(values)).sum()):
        raise InputError(f"{described} at {minute(time)} has {bad} NaN or infinite values, expected none")

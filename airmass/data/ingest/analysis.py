"""Frames of variables from an archive on one grid: formulas, sums, model levels, regridding, and their provenance."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.archive import OROGRAPHY, Archive, Holder, Origin
from airmass.data.ingest.joining import require_finite
from airmass.data.ingest.model_level_fields import ModelLevelFields
from airmass.data.ingest.pieces import Piece
from airmass.data.ingest.precipitation import needs_sum
from airmass.data.ingest.regrid import Regridder
from airmass.data.plausible import require_plausible
from airmass.data.sea_mask import MASK, is_land
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

# A rise of the mean geopotential with pressure beyond noise, m2 s-2: layers of 100 hPa are 7,000 thick and more.
_LARGEST_RISE = 3000.0


class Analysis:
    """Variables of an archive on one grid and on `levels` in hPa; `grid` is None for the sources' own."""

    def __init__(
        self, archive: Archive, grid: LatLonGrid | None, method: str, levels: Sequence[int], member: int | None,
        below_ground: bool,
    ):  # fmt: skip
        self.archive, self.levels = archive, tuple(levels)
        self._wanted, self._method, self._member = grid, method, member
        self._model = ModelLevelFields(archive.pieces, self._holders, self._read, below_ground)
        self._regridders: dict[bytes, Regridder] = {}

    @cached_property
    def grid(self) -> LatLonGrid:
        """The grid of the frames: the one wanted, or that of the first piece."""
        if self._wanted is not None:
            return self._wanted
        return Regridder.build(next(iter(self.archive.pieces.values()))[0].grid, None).grid

    def require(self, names: Sequence[str], times: np.ndarray) -> None:
        """Raise InputError unless every variable can be had at every time and level, from one place on one grid."""
        for name in names:
            if VARIABLES[name].static:
                self.archive.static_piece(name)
            elif needs_sum(name):
                self.archive.precipitation.require(name, self.archive.describe(name), times)
            else:
                for quantity in self.archive.origin(name).inputs:
                    for time in times:
                        self._holders(name, quantity, time)
        for name in names:
            for piece in self.archive.pieces_of(name):
                self._regridder(piece)

    def frame(
        self, name: str, time: np.datetime64 | None, number: int | None = None
    ) -> Float[np.ndarray, "*level latitude longitude"]:
        """One variable at a time, float32, in its units; raises InputError for missing and implausible values."""
        variable, where = VARIABLES[name], self.archive.describe(name)
        values, piece = self._on_source_grid(name, time, self._member if number is None else number)
        if not variable.missing_over_land and not self.archive.on_model_levels(name):
            require_finite(name, values, time, self.levels, where)
        frame = self._regridder(piece)(values)
        if variable.missing_over_land and self._land_sea_mask is not None:
            frame = _without_land(frame, is_land(self._land_sea_mask))
        if name == "geopotential" and len(self.levels) > 1:
            _require_falling(where, frame, self.levels, time)
        self._require_plausible(name, frame, None if time is None else np.array([time]))
        return frame

    def provenance(self, name: str) -> dict[str, str]:
        """Where a variable comes from, and what was done, as attributes."""
        formula, pieces = self.archive.origin(name).formula, self.archive.pieces_of(name)
        fields = dict.fromkeys(
            f"{p.name}{f' ({units})' if (units := p.field.attrs.get('units')) else ''}" for p in pieces
        )
        done = [formula.words] if formula else []
        done += [f"{VARIABLES[name].accumulation_hours} h put together from its sums"] if needs_sum(name) else []
        if VARIABLES[name].missing_over_land and self._land_sea_mask is not None:
            done.append("missing over land by land_sea_mask")
        done += ["units converted"] if any(p.factor != 1 or p.offset for p in pieces) else []
        done += [self._model.words] if self.archive.on_model_levels(name) else []
        done += [words] if (words := self._regridder(pieces[0]).words) else []
        return {
            "source": f"{', '.join(fields)} of {self.archive.describe(name)}",
            "history": "; ".join(done) or "as in the source",
        }

    @cached_property
    def _land_sea_mask(self) -> Float[np.ndarray, "latitude longitude"] | None:
        """The land-sea mask on the grid of the frames, None where no source has one."""
        return self.frame(MASK, None) if self.archive.origins(MASK) else None

    def _require_plausible(self, name: str, frame: np.ndarray, times: np.ndarray | None) -> None:
        """Raise InputError for implausible values, with the units that were converted, if any were."""
        levels = self.levels if VARIABLES[name].on_levels else ()
        try:
            require_plausible(self.archive.describe(name), name, frame[None], levels, times)
        except InputError as error:
            changed = [p.field.attrs.get("units") for p in self.archive.pieces_of(name) if p.factor != 1 or p.offset]
            hint = f"; the file's units {changed[0]!r} were converted: are they right?" if changed else ""
            raise InputError(f"{error}{hint}") from None

    def _on_source_grid(self, name: str, time: np.datetime64 | None, number: int | None) -> tuple[np.ndarray, Piece]:
        """A variable at a time on the grid of its source, and a piece on that grid."""
        origin = self.archive.origin(name)
        if VARIABLES[name].static:
            piece = self.archive.static_piece(name)
            return _static(piece, origin, number), piece
        assert time is not None
        if needs_sum(name):
            return self.archive.precipitation.read(name, self.archive.describe(name), time, number)
        if origin.formula is None:
            return self._read(name, origin.inputs[0], time, number)
        if origin.formula.compute is None:
            return self._hydrostatic(origin, time, number)
        return self._computed(origin, time, number)

    def _holders(self, name: str, quantity: str, time: np.datetime64) -> list[Holder]:
        """The pieces that have a quantity at a time, in the order of the levels; model levels reach to all of them."""
        found = self.archive.holders(name, quantity, time, self.levels)
        for piece, _ in found:
            if piece.model is not None:
                self._model.require(name, piece, time, self.levels)
        return found

    def _read(self, name: str, quantity: str, time: np.datetime64, number: int | None) -> tuple[np.ndarray, Piece]:
        """A quantity at a time on all levels, and a piece on its grid."""
        holders = self._holders(name, quantity, time)
        first, levels = holders[0]
        if not levels:
            return first.read(time, (), number), first
        parts: dict[float, np.ndarray] = {}
        for piece, levels in holders:
            values = piece.read(time, levels, number)
            if piece.model is not None:
                values = self._model.at_pressures(quantity, piece, values, time, number, levels)
            parts |= dict(zip(levels, values, strict=True))
        return np.stack([parts[float(level)] for level in self.levels]), first

    def _computed(self, origin: Origin, time: np.datetime64, number: int | None) -> tuple[np.ndarray, Piece]:
        """A variable by the formula of its origin."""
        assert origin.formula is not None and origin.formula.compute is not None
        name = origin.variable
        read = [self._read(name, quantity, time, number) for quantity in origin.inputs]
        first = read[0][1]
        for quantity, (_, piece) in zip(origin.inputs, read, strict=True):
            if piece.grid.key != first.grid.key:
                raise InputError(
                    f"{self.archive.describe(name)}: {quantity} is on another grid than {origin.inputs[0]}"
                )
        pressure = 100.0 * np.array(self.levels, float)[:, None] if VARIABLES[name].on_levels else None
        values = origin.formula.compute(*(v.astype(np.float64) for v, _ in read), pressure)
        return values.astype(np.float32), first

    def _hydrostatic(self, origin: Origin, time: np.datetime64, number: int | None) -> tuple[np.ndarray, Piece]:
        """Geopotential from temperature and humidity on model levels."""
        pieces = [self._holders(origin.variable, quantity, time)[0][0] for quantity in origin.inputs]
        ground = self.archive.static_piece(OROGRAPHY)
        if other := next((p for p in (*pieces, ground) if p.grid.key != pieces[0].grid.key), None):
            raise InputError(f"{other.described} is on another grid than {pieces[0].described}, expected the same")
        height = _static(ground, self.archive.origin(OROGRAPHY), number)
        return self._model.geopotential(pieces, time, number, height, self.levels), pieces[0]

    def _regridder(self, piece: Piece) -> Regridder:
        """The way from a piece's grid to that of the frames; raises InputError for a grid that leads to another."""
        key = piece.grid.key
        if key not in self._regridders:
            try:
                made = Regridder.build(piece.grid, self._wanted, self._method)
            except InputError as error:
                raise InputError(f"{piece.described}: {error}") from None
            other = next(iter(self._regridders.values()), None)
            if other is not None and other.grid != made.grid:
                raise InputError(f"{piece.described} is on {made.grid}, other fields on {other.grid}; choose a --grid")
            self._regridders[key] = made
        return self._regridders[key]


def _static(piece: Piece, origin: Origin, number: int | None) -> np.ndarray:
    """A static variable; raises InputError if its first and last frames differ."""
    times = piece.times if piece.has_time else np.array([None])
    first = piece.read(times[0], (), number)
    if len(times) > 1 and not np.array_equal(first, piece.read(times[-1], (), number), equal_nan=True):
        raise InputError(f"{piece.described} differs between {minute(times[0])} and {minute(times[-1])}, expected none")
    if origin.formula is None:
        return first
    assert origin.formula.compute is not None  # what is integrated changes in time
    return origin.formula.compute(first.astype(np.float64), None).astype(np.float32)


def _require_falling(
    where: str, frame: Float[np.ndarray, "level latitude longitude"], levels: Sequence[int], time: np.datetime64 | None
) -> None:
    """Raise InputError unless the mean geopotential falls with pressure: else the levels are in another order."""
    least, greatest = VARIABLES["geopotential"].valid_range
    if frame.min() < least or frame.max() > greatest:
        return  # other values are told by their range
    means = frame.reshape(len(levels), -1).mean(axis=1)
    wrong = np.flatnonzero(np.diff(means) > _LARGEST_RISE)
    if wrong.size:
        k, when = int(wrong[0]), "" if time is None else f" at {minute(time)}"
        raise InputError(
            f"{where}: geopotential averages {means[k + 1]:.6g} at the level {levels[k + 1]} hPa and {means[k]:.6g} at "
            f"{levels[k]} hPa{when}, expected less at the higher pressure: are the levels in another order?"
        )


def _without_land(frame: Float[np.ndarray, "*shape"], land: Bool[np.ndarray, "*shape"]) -> np.ndarray:
    """A field of the sea, NaN over land also where the source has values on all of it, as NCEP's ice has."""
    filled = bool(land.any() and np.isfinite(frame[land]).all())
    return np.where(land, np.float32(np.nan), frame) if filled else frame

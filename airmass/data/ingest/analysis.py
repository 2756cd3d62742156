"""Frames of variables from the pieces of several sources: exact joins, formulas, sums over windows, regridding.

Sources are joined by exact coordinates: each time and level of a variable comes from one piece, on one grid; what is
missing or there twice is refused before anything is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.formulas import Formula, formulas_for
from airmass.data.ingest.joining import intervals_of, listed, require_finite, there_twice
from airmass.data.ingest.model_level_fields import HYDROSTATIC, ModelLevelFields
from airmass.data.ingest.pieces import Piece, placed
from airmass.data.ingest.regrid import Regridder, SourceGrid
from airmass.data.ingest.sums import LARGEST_FALL, Intervals, Term
from airmass.data.plausible import require_plausible
from airmass.data.sea_mask import MASK, is_land
from airmass.fields.grid import LatLonGrid
from airmass.fields.variables import VARIABLES

_SUMMED = "total_precipitation"
# Quantities that windows of precipitation are put together from, the preferred first.
_SUMS = (_SUMMED, "total_precipitation_6hr", "total_precipitation_12hr", "total_precipitation_rate")
_WATER = 1000.0  # kg m-3
# A rise of the mean geopotential with pressure beyond noise, m2 s-2: layers of 100 hPa are 7,000 thick and more.
_LARGEST_RISE = 3000.0
_OROGRAPHY = "geopotential_at_surface"

Pieces = Mapping[str, Sequence[Piece]]


class Analysis:
    """Variables of an archive on one grid."""

    def __init__(
        self, pieces: Pieces, grid: LatLonGrid | None, method: str = "conservative", levels: Sequence[int] = (),
        member: int | None = None, below_ground: bool = False,
    ):  # fmt: skip
        self._pieces, self._wanted, self._method, self._member = pieces, grid, method, member
        self._model = ModelLevelFields(pieces, self._holders, self._read, below_ground)
        self._regridders: dict[bytes, Regridder] = {}
        self.levels = tuple(levels)
        self._sums: dict[str, Intervals] = {}
        self._by_time: dict[str, dict[int | None, list[Piece]]] = {}

    def sources(self, name: str) -> list["Origin"]:
        """The ways in which a variable can be had from the pieces, the preferred first."""
        found = [Origin(name, (name,), None)] if name in self._pieces and not _needs_sum(name) else []
        for formula in formulas_for(name):
            if all(quantity in self._pieces for quantity in formula.inputs):
                found.append(Origin(name, formula.inputs, formula))
        if name == HYDROSTATIC.variable and self._model.can_integrate and self.sources(_OROGRAPHY):
            found.append(Origin(name, HYDROSTATIC.inputs, HYDROSTATIC))
        if _needs_sum(name):
            found += [Origin(name, (quantity,), None) for quantity in _SUMS if quantity in self._pieces]
        return found

    def origin(self, name: str) -> "Origin":
        """The preferred source of a variable; raises InputError, with what would give it, if there is none."""
        if found := self.sources(name):
            return found[0]
        needs = [name, *(" and ".join(f.inputs) for f in formulas_for(name))]
        needs += [_SUMMED, "total_precipitation_rate"] if _needs_sum(name) else []
        held = ", ".join(sorted(self._pieces))
        raise InputError(f"no source has {name}: expected {' or '.join(needs)}; {self._places()} hold {held}")

    def _places(self) -> str:
        """The files of all pieces, in words."""
        return _in_words([placed(p.place) for pieces in self._pieces.values() for p in pieces])

    def is_put_together(self, name: str) -> bool:
        """True for a sum that the sources do not have under its own name."""
        return _needs_sum(name) and name not in self._pieces

    def times(self, name: str) -> np.ndarray:
        """The times for which a variable can be had."""
        origin = self.origin(name)
        if VARIABLES[name].static:
            return np.array([], "datetime64[ns]")
        if _needs_sum(name):
            intervals, hours = self._intervals(origin.inputs[0]), VARIABLES[name].accumulation_hours
            return np.array([end for end in intervals.ends if intervals.window(end, hours)], "datetime64[ns]")
        held = [set().union(*(p.times.tolist() for p in self._pieces[q])) for q in origin.inputs]
        return np.array(sorted(set.intersection(*held)), "datetime64[ns]")

    def numbers(self, names: Sequence[str]) -> tuple[int, ...]:
        """The members that all variables have; raises InputError where they differ."""
        held: dict[tuple[int, ...], str] = {}
        for name in names:
            for quantity in self.origin(name).inputs:
                for piece in self._pieces[quantity]:
                    if not VARIABLES[name].static or piece.numbers:
                        held.setdefault(piece.numbers, piece.described)
        if len(held) > 1:
            (one, a), (two, b) = list(held.items())[:2]
            raise InputError(f"{a} has the members {listed(one)}, {b} has {listed(two)}; expected the same members")
        found = next(iter(held), ())
        if self._member is None:
            return found
        if not found:
            raise InputError(f"--member is {self._member}, but the sources have no members")
        if self._member not in found:
            raise InputError(f"no member {self._member}; the sources have {listed(found)}")
        return ()

    def require(self, names: Sequence[str], times: np.ndarray) -> None:
        """Raise InputError unless every variable can be had at every time and level, from one place on one grid."""
        for name in names:
            origin = self.origin(name)
            if VARIABLES[name].static:
                self._static_piece(name, origin)
                continue
            if _needs_sum(name):
                for time in times:
                    self._terms(name, time)
                continue
            for quantity in origin.inputs:
                for time in times:
                    self._holders(name, quantity, time)
        for name in names:
            for quantity in self.origin(name).inputs:
                for piece in self._pieces[quantity]:
                    self._regridder(piece)

    def lacking_levels(self, name: str) -> list[float]:
        """The levels wanted that no source has of a variable."""
        if not VARIABLES[name].on_levels:
            return []
        wanted = list(map(float, self.levels))
        held = [
            {level for p in self._pieces[quantity] for level in (wanted if p.model is not None else p.own_levels)}
            for quantity in self.origin(name).inputs
        ]
        return [level for level in wanted if not all(level in levels for levels in held)]

    def level_values(self, names: Sequence[str]) -> tuple[int, ...]:
        """The levels to write: those asked for, or those that all variables on levels have."""
        if self.levels or not any(VARIABLES[name].on_levels for name in names):
            return self.levels
        if model := next((p for name in names for p in self._on_model_levels(name)), None):
            raise InputError(f"{model.described} is on model levels; choose pressures in hPa with --levels")
        held = [
            {level for p in self._pieces[quantity] for level in p.has_levels(p.first, p.levels)}
            for name in names if VARIABLES[name].on_levels for quantity in self.origin(name).inputs
        ]  # fmt: skip
        common = sorted(set.intersection(*held))
        if not common or any(level != round(level) for level in common):
            raise InputError(
                f"{self._places()}: the variables have the levels {common} in common, expected whole hPa; choose with "
                "--levels"
            )
        if len({frozenset(levels) for levels in held}) > 1:
            lacking = sorted(set.union(*held) - set(common))
            raise InputError(
                f"not every variable has the levels {[f'{level:g}' for level in lacking]}; choose with --levels among "
                f"{' '.join(f'{level:g}' for level in common)}"
            )
        return tuple(int(level) for level in common)

    @cached_property
    def grid(self) -> LatLonGrid:
        """The grid of the frames: the one wanted, or that of the first piece."""
        if self._wanted is not None:
            return self._wanted
        return Regridder.build(next(iter(self._pieces.values()))[0].grid, None).grid

    def frame(
        self, name: str, time: np.datetime64 | None, number: int | None = None
    ) -> Float[np.ndarray, "*level latitude longitude"]:
        """One variable at a time, float32, in its units; raises InputError for missing and implausible values."""
        number = self._member if number is None else number
        variable, origin = VARIABLES[name], self.origin(name)
        if variable.static:
            piece = self._static_piece(name, origin)
            values, regridder = self._static(piece, origin, number), self._regridder(piece)
        elif _needs_sum(name):
            assert time is not None
            values, regridder = self._summed(name, time, number)
        else:
            assert time is not None
            values, regridder = self._computed(name, origin, time, number)
        if not variable.missing_over_land and not self._on_model_levels(name):
            require_finite(name, values, time, self.levels, self.describe(name))
        frame = regridder(values)
        if variable.missing_over_land and self._land_sea_mask is not None:
            frame = _without_land(frame, is_land(self._land_sea_mask))
        times = None if time is None else np.array([time])
        self._require_plausible(name, frame, times)
        if name == "geopotential" and len(self.levels) > 1:
            _require_falling(self.describe(name), frame, self.levels, time)
        return frame

    @cached_property
    def _land_sea_mask(self) -> Float[np.ndarray, "latitude longitude"] | None:
        """The land-sea mask on the grid of the frames, None where no source has one."""
        return self.frame(MASK, None) if self.sources(MASK) else None

    def _require_plausible(self, name: str, frame: np.ndarray, times: np.ndarray | None) -> None:
        """Raise InputError for implausible values, with the units that were converted, if any were."""
        levels = self.levels if VARIABLES[name].on_levels else ()
        try:
            require_plausible(self.describe(name), name, frame[None], levels, times)
        except InputError as error:
            pieces = [p for quantity in self.origin(name).inputs for p in self._pieces[quantity]]
            changed = [p.field.attrs.get("units") for p in pieces if p.factor != 1 or p.offset]
            hint = f"; the file's units {changed[0]!r} were converted: are they right?" if changed else ""
            raise InputError(f"{error}{hint}") from None

    def centres(self) -> list[str]:
        """The centres that made the fields, where files tell."""
        return sorted({piece.centre for pieces in self._pieces.values() for piece in pieces})

    def describe(self, name: str) -> str:
        """The files of a variable, for messages and attributes."""
        return _in_words([placed(p.place) for q in self.origin(name).inputs for p in self._pieces[q]])

    def provenance(self, name: str) -> dict[str, str]:
        """Where a variable comes from, and what was done, as attributes."""
        origin = self.origin(name)
        fields = dict.fromkeys(
            f"{p.name}{f' ({units})' if (units := p.field.attrs.get('units')) else ''}"
            for q in origin.inputs for p in self._pieces[q]
        )  # fmt: skip
        done = [origin.formula.words] if origin.formula else []
        done += [f"{VARIABLES[name].accumulation_hours} h put together from its sums"] if _needs_sum(name) else []
        pieces = [p for q in origin.inputs for p in self._pieces[q]]
        if VARIABLES[name].missing_over_land and self._land_sea_mask is not None:
            done.append("missing over land by land_sea_mask")
        done += ["units converted"] if any(p.factor != 1 or p.offset for p in pieces) else []
        if any(p.model is not None for p in pieces) and VARIABLES[name].on_levels:
            done.append(self._model.words)
        if words := self._regridder(pieces[0]).words:
            done.append(words)
        return {
            "source": f"{', '.join(fields)} of {self.describe(name)}",
            "history": "; ".join(done) or "as in the source",
        }

    def _holders(self, name: str, quantity: str, time: np.datetime64) -> list[tuple[Piece, list[float]]]:
        """The pieces that have a quantity at a time, each with its levels, in the order of the levels wanted."""
        there = self._at_time(quantity, time)
        if not there:
            raise InputError(f"{self.describe(name)}: {quantity} is missing at {minute(time)}{self._span(quantity)}")
        if timeless := [p for p in there if not p.has_time]:
            raise InputError(f"{timeless[0].described} has no time, expected one for each frame, as {minute(time)}")
        if not there[0].quantity.on_levels:
            if len(there) > 1:
                raise InputError(there_twice(there, f"{quantity} at {minute(time)}"))
            return [(there[0], [])]
        found: list[tuple[Piece, list[float]]] = []
        left = list(map(float, self.levels))
        for piece in there:
            here = piece.has_levels(time, list(map(float, self.levels)))
            if again := [level for level in here if level not in left]:
                both = [p for p in there if p.has_levels(time, again[:1])]
                raise InputError(there_twice(both, f"{quantity} at {again[0]:g} hPa at {minute(time)}"))
            left = [level for level in left if level not in here]
            found += [(piece, here)] if here else []
            if here and piece.model is not None:
                self._model.require(name, piece, time, self.levels)
        if left:
            held = sorted({level for p in there for level in p.has_levels(time, p.levels)})
            raise InputError(
                f"{self.describe(name)}: {quantity} is missing at {left[0]:g} hPa at {minute(time)}; it has "
                f"{' '.join(f'{level:g}' for level in held)}"
            )
        return found

    def _at_time(self, quantity: str, time: np.datetime64) -> list[Piece]:
        """The pieces that have a quantity at a time."""
        if quantity not in self._by_time:
            held = self._by_time[quantity] = {}
            for piece in self._pieces[quantity]:
                numbers = piece.times.astype("datetime64[ns]").astype(np.int64).tolist()
                for number in numbers if piece.has_time else [None]:
                    held.setdefault(number, []).append(piece)
        held = self._by_time[quantity]
        return [*held.get(int(np.array(time, "datetime64[ns]").astype(np.int64)), []), *held.get(None, [])]

    def _span(self, quantity: str) -> str:
        times = np.concatenate([p.times for p in self._pieces[quantity]])
        return f"; it has {len(times)} times from {minute(times.min())} to {minute(times.max())}" if times.size else ""

    def _read(self, name: str, quantity: str, time: np.datetime64, number: int | None) -> tuple[np.ndarray, Piece]:
        holders = self._holders(name, quantity, time)
        if not holders[0][1]:
            return holders[0][0].read(time, (), number), holders[0][0]
        parts: dict[float, np.ndarray] = {}
        for piece, levels in holders:
            values = piece.read(time, levels, number)
            if piece.model is not None:
                values = self._model.at_pressures(quantity, piece, values, time, number, levels)
            parts |= dict(zip(levels, values, strict=True))
        return np.stack([parts[float(level)] for level in self.levels]), holders[0][0]

    def _on_model_levels(self, name: str) -> list[Piece]:
        """The pieces on model levels that a variable comes from."""
        if not VARIABLES[name].on_levels:
            return []
        return [p for quantity in self.origin(name).inputs for p in self._pieces[quantity] if p.model is not None]

    def _computed(
        self, name: str, origin: "Origin", time: np.datetime64, number: int | None
    ) -> tuple[np.ndarray, Regridder]:
        if origin.formula is not None and origin.formula.compute is None:
            return self._hydrostatic(name, origin, time, number)
        read = [self._read(name, quantity, time, number) for quantity in origin.inputs]
        regridder = self._regridder(read[0][1])
        if origin.formula is None:
            return read[0][0], regridder
        for quantity, (_, piece) in zip(origin.inputs, read, strict=True):
            if self._regridder(piece) is not regridder:
                raise InputError(f"{self.describe(name)}: {quantity} is on another grid than {origin.inputs[0]}")
        pressure = 100.0 * np.array(self.levels, float)[:, None] if VARIABLES[name].on_levels else None
        assert origin.formula.compute is not None
        values = origin.formula.compute(*(v.astype(np.float64) for v, _ in read), pressure)
        return values.astype(np.float32), regridder

    def _hydrostatic(
        self, name: str, origin: "Origin", time: np.datetime64, number: int | None
    ) -> tuple[np.ndarray, Regridder]:
        """Geopotential from temperature and humidity on model levels."""
        pieces = [self._holders(name, quantity, time)[0][0] for quantity in origin.inputs]
        below = self.origin(_OROGRAPHY)
        ground = self._static_piece(_OROGRAPHY, below)
        if other := next((p for p in (*pieces, ground) if p.grid.key != pieces[0].grid.key), None):
            raise InputError(f"{other.described} is on another grid than {pieces[0].described}, expected the same")
        values = self._model.geopotential(pieces, time, number, self._static(ground, below, number), self.levels)
        return values, self._regridder(pieces[0])

    def _static_piece(self, name: str, origin: "Origin") -> Piece:
        there = self._pieces[origin.inputs[0]]
        if len({id(p) for p in there}) > 1 and not all(p.has_time for p in there):
            raise InputError(there_twice(there, name))
        return there[0]

    def _static(self, piece: Piece, origin: "Origin", number: int | None) -> np.ndarray:
        times = piece.times if piece.has_time else np.array([None])
        first = piece.read(times[0], (), number)
        if len(times) > 1 and not np.array_equal(first, piece.read(times[-1], (), number), equal_nan=True):
            raise InputError(
                f"{piece.described} differs between {minute(times[0])} and {minute(times[-1])}, expected none"
            )
        if origin.formula is None:
            return first
        assert origin.formula.compute is not None  # what is integrated changes in time
        return origin.formula.compute(first.astype(np.float64), None).astype(np.float32)

    def _intervals(self, quantity: str) -> Intervals:
        if quantity not in self._sums:
            self._sums[quantity] = Intervals(intervals_of(self._pieces[quantity]))
        return self._sums[quantity]

    def _terms(self, name: str, time: np.datetime64) -> tuple[str, list[Term]]:
        """The sums that make up a variable's window, of the first quantity that has them."""
        hours, origins = VARIABLES[name].accumulation_hours, self.sources(name)
        for origin in origins:
            if (terms := self._intervals(origin.inputs[0]).window(time, hours)) is not None:
                return origin.inputs[0], terms
        quantity = origins[0].inputs[0]
        return quantity, self._intervals(quantity).require(f"{self.describe(name)}: {quantity}", time, hours)

    def _summed(self, name: str, time: np.datetime64, number: int | None) -> tuple[np.ndarray, Regridder]:
        quantity, terms = self._terms(name, time)
        total: np.ndarray | None = None
        pieces = self._pieces[quantity]
        for (start, end, index), sign in terms:
            part = pieces[index].read(end, (), number).astype(np.float64)
            if quantity == "total_precipitation_rate":
                part = part * ((end - start) / np.timedelta64(1, "s")) / _WATER
            total = sign * part if total is None else total + sign * part
        assert total is not None
        if (fall := float(np.nanmin(total))) < -LARGEST_FALL:
            raise InputError(
                f"{self.describe(name)}: {quantity} falls by {-fall:g} m within the "
                f"{VARIABLES[name].accumulation_hours} h to {minute(time)}, expected sums that rise: do they start "
                "again in between?"
            )
        return np.maximum(total, 0).astype(np.float32), self._regridder(pieces[terms[0].interval.piece])

    def _regridder(self, piece: Piece) -> Regridder:
        grid: SourceGrid = piece.grid
        key = grid.key
        if key not in self._regridders:
            try:
                made = Regridder.build(grid, self._wanted, self._method)
            except InputError as error:
                raise InputError(f"{piece.described}: {error}") from None
            other = next(iter(self._regridders.values()), None)
            if other is not None and other.grid != made.grid:
                raise InputError(f"{piece.described} is on {made.grid}, other fields on {other.grid}; choose a --grid")
            self._regridders[key] = made
        return self._regridders[key]


@dataclass(frozen=True)
class Origin:
    """The source of a variable: read as it is, by a formula, or as a sum."""

    variable: str
    inputs: tuple[str, ...]
    formula: Formula | None


def _in_words(places: Iterable[str]) -> str:
    """The first three of the places, each once, and the number of others."""
    held = list(dict.fromkeys(places))
    return ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")


def _require_falling(
    where: str, frame: Float[np.ndarray, "level latitude longitude"], levels: Sequence[int], time: np.datetime64 | None
) -> None:
    """Raise InputError unless the mean geopotential falls with pressure: else the levels are in another order."""
    means = frame.reshape(len(levels), -1).mean(axis=1)
    wrong = np.flatnonzero(np.diff(means) > _LARGEST_RISE)
    if wrong.size:
        k, when = int(wrong[0]), "" if time is None else f" at {minute(time)}"
        raise InputError(
            f"{where}: geopotential averages {means[k + 1]:.6g} at the level {levels[k + 1]} hPa and {means[k]:.6g} at "
            f"{levels[k]} hPa{when}, expected less at the higher pressure: are the levels in another order?"
        )


def _needs_sum(name: str) -> bool:
    return name.startswith(_SUMMED)


def _without_land(frame: Float[np.ndarray, "*shape"], land: Bool[np.ndarray, "*shape"]) -> np.ndarray:
    """A field of the sea, NaN over land also where the source has values on all of it, as NCEP's ice has."""
    filled = bool(land.any() and np.isfinite(frame[land]).all())
    return np.where(land, np.float32(np.nan), frame) if filled else frame

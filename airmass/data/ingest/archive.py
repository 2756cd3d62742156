"""What several sources hold together: variables and the quantities that give each, times, members, levels.

Sources are joined by exact coordinates: each time and level of a variable comes from one piece; what is missing or
there twice is refused before anything is read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.formulas import Formula, formulas_for
from airmass.data.ingest.joining import listed, there_twice
from airmass.data.ingest.model_level_fields import HYDROSTATIC, can_integrate
from airmass.data.ingest.pieces import Piece, placed
from airmass.data.ingest.precipitation import Precipitation, needs_sum
from airmass.fields.variables import VARIABLES

OROGRAPHY = "geopotential_at_surface"

Pieces = Mapping[str, Sequence[Piece]]
Holder = tuple[Piece, list[float]]  # with its levels


@dataclass(frozen=True)
class Origin:
    """The source of a variable: read as it is, by a formula, or as a sum."""

    variable: str
    inputs: tuple[str, ...]
    formula: Formula | None


class Archive:
    """Pieces of several sources by quantity, and the variables that they give."""

    def __init__(self, pieces: Pieces):
        self.pieces = pieces
        self.precipitation = Precipitation(pieces)
        self._by_time: dict[str, dict[int | None, list[Piece]]] = {}

    def origins(self, name: str) -> list[Origin]:
        """The ways in which a variable can be had, the preferred first."""
        found = [Origin(name, (name,), None)] if name in self.pieces and not needs_sum(name) else []
        for formula in formulas_for(name):
            if all(quantity in self.pieces for quantity in formula.inputs):
                found.append(Origin(name, formula.inputs, formula))
        if name == HYDROSTATIC.variable and can_integrate(self.pieces) and self.origins(OROGRAPHY):
            found.append(Origin(name, HYDROSTATIC.inputs, HYDROSTATIC))
        if needs_sum(name):
            found += [Origin(name, (quantity,), None) for quantity in self.precipitation.quantities]
        return found

    def origin(self, name: str) -> Origin:
        """The preferred way to a variable; raises InputError, with what would give it, if there is none."""
        if found := self.origins(name):
            return found[0]
        needs = [name, *(" and ".join(f.inputs) for f in formulas_for(name))]
        needs += ["total_precipitation", "total_precipitation_rate"] if needs_sum(name) else []
        held = ", ".join(sorted(self.pieces))
        raise InputError(f"no source has {name}: expected {' or '.join(needs)}; {self._places()} hold {held}")

    def pieces_of(self, name: str) -> list[Piece]:
        """The pieces that a variable comes from."""
        return [piece for quantity in self.origin(name).inputs for piece in self.pieces[quantity]]

    def on_model_levels(self, name: str) -> Piece | None:
        """A piece on model levels that a variable on levels comes from, None if there is none."""
        if not VARIABLES[name].on_levels:
            return None
        return next((piece for piece in self.pieces_of(name) if piece.model is not None), None)

    def is_put_together(self, name: str) -> bool:
        """True for a sum that the sources do not have under its own name."""
        return needs_sum(name) and name not in self.pieces

    def describe(self, name: str) -> str:
        """The files of a variable, for messages and attributes."""
        return _in_words([placed(piece.place) for piece in self.pieces_of(name)])

    def centres(self) -> list[str]:
        """The centres that made the fields, where files tell."""
        return sorted({piece.centre for pieces in self.pieces.values() for piece in pieces})

    def times(self, name: str) -> np.ndarray:
        """The times for which a variable can be had."""
        origin = self.origin(name)
        if VARIABLES[name].static:
            return np.array([], "datetime64[ns]")
        if needs_sum(name):
            return self.precipitation.times(name, origin.inputs[0])
        held = [set().union(*(p.times.tolist() for p in self.pieces[quantity])) for quantity in origin.inputs]
        return np.array(sorted(set.intersection(*held)), "datetime64[ns]")

    def numbers(self, names: Sequence[str], member: int | None = None) -> tuple[int, ...]:
        """The members that all variables have, () for the one `member`; raises InputError where they differ."""
        held: dict[tuple[int, ...], str] = {}
        for name in names:
            for piece in self.pieces_of(name):
                if not VARIABLES[name].static or piece.numbers:
                    held.setdefault(piece.numbers, piece.described)
        if len(held) > 1:
            (one, a), (two, b) = list(held.items())[:2]
            raise InputError(f"{a} has the members {listed(one)}, {b} has {listed(two)}; expected the same members")
        found = next(iter(held), ())
        if member is None:
            return found
        if not found:
            raise InputError(f"--member is {member}, but the sources have no members")
        if member not in found:
            raise InputError(f"no member {member}; the sources have {listed(found)}")
        return ()

    def lacking_levels(self, name: str, levels: Sequence[int]) -> list[int]:
        """The `levels` that no source has of a variable."""
        if not VARIABLES[name].on_levels:
            return []
        held = [
            {level for p in self.pieces[quantity] for level in (levels if p.model is not None else p.own_levels)}
            for quantity in self.origin(name).inputs
        ]
        return [level for level in levels if not all(level in own for own in held)]

    def common_levels(self, names: Sequence[str]) -> tuple[int, ...]:
        """The levels that all variables on levels have; raises InputError where they differ."""
        if not any(VARIABLES[name].on_levels for name in names):
            return ()
        if model := next((piece for name in names if (piece := self.on_model_levels(name))), None):
            raise InputError(f"{model.described} is on model levels; choose pressures in hPa with --levels")
        held = [
            {level for p in self.pieces[quantity] for level in p.has_levels(p.first, p.levels)}
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
                f"{self._places()}: not every variable has the levels {[f'{level:g}' for level in lacking]}; choose "
                f"with --levels among {' '.join(f'{level:g}' for level in common)}"
            )
        return tuple(int(level) for level in common)

    def static_piece(self, name: str) -> Piece:
        """The one piece of a static variable."""
        there = self.pieces[self.origin(name).inputs[0]]
        if len(there) > 1 and not all(piece.has_time for piece in there):
            raise InputError(there_twice(there, name))
        return there[0]

    def holders(self, name: str, quantity: str, time: np.datetime64, levels: Sequence[int]) -> list[Holder]:
        """The pieces that have a quantity at a time, each with those of the `levels` that it has."""
        there = self._at_time(quantity, time)
        if not there:
            raise InputError(f"{self.describe(name)}: {quantity} is missing at {minute(time)}{self._span(quantity)}")
        if timeless := [p for p in there if not p.has_time]:
            raise InputError(f"{timeless[0].described} has no time, expected one for each frame, as {minute(time)}")
        if not there[0].quantity.on_levels:
            if len(there) > 1:
                raise InputError(there_twice(there, f"{quantity} at {minute(time)}"))
            return [(there[0], [])]
        found: list[Holder] = []
        left = list(map(float, levels))
        for piece in there:
            here = piece.has_levels(time, list(map(float, levels)))
            if again := [level for level in here if level not in left]:
                both = [p for p in there if p.has_levels(time, again[:1])]
                raise InputError(there_twice(both, f"{quantity} at {again[0]:g} hPa at {minute(time)}"))
            left = [level for level in left if level not in here]
            found += [(piece, here)] if here else []
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
            for piece in self.pieces[quantity]:
                numbers = piece.times.astype("datetime64[ns]").astype(np.int64).tolist()
                for number in numbers if piece.has_time else [None]:
                    held.setdefault(number, []).append(piece)
        held = self._by_time[quantity]
        return [*held.get(int(np.array(time, "datetime64[ns]").astype(np.int64)), []), *held.get(None, [])]

    def _span(self, quantity: str) -> str:
        times = np.concatenate([p.times for p in self.pieces[quantity]])
        return f"; it has {len(times)} times from {minute(times.min())} to {minute(times.max())}" if times.size else ""

    def _places(self) -> str:
        """The files of all pieces, in words."""
        return _in_words([placed(piece.place) for pieces in self.pieces.values() for piece in pieces])


def _in_words(places: Iterable[str]) -> str:
    """The first three of the places, each once, and the number of others."""
    held = list(dict.fromkeys(places))
    return ", ".join(held[:3]) + (f" and {len(held) - 3} more" if len(held) > 3 else "")

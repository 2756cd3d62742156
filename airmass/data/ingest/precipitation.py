"""Precipitation over the windows of variables, put together from the sums and mean rates of an archive."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.formats.layout import minute
from airmass.data.ingest.joining import there_twice
from airmass.data.ingest.pieces import Piece
from airmass.data.ingest.sums import LARGEST_FALL, Interval, Intervals, Term
from airmass.fields.variables import VARIABLES

_SUMMED, _RATE = "total_precipitation", "total_precipitation_rate"
# Quantities that windows are put together from, the preferred first.
_QUANTITIES = (_SUMMED, "total_precipitation_6hr", "total_precipitation_12hr", _RATE)
_WATER = 1000.0  # kg m-3


def needs_sum(name: str) -> bool:
    """True for a variable that is put together from sums."""
    return name.startswith(_SUMMED)


class Precipitation:
    """Sums of an archive, and the windows that they make up."""

    def __init__(self, pieces: Mapping[str, Sequence[Piece]]):
        self._pieces = pieces
        self._intervals: dict[str, Intervals] = {}

    @property
    def quantities(self) -> list[str]:
        """The quantities of the archive that windows are put together from, the preferred first."""
        return [quantity for quantity in _QUANTITIES if quantity in self._pieces]

    def times(self, name: str, quantity: str) -> np.ndarray:
        """The times at which a window that ends there can be put together from a quantity."""
        intervals, hours = self._of(quantity), VARIABLES[name].accumulation_hours
        return np.array([end for end in intervals.ends if intervals.window(end, hours)], "datetime64[ns]")

    def require(self, name: str, where: str, times: np.ndarray) -> None:
        """Raise InputError, with the sums that there are, unless a variable can be put together at all times."""
        for time in times:
            self._terms(name, where, time)

    def read(
        self, name: str, where: str, time: np.datetime64, number: int | None
    ) -> tuple[Float[np.ndarray, " point"], Piece]:
        """A variable at a time in m, and a piece that it was read from; raises InputError for sums that fall."""
        quantity, terms = self._terms(name, where, time)
        pieces = self._pieces[quantity]
        total = sum(sign * _amount(pieces[interval.piece], interval, number) for interval, sign in terms)
        if (fall := float(np.nanmin(total))) < -LARGEST_FALL:
            raise InputError(
                f"{where}: {quantity} falls by {-fall:g} m within the {VARIABLES[name].accumulation_hours} h to "
                f"{minute(time)}, expected sums that rise: do they start again in between?"
            )
        return np.maximum(total, 0).astype(np.float32), pieces[terms[0].interval.piece]

    def _terms(self, name: str, where: str, time: np.datetime64) -> tuple[str, list[Term]]:
        """The sums that make up a variable's window, of the first quantity that has them."""
        hours = VARIABLES[name].accumulation_hours
        for quantity in self.quantities:
            if (terms := self._of(quantity).window(time, hours)) is not None:
                return quantity, terms
        quantity = self.quantities[0]
        return quantity, self._of(quantity).require(f"{where}: {quantity}", time, hours)

    def _of(self, quantity: str) -> Intervals:
        if quantity not in self._intervals:
            self._intervals[quantity] = Intervals(_intervals_of(self._pieces[quantity]))
        return self._intervals[quantity]


def _amount(piece: Piece, interval: Interval, number: int | None) -> Float[np.ndarray, " point"]:
    """The precipitation of an interval in m."""
    values = piece.read(interval.end, (), number).astype(np.float64)
    if piece.quantity.name == _RATE:
        return values * ((interval.end - interval.start) / np.timedelta64(1, "s")) / _WATER
    return values


def _intervals_of(pieces: Sequence[Piece]) -> Iterator[Interval]:
    held: dict[tuple[np.datetime64, np.datetime64], Piece] = {}
    for index, piece in enumerate(pieces):
        if piece.windows is None:
            raise InputError(
                f"{piece.described}: nothing says over how many hours it is summed; give them with --accumulation (1 "
                "for ERA5's hourly data, 3 for its ensemble)"
            )
        for time, window in zip(piece.times, piece.windows, strict=True):
            if np.isnat(window) or window <= np.timedelta64(0):
                continue
            if (other := held.setdefault((time - window, time), piece)) is not piece:
                raise InputError(there_twice([other, piece], f"{piece.quantity.name} to {minute(time)}"))
            yield Interval(time - window, time, index)

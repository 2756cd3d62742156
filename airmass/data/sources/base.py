"""The protocol of a source of fields, and what several sources share."""

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Protocol

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.data.formats.kind import Kind
from airmass.data.formats.reading import error_line, reading

# Longest axis that metadata may declare: axes are read completely when a store is opened.
_LONGEST_AXIS = 20_000_000
# Units of dates, and what may follow the date and time in them.
_DATED = r"\s*\w+\s+since\s+\d{1,4}-\d{1,2}-\d{1,2}(?:[T ]\s*\d{1,2}(?::\d{1,2}(?::\d{1,2}(?:\.\d*)?)?)?)?(.*)"
_ZONE = r"|Z|UTC|GMT|[+-]\d{1,2}(:?\d{2})?"


class Source(Protocol):
    """A format that fields are read from, as a module's `SOURCE`."""

    @property
    def kind(self) -> Kind: ...

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        """The fields of a file or store, lazily, in any layout; as dask arrays, or else read on access.

        Raises InputError, naming the broken variable if there is one, for whatever cannot be read.
        """


def opened(opener: Callable[..., xr.Dataset], place: Place, names: Callable[[], Iterable[str]]) -> xr.Dataset:
    """The dataset that `opener` returns; raises InputError with the name of the broken variable, if one is found."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)  # `problems` refuses these cases
            warnings.filterwarnings("ignore", "Object at .* is not recognized")  # folders that are not arrays
            dataset = opener()
    except Exception as error:
        with reading(place):
            held = list(names())
        faults = {name: fault for name in held if (fault := _fault(opener, name, held))}
        name, fault = next(iter(faults.items())) if 0 < len(faults) < len(held) else ("", error)
        raise InputError(f"{place}: {name}{' ' if name else ''}cannot be read: {error_line(fault)}") from error
    for key, variable in dataset.variables.items():
        _require_known_zone(place, str(key), variable.encoding.get("units"))
    return dataset


def _require_known_zone(place: Place, name: str, units: object) -> None:
    """Raise InputError for dates in a time zone that xarray passes over: words, and offsets without a sign."""
    found = re.match(_DATED, units) if isinstance(units, str) else None
    if found and not re.fullmatch(_ZONE, found[1].strip(), re.IGNORECASE):
        raise InputError(f"{place}: {name} has units {units!r}, expected UTC, or an offset such as +02:00")


def require_short_axis(place: Place, name: str, shape: tuple[int, ...]) -> None:
    """Raise InputError for a coordinate that is too long to be read."""
    if len(shape) == 1 and shape[0] > _LONGEST_AXIS:
        raise InputError(f"{place}: {name} has {shape[0]} values, expected {_LONGEST_AXIS} at most along a dimension")


def require_distinct_dimensions(place: Place, name: str, dims: Iterable[object]) -> None:
    """Raise InputError for a variable that has a dimension twice, of which xarray warns many times, and goes on."""
    if len(set(map(str, dims := tuple(dims)))) < len(dims):
        raise InputError(f"{place}: {name} has dimensions {dims}, expected each name once")


def _fault(opener: Callable[..., xr.Dataset], name: str, held: list[str]) -> Exception | None:
    """The exception raised when this variable alone is opened, None if it opens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fault is returned
            opener(drop_variables=[other for other in held if other != name]).close()
    except Exception as error:
        return error
    return None

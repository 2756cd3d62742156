"""The table of names: how each archive calls the quantities that airmass reads.

`names.csv` beside this module has one row a quantity: its place (`levels` of pressure or `surface`), its units, its CF
standard names, and its names in each family of archives, separated by blanks. A user's file of the same columns adds
names (`--names`, `airmass data names --names`).
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path

from airmass.core.csv_rows import read_rows
from airmass.core.errors import InputError
from airmass.core.reading import read_text
from airmass.fields.variables import COMPUTED, VARIABLES

# Columns of names in files, in the order in which they are shown.
ARCHIVES = ("ecmwf", "gfs", "cds", "weatherbench2", "ncar", "cmip")
_COLUMNS = ("quantity", "place", "units", "standard_name", "ecmwf", "param_id", *ARCHIVES[1:])
PLACES = ("levels", "surface")


@dataclass(frozen=True)
class Quantity:
    """One quantity of archives: a variable of airmass, or one that a variable is computed from."""

    name: str
    on_levels: bool
    units: str
    standard_names: tuple[str, ...] = ()
    param_ids: tuple[int, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name of the quantity in files, each once."""
        return tuple(dict.fromkeys((self.name, *(name for held in self.names.values() for name in held))))


class Names:
    """Quantities by the names that files give them."""

    def __init__(self, quantities: Iterable[Quantity]):
        self.quantities = {quantity.name: quantity for quantity in quantities}
        self._by_name = dict(self._pairs())
        self._by_param = {(p, q.on_levels): q for q in self.quantities.values() for p in q.param_ids}
        standard = [(s, q) for q in self.quantities.values() for s in q.standard_names]
        self._by_standard = {(s, q.on_levels): q for s, q in standard}

    def _pairs(self) -> Iterator[tuple[tuple[str, bool], Quantity]]:
        # A quantity's own name comes before the names that archives give to others.
        for own in (False, True):
            for quantity in self.quantities.values():
                for name in (quantity.name,) if own else quantity.all_names:
                    yield (name, quantity.on_levels), quantity

    def find(self, name: str, on_levels: bool, standard_name: object = None, param_id: object = None):
        """The quantity of a field of a file, None if unknown: by its name, GRIB parameter, or CF standard name."""
        if (found := self._by_name.get((name, on_levels))) is not None:
            return found
        if isinstance(param_id, int) and (found := self._by_param.get((param_id, on_levels))) is not None:
            return found
        return self._by_standard.get((standard_name, on_levels)) if isinstance(standard_name, str) else None

    def with_file(self, path: str | Path) -> "Names":
        """These names and those of a user's file; raises InputError, with its line, for a row that is wrong."""
        merged = dict(self.quantities)
        for line, row in _rows(read_text(path, most=2**20), path):
            added = _quantity(row, f"{path}: line {line}")
            old = merged.get(added.name)
            if old is None:
                raise InputError(
                    f"{path}: line {line}: unknown quantity {added.name!r}, expected one of {', '.join(merged)}"
                )
            merged[added.name] = _merged(old, added, f"{path}: line {line}")
        _require_unambiguous(merged.values(), path)
        return Names(merged.values())


@cache
def known_names() -> Names:
    """The names of the package's table."""
    text = (resources.files("airmass") / "fields/names.csv").read_text("utf-8")
    held = [_quantity(row, f"names.csv: line {line}") for line, row in _rows(text, "names.csv")]
    listed = {quantity.name for quantity in held}
    others = [v for name, v in VARIABLES.items() if name not in listed and name not in COMPUTED]
    own = (Quantity(v.name, v.on_levels, v.units, names={"ecmwf": (v.short_name,)}) for v in others)
    return Names((*held, *own))


def names_from(path: str | Path | None) -> Names:
    """The package's table of names, with the names of a user's file if there is one."""
    return known_names() if path is None else known_names().with_file(path)


def _rows(text: str, path: str | Path) -> Iterator[tuple[int, dict[str, str]]]:
    columns, rows = read_rows(text, path)
    if "quantity" not in columns:
        raise InputError(f"{path}: line 1: no column quantity, expected {', '.join(_COLUMNS)}")
    if unknown := [name for name in columns if name not in _COLUMNS]:
        raise InputError(f"{path}: line 1: unknown column {unknown[0]!r}, expected {', '.join(_COLUMNS)}")
    yield from rows


def _quantity(row: Mapping[str, str], where: str) -> Quantity:
    place = row.get("place") or ""
    if place and place not in PLACES:
        raise InputError(f"{where}: place is {place!r}, expected {' or '.join(PLACES)}")
    numbers = (row.get("param_id") or "").split()
    if wrong := [number for number in numbers if not number.isdecimal()]:
        raise InputError(f"{where}: param_id is {wrong[0]!r}, expected a number")
    names = {archive: tuple((row.get(archive) or "").split()) for archive in ARCHIVES}
    standard = tuple((row.get("standard_name") or "").split())
    units = row.get("units") or ""
    return Quantity(row["quantity"].strip(), place == "levels", units, standard, tuple(map(int, numbers)), names)


def _merged(old: Quantity, added: Quantity, where: str) -> Quantity:
    if added.units and added.units != old.units:
        raise InputError(f"{where}: units of {old.name} are {added.units!r}, expected {old.units!r} or none")
    names = {archive: (*old.names.get(archive, ()), *added.names[archive]) for archive in ARCHIVES}
    standard = (*old.standard_names, *added.standard_names)
    return replace(old, standard_names=standard, param_ids=(*old.param_ids, *added.param_ids), names=names)


def _require_unambiguous(quantities: Iterable[Quantity], path: str | Path) -> None:
    """Raise InputError for a name that two quantities on levels, or two at the surface, have."""
    held: dict[tuple[str, bool], str] = {}
    for quantity in quantities:
        for name in quantity.all_names:
            other = held.setdefault((name, quantity.on_levels), quantity.name)
            if other != quantity.name:
                raise InputError(f"{path}: {name!r} is the name of {other} and of {quantity.name}, expected of one")


def as_csv(quantities: Iterable[Quantity]) -> str:
    """Quantities in the layout of `names.csv`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for q in quantities:
        held = [" ".join(q.names.get(archive, ())) for archive in ARCHIVES]
        place = "levels" if q.on_levels else "surface"
        ids = " ".join(map(str, q.param_ids))
        writer.writerow((q.name, place, q.units, " ".join(q.standard_names), held[0], ids, *held[1:]))
    return out.getvalue()


def as_json(quantities: Iterable[Quantity]) -> str:
    """Quantities as a JSON list of objects, with the names of each archive in lists."""
    rows = [
        {
            "quantity": q.name, "place": "levels" if q.on_levels else "surface", "units": q.units,
            "standard_name": list(q.standard_names), "param_id": list(q.param_ids),
            **{archive: list(q.names.get(archive, ())) for archive in ARCHIVES},
        }
        for q in quantities
    ]  # fmt: skip
    return json.dumps(rows, indent=1) + "\n"

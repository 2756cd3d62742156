"""All bad inputs, and the commands that meet each."""

from tests.border import (
    archives,
    forecasts,
    json_files,
    model_files,
    netcdf,
    places,
    settings,
    special_files,
    store_layouts,
    stores,
)
from tests.border.case import Case

_KINDS = (
    json_files, model_files, stores, store_layouts, netcdf, forecasts, special_files, places, settings, archives,
)  # fmt: skip
CASES: list[Case] = [case for kind in _KINDS for case in kind.CASES]
MEMBERS = [(case, way) for case in CASES for way in case.ways]


def name_of(member: tuple[Case, str]) -> str:
    return f"{member[0].name} - {member[1]}"


def quick(member: tuple[Case, str]) -> bool:
    """True for a member that runs in `make test`: every input with one command or two; others are slow."""
    case, way = member
    place, others = case.ways.index(way), len(case.ways) - 1
    return place == 0 or place == 1 + _NUMBER[case.name] % others


_NUMBER = {case.name: number for number, case in enumerate(CASES)}

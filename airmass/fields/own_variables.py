"""Variables of a user's own, from the CSV file that the environment's AIRMASS_VARIABLES names.

Columns: `name`, `units`, `place` (levels or surface), `least`, `greatest` (the range of possible values), and, if
needed, `short_name`, `standard_name`, `static`, `missing_over_land` (yes or no), `accumulation_hours`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from airmass.core.csv_rows import read_rows
from airmass.core.errors import InputError
from airmass.core.reading import read_text

ENVIRONMENT = "AIRMASS_VARIABLES"
_NEEDED = ("name", "units", "place", "least", "greatest")
_OTHERS = ("short_name", "standard_name", "static", "missing_over_land", "accumulation_hours")
_YES_NO = {"": False, "no": False, "yes": True}


def own_variables() -> Iterator[dict[str, Any]]:
    """Fields of each variable in the user's file, none without one; raises InputError with the line that is wrong."""
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return
    columns, rows = read_rows(read_text(path, most=2**20), path)
    if (missing := [c for c in _NEEDED if c not in columns]) or [c for c in columns if c not in (*_NEEDED, *_OTHERS)]:
        lacking = f"no column {missing[0]}" if missing else f"columns {', '.join(columns)}"
        raise InputError(f"{path}: {lacking}, expected {', '.join(_NEEDED)} and, if needed, {', '.join(_OTHERS)}")
    for line, row in rows:
        yield _variable({key: value.strip() for key, value in row.items()}, f"{path}: line {line}")


def _variable(row: Mapping[str, str], where: str) -> dict[str, Any]:
    name = row["name"]
    if not re.fullmatch(r"[a-z0-9_]{1,64}", name):
        raise InputError(f"{where}: name is {name!r}, expected letters a to z, digits and _")
    if row["place"] not in ("levels", "surface"):
        raise InputError(f"{where}: place is {row['place']!r}, expected levels or surface")
    least, greatest = (_number(row, key, where) for key in ("least", "greatest"))
    if not least < greatest:
        raise InputError(f"{where}: the range runs from {least:g} to {greatest:g}, expected it to rise")
    answers = {key: _yes(row, key, where) for key in ("static", "missing_over_land")}
    hours = row.get("accumulation_hours") or "0"
    if not hours.isdecimal() or int(hours) > 8784:
        raise InputError(f"{where}: accumulation_hours is {hours!r}, expected 0 to 8784")
    if answers["static"] and row["place"] == "levels":
        raise InputError(f"{where}: {name} is static and on levels, expected one of them")
    return {
        "name": name, "standard_name": row.get("standard_name", ""), "short_name": row.get("short_name") or name,
        "units": row["units"], "on_levels": row["place"] == "levels", "valid_range": (least, greatest),
        "accumulation_hours": int(hours), **answers,
    }  # fmt: skip


def _number(row: Mapping[str, str], key: str, where: str) -> float:
    try:
        value = float(row[key])
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e30:
        raise InputError(f"{where}: {key} is {row[key]!r}, expected a number")
    return value


def _yes(row: Mapping[str, str], key: str, where: str) -> bool:
    given = row.get(key, "")
    if given not in _YES_NO:
        raise InputError(f"{where}: {key} is {given!r}, expected yes or no")
    return _YES_NO[given]

"""`airmass data check STORE`."""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from airmass.commands.options import parse


@dataclass(frozen=True)
class Check:
    """List every problem of a store: coordinates, order, units, times, missing and impossible values, and statistics
    that are not the store's."""

    store: tyro.conf.Positional[str]
    """Store to read."""
    statistics: Path | None = None
    """Folder of statistics (of `airmass data stats`, or published ones) to hold the store's means and spreads against,
    by variable and level."""
    json: bool = False
    """Print the findings as JSON, a list of {"file", "where", "problem", "wrong"}."""


def run(arguments: list[str]) -> int:
    """Return 1 if the store has a problem, else 0. A store that cannot be read raises InputError."""
    options = parse(Check, "airmass data check", arguments)

    from airmass.data.preparation.checks import as_json, check_store, report

    findings = check_store(options.store, options.statistics)
    if options.json:
        print(as_json(options.store, findings))
    else:
        Console().print(report(options.store, findings))
    return int(any(finding.wrong for finding in findings))

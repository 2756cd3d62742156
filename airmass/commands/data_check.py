"""`airmass data check STORE`."""

from dataclasses import dataclass

import tyro
from rich.console import Console

from airmass.commands.options import parse


@dataclass(frozen=True)
class Check:
    """Say all that is wrong with a store: coordinates, order, units, times, missing and impossible values."""

    store: tyro.conf.Positional[str]
    """Store to read."""


def run(arguments: list[str]) -> int:
    options = parse(Check, "airmass data check", arguments)

    from airmass.data.preparation.checks import check_store, report

    findings = check_store(options.store)
    Console().print(report(options.store, findings))
    return int(any(finding.wrong for finding in findings))

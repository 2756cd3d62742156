"""`airmass evaluate F.zarr… --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse
from airmass.core.errors import one_line


@dataclass(frozen=True)
class Evaluate:
    """Score forecasts, single or ensembles, against truth, with persistence and climatology on the same dates."""

    forecasts: tyro.conf.Positional[tuple[str, ...]]
    """Forecast stores; those of one system are joined by initial time."""
    truth: str
    """Store of what happened."""
    out: Path
    """Folder to write."""
    climatology: str | None = None
    """Climatology, or a folder of statistics that holds one; by default the one that the forecasts name."""
    lead_times: tuple[str, ...] | None = None
    """Such as 24h 5d, which every system must hold; "common" for all that they share. By default theirs must agree."""
    init_times: tuple[str, ...] | None = None
    """Such as 2001-01-05T00, likewise."""
    spectra: tuple[str, ...] = ()
    """Lead times, such as 24h 5d, at which to take power spectra of headline fields."""


def run(arguments: list[str]) -> None:
    options = vars(parse(Evaluate, "airmass evaluate", arguments))

    from airmass.evaluation.evaluate import evaluate

    evaluate(**options)
    print(one_line(f"scores: {options['out'] / 'scores.json'}"))

"""`airmass evaluate F.zarr… --truth STORE --out DIR`."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Evaluate:
    """Score forecasts against truth, with persistence and climatology beside them on the same dates."""

    forecasts: tyro.conf.Positional[tuple[str, ...]]
    """Forecast stores; those of one system are joined by initial time."""
    truth: str
    """Store of what happened."""
    out: Path
    """Folder to write."""
    climatology: Path | None = None
    """Climatology, or a folder of statistics that holds one; by default the one that the forecasts name."""


def run(arguments: list[str]) -> None:
    options = tyro.cli(Evaluate, prog="airmass evaluate", args=arguments)

    from airmass.evaluate import evaluate

    evaluate(options.forecasts, options.truth, options.out, options.climatology)
    print(f"scores: {options.out / 'scores.json'}")

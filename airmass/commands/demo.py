"""`airmass demo [--out DIR]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airmass.commands.options import parse, require_between
from airmass.core.typed import MOST_SEED


@dataclass(frozen=True)
class Demo:
    """Simulate, train, forecast, evaluate and plot, in minutes. If stopped, run the same command again to resume."""

    out: Path = Path("demo")
    """Folder for all output."""
    seed: int = 0
    """Seed of the simulated climate and of the training."""
    model: Literal["graphcast", "gencast", "fgn"] = "graphcast"
    """Model to train. gencast and fgn make an ensemble and compare it with graphcast."""


def run(arguments: list[str]) -> None:
    options = parse(Demo, "airmass demo", arguments)
    require_between("--seed", options.seed, 0, MOST_SEED)

    from airmass.commands.demo_pipeline import demo

    demo(options.out, options.seed, options.model)

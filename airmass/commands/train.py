"""`airmass train RECIPE --data STORE --run DIR`, with every field of the recipe an option."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from airmass.errors import InputError
from airmass.losses.weights import LossSettings
from airmass.models.graphcast import GraphCastSettings
from airmass.recipes import RECIPES, Recipe, TrainingSettings, recipe
from airmass.task import Task
from airmass.training.optimiser import OptimiserSettings


@dataclass(frozen=True)
class Train:
    """Train a recipe on a store; the same command goes on with a stopped run."""

    data: Path
    """Store to train on."""
    run: Path
    """Folder of the run: settings, statistics, checkpoints, log and the model."""
    task: Task
    model: GraphCastSettings
    training: TrainingSettings
    optimiser: OptimiserSettings
    loss: LossSettings


def run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: airmass train RECIPE --data STORE --run DIR [--model.width 128 ...]\n\nrecipes:")
        for name, value in RECIPES.items():
            print(f"  {name:<16}  {value.cost or ''}")
        print("\n`airmass train RECIPE --help` lists every option of a recipe with its value.")
        return
    if arguments[0].startswith("-"):
        raise InputError(f"expected a recipe first, found {arguments[0]!r}; known are {', '.join(RECIPES)}")
    base = recipe(arguments[0])
    parts = {field.name: getattr(base, field.name) for field in fields(Train) if hasattr(base, field.name)}
    default = Train(data=tyro.MISSING, run=tyro.MISSING, **parts)
    chosen = tyro.cli(Train, prog=f"airmass train {arguments[0]}", args=arguments[1:], default=default)

    from airmass.training.loop import train

    settled = Recipe(**{name: getattr(chosen, name) for name in parts}, cost=base.cost, expect=base.expect)
    path = train(settled, chosen.data, chosen.run)
    print(f"model: {path}", file=sys.stderr)

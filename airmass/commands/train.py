"""`airmass train RECIPE --data STORE --run DIR`, with every field of the recipe an option."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from airmass.commands.recipe_options import parse_recipe, print_recipes
from airmass.core.errors import one_line

_OWN = {
    "data": (str, tyro.MISSING, "Store to train on, local or remote (s3://, gs://, https://)."),
    "run": (Path, tyro.MISSING, "Folder of the run: settings, statistics, checkpoints, logs and the model."),
    "start": (
        Annotated[str | None, tyro.conf.arg(metavar="PATH")],
        None,
        "Run, model file or published .npz from which to take the initial parameters, or demo, the one in the package.",
    ),
    "statistics": (Path | None, None, "Statistics folder of a published --start."),
    "config": (Path | None, None, "Configuration of a published --start of WeatherNext 2, in place of --statistics."),
    "accept_changes": (bool, False, "Resume a run that was started with other settings, data or devices."),
}


def run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print_recipes("train RECIPE --data STORE --run DIR [--model.width 128 ...]")
        return
    about = "Train a recipe on a store. Run the same command again to resume a stopped run."
    recipe, options = parse_recipe("train", about, arguments, _OWN)

    from airmass.training.run_folder import WarmStart
    from airmass.training.train import train

    start = WarmStart(options.start, options.statistics, options.config)
    path = train(recipe, options.data, options.run, start=start, accept_changes=options.accept_changes)
    print(one_line(f"model: {path}"), file=sys.stderr)

"""`airmass plan RECIPE`, with every field of the recipe an option, as for `airmass train`."""

from airmass.commands.options import require_between, require_positive
from airmass.commands.recipe_options import parse_recipe, print_recipes

_ASSUMED = "181x360"
_OWN = {
    "data": (
        str | None,
        None,
        "Store to train on: gives the grid, and the frames if the loader holds them in memory.",
    ),
    "grid": (str | None, None, f"Grid as rows x columns, in place of a store; by default {_ASSUMED}."),
    "count": (int, 1, "Number of devices."),
    "memory": (float | None, None, "Memory of each device, GB; by default that of this machine."),
}


def run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print_recipes("plan RECIPE [--data STORE] [--count N] [--memory GB] [--model.width 128 ...]")
        return
    about = "Estimate what training a recipe takes, without compiling: memory of each device, arithmetic, time."
    recipe, options = parse_recipe("plan", about, arguments, _OWN)
    require_between("--count", options.count, 1)
    require_positive("--memory", options.memory)

    from rich.console import Console

    from airmass.training.plan import Resources, grid_shape, plan

    shape, times = grid_shape(options.grid or _ASSUMED), 0
    if options.data is not None:
        from airmass.data.loading.frames import Frames

        missing, sparse = recipe.family.may_be_missing, recipe.family.masks_targets
        frames = Frames(options.data, recipe.task, recipe.training.dates, missing, sparse)
        shape, times = frames.grid.shape, len(frames.times)
    where = Resources.of_this_machine(shape, times, options.count, options.memory)
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # no wrapping or truncation in a pipe
    for shown in plan(recipe, where, boxed=console.is_terminal):
        console.print(shown)

"""`airmass plan RECIPE`, with every field of the recipe an option, as for `airmass train`."""

from airmass.commands.options import require_between, require_positive
from airmass.commands.recipe_options import chosen, listed

_ASSUMED = "181x360"
_OWN = {
    "data": (str | None, None, "Store that would be trained on; its grid counts, and its frames where they are held."),
    "grid": (str | None, None, f"Rows x columns, in place of a store; by default {_ASSUMED}."),
    "count": (int, 1, "How many devices."),
    "memory": (float | None, None, "GB of each device; by default what is available here."),
}


def run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        listed("plan RECIPE [--data STORE] [--count N] [--memory GB] [--model.width 128 ...]")
        return
    about = "What training a recipe takes, before anything is compiled: memory of each device, arithmetic, time."
    recipe, options = chosen("plan", about, arguments, _OWN)
    require_between("--count", options.count, 1)
    require_positive("--memory", options.memory)

    from rich.console import Console

    from airmass.training.plan import Where, grid_shape, plan

    shape, times = grid_shape(options.grid or _ASSUMED), 0
    if options.data is not None:
        from airmass.data.loading.frames import Frames

        frames = Frames(options.data, recipe.task, recipe.training.dates, recipe.family.may_be_missing)
        shape, times = frames.grid.shape, len(frames.times)
    where = Where.here(shape, times, options.count, options.memory)
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)  # never cut, never wrapped
    for shown in plan(recipe, where, boxed=console.is_terminal):
        console.print(shown)

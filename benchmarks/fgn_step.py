"""One step of a member of WeatherNext 2 at Mini's sizes, 1 degree, through the runner that `airmass forecast` uses.

    python -m benchmarks.fgn_step [--precision bfloat16] [--rounds 3] [--gradient]

Prints peak memory of the process, time to trace and compile, and time in matmul units; with --gradient, the same for
the gradient of the loss of two members. Weights and frames are random; scales are one.
"""

import argparse
import dataclasses
import json

import numpy as np

from airmass.core.memory import keep_freed_memory
from benchmarks.measure import CompileTime, in_units, peak_gib, seconds

RECIPE, SHAPE = "weathernext2-mini", (181, 360)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gradient", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    compiling = CompileTime()
    run = (_gradient if options.gradient else _step)(options.precision)
    result = {"peak_ready_gib": peak_gib()}
    before = compiling.seconds
    result["first_s"] = seconds(run)
    result["compile_s"] = compiling.seconds - before
    result["peak_gib"] = peak_gib()
    print(json.dumps({key: round(value, 2) for key, value in result.items()}), flush=True)
    ((units, wall),) = in_units({"run": run}, options.rounds).values()
    print(f"{options.precision}: {units:.1f} units, {wall:.2f} s", flush=True)


def _case(precision: str):
    """Recipe, model, grid and random frames."""
    import jax

    from airmass.fields.channels import ChannelLayout
    from airmass.fields.grid import LatLonGrid
    from airmass.fields.normalise import Normaliser
    from airmass.models.family import new_network
    from airmass.models.model import Trained
    from airmass.recipes.recipes import RECIPES

    recipe, rng = RECIPES[RECIPE], np.random.default_rng(0)
    task, grid = recipe.task, LatLonGrid.equiangular(*SHAPE, poles=True)
    targets, history, static = (
        len(ChannelLayout.of(names, task.levels)) for names in (task.targets, task.prognostic, task.static)
    )
    sizes = history, len(task.forcing), static, targets
    scales = Normaliser(*(np.full(n, x, np.float32) for n in sizes for x in (0, 1)), Normaliser.columns(task))
    network = new_network(task, recipe.model, jax.random.key(0))
    trained = Trained(task, recipe.model, network, grid, scales, np.full(history, np.nan, np.float32))
    model = recipe.family.build(trained, rng.normal(size=(grid.size, static)).astype(np.float32), precision)
    return recipe, model, grid, rng.normal(size=(task.history + 1, grid.size, targets)).astype(np.float32)


def _step(precision: str):
    recipe, model, grid, frames = _case(precision)
    runner = recipe.family.runner(model, recipe.task, grid)
    history = np.asarray(model.normaliser.prognostic(frames[:-1]))
    members = runner.frames(history, np.datetime64("2020-01-01"), (0,))
    return lambda: next(next(members))


def _gradient(precision: str):
    import jax
    import jax.numpy as jnp

    from airmass.fields.channels import ChannelLayout
    from airmass.models.objectives.base import Example
    from airmass.models.objectives.losses.base import WeightedLoss

    recipe, model, grid, frames = _case(precision)
    task = recipe.task
    loss = WeightedLoss(recipe.loss, ChannelLayout.of(task.targets, task.levels), grid)
    objective = jax.tree.map(jnp.asarray, recipe.family.objective(recipe, loss, grid))
    forcings = np.zeros((len(frames), grid.size, len(task.forcing)), np.float32)
    example = jax.tree.map(jnp.asarray, Example(frames, forcings, np.int32(0)))

    def value(network, rest):
        model, objective, example = rest
        return objective(dataclasses.replace(model, network=network), example, jax.random.key(1))[0]

    part = jax.jit(jax.value_and_grad(value))
    rest = dataclasses.replace(model, network=None), objective, example
    return lambda: part(model.network, rest)


if __name__ == "__main__":
    main()

"""The gradient of a training loss: one example, one step, beside the forward pass in the same process.

    python -m benchmarks.gradient small|mini|demo [--recompute 0 1 4] [--precision bfloat16] [--rounds 7]

`small` is the published 1 degree GraphCast, `mini` GenCast at 1 degree on mesh 4, `demo` the model of `airmass demo`.
For each setting of `recompute` prints peak memory after the gradient, time to trace and compile, and both times in
matmul units. Gradient and forward pass run in processes of their own, as training does without the other: by turns in
one, at 1 degree, the system took 5 s or more longer to find room for the temporaries of a gradient. Weights and frames
are random; scales are one. Where a setting does not fit, the process ends with an error.
"""

import argparse
import dataclasses
import json

from benchmarks.measure import CompileTime, fresh, in_units, peak_gib, seconds

# Least to most memory.
RECOMPUTE = {"small": ("4", "1", "0"), "mini": ("1", "0"), "demo": ("1", "0")}
RECIPE = {"small": "graphcast-small", "mini": "gencast-mini", "demo": "demo"}
# Rows and columns; poles on a grid of an odd number of rows.
SHAPE = {"small": (181, 360), "mini": (181, 360), "demo": (32, 64)}
_SIZES = {
    "steps": "layers of the processor",
    "width": "numbers a node",
    "rows": "rows of the grid, of twice as many columns",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=tuple(RECIPE))
    parser.add_argument("--recompute", nargs="*")
    parser.add_argument("--precision", default="float32")
    for name, what in _SIZES.items():
        parser.add_argument(f"--{name}", type=int, help=f"{what}, where not the recipe's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--child", type=int)
    parser.add_argument("--forward", action="store_true")
    options = parser.parse_args()
    if options.child is not None:
        _child(options)
        return
    given = ["--precision", options.precision, "--rounds", str(options.rounds)]
    for name in _SIZES:
        given += [f"--{name}", str(getattr(options, name))] if getattr(options, name) else []
    for recompute in options.recompute or RECOMPUTE[options.name]:
        child = "benchmarks.gradient", options.name, "--child", recompute, *given
        forward, gradient = (float(fresh(*child, *extra).split()[-2]) for extra in (["--forward"], []))
        told = f"{options.name} {options.precision} recompute {recompute}"
        print(
            f"{told}: gradient {gradient:.1f} units, forward {forward:.1f}, ratio {gradient / forward:.2f}", flush=True
        )


def _child(options) -> None:
    import jax

    from airmass.core.memory import keep_freed_memory

    keep_freed_memory()
    compiling = CompileTime()
    model, given, loss = _given(options)
    # Geometry and the frames are arguments, not constants, of what is compiled.
    part = jax.jit(loss if options.forward else jax.value_and_grad(loss))
    rest = dataclasses.replace(model, network=None), *given
    result: dict[str, float] = {"peak_ready_gib": peak_gib()}
    before = compiling.seconds
    result["first_s"] = seconds(lambda: part(model.network, rest))
    result["compile_s"] = compiling.seconds - before
    result["peak_gib"] = peak_gib()
    name = "forward" if options.forward else "gradient"
    print(f"{name}:", json.dumps({key: round(value, 2) for key, value in result.items()}), flush=True)
    ((units, wall),) = in_units({name: lambda: part(model.network, rest)}, options.rounds).values()
    print(f"{wall:.3f} s, {units:.3f} units", flush=True)


def _given(options):
    """A model of the recipe with random weights, an example of random frames, and the loss of the network's leaves."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from airmass.diffusion.sphere import SphereNoise
    from airmass.fields.channels import ChannelLayout
    from airmass.fields.grid import LatLonGrid
    from airmass.fields.normalise import Normaliser
    from airmass.models.family import new_network
    from airmass.models.gencast.model import gencast
    from airmass.models.gencast.objective import GenCastObjective
    from airmass.models.graphcast.model import graphcast
    from airmass.models.objectives.base import Example
    from airmass.models.objectives.losses.base import WeightedLoss
    from airmass.models.objectives.rollout import RolloutObjective
    from airmass.models.objectives.settings import LossSettings
    from airmass.recipes.recipes import RECIPES

    recipe = RECIPES[RECIPE[options.name]]
    task, settings = recipe.task, dataclasses.replace(recipe.model, recompute=options.child)
    sizes = {name: getattr(options, name) for name in ("steps", "width") if getattr(options, name)}
    settings = dataclasses.replace(settings, **sizes)
    rows, columns = (options.rows, 2 * options.rows) if options.rows else SHAPE[options.name]
    grid = LatLonGrid.equiangular(rows, columns, poles=rows % 2 == 1)
    network = jax.jit(lambda: new_network(task, settings, jax.random.key(0)))()
    targets = ChannelLayout.of(task.targets, task.levels)
    history, static = ChannelLayout.of(task.prognostic, task.levels), ChannelLayout.of(task.static, task.levels)
    scales = [jnp.full(n, value) for n in map(len, (history, task.forcing, static, targets)) for value in (0.0, 1.0)]
    normaliser = Normaliser(*scales, Normaliser.columns(task))
    keys = jax.random.split(jax.random.key(1), 3)
    frames = jax.random.normal(keys[0], (task.history + 1, grid.size, len(targets)))
    forcings = jax.random.normal(keys[1], (task.history + 1, grid.size, len(task.forcing)))
    fields = jax.random.normal(keys[2], (grid.size, len(static)))
    compare = WeightedLoss(LossSettings(), targets, grid)
    if recipe.family.ensemble:
        fill = np.zeros(len(history), np.float32)
        model = gencast(network, settings, grid, normaliser, fields, fill, task.step, options.precision)
        white = SphereNoise.build(grid.latitude, grid.longitude)
        objective = GenCastObjective(compare, white, recipe.diffusion.training, task.history)
    else:
        model = graphcast(network, settings, grid, normaliser, fields, task.step, options.precision)
        objective = RolloutObjective(compare, task.history, recompute=False)

    def loss(network, rest):
        model, example, objective = rest
        return objective(dataclasses.replace(model, network=network), example, jax.random.key(0))[0]

    given = Example(frames, forcings, jnp.int32(0)), jax.tree.map(jnp.asarray, objective)
    return model, given, loss


if __name__ == "__main__":
    main()

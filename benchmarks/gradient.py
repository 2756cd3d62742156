"""The gradient of GraphCast's loss: one example, one step, beside the forward pass in the same process.

    python -m benchmarks.gradient small|demo [--recompute 0 1 4] [--precision bfloat16] [--rounds 3]

`small` is the published 1 degree model, `demo` that of `airmass demo`. Each setting of `recompute` runs in a process of
its own and prints peak memory after the gradient, time to trace and compile, and both times in matmul units. Weights
and frames are random; scales are one. Where a setting does not fit, the process ends with an error.
"""

import argparse
import dataclasses
import json

from benchmarks.measure import CompileTime, fresh, in_units, peak_gib, seconds

# Least to most memory; at 1 degree only 1 has been seen to fit on 24 GiB, the others were not tried.
RECOMPUTE = {"small": ("4", "1", "0"), "demo": ("1", "0")}
RECIPE = {"small": "graphcast-small", "demo": "demo"}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=tuple(RECIPE))
    parser.add_argument("--recompute", nargs="*")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--steps", type=int, help="layers of the processor, where not the recipe's")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child is not None:
        _child(options)
        return
    given = ["--precision", options.precision, "--rounds", str(options.rounds)]
    given += ["--steps", str(options.steps)] if options.steps else []
    for recompute in options.recompute or RECOMPUTE[options.name]:
        fresh("benchmarks.gradient", options.name, "--child", recompute, *given)


def _child(options) -> None:
    import jax

    from airmass.memory import keep_freed_memory

    keep_freed_memory()
    compiling = CompileTime()
    model, example, loss = _given(options)
    # Geometry and the frames are arguments, not constants, of what is compiled.
    forward = jax.jit(lambda network, rest: loss(network, rest))
    gradient = jax.jit(jax.value_and_grad(loss))
    rest = dataclasses.replace(model, network=None), example
    result: dict[str, float] = {"peak_ready_gib": peak_gib()}
    before = compiling.seconds
    result["first_s"] = seconds(lambda: gradient(model.network, rest))
    result["compile_s"] = compiling.seconds - before
    result["peak_gib"] = peak_gib()
    print(
        f"recompute {options.child}:", json.dumps({key: round(value, 2) for key, value in result.items()}), flush=True
    )
    if options.rounds:
        runs = {"forward": lambda: forward(model.network, rest), "gradient": lambda: gradient(model.network, rest)}
        found = in_units(runs, options.rounds)
        ratio = found["gradient"][1] / found["forward"][1]
        times = ", ".join(f"{name} {units:.2f} units, {wall:.3f} s" for name, (units, wall) in found.items())
        print(f"{options.name} {options.precision} recompute {options.child}: {times}, ratio {ratio:.2f}", flush=True)


def _given(options):
    """A model of the recipe with random weights, an example of random frames, and the loss of the network's leaves."""
    import jax
    import jax.numpy as jnp

    from airmass.graph import build_graphs
    from airmass.grid import LatLonGrid
    from airmass.layout import Layout
    from airmass.losses.squared_error import SquaredError
    from airmass.losses.weights import LossSettings
    from airmass.models.graphcast import GraphCast, Network, network_sizes
    from airmass.normalise import Normaliser
    from airmass.recipes import RECIPES
    from airmass.tiles import Tiles
    from airmass.training.objective import Example, rollout_loss

    recipe = RECIPES[RECIPE[options.name]]
    task, settings = recipe.task, dataclasses.replace(recipe.model, recompute=options.child)
    settings = dataclasses.replace(settings, steps=options.steps or settings.steps)
    grid = LatLonGrid.equiangular(*((181, 360, True) if options.name == "small" else (32, 64, False)))
    network = jax.jit(lambda: Network(settings, *network_sizes(task), key=jax.random.key(0)))()
    tiles = Tiles.of(build_graphs(grid, settings.mesh_level, settings.radius_fraction), renumber=True)
    targets = Layout.of(task.targets, task.levels)
    history, static = Layout.of(task.prognostic, task.levels), Layout.of(task.static, task.levels)
    scales = [jnp.full(n, value) for n in map(len, (history, task.forcing, static, targets)) for value in (0.0, 1.0)]
    normaliser = Normaliser(*scales, Normaliser.columns(task))
    keys = jax.random.split(jax.random.key(1), 3)
    frames = jax.random.normal(keys[0], (task.history + 1, grid.size, len(targets)))
    forcings = jax.random.normal(keys[1], (task.history + 1, grid.size, len(task.forcing)))
    fields = jax.random.normal(keys[2], (grid.size, len(static)))
    model = GraphCast(network, tiles, normaliser, fields, task.step, options.precision)
    compare = jax.tree.map(jnp.asarray, SquaredError(LossSettings(), targets, grid))

    def loss(network, rest):
        model, example = rest
        model = dataclasses.replace(model, network=network)
        return rollout_loss(model, compare, example, task.history, key=jax.random.key(0), recompute=False)[0]

    return model, Example(frames, forcings, jnp.int32(0)), loss


if __name__ == "__main__":
    main()

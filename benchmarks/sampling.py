"""Where the time of one evaluation of GenCast's denoiser goes, and that of what the sampler does around it.

    python -m benchmarks.sampling mini|demo [--precision bfloat16] [--rounds 3]

Each part is compiled by itself and timed in turn with the whole, in one run, on random parameters and states. A frame
of one member takes 2 levels - 1 evaluations, a fresh draw for each level that is churned, and one preparation.
"""

import argparse
import json

import jax
import jax.numpy as jnp
import numpy as np

from airmass.diffusion.samplers.dpmpp_2s import DPMSolver2S
from airmass.diffusion.sphere import SphereNoise
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.normalise import Normaliser
from airmass.fields.task import Task
from airmass.models.family import new_network
from airmass.models.gencast import runner as ensemble
from airmass.models.gencast.model import GenCast, gencast
from airmass.models.gencast.settings import GenCastSettings
from airmass.models.state import State
from benchmarks.made import GENCAST
from benchmarks.measure import seconds

_TASK = GENCAST["mini"][0]
_DEMO = GenCastSettings(mesh_level=3, width=64, layers=4, feedforward=256)
SIZES = {
    "demo": (_DEMO, LatLonGrid.equiangular(32, 64)),
    "mini": (GENCAST["mini"][1], LatLonGrid.equiangular(181, 360, poles=True)),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=tuple(SIZES))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    settings, grid = SIZES[options.name]
    model = _model(settings, grid, options.precision)
    parts = _parts(model, grid)
    times = _least(parts, options.rounds)
    for name, wall in times.items():
        print(f"{options.name} {options.precision} {name:<24} {1e3 * wall:9.1f} ms  {wall / times['evaluation']:7.1%}")
    print(json.dumps(_frame(times, DPMSolver2S())))


def _model(settings: GenCastSettings, grid: LatLonGrid, precision: str) -> GenCast:
    network = jax.jit(lambda key: new_network(_TASK, settings, key))(jax.random.key(0))
    static = np.zeros((grid.size, len(_layout(_TASK.static))), np.float32)
    fill = np.zeros(len(_layout(_TASK.prognostic)), np.float32)
    model = gencast(network, settings, grid, _unit_scales(_TASK), static, fill, _TASK.step, precision)
    return jax.jit(lambda model: model.ready())(model)


def _parts(model: GenCast, grid: LatLonGrid) -> dict:
    """Calls to time: the parts of an evaluation, the evaluation, and what goes on around it."""
    keys = jax.random.split(jax.random.key(1), 3)
    state = State(jax.random.normal(keys[0], (2, grid.size, len(_layout(_TASK.prognostic)))), jnp.int32(0))
    window = jnp.zeros((3, grid.size, len(_TASK.forcing)))
    channels, sigma = len(_layout(_TASK.targets)), jnp.float32(1.0)
    white = SphereNoise.build(grid.latitude, grid.longitude)
    frame, precomputed = ensemble._prepare(model, state, window), ensemble._precomputed(model, sigma)
    x = white.draw(keys[1], channels)
    low = x.astype(frame.fixed.dtype)
    encode, process, decode = jax.jit(_encode), jax.jit(_process), jax.jit(_decode)
    on_grid, on_mesh = encode(model, precomputed, frame, low)
    mix = jax.jit(lambda x, y, ratio: ratio * x + (1 - ratio) * y)
    return {
        "encoder": lambda: encode(model, precomputed, frame, low),
        "processor": lambda: process(model, precomputed, on_mesh),
        "decoder": lambda: decode(model, precomputed, on_grid, on_mesh),
        "evaluation": lambda: ensemble._denoise(model, frame, x, sigma, precomputed),
        "noise level's geometry": lambda: ensemble._precomputed(model, sigma),
        "conditioning": lambda: ensemble._prepare(model, state, window),
        "noise draw": lambda: white.draw(keys[2], channels),
        "solver step": lambda: mix(x, x, sigma),
    }


def _least(parts: dict, rounds: int) -> dict[str, float]:
    """The least wall time of each part over rounds of all of them; other work on the machine only ever adds."""
    for run in parts.values():
        seconds(run)
    times = [{name: seconds(run) for name, run in parts.items()} for _ in range(rounds)]
    return {name: min(found[name] for found in times) for name in parts}


def _encode(model: GenCast, precomputed, frame, noisy):
    network, targets = model.network, noisy.shape[-1]
    for_noisy = network.encoder.embed_grid.layers[0].weight[-3 - targets : -3]

    def first(tile):
        return frame.fixed[tile] + model.tiles.rows(noisy, tile) @ for_noisy

    return network.encoder(model.tiles, precomputed.encoder, first, precomputed.condition)


def _process(model: GenCast, precomputed, mesh):
    return model.network.transformer(mesh, model.neighbours, precomputed.condition)


def _decode(model: GenCast, precomputed, grid, mesh):
    return model.network.decoder(model.tiles, precomputed.decoder, grid, mesh, precomputed.condition)


def _frame(times: dict[str, float], sampler: DPMSolver2S) -> dict[str, float]:
    """Seconds of one frame of one member by part."""
    evaluations = sampler.evaluations
    churned = int(np.sum(sampler.grid.raised > sampler.grid.times))
    counts = {
        "encoder": evaluations,
        "processor": evaluations,
        "decoder": evaluations,
        "noise level's geometry": evaluations,
        "conditioning": 1,
        "noise draw": 1 + churned,
        "solver step": evaluations + churned,
    }
    return {name: round(count * times[name], 3) for name, count in counts.items()}


def _layout(names: tuple[str, ...]) -> ChannelLayout:
    return ChannelLayout.of(names, _TASK.levels)


def _unit_scales(task: Task) -> Normaliser:
    sizes = [len(ChannelLayout.of(names, task.levels)) for names in (task.prognostic, task.static, task.targets)]
    history, static, target = ((np.zeros(n, np.float32), np.ones(n, np.float32)) for n in sizes)
    forcing = np.zeros(len(task.forcing), np.float32), np.ones(len(task.forcing), np.float32)
    return Normaliser(*history, *forcing, *static, *target, Normaliser.columns(task))


if __name__ == "__main__":
    main()

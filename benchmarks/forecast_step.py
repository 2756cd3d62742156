"""One GraphCast step, or one evaluation of GenCast's denoiser, through the code that `airmass forecast` runs.

    python -m benchmarks.forecast_step small|mini|1deg|full [--precision bfloat16] [--rounds 7] [--folder DIR]

Prints peak memory of a process that makes two steps, compile time from cold and from the cache of compiled programs,
and time in matmul units; for GenCast, the same again with attention in whole bands. Files of random numbers in the
published layout are made in --folder first.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.measure import CompileTime, fresh, in_units, peak_gib, seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=("small", "full", "mini", "1deg"))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/airmass-benchmarks"))
    parser.add_argument("--child", choices=("cold", "warm", "bands"))
    options = parser.parse_args()
    folder = options.folder / options.name
    if options.child:
        _child(folder, options)
        return
    given = ["--precision", options.precision, "--rounds", str(options.rounds), "--folder", str(options.folder)]
    fresh("benchmarks.made", options.name, str(folder))
    with tempfile.TemporaryDirectory() as compiled:
        for child in ("cold", "warm", *(("bands",) if options.name in ("mini", "1deg") else ())):
            fresh(
                "benchmarks.forecast_step", options.name, "--child", child, *given, JAX_COMPILATION_CACHE_DIR=compiled,
                JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0.05", JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES="-1",
            )  # fmt: skip


def _child(folder: Path, options) -> None:
    import jax

    compiling = CompileTime()
    from airmass.core.memory import keep_freed_memory
    from airmass.data.initial import open_initial
    from airmass.forecasting.system import load_system

    keep_freed_memory()
    start = time.perf_counter()
    system = load_system(folder / "checkpoint.npz", folder, options.precision)
    initial = open_initial(folder / "initial.nc", system.task)
    init = initial.default_init()
    history, static = initial.history(init), initial.static()
    read = time.perf_counter() - start
    before = compiling.seconds
    runner = system.runner(initial.grid, static, 0, None)
    jax.block_until_ready(jax.tree.leaves(vars(runner)))
    result = {"read_s": read, "ready_s": time.perf_counter() - start - read, "peak_ready_gib": peak_gib()}
    if options.child == "bands":
        _use_bands(folder)
    if system.ensemble:
        run = _denoiser(runner, history, init)
    else:
        frames = runner.frames(history, init, (0,))
        run = lambda: next(next(frames))  # noqa: E731
    result["first_s"] = seconds(run)
    result["compile_s"] = compiling.seconds - before
    result["second_s"] = seconds(run)
    result["peak_gib"] = peak_gib()
    print(options.child, json.dumps({key: round(value, 3) for key, value in result.items()}))
    if options.child != "cold":
        ((units, wall),) = in_units({"step": run}, options.rounds).values()
        print(f"{options.name} {options.precision} {options.child}: {units:.1f} units, {wall:.2f} s", flush=True)


def _use_bands(folder: Path) -> None:
    """Attention in whole bands in place of ours, everything else alike."""
    from airmass.models.gencast.published import read_gencast
    from airmass.models.nn import transformer
    from benchmarks.bands import bands

    settings = read_gencast(folder / "checkpoint.npz").settings
    whole, _ = bands(settings.mesh_level, settings.hops)
    transformer.attend = lambda query, key, value, neighbours: whole(query, key, value)


def _denoiser(runner, history, init):
    """One evaluation as the sampler makes it for each noise level and member: what the level decides, then D(x)."""
    import jax
    import jax.numpy as jnp

    from airmass.fields.forcing import forcing_windows
    from airmass.models.gencast import runner as ensemble
    from airmass.models.state import State

    model, white = runner._held[0]
    window = next(forcing_windows(runner._task, runner._grid, init))
    frame = ensemble._prepare(model, State(history, jnp.int32(0)), window)
    x = runner._draw(jax.random.key(1), 0, white, 0)
    sigma = jnp.float32(1.0)
    return lambda: ensemble._denoise(model, frame, x, sigma, ensemble._seen(model, sigma))


if __name__ == "__main__":
    main()

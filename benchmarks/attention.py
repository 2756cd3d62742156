"""Local attention alone, beside whole bands, forward and backward.

    python -m benchmarks.attention [--level 5] [--hops 16]

Prints time in matmul units, the compiled program's temporary memory, and the largest difference of the results. On a
GPU also what a model would choose, with the time of each candidate.
"""

import argparse

import jax
import jax.numpy as jnp

from airmass.models.mesh.icosphere import icosphere
from airmass.models.mesh.neighbours import Neighbours
from airmass.models.nn.attention import attend
from airmass.models.nn.attention_choice import choose
from benchmarks.bands import bands
from benchmarks.measure import in_units


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--level", type=int, default=5)
    parser.add_argument("--hops", type=int, default=16)
    options = parser.parse_args()
    mesh = icosphere(options.level)
    neighbours = Neighbours.within(mesh, options.hops)
    whole, width = bands(options.level, options.hops)
    shape = 3, 4, len(mesh.vertices), 128
    query, key, value = jax.random.normal(jax.random.key(0), shape)
    print(f"{shape[2]} nodes, {options.hops} hops: at most {int(neighbours.near.sum(-1).max())} neighbours,")
    print(f"  local gathers {neighbours.keys.shape[1]} keys a node, whole bands {3 * width}")

    def gradient(function):
        return jax.grad(lambda q, k, v: jnp.square(function(q, k, v)).sum(), argnums=(0, 1, 2))

    # Graphs are arguments, not constants, of what is compiled.
    made = {
        "local": lambda q, k, v, n: attend(q, k, v, n),
        "bands": lambda q, k, v, n: whole(q, k, v),
        "local, gradient": lambda q, k, v, n: gradient(lambda *x: attend(*x, n))(q, k, v),
        "bands, gradient": lambda q, k, v, n: gradient(whole)(q, k, v),
    }
    compiled = {name: jax.jit(made[name]).lower(query, key, value, neighbours).compile() for name in made}
    runs = {name: (lambda c=c: c(query, key, value, neighbours)) for name, c in compiled.items()}
    for name, (units, wall) in in_units(runs).items():
        memory = compiled[name].memory_analysis().temp_size_in_bytes / 2**30
        print(f"{name}: {units:.2f} units, {wall:.2f} s, {memory:.3f} GiB of temporaries")
    apart = jnp.abs(runs["local"]() - runs["bands"]()).max()
    print(f"largest difference {float(apart):.1e}")
    for precision in ("float32", "bfloat16"):
        for trains in (False, True):
            if report := choose(lambda: neighbours, 4, 128, precision, trains).report:
                print(f"{precision}{', gradient' * trains}: {report}")


if __name__ == "__main__":
    main()

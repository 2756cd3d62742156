"""The unit of speed, in a process of its own: for each line read, one product of two 4096 x 4096 matrices in float32.

Prints the seconds that it took. In a process that works through gigabytes meanwhile, the product's own 64 MB take
longer to find, and whatever is measured beside it would look faster than it is; here they are kept from one product to
the next.
"""

import sys

import jax
import jax.numpy as jnp

from airmass.core.memory import keep_freed_memory
from benchmarks.measure import SIDE, seconds


def main() -> None:
    keep_freed_memory()
    a = jax.random.normal(jax.random.key(0), (SIDE, SIDE))
    product = jax.jit(jnp.matmul)
    seconds(lambda: product(a, a))
    for _ in sys.stdin:
        print(seconds(lambda: product(a, a)), flush=True)


if __name__ == "__main__":
    main()

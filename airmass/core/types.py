"""The array type of modules that are built in numpy and traced by JAX."""

from typing import TypeAlias

import jax
import numpy as np

Array: TypeAlias = jax.Array | np.ndarray

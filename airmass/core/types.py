"""The array type of modules that are built in numpy and traced by JAX."""

from typing import TypeAlias

import jax
import numpy as np
from jaxtyping import Float

Array: TypeAlias = jax.Array | np.ndarray
# A number of floating point; numpy's scalars are no arrays.
Scalar: TypeAlias = Float[Array, ""] | np.floating | float

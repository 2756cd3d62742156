"""Fit of the linear model of the next frame, by harmonic, from the frames of a period."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.data.loading.frames import Frames
from airmass.fields.harmonics import Harmonics
from airmass.fields.linear_residual import LinearResidual
from airmass.fields.normalise import Normaliser

# Smallest spread, in units of the scaled target: less is rounding error, which whitening would amplify.
_LEAST = 1e-3
# Relative cut-off of the pseudo-inverse: combinations of past frames with less of the variance are ignored.
_ALIKE = 1e-5


def linear_residual_of(frames: Frames, scale: Float[Array, " target"]) -> LinearResidual:
    """The linear model of the prognostic channels of `frames`, with its residual in units of `scale`.

    Each harmonic is regressed on itself in the frames of the history, by least squares over all windows of the period,
    after subtracting the mean of all frames. Raises InputError for a grid with too few rows.
    """
    harmonics = jax.tree.map(jnp.asarray, Harmonics.build(frames.grid.latitude, frames.grid.longitude))
    columns = np.array(Normaliser.columns(frames.task))
    mean = np.zeros((frames.grid.size, len(columns)))
    for row in range(len(frames.times)):
        mean += frames.at(frames.times[[row]])[0][:, columns] / len(frames.times)

    @jax.jit
    def products(window):
        waves = jnp.stack([harmonics.analyse(frame) for frame in window])
        return jnp.einsum("tmlc,smlc->mlcts", waves, waves.conj())

    length = frames.task.history + 1
    total, starts = np.zeros((), np.complex128), frames.starts(length)
    for start in starts:
        window = frames.window(int(start), length)[..., columns] - mean
        total = total + np.asarray(products(window.astype(np.float32))) / len(starts)
    past, both, after = total[..., :-1, :-1], total[..., -1, :-1], total[..., -1, -1].real
    persistence = np.einsum("mlcs,mlcst->mlct", both, np.linalg.pinv(past, rcond=_ALIKE, hermitian=True))
    variance = after - np.einsum("mlct,mlct->mlc", persistence, both.conj()).real
    spread = np.sqrt(np.maximum(variance, 0)) / np.asarray(scale)[columns]
    return LinearResidual(
        mean.astype(np.float32),
        np.moveaxis(persistence, -1, 0).astype(np.complex64),
        np.maximum(spread, _LEAST).astype(np.float32),
        harmonics,
    )

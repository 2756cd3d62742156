"""Noise of members and steps from a file, in place of random draws."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.data.formats.opening import open_unchecked
from airmass.data.formats.store import read

_NAME, _DIMS = "noise", ("sample", "time", "noise_channels")


def read_noise_vectors(
    path: str | Path, channels: int, members: range, steps: int
) -> Float[np.ndarray, "member step channel"]:
    """Noise of each member, by number from 0, and step: `noise` with dims (sample, [batch,] time, noise_channels).

    Raises InputError for another number of channels, too few members or steps, and values that are not finite.
    """
    dataset = open_unchecked(path, dask=False)
    if _NAME not in dataset:
        raise InputError(f"{path}: no variable {_NAME}; found {', '.join(map(str, dataset.data_vars)) or 'none'}")
    noise = dataset[_NAME]
    if noise.sizes.get("batch", 1) != 1:
        raise InputError(f"{path}: batch has length {noise.sizes['batch']}, expected 1")
    noise = noise.squeeze("batch") if "batch" in noise.dims else noise
    if set(noise.dims) != set(_DIMS):
        raise InputError(f"{path}: {_NAME} has dims {tuple(map(str, noise.dims))}, expected {_DIMS}")
    if noise.sizes["noise_channels"] != channels:
        raise InputError(f"{path}: noise_channels is {noise.sizes['noise_channels']}, expected the model's {channels}")
    for dim, needed, what in (("sample", members.stop, "members"), ("time", steps, "steps")):
        if noise.sizes[dim] < needed:
            raise InputError(f"{path}: {dim} has length {noise.sizes[dim]}, expected at least {needed}, one of {what}")
    values = read(noise.transpose(*_DIMS), path)
    if bad := int((~np.isfinite(values)).sum()):
        raise InputError(f"{path}: {_NAME} has {bad} NaN or infinite values; expected none")
    return values

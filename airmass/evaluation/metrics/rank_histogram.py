"""Rank histogram: frequency of the truth's rank among the members."""

import numpy as np
from jaxtyping import Float

from airmass.evaluation.metrics.base import Fields


def rank_frequencies(fields: Fields) -> Float[np.ndarray, "..."]:
    """Share of the area where truth is above 0, 1, ... m of m members; each row sums to 1, NaN without any area.

    Of shape (*batch, *bin, rank).

    Where truth equals some members (no rain, for example), the area is shared evenly between the possible ranks, which
    is the expected value of choosing one at random. Frequencies can be summed over initial times.

    Source: Hamill 2001, doi:10.1175/1520-0493(2001)129<0550:IORHFV>2.0.CO;2.
    """
    truth, m = fields.truth, len(fields.members)
    below, equal = np.zeros(truth.shape, np.int64), np.zeros(truth.shape, np.int64)
    for member in fields.members:
        below += member < truth
        equal += member == truth
    return fields.by_bin(lambda weights: _shares(below, equal, weights, fields.present, m))


def _shares(
    below: np.ndarray, equal: np.ndarray, weights: np.ndarray, present: np.ndarray | None, m: int
) -> Float[np.ndarray, "*batch rank"]:
    """Share of the weights at each rank, from the number of members below and equal to truth."""
    weights = np.broadcast_to(weights, below.shape)
    if present is not None:
        weights = weights * present
    # A share for each of the ranks from `below` to `below + equal`, as the steps up and down of a running sum.
    share, rows = weights / (equal + 1), np.arange(below.size // below.shape[-1]).repeat(below.shape[-1])
    n = (len(rows) // below.shape[-1]) * (m + 2)
    up, down = (
        np.bincount(rows * (m + 2) + rank.ravel(), share.ravel(), minlength=n) for rank in (below, below + equal + 1)
    )
    counts = np.cumsum((up - down).reshape(*below.shape[:-1], m + 2), axis=-1)[..., : m + 1]
    with np.errstate(invalid="ignore"):
        return np.maximum(counts, 0) / weights.sum(axis=-1)[..., None]

"""Sampling orders: the windows of an update's batch, as functions of seed and update alone."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Int

from airmass.core.typed import Range, check


@dataclass(frozen=True)
class SamplingOrder:
    """The order in which windows are drawn.

    "replacement" draws with replacement for each update. "epoch" visits every window once in a shuffled order, then
    again in another. "blocks" does so too, but draws windows that share frames close together: each epoch divides the
    period into blocks of `block` windows at a random offset, shuffles the blocks, and draws the windows of about
    `blocks_at_once` successive blocks mixed at random.
    """

    order: Literal["replacement", "epoch", "blocks"] = "replacement"
    block: Annotated[int, Range(1, 10**6)] = 16
    blocks_at_once: Annotated[int, Range(1, 10**6)] = 6

    def __post_init__(self):
        check(self, "loader")

    def drawn(self, seed: int, update: int, batch: int, windows: int) -> Int[np.ndarray, " example"]:
        """The numbers, below `windows`, of the windows in the update's global batch."""
        if self.order == "replacement":
            return np.random.default_rng((seed, update)).choice(windows, batch)
        epochs, places = np.divmod(np.arange(batch) + update * batch, windows)
        orders = {epoch: self._epoch(seed, int(epoch), windows) for epoch in np.unique(epochs)}
        return np.array([orders[epoch][place] for epoch, place in zip(epochs, places, strict=True)])

    def _epoch(self, seed: int, epoch: int, windows: int) -> Int[np.ndarray, " window"]:
        if self.order == "epoch":
            return _shuffled(seed, epoch, windows)
        return _in_blocks(seed, epoch, windows, self.block, self.blocks_at_once)

    def near(self, reach: int) -> int:
        """The number of recent frames to cache for windows that span `reach` frames; 0 for random orders.

        Blocks overlap, so that some frames are needed for longer than `blocks_at_once` blocks. With a quarter more than
        the frames of these blocks, 1 or 2 % were read twice (blocks of 12 to 24 windows of three).
        """
        return 0 if self.order != "blocks" else -(-5 * self.blocks_at_once * (self.block + reach - 1) // 4)


@lru_cache(maxsize=8)
def _shuffled(seed: int, epoch: int, windows: int) -> Int[np.ndarray, " window"]:
    return np.random.default_rng((seed, epoch)).permutation(windows)


@lru_cache(maxsize=8)
def _in_blocks(seed: int, epoch: int, windows: int, block: int, at_once: int) -> Int[np.ndarray, " window"]:
    rng = np.random.default_rng((seed, epoch))
    blocks = (np.arange(windows) + rng.integers(block)) // block
    return np.argsort(rng.permutation(blocks[-1] + 1)[blocks] + at_once * rng.random(windows))

"""What a system must offer to be run: frames of its members, from the start or from where a stopped run got to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.grid import LatLonGrid

History = Float[np.ndarray, "time node prognostic"]


@dataclass(frozen=True)
class Made:
    """What there is of a forecast already: how many frames, and the newest ones of each member, oldest first."""

    count: int = 0
    newest: Sequence[History] = ()

    def histories(self, start: Sequence[History]) -> list[History]:
        """What each member's next step reads, where `start` is what its first one read."""
        if not self.count:
            return list(start)
        return [np.concatenate([a, b])[-len(a) :] for a, b in zip(start, self.newest, strict=True)]


NOTHING = Made()


class Runner(Protocol):
    """A model that is ready to run on one grid."""

    @property
    def at_once(self) -> int:
        """How many members share work or devices."""

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int], made: Made = NOTHING
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after those `made`, without end, the frame of each of `members`, in physical units.

        `history` ends at `init`. Members are numbered from 0; a number gives the same forecast whichever others are
        asked for, and wherever it goes on from. Where a field is missing over land, so is the frame.
        """


class ModelRunner(Runner, Protocol):
    """A runner whose members may start from histories of their own."""

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after the first `count`, without end, the frame of each of `members` from its history."""
        ...


class MakeRunner(Protocol):
    """Builds a runner from static fields; `seed` and `noise` are for systems that draw.

    Raises InputError, before anything is compiled, where it would not fit into memory on `grid`.
    """

    def __call__(
        self,
        grid: LatLonGrid,
        static: Float[np.ndarray, "node static"],
        seed: int = 0,
        noise: Float[np.ndarray, "node target"] | None = None,
    ) -> Runner: ...


def whole_hours(init: np.datetime64) -> int:
    """Hours since 1970-01-01."""
    return int(init.astype("datetime64[h]").astype(int))


def member_key(seed: int, init: np.datetime64, member: int) -> PRNGKeyArray:
    """All that a member draws comes from this key, so that seed, initial time and number make it."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), whole_hours(init)), member)

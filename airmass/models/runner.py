"""The interface of a runner: frames of members, from the initial time or continued after an interrupted run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from airmass.core.types import Array
from airmass.fields.forcing import Stored
from airmass.fields.grid import LatLonGrid

History = Float[np.ndarray, "time node prognostic"]


@dataclass(frozen=True)
class Written:
    """Frames of a forecast that are written already: their number, and each member's newest ones, oldest first."""

    count: int = 0
    newest: Sequence[History] = ()

    def histories(self, start: Sequence[History]) -> list[History]:
        """The history that each member's next step reads, given the initial histories `start`."""
        if not self.count:
            return list(start)
        return [np.concatenate([a, b])[-len(a) :] for a, b in zip(start, self.newest, strict=True)]


NOTHING_WRITTEN = Written()


class Runner(Protocol):
    """A model, or another system, that forecasts on one grid."""

    @property
    def group_size(self) -> int:
        """Number of members that are computed in one group."""

    def frames(
        self, history: History, init: np.datetime64, members: Sequence[int], made: Written = NOTHING_WRITTEN
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after those `made`, without end, the frame of each of `members`, in physical units.

        `history` ends at `init`. Members are numbered from 0. The forecast of a number does not depend on the other
        members or on where it is resumed. Fields that are missing over land are NaN there in frames too.
        """


class ModelRunner(Runner, Protocol):
    """A runner whose members may have different initial histories."""

    def trajectories(
        self, histories: Sequence[History], init: np.datetime64, members: Sequence[int], count: int
    ) -> Iterator[Iterator[Float[Array, "node target"]]]:
        """For each lead time after the first `count`, without end, the frame of each of `members` from its history."""
        ...


class MakeRunner(Protocol):
    """A function that builds a runner from static fields and stored forcings; `seed` and `noise` are for ensembles.

    Raises InputError, before anything is compiled, if the runner would not fit into memory on `grid`.
    """

    def __call__(
        self,
        grid: LatLonGrid,
        static: Float[np.ndarray, "node static"],
        seed: int = 0,
        noise: Float[np.ndarray, "node target"] | None = None,
        *,
        stored: Stored | None = None,
    ) -> Runner: ...


def whole_hours(init: np.datetime64) -> int:
    """Hours since 1970-01-01."""
    return int(init.astype("datetime64[h]").astype(int))


def member_key(seed: int, init: np.datetime64, member: int) -> PRNGKeyArray:
    """The random key of all draws of a member, from seed, initial time and the member's number."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), whole_hours(init)), member)

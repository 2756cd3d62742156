"""Loop over initial times, groups of members and steps that computes the frames of a forecast not on disk yet."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from airmass.core.types import Array
from airmass.data.formats.forecast_writer import ForecastWriter
from airmass.data.initial import Initial
from airmass.forecasting.resume import ResumableOutput
from airmass.models.runner import NOTHING_WRITTEN, Runner, Written

_Item = TypeVar("_Item")
# Index of the initial time, indices of the members that run together, step, index of the member, frame.
_Placed = tuple[int, range, int, int, Float[Array, "node target"]]


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of `steps` frames for each member of `numbers` from each initial time of `inits`.

    Each group of members runs to the end before the next starts, so only the states of one group are in memory.
    """

    runner: Runner
    start: Initial
    inits: np.ndarray
    steps: int
    numbers: range

    def write(self, writer: ForecastWriter, output: ResumableOutput | None, wrote: Callable[[], None]) -> None:
        """Write all frames that `output` does not have yet, and record each chunk of frames that is on disk."""
        for row, group, step, member, frame in _one_ahead(self._frames(writer, output)):
            writer.write(row, step, np.asarray(frame), self.numbers[member])
            wrote()
            if output and member == group[-1] and writer.ends_a_chunk(step):
                writer.sync(row, [self.numbers[m] for m in group], step)
                output.record(row, group, step + 1)

    def _frames(self, writer: ForecastWriter, output: ResumableOutput | None) -> Iterator[_Placed]:
        for row, init in enumerate(self.inits):
            for group, count in self._groups(row, output):
                made = self._made(writer, row, group, count)
                numbers = [self.numbers[member] for member in group]
                lead_times = self.runner.frames(self.start.history(init), init, numbers, made)
                for step, frames in enumerate(islice(lead_times, self.steps - made.count), made.count):
                    yield from ((row, group, step, *found) for found in zip(group, frames, strict=True))

    def _groups(self, row: int, output: ResumableOutput | None) -> Iterator[tuple[range, int]]:
        """Groups of members to run together, and the number of frames that they have."""
        group_size = self.runner.group_size
        if output is not None:
            return output.pending(row, group_size)
        count = len(self.numbers)
        return ((range(first, min(first + group_size, count)), 0) for first in range(0, count, group_size))

    def _made(self, writer: ForecastWriter, row: int, group: range, count: int) -> Written:
        """Frames that a group resumes from: those on disk if they contain all that a step reads, else none."""
        if not count or not writer.holds_states:
            return NOTHING_WRITTEN
        return Written(count, [writer.newest(row, self.numbers[member], count) for member in group])


def _one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield each item after requesting the next, which JAX then computes while this one is written."""
    held: list[_Item] = []
    for item in items:
        yield from held
        held = [item]
    yield from held

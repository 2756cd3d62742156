"""Shards: the times of a store that are one file of a variable, and one unit of the work of an ingest."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import zarr

from airmass.core.errors import InputError
from airmass.data.ingest.growing import write_shard
from airmass.data.ingest.request import IngestRequest, Opened, open_sources

# The largest shard: a worker holds one of a variable, and a run that was stopped goes on with the next.
_MOST_TIMES, _MOST_BYTES = 32, 64 * 2**20


def shard_length(opened: Opened, asked: int | None) -> int:
    """Times a shard: those asked for, or as many of all variables as 64 MiB hold, at most 32."""
    if asked is not None:
        return asked
    frame = 4 * max(int(np.prod([opened.size(d) for d in opened.dims(n) if d != "time"])) for n in opened.changing)
    return max(1, min(_MOST_TIMES, _MOST_BYTES // frame))


@dataclass(frozen=True)
class ShardWork:
    """Shards of a store to write, from the sources and, for a store appended to, from its `before` times."""

    request: IngestRequest
    levels: tuple[int, ...]
    store: Path
    old: Path | None
    before: int
    length: int

    def span(self, shard: int, total: int) -> range:
        """The times of a shard in a store of `total` times."""
        return range(shard * self.length, min((shard + 1) * self.length, total))

    def new(self, shard: int, total: int) -> int:
        """The number of a shard's times that come from the sources."""
        return sum(i >= self.before for i in self.span(shard, total))

    def write(self, opened: Opened, shard: int) -> None:
        """Write a shard of every variable."""
        times = self.span(shard, self.before + len(opened.times))
        for name in opened.changing:
            values = [self._frame(opened, name, i) for i in times]
            write_shard(self.store, name, shard, times.start, np.stack(values))

    def _frame(self, opened: Opened, name: str, index: int) -> np.ndarray:
        if index >= self.before:
            return opened.frame(name, opened.times[index - self.before])
        return np.asarray(zarr.open_array(str(self.old), path=name, mode="r")[index])


def write_times(work: ShardWork, shard: int) -> None:
    """Write a shard on a worker of a cluster, which opens the sources once and must see the same paths."""
    if not work.store.exists():
        raise InputError(f"{work.store}: not there for a worker of the cluster, which must see the same paths")
    work.write(_opened(work.request, work.levels), shard)


@lru_cache(1)
def _opened(request: IngestRequest, levels: tuple[int, ...]) -> Opened:
    return open_sources(request, levels=levels)

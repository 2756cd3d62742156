"""Training examples: the batches of updates, prefetched in threads while the update before runs."""

import threading
import time
from collections.abc import Generator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from airmass.core.errors import InputError
from airmass.data.loading.frame_cache import FixedCache, RecentCache
from airmass.data.loading.frames import ALL, Frames
from airmass.data.loading.latitude_band import LatitudeBand
from airmass.data.loading.settings import LoaderSettings
from airmass.fields.forcing import forcings

_HOUR = np.timedelta64(1, "h")
# Memory for forcings if frames are not cached: five forcings for nine years at 64 x 32, for 231 days at 1.5 degrees.
_FORCING_BYTES = 512 * 2**20


class LoadedBatch(NamedTuple):
    """A batch of examples; `valid_time` is that of the last frame of history, in hours since 1970."""

    frames: Float[np.ndarray, "example time node target"]
    forcings: Float[np.ndarray, "example time node forcing"]
    valid_time: Int[np.ndarray, " example"]


class Examples:
    """The batches of a run.

    The batch of an update depends only on the seed, the update's number, the order, the length of rollout and the
    store, so a checkpoint has to store the number alone.

    `share` is the slice of the global batch that this process reads, `nodes` the slice of grid nodes; nothing else is
    read or cached. `waited` is the total time in seconds that the consumer has waited for batches.
    """

    def __init__(
        self, frames: Frames, settings: LoaderSettings, seed: int, batch: int, share: slice = ALL, nodes: slice = ALL
    ):
        self._frames, self._settings = frames, settings
        self._seed, self._batch, self._share, self._nodes = seed, batch, share, nodes
        self._forcings: _Forcings | None = None
        self.waited = 0.0

    def dropped(self, rollout: int) -> int:
        """The number of windows left out because of a missing time."""
        return self._frames.dropped(self._frames.task.history + rollout)

    def batches(self, first: int, last: int, rollout: int) -> Generator[LoadedBatch]:
        """The batches of updates `first` to `last` - 1, prefetched; closing the iterator stops the threads.

        Raises InputError if the period has no window, and for unreadable values, at the update that needs them.
        """
        import grain  # takes seconds to import

        self.starts(first, rollout)
        length = self._frames.task.history + rollout
        began, stopped = time.monotonic(), threading.Event()
        held = self._frames.hold(self._settings.hold_gib, self._nodes)
        near = 0 if held else self._settings.near(self._frames.reach(length))
        if near:
            self._frames.keep_recent(near, self._nodes)
        limit = np.inf if held else _FORCING_BYTES
        self._forcings = self._forcings or _Forcings(self._frames, self._nodes, limit, near)

        def read(update: int) -> LoadedBatch | None:
            return None if stopped.is_set() else self.read(int(update), rollout)

        options = grain.ReadOptions(num_threads=self._settings.threads, prefetch_buffer_size=self._settings.ahead)
        iterator = iter(grain.MapDataset.range(first, last).map(read).to_iter_dataset(options))
        try:
            for batch in iterator:
                self.waited += time.monotonic() - began
                yield batch
                began = time.monotonic()
        finally:
            stopped.set()
            iterator.close()

    def read(self, update: int, rollout: int) -> LoadedBatch:
        """The batch of one update, read at once."""
        frames, length = self._frames, self._frames.task.history + rollout
        starts = self.starts(update, rollout)[self._share]
        steps = np.arange(length) * frames.task.step * _HOUR
        times = frames.times[starts][:, None] + steps
        size = len(range(*self._nodes.indices(frames.grid.size)))
        out = np.empty((len(starts), length, size, len(frames.layout)), np.float32)
        for example, wanted in zip(out, times, strict=True):
            frames.at(wanted, self._nodes, example)
        known = self._forcings or _Forcings(frames, self._nodes, 0)
        valid_time = times[:, frames.task.history - 1].astype("datetime64[h]").astype(np.int32)
        return LoadedBatch(out, np.stack([known.at(wanted) for wanted in times]), valid_time)

    def starts(self, update: int, rollout: int) -> Int[np.ndarray, " example"]:
        """The starts of the windows of an update's global batch, as indices of the period's times."""
        task, length = self._frames.task, self._frames.task.history + rollout
        starts = self._frames.starts(length)
        if not len(starts):
            raise InputError(f"{self._frames.path}: no {length} frames {task.step} h apart to train on")
        return starts[self._settings.drawn(self._seed, update, self._batch, len(starts))]


class _Forcings:
    """Forcings at the times of a period, computed or read on first use and cached up to a limit in bytes.

    If the period needs more and `near` is not 0, the `near` most recently used ones are cached instead.
    """

    def __init__(self, frames: Frames, nodes: slice, limit: float, near: int = 0):
        self._frames, self._band, self._kept = frames, LatitudeBand.of(nodes, frames.grid), FixedCache(limit)
        self._shape = self._band.size, len(frames.task.forcing)
        more = 4 * len(frames.times) * np.prod(self._shape, dtype=float) > limit
        self._recent = RecentCache(near, self._shape) if near and more else None

    def at(self, times: np.ndarray) -> Float[np.ndarray, "time node forcing"]:
        rows = np.searchsorted(self._frames.times, times).tolist()
        out = np.empty((len(rows), *self._shape), np.float32)
        if self._recent is not None:
            self._recent.copy(rows, out, self._compute)
            return out
        for place, row in zip(out, rows, strict=True):
            if (known := self._kept.get(row)) is not None:
                place[...] = known
            else:
                self._compute({row: place})
                self._kept.offer(row, place)
        return out

    def _compute(self, places: Mapping[int, np.ndarray]) -> None:
        frames, band = self._frames, self._band
        stored = partial(frames.stored_forcing, nodes=band.nodes)
        for row, place in places.items():
            names, time = frames.task.forcing, frames.times[row]
            place[...] = forcings(names, time, frames.grid, band.latitudes, stored)[0, band.inner]

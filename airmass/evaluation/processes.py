"""Where parts of long work are done: processes of this machine, or the workers of a Dask cluster."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from airmass.core.cluster import cluster

Part = TypeVar("Part")
Result = TypeVar("Result")


def spread(
    work: Callable[..., Result], parts: Mapping[Part, tuple], workers: int, scheduler: str | None
) -> Iterator[tuple[Part, Result]]:
    """Parts and the results of `work(*arguments)`, in the order in which they are done."""
    with _executor(workers, scheduler) as executor:
        waiting: dict[Future, Part] = {executor.submit(work, *arguments): part for part, arguments in parts.items()}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    if scheduler is None:
        # Not forked: threads of JAX and tensorstore hold locks.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
            yield executor
        return
    with cluster(scheduler) as executor:
        yield executor

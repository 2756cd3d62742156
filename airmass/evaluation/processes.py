"""Where parts of long work are done: processes of this machine, or the workers of a Dask cluster."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from airmass.core.errors import InputError

Part = TypeVar("Part")
Result = TypeVar("Result")

_CONNECT_SECONDS = 10


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
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--scheduler needs Dask's cluster: pip install 'airmass[cluster]'") from None
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(f"--scheduler {scheduler}: cannot be reached: {' '.join(str(error).split())}") from None
    with client:
        yield client.get_executor()

"""Workers of a Dask cluster, by the address of its scheduler."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from airmass.core.errors import InputError

_CONNECT_SECONDS = 10


@contextmanager
def cluster(scheduler: str) -> Iterator[Executor]:
    """The workers of a scheduler as an executor; raises InputError if it cannot be reached."""
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

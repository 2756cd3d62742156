"""Work ahead in threads: in order, bounded, and ended by the first error."""

import threading
import time

import pytest

from airmass.core.parallel import results_in_order


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_are_in_the_order_of_the_items(workers):
    def work(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n * n

    assert list(results_in_order(work, range(20), workers)) == [(n, n * n) for n in range(20)]


def test_no_more_than_the_workers_are_ahead():
    begun: list[int] = []
    results = results_in_order(lambda n: begun.append(n), iter(range(100)), 3)
    next(results)
    assert len(begun) <= 3


def test_the_first_error_ends_all():
    begun: list[int] = []
    lock = threading.Lock()

    def work(n: int) -> int:
        with lock:
            begun.append(n)
        if n == 3:
            raise ValueError("three")
        return n

    with pytest.raises(ValueError, match="three"):
        list(results_in_order(work, range(100), 2))
    assert len(begun) < 8

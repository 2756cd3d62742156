"""Arrays kept up to a limit: the first that were offered, as they were then."""

import threading

import numpy as np

from airmass.data.loading.kept import Kept


def test_what_came_first_is_kept_as_it_was():
    kept, array = Kept(100), np.ones(10, np.float32)
    kept.offer(3, array)
    array += 1
    kept.offer(3, array)
    kept.offer(4, array)
    kept.offer(5, array)  # 120 bytes
    assert sorted(kept) == [3, 4]
    assert kept[3].max() == 1
    kept.offer(6, array[:5])
    assert 6 in kept


def test_threads_together_stay_within_the_limit():
    kept, array = Kept(40 * 100), np.ones(10, np.float32)

    def offer():
        for number in range(300):
            kept.offer(number, array)

    threads = [threading.Thread(target=offer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 100

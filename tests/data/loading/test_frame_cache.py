"""Frames that were asked for last stay, each read once by however many threads; those offered first, up to a limit."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frame_cache import FixedCache, RecentCache


def _frame(number):
    return np.full(3, number, np.float32)


class _Store:
    """Fills frame n with n, and writes down what it was asked for."""

    def __init__(self, bad=()):
        self.asked, self.bad, self.lock = [], bad, threading.Lock()

    def __call__(self, places):
        with self.lock:
            self.asked.append(list(places))
        for number, place in places.items():
            if number in self.bad:
                raise InputError(f"frame {number}")
            place[...] = number


def _copied(recent, numbers, read):
    out = np.empty((len(numbers), 3), np.float32)
    recent.copy(numbers, out, read)
    return out


def test_what_is_there_is_not_read_again_and_the_rest_at_once():
    recent, read = RecentCache(4, (3,)), _Store()
    np.testing.assert_array_equal(_copied(recent, [5, 3, 5], read), [_frame(5), _frame(3), _frame(5)])
    np.testing.assert_array_equal(_copied(recent, [3, 4, 6], read), [_frame(3), _frame(4), _frame(6)])
    assert read.asked == [[5, 3], [4, 6]]


def test_the_one_asked_for_longest_ago_goes_first():
    recent, read = RecentCache(2, (3,)), _Store()
    for numbers in ([1], [2], [1], [3], [1], [2]):
        np.testing.assert_array_equal(_copied(recent, numbers, read), [_frame(numbers[0])])
    assert read.asked == [[1], [2], [3], [2]]


def test_more_at_once_than_it_keeps():
    recent, read = RecentCache(2, (3,)), _Store()
    np.testing.assert_array_equal(_copied(recent, range(5), read)[:, 0], range(5))
    assert read.asked == [[0, 1, 2, 3, 4]]


def test_a_frame_that_cannot_be_read_stops_those_alone_who_need_it():
    """One thread reads 1 and 2 while another waits for 1: only 2 is bad."""
    recent, begun, go, read = RecentCache(4, (3,)), threading.Event(), threading.Event(), _Store(bad=(2,))

    def slow(places):
        begun.set()
        go.wait()
        read(places)

    with ThreadPoolExecutor(2) as threads:
        both = threads.submit(_copied, recent, [1, 2], slow)
        begun.wait()
        one = threads.submit(_copied, recent, [1], read)
        go.set()
        with pytest.raises(InputError, match="frame 2"):
            both.result()
        np.testing.assert_array_equal(one.result(), [_frame(1)])
    # It is asked for again: what failed once may be mended.
    read.bad = ()
    np.testing.assert_array_equal(_copied(recent, [2], read), [_frame(2)])


def test_many_threads_each_get_their_own_frames_from_memory_that_is_used_again():
    recent, read = RecentCache(8, (3,)), _Store()

    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(300):
            numbers = rng.integers(0, 16, 3).tolist()
            np.testing.assert_array_equal(_copied(recent, numbers, read)[:, 0], numbers)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert sum(map(len, read.asked)) < 8 * 300 * 3


def test_what_came_first_is_kept_as_it_was():
    kept, array = FixedCache(100), np.ones(10, np.float32)
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
    kept, array = FixedCache(40 * 100), np.ones(10, np.float32)

    def offer():
        for number in range(300):
            kept.offer(number, array)

    threads = [threading.Thread(target=offer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kept) == 100

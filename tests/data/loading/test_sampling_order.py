"""The orders: every window once an epoch, and in blocks those that share frames soon after each other."""

from collections import OrderedDict

import numpy as np
import pytest

from airmass.data.loading.sampling_order import SamplingOrder

SHUFFLED = ("epoch", "blocks")


def _epochs(order, windows, batch=4, seed=3, epochs=3):
    updates = -(-epochs * windows // batch)
    drawn = np.concatenate([order.drawn(seed, update, batch, windows) for update in range(updates)])
    return drawn[: epochs * windows].reshape(epochs, windows)


@pytest.mark.parametrize("kind", SHUFFLED)
@pytest.mark.parametrize("windows", [1, 7, 100, 1001])
def test_every_epoch_has_every_window_once_in_an_order_of_its_own(kind, windows):
    drawn = _epochs(SamplingOrder(kind), windows)
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.tile(np.arange(windows), (3, 1)))
    if windows > 7:
        assert len({tuple(epoch) for epoch in drawn}) == 3
        assert not np.array_equal(drawn, _epochs(SamplingOrder(kind), windows, seed=4))


@pytest.mark.parametrize("kind", ("replacement", *SHUFFLED))
def test_an_update_draws_the_same_by_itself(kind):
    order = SamplingOrder(kind)
    first = [order.drawn(3, update, 4, 50) for update in range(30)]
    np.testing.assert_array_equal(SamplingOrder(kind).drawn(3, 17, 4, 50), first[17])


@pytest.mark.parametrize(("block", "at_once"), [(16, 6), (12, 8), (4, 2)])
def test_in_blocks_a_frame_is_hardly_read_twice(block, at_once):
    """Windows of three frames with as many kept as `near` says: (block + 2) / block frames a window, and 2 % more."""
    order = SamplingOrder("blocks", block, at_once)
    kept, read = OrderedDict(), 0
    drawn = _epochs(order, 5000, epochs=1)[0]
    for start in drawn:
        for frame in range(start, start + 3):
            read += frame not in kept
            kept[frame] = None
            kept.move_to_end(frame)
        while len(kept) > order.near(3):
            kept.popitem(last=False)
    assert read / len(drawn) < 1.02 * (block + 2) / block


def test_in_blocks_a_batch_comes_from_many_places():
    """Beyond an epoch's beginning, where blocks have only begun: 16 windows are of four blocks of 16 and more."""
    drawn = _epochs(SamplingOrder("blocks", 16, 6), 5000, epochs=1)[0][100:-100]
    batches = drawn[: len(drawn) // 16 * 16].reshape(-1, 16)
    assert min(len(set(batch // 16)) for batch in batches) >= 4
    assert np.mean([len(set(batch // 16)) for batch in batches]) > 6


def test_of_draws_at_random_nothing_is_near():
    assert SamplingOrder("replacement").near(3) == SamplingOrder("epoch").near(3) == 0
    assert SamplingOrder("blocks", 4, 2).near(3) == 15

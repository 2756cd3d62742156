"""Batches follow from seed, update, order and store alone: not from threads, hosts or where a run was resumed."""

import dataclasses
import shutil
import threading
import time

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.examples import Examples
from airmass.data.loading.frames import Frames
from airmass.data.loading.settings import LoaderSettings
from airmass.fields.forcing import forcings
from airmass.fields.task import Task
from tests.conftest import make_store, synthetic_dataset

TASK = Task(
    prognostic=("temperature", "2m_temperature"),
    diagnostic=("total_precipitation_6hr",),
    forcing=("toa_incident_solar_radiation", "day_progress_cos"),
    static=(),
    levels=(300, 850),
)
ROLLOUT = 2
LENGTH = TASK.history + ROLLOUT
ORDERS = ("replacement", "epoch", "blocks")


def _examples(store, seed=3, batch=4, share=slice(None), nodes=slice(None), **settings) -> Examples:
    return Examples(Frames(store, TASK), LoaderSettings(**settings), seed, batch, share, nodes)


def _assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def six(store):
    """Updates 0 to 5 in each order, one thread, nothing held."""
    return {
        order: list(_examples(store, order=order, threads=1, ahead=1, hold_gib=0).batches(0, 6, ROLLOUT))
        for order in ORDERS
    }


def test_a_batch_holds_the_windows_that_were_drawn(six):
    """The draw is numpy's own, by (seed, update), as runs before this loader made it."""
    data = synthetic_dataset()
    frames, known, valid_time = six["replacement"][5]
    starts = np.random.default_rng((3, 5)).choice(np.arange(12 - LENGTH + 1), 4)
    for example, start in enumerate(starts):
        part = data.isel(time=slice(start, start + LENGTH))
        upper = [part.temperature.sel(level=level) for level in TASK.levels]
        columns = [part["2m_temperature"], *upper, part.total_precipitation_6hr]
        packed = np.stack([column.values.reshape(LENGTH, -1) for column in columns], axis=-1)
        np.testing.assert_array_equal(frames[example], packed)
        assert valid_time[example] == (part.time.values[1] - np.datetime64(0, "h")) // np.timedelta64(1, "h")
    assert known.shape == (*frames.shape[:3], 2)
    assert (frames.dtype, known.dtype, valid_time.dtype) == (np.float32, np.float32, np.int32)


@pytest.mark.parametrize("hold_gib", [0, 4])
def test_forcings_are_those_of_the_windows_times(store, six, hold_gib):
    examples = _examples(store, hold_gib=hold_gib)
    (batch,) = examples.batches(5, 6, ROLLOUT)
    frames = Frames(store, TASK)
    for known, start in zip(batch.forcings, examples.starts(5, ROLLOUT), strict=True):
        np.testing.assert_array_equal(known, forcings(TASK.forcing, frames.times[start : start + LENGTH], frames.grid))


def test_in_blocks_forcings_of_a_period_too_long_to_keep_are_computed_once(store, six, monkeypatch):
    computed = []

    def counted(names, times, *rest):
        computed.append(times)
        return forcings(names, times, *rest)

    monkeypatch.setattr("airmass.data.loading.examples._FORCING_BYTES", 0)
    monkeypatch.setattr("airmass.data.loading.examples.forcings", counted)
    for found, expected in zip(
        _examples(store, order="blocks", hold_gib=0).batches(0, 6, ROLLOUT), six["blocks"], strict=True
    ):
        _assert_same(found, expected)
    assert len(computed) == len(set(computed)) == 12


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("settings", [{"threads": 5, "ahead": 3, "hold_gib": 0}, {"threads": 2, "ahead": 8}])
def test_threads_and_holding_change_nothing(store, six, order, settings):
    for found, expected in zip(
        _examples(store, order=order, **settings).batches(0, 6, ROLLOUT), six[order], strict=True
    ):
        _assert_same(found, expected)


@pytest.mark.parametrize("order", ORDERS)
def test_a_resumed_run_goes_on_with_the_same_batches(store, six, order):
    for found, expected in zip(_examples(store, order=order).batches(4, 6, ROLLOUT), six[order][4:], strict=True):
        _assert_same(found, expected)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("hold_gib", [0, 4])
def test_hosts_read_their_share_of_examples_and_nodes(store, six, order, hold_gib):
    """A run of nodes that starts and ends within rows of 16."""
    share, nodes = slice(1, 3), slice(21, 70)
    part = _examples(store, share=share, nodes=nodes, order=order, hold_gib=hold_gib)
    for found, whole in zip(part.batches(0, 6, ROLLOUT), six[order], strict=True):
        expected = whole.frames[share, :, nodes], whole.forcings[share, :, nodes], whole.valid_time[share]
        _assert_same(found, expected)


def test_in_blocks_frames_are_not_read_again(tmp_path):
    """What twelve frames hold outlives the store's chunks: in that order alone, none being held."""
    store = make_store(tmp_path / "s.zarr")
    examples = {order: _examples(store, order=order, hold_gib=0) for order in ("epoch", "blocks")}
    before = {order: list(given.batches(0, 9, ROLLOUT)) for order, given in examples.items()}
    shutil.rmtree(store / "temperature" / "c")
    for found, expected in zip(examples["blocks"].batches(0, 9, ROLLOUT), before["blocks"], strict=True):
        _assert_same(found, expected)
    with pytest.raises(InputError, match="temperature cannot be read"):
        list(examples["epoch"].batches(0, 9, ROLLOUT))


def test_a_batch_larger_than_an_epoch(store):
    drawn = _examples(store, order="epoch", batch=20).starts(0, ROLLOUT)
    counts = np.bincount(drawn, minlength=9)
    assert sorted(counts) == [2] * 7 + [3] * 2


def test_windows_over_a_missing_time_are_dropped_and_counted(store, tmp_path):
    assert _examples(store).dropped(ROLLOUT) == 0
    gap = _examples(make_store(tmp_path / "s.zarr", missing_time=5), order="epoch", batch=1)
    # Of the nine windows of four among twelve times, those from 2, 3, 4 and 5 have time 5 in them.
    assert gap.dropped(ROLLOUT) == 4
    # The frames left are numbered 0-4 and 5-10.
    assert {int(gap.starts(update, ROLLOUT)[0]) for update in range(5)} == {0, 1, 5, 6, 7}


def test_a_period_too_short_for_a_window_is_refused(store):
    with pytest.raises(InputError, match="no 15 frames 6 h apart to train on"):
        next(_examples(store).batches(0, 1, 13))


@pytest.mark.parametrize("order", ["epoch", "blocks"])
def test_a_bad_chunk_stops_the_update_that_needs_it(tmp_path, order):
    examples = _examples(make_store(tmp_path / "s.zarr", corrupt_chunk="temperature"), batch=1, order=order, hold_gib=0)
    touches = [any(start <= 1 < start + LENGTH for start in examples.starts(update, ROLLOUT)) for update in range(9)]
    first = touches.index(True)
    taken = []
    with pytest.raises(InputError, match="temperature cannot be read at 2000-11-01T06:00"):
        for batch in examples.batches(0, 9, ROLLOUT):
            taken.append(batch)
    assert len(taken) == first


def test_closing_stops_the_threads_and_waiting_is_counted(store):
    before = set(threading.enumerate())
    examples = _examples(store, hold_gib=0)
    batches = examples.batches(0, 1000, ROLLOUT)
    next(batches)
    waited = examples.waited
    assert waited > 0
    assert set(threading.enumerate()) - before
    batches.close()
    deadline = time.monotonic() + 60
    while any(thread.is_alive() and "grain" in thread.name for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert examples.waited == waited


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"order": "random"}, "loader.order is 'random', expected one of replacement, epoch, blocks"),
        ({"block": 0}, "loader.block is 0, expected 1 to"),
        ({"blocks_at_once": 0}, "loader.blocks_at_once is 0, expected 1 to"),
        ({"threads": 0}, "threads is 0"),
        ({"ahead": 0}, "loader.ahead is 0, expected 1 to"),
        ({"hold_gib": -1.0}, "hold_gib is -1.0, expected 0 or more"),
        ({"hold_gib": float("nan")}, "hold_gib is nan"),
    ],
)
def test_settings_are_checked(wrong, words):
    with pytest.raises(InputError, match=words):
        dataclasses.replace(LoaderSettings(), **wrong)

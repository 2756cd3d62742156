"""Packed fields: nothing differs by more than half a step, missing values stay missing, and bytes are few."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from airmass.plots.viewer.packing import frames_a_block, packed, step_for, unpacked

FIELDS = arrays(
    np.float32, st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(2, 6)),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan)),
)  # fmt: skip


@given(FIELDS, st.sampled_from([0.001, 0.5, 20.0]))
def test_values_come_back_within_the_error_that_is_stated(frames, step):
    block = packed(frames, step)
    found = unpacked(block.data, frames.shape, step)
    assert np.array_equal(np.isnan(found), np.isnan(frames))
    held = ~np.isnan(frames)
    assert np.abs(found[held] - frames[held].astype(np.float64)).max(initial=0) <= block.error * (1 + 1e-9)
    wide = np.nanmax(frames, initial=-1e6) - np.nanmin(frames, initial=1e6) > 65000 * step
    assert wide or block.error <= step / 2 * (1 + 1e-6)


def test_a_frame_wider_than_the_numbers_gets_a_coarser_step():
    frames = np.array([[[0.0, 1e6], [3.0, 5.0]]], np.float32)
    block = packed(frames, 1.0)
    assert 2 < block.error <= 16
    assert np.abs(unpacked(block.data, (1, 2, 2), 1.0) - frames).max() == pytest.approx(block.error)


def test_a_smooth_field_takes_few_bits():
    phi, lam = np.meshgrid(np.linspace(-1.5, 1.5, 181), np.linspace(0, 6.28, 360), indexing="ij")
    field = (280 + 30 * np.cos(phi) + 8 * np.cos(phi) * np.sin(5 * lam))[None]
    assert 8 * len(packed(field, step_for(field.min(), field.max(), 250)).data) / field.size < 2.0


@pytest.mark.parametrize(
    ("low", "high", "levels", "expected"),
    [(0, 100, 250, 0.5), (0, 100, 1000, 0.1), (-1, 1, 2000, 0.001), (5, 5, 250, 2e-5), (np.nan, np.nan, 250, None)],
)
def test_steps_are_round(low, high, levels, expected):
    step = step_for(low, high, levels)
    assert step > 0 and np.isfinite(step)
    assert expected is None or step == pytest.approx(expected)


def test_small_grids_share_a_stream():
    assert frames_a_block(2048) == 16 and frames_a_block(65160) == 1

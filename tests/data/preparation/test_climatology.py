"""Climatology against its definition written out plainly, its limits, and what it covers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.data.formats.climatology import climatology_at, hour_and_day, open_climatology
from airmass.data.loading import workspace
from airmass.data.preparation import climatology as module
from airmass.data.preparation.climatology import FULL_SAMPLE, HALF_WIDTH, DaySums, covered_days, day_weights
from airmass.data.preparation.statistics import compute_statistics
from tests.conftest import make_store, synthetic_dataset

NAMES = ("2m_temperature", "sea_surface_temperature", "temperature", "land_sea_mask")
OPTIONS = {"days": 60, "n_latitude": 4, "n_longitude": 8, "levels": (500,), "start": "2000-12-01", "names": NAMES}


@pytest.fixture(scope="module")
def sixty_days(tmp_path_factory) -> xr.Dataset:
    folder = tmp_path_factory.mktemp("climatology")
    path = make_store(folder / "a.zarr", **OPTIONS)
    compute_statistics(path, folder / "s", ("2000-12-01", "2001-01-29"))
    return open_climatology(folder / "s" / "climatology.zarr")


def plainly(values: np.ndarray, times: np.ndarray, hour: int, day: int) -> np.ndarray:
    """The definition, frame by frame."""
    total, weight, at_hour = 0.0, 0.0, []
    for value, time in zip(values.astype(np.float64), times.astype("datetime64[s]").tolist(), strict=True):
        if time.hour == hour:
            at_hour.append(value)
            apart = abs(time.timetuple().tm_yday - day)
            w = max(0.0, 1 - min(apart, 366 - apart) / 31)
            total, weight = total + w * value, weight + w
    lacking = max(0.0, 8 - weight)
    return (total + lacking * np.mean(at_hour, axis=0)) / max(weight, 8)


@pytest.mark.parametrize("name", ["2m_temperature", "sea_surface_temperature", "temperature"])
@pytest.mark.parametrize("date", ["2000-11-02T06", "2000-12-31T00", "2001-01-15T18", "2001-02-28T12"])
def test_agrees_with_its_definition_in_and_around_the_training_dates(sixty_days, name, date):
    dataset = synthetic_dataset(**OPTIONS)
    hours, days = hour_and_day(np.array([np.datetime64(date)]))
    found = climatology_at(sixty_days, [np.datetime64(date)])[name].values[0]
    np.testing.assert_allclose(found, plainly(dataset[name].values, dataset.time.values, hours[0], days[0]), rtol=1e-6)


def test_month_after_training_is_covered_and_no_more(sixty_days):
    after = np.arange("2001-01-30", "2001-03-01", dtype="datetime64[D]").astype("datetime64[ns]")
    assert len(after) == 30
    picked = climatology_at(sixty_days, after[::-1])
    assert picked.temperature.dims == ("time", "level", "latitude", "longitude")
    np.testing.assert_array_equal(picked.time, after[::-1])
    assert np.isfinite(picked.temperature.values).all() and "land_sea_mask" not in picked
    with pytest.raises(
        InputError, match=r"does not cover 2001-03-01T00:00 \(dayofyear 60\); it holds dayofyear 1 to 59, 306 to"
    ):
        climatology_at(sixty_days, [after[-1], np.datetime64("2001-03-01")])
    with pytest.raises(InputError, match=r"does not cover 2001-01-01T03:00 \(hour 3\)"):
        climatology_at(sixty_days, np.array(["2001-01-01T03"], "datetime64[h]"))
    with pytest.raises(InputError, match="2001-01-01T00:30 is not on the hour"):
        climatology_at(sixty_days, np.array(["2001-01-01T00:30"], "datetime64[m]"))


def test_land_stays_missing(sixty_days):
    land = np.isnan(synthetic_dataset(**OPTIONS).sea_surface_temperature.values[0])
    assert 0 < land.sum() < land.size
    np.testing.assert_array_equal(
        np.isnan(sixty_days.sea_surface_temperature.values), np.broadcast_to(land, (4, 120, 4, 8))
    )


@given(st.lists(st.integers(1, 366), min_size=1, max_size=80, unique=True).map(sorted), st.integers(1, 40))
def test_weights_of_every_covered_day_add_up_to_one(days, years):
    days, counts = np.array(days), np.full(len(days), years)
    covered = covered_days(days)
    weights = day_weights(covered, days, counts)
    np.testing.assert_allclose(weights @ counts, 1)
    assert (weights >= 0).all() and set(days) <= set(covered)


def test_weights_far_from_any_sample_approach_the_mean_and_full_ones_ignore_it():
    days, counts = np.arange(1, 61), np.ones(60)
    full, thin = day_weights(np.array([30, 90]), days, counts)
    assert full[59] == pytest.approx((1 - 30 / (HALF_WIDTH + 1)) / sum(1 - abs(d - 30) / 31 for d in days))
    share = 1 - 1 / 31 / FULL_SAMPLE
    np.testing.assert_allclose(thin[:59], share / 60)
    assert thin[59] == pytest.approx(share / 60 + 1 / 31 / FULL_SAMPLE)


def test_whole_year_covers_all_days_and_a_season_is_kept():
    """A triangle of 61 days keeps all but 2 percent of an annual cosine: sinc(31/366)^2 of it."""
    times = np.arange("2001-01-01", "2002-01-01", dtype="datetime64[D]")
    _, days = hour_and_day(times)
    covered = covered_days(np.unique(days))
    np.testing.assert_array_equal(covered, np.arange(1, 367))
    season = np.cos(2 * np.pi * days / 366)
    smooth = day_weights(covered, days, np.ones(365)) @ season
    np.testing.assert_allclose(smooth, np.sinc(31 / 366) ** 2 * np.cos(2 * np.pi * covered / 366), atol=2e-3)


def test_leap_days_are_day_60_and_december_ends_on_366():
    times = np.array(["2000-02-29", "2000-03-01", "2001-03-01", "2000-12-31", "2001-12-31T18"], "datetime64[h]")
    hours, days = hour_and_day(times)
    assert days.tolist() == [60, 61, 60, 366, 365] and hours.tolist() == [0, 0, 0, 0, 18]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans(), st.integers(1, 2**12))
def test_blocks_and_files_change_nothing(lengths, missing, block_bytes):
    """Sums in memory added at once, and on disk added in parts and smoothed in small blocks."""
    import tempfile
    from pathlib import Path
    from unittest.mock import patch

    n = sum(lengths)
    times = np.datetime64("2000-12-28", "h") + np.arange(n) * np.timedelta64(12, "h")
    values = np.random.default_rng(n).normal(size=(n, 2, 3, 4)).astype(np.float32)
    if missing:
        values[::2, :, 0] = np.nan
        values[:, :, 2] = np.nan
    with tempfile.TemporaryDirectory() as folder:
        whole = DaySums(times, values.shape[1:], missing, Path(folder))
        whole.add(times, values)
        with patch.object(workspace, "_MEMORY_BYTES", 1), patch.object(module, "_BLOCK_BYTES", block_bytes):
            parts = DaySums(times, values.shape[1:], missing, Path(folder))
            assert isinstance(parts._sums, np.memmap)
            for stop, length in zip(np.cumsum(lengths), lengths, strict=True):
                parts.add(times[stop - length : stop], values[stop - length : stop])
            weights = day_weights(covered_days(whole.days), whole.days, whole.counts[0])
            found = parts.smoothed(0, weights)
        wanted = whole.smoothed(0, weights)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert np.isnan(found).any() == missing


def test_what_is_no_climatology_is_refused(store):
    with pytest.raises(InputError, match="no coordinate hour, dayofyear, expected a climatology"):
        open_climatology(store)


def test_beyond_the_window_the_nearest_sixty_frames_fill_up():
    days, last = np.arange(1, 121), 150
    weights = day_weights(np.array([last]), days, np.ones(120, np.int64))[0]
    np.testing.assert_allclose(weights.sum(), 1)
    assert np.all(weights[:60] == 0) and np.all(weights[60:] > 0)
    sample = 1 / 31  # the last day's weight, at 30 days
    np.testing.assert_allclose(weights[60:-1], (FULL_SAMPLE - sample) / FULL_SAMPLE / 60)

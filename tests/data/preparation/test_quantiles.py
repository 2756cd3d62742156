"""Climatological quantiles against numpy's over the frames that they should be taken from."""

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.climatology import HIGH, LOW, QUANTILES, open_climatology, quantiles_at, quantiles_held
from airmass.data.loading import workspace
from airmass.data.preparation import quantiles as module
from airmass.data.preparation.quantiles import Quantiles
from airmass.data.preparation.statistics import compute_statistics
from tests.conftest import make_store, synthetic_dataset

NAMES = ("2m_temperature", "10m_u_component_of_wind", "10m_v_component_of_wind", "mean_sea_level_pressure")
OPTIONS = {"days": 60, "n_latitude": 4, "n_longitude": 8, "levels": (), "start": "2000-11-01", "names": NAMES}


@pytest.fixture(scope="module")
def sixty_days(tmp_path_factory) -> tuple[xr.Dataset, xr.Dataset]:
    folder = tmp_path_factory.mktemp("quantiles")
    dataset = synthetic_dataset(**OPTIONS)
    path = make_store(folder / "a.zarr", dataset)
    compute_statistics(path, folder / "s", ("2000-11-01", "2000-12-30"))
    return dataset, open_climatology(folder / "s" / "climatology.zarr")


def test_sixty_days_give_the_quantiles_that_three_frames_lie_beyond(sixty_days):
    _, climatology = sixty_days
    assert quantiles_held(climatology, "2m_temperature") == (0.05, 0.1, 0.9, 0.95)
    assert quantiles_held(climatology, "mean_sea_level_pressure") == (0.05, 0.1)
    assert quantiles_held(climatology, "10m_wind_speed") == (0.9, 0.95)
    assert quantiles_held(climatology, "10m_u_component_of_wind") == ()


@pytest.mark.parametrize("date", ["2000-11-05T06", "2001-01-20T18"])
def test_less_than_a_year_uses_every_frame_of_the_hour(sixty_days, date):
    dataset, climatology = sixty_days
    at_hour = dataset.isel(time=dataset.time.dt.hour == int(date[-2:]))
    speed = np.hypot(at_hour["10m_u_component_of_wind"], at_hour["10m_v_component_of_wind"])
    for name, field, wanted in (
        ("2m_temperature", at_hour["2m_temperature"], (0.05, 0.1, 0.9, 0.95)),
        ("10m_wind_speed", speed, (0.9, 0.95)),
    ):
        found = quantiles_at(climatology, "climatology", name, np.array([np.datetime64(date)]))
        np.testing.assert_allclose(found[0], np.quantile(field.values, wanted, axis=0), rtol=1e-5)


def test_an_hour_that_is_not_held_is_refused(sixty_days):
    with pytest.raises(InputError, match=r"does not cover 2001-01-20T03:00 \(hour 3\)"):
        quantiles_at(sixty_days[1], "climatology", "2m_temperature", np.array([np.datetime64("2001-01-20T03")]))


def test_years_tell_times_of_year_apart(tmp_path, monkeypatch):
    """Ten years of one daily frame: a ramp through the year keeps its place, from the 31 days around the tenth day."""
    times = np.arange("2001-01-01", "2011-01-01", dtype="datetime64[D]")
    days = (times - times.astype("datetime64[Y]")).astype(int) + 1
    monkeypatch.setattr(workspace, "_MEMORY_BYTES", 1)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    found = Quantiles(times, (2, 3), tmp_path)
    assert found.held == QUANTILES == LOW + HIGH  # 310 frames
    for start in range(0, len(times), 1000):
        block = days[start : start + 1000]
        found.add(start, np.broadcast_to(block[:, None, None], (len(block), 2, 3)))
    at = int(np.flatnonzero(found.days == 105)[0])
    expected = np.quantile(np.repeat(np.arange(90, 121), 10), QUANTILES)
    np.testing.assert_allclose(found.at(0, at), np.broadcast_to(expected[:, None, None], (8, 2, 3)), rtol=1e-6)
    near_new_year = found.at(0, 0)[:, 0, 0]  # day 5 takes the end of December too
    assert near_new_year[0] < 20 and near_new_year[-1] > 350


def test_too_few_frames_for_any_leave_them_out(tmp_path):
    path = make_store(tmp_path / "a.zarr", **OPTIONS | {"days": 10})
    compute_statistics(path, tmp_path / "s", ("2000-11-01", "2000-11-10"))
    climatology = open_climatology(tmp_path / "s" / "climatology.zarr")
    assert "quantile" not in climatology and quantiles_held(climatology, "2m_temperature") == ()


def test_dry_fraction_and_heavy_threshold_are_numpys(tmp_path):
    """Sixty frames at each of two hours, with a point that is always dry and one that never is."""
    rng = np.random.default_rng(0)
    times = np.arange("2000-11-01", "2000-12-31", np.timedelta64(12, "h"), dtype="datetime64[h]")
    rain = (np.maximum(rng.gamma(0.5, 2e-3, (len(times), 2, 3)) - 3e-4, 0)).astype(np.float32)
    rain[:, 0, 0], rain[:, 0, 1] = 0, rain[:, 0, 1] + 1e-3
    found = Quantiles(times, (2, 3), tmp_path)
    found.add(0, rain)
    dry, heavy = found.dry_and_heavy(1, 0, 1e-4)
    at_hour = rain[1::2]
    np.testing.assert_allclose(dry, (at_hour < 1e-4).mean(axis=0), atol=1e-6)
    expected = np.nanquantile(np.where(at_hour < 1e-4, np.nan, at_hour)[:, 0, 1:], 2 / 3, axis=0)
    np.testing.assert_allclose(heavy[0, 1:], expected, rtol=1e-5)
    assert np.isnan(heavy[0, 0]) and dry[0, 0] == 1 and dry[0, 1] == 0

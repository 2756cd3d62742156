"""Validation: scores that can be derived, dates that are apart, and a step that is compiled once."""

import dataclasses

import jax
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.loading.frames import Frames
from airmass.models.deterministic import compiled_step
from airmass.recipes.monitoring import MonitoringSettings
from airmass.training.train import forecast_of
from airmass.training.validation import Validation, require_apart
from tests.training.small import SMALL, small_model

TASK = SMALL.task
TRAINING = ("2000-11-01", "2000-11-02")
WATCH = MonitoringSettings(
    validate_every=1, validation_dates=("2000-11-03", "2000-11-05"), validation_starts=3, validation_lead_hours=30
)


@pytest.fixture(scope="module")
def validation(small_store):
    return Validation(WATCH, TASK, small_store, TRAINING)


@pytest.fixture(scope="module")
def frames(small_store):
    return Frames(small_store, TASK)


def test_initial_times_are_fixed_and_spread_over_the_dates(validation):
    """Twelve frames, two of history and five to come: six starts, of which the ends and the middle are taken."""
    assert validation.init_times.astype("datetime64[h]").astype(str).tolist() == [
        "2000-11-03T06", "2000-11-03T18", "2000-11-04T12",
    ]  # fmt: skip


def test_a_perfect_forecast_has_no_error(validation, frames):
    def perfect(history, init):
        return (frame for frame in frames.at(init + np.arange(1, 6) * np.timedelta64(6, "h")))

    rmse = validation.run(perfect).rmse
    assert set(rmse.values()) == {0.0}
    channels = [f"{name}/{level}" for name in ("geopotential", "temperature") for level in (500, 850)]
    expected = {f"{c}/{h}h" for c in (*channels, "2m_temperature", "total_precipitation_6hr") for h in (6, 24, 30)}
    assert rmse.keys() == expected


def test_scores_are_root_means_over_dates_and_area(validation, frames):
    """A forecast that is off by 3 from the first start, 4 from the others, in the southern hemisphere alone."""
    south = np.repeat(frames.grid.latitude < 0, frames.grid.shape[1])[:, None]
    first = validation.init_times[0]

    def off(history, init):
        for step in range(1, 6):
            (frame,) = frames.at(init + np.array([step]) * np.timedelta64(6, "h"))
            yield frame + south * (3.0 if init == first else 4.0)

    rmse = validation.run(off).rmse
    expected = np.sqrt((9 + 16 + 16) / 3 / 2)
    assert rmse["2m_temperature/24h"] == pytest.approx(expected, rel=1e-5)
    assert rmse["total_precipitation_6hr/30h"] == pytest.approx(expected, rel=1e-5)


def test_the_forecast_is_given_prognostic_history_up_to_its_start(validation, frames):
    given = []

    def noting(history, init):
        given.append((history, init))
        return (np.zeros((frames.grid.size, len(frames.layout)), np.float32) for _ in range(9))

    validation.run(noting)
    for history, init in given:
        whole = frames.at(init + np.array([-6, 0]) * np.timedelta64(1, "h"))
        columns = [i for i, (name, _) in enumerate(frames.layout.channels) if name in TASK.prognostic]
        np.testing.assert_array_equal(history, whole[..., columns])
    assert len(given) == 3


def test_graphcast_is_compiled_once_and_gives_a_map(validation, frames, small_store):
    model = small_model(SMALL, Frames(small_store, TASK))
    held = validation.run(forecast_of(SMALL, model, frames.grid))
    compiled = compiled_step._cache_size()
    network = jax.tree.map(lambda leaf: 1.1 * leaf, model.network)
    other = validation.run(forecast_of(SMALL, dataclasses.replace(model, network=network), frames.grid))
    assert compiled_step._cache_size() == compiled
    assert held.rmse["geopotential/500/6h"] != other.rmse["geopotential/500/6h"]
    assert held.picture.dtype == np.uint8 and held.picture.shape[2] == 3
    assert len(np.unique(held.picture.reshape(-1, 3), axis=0)) > 20
    assert (held.picture != other.picture).any()


@pytest.mark.parametrize(
    ("training", "validating"),
    [
        (("2000-01-01", "2000-12-31"), ("2000-12-31", "2001-01-31")),
        (("2000-01-01", "2000-12-31"), ("2000-12-31T12", "2001-01-31")),
        (("2000-06-01", "2000-07-01"), ("2000-01-01", "2001-01-01")),
        (("2000", "2000"), ("2000-03-01", "2000-03-02")),
    ],
)
def test_dates_that_overlap_are_refused_with_both_ranges(training, validating):
    for one, other in ((training, validating), (validating, training)):
        with pytest.raises(InputError) as refused:
            require_apart(one, other, "s.zarr")
        assert "s.zarr" in str(refused.value)
        assert all(" to ".join(dates) in str(refused.value) for dates in (one, other))


def test_dates_side_by_side_are_apart():
    require_apart(("2000-01-01", "2000-12-31"), ("2001-01-01", "2001-01-31"), "s.zarr")
    require_apart(("2001-01-01", "2001-01-31"), ("2000-12-01", "2000-12-31T18"), "s.zarr")


def test_all_of_the_store_leaves_nothing_to_validate_on():
    with pytest.raises(InputError, match=r"s.zarr: trained on the whole store.* 2001-01-01 to 2001-01-31"):
        require_apart(None, ("2001-01-01", "2001-01-31"), "s.zarr")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation_dates": ("2000-11-05", "2000-11-05")}, "0 forecasts of 30 h fit into the validation dates"),
        ({"validation_dates": ("2000-11-03", "2001-11-05")}, "not covered"),
        ({"validation_lead_hours": 20}, "expected a multiple of the task's step 6"),
        ({"validation_starts": 7}, "6 forecasts of 30 h .*, expected 7"),
    ],
)
def test_dates_and_leads_that_do_not_fit_are_refused(small_store, options, words):
    with pytest.raises(InputError, match=words):
        Validation(dataclasses.replace(WATCH, **options), TASK, small_store, TRAINING)

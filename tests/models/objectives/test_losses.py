"""What every loss must do; a new file in objectives/losses joins by itself."""

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.models.objectives.losses import loss_named, loss_names
from airmass.models.objectives.losses.base import WeightedLoss, require_members
from airmass.models.objectives.settings import LossSettings
from airmass.recipes.recipes import RECIPES

GRID, LAYOUT = LatLonGrid.equiangular(4, 8), ChannelLayout.of(("temperature", "2m_temperature"), (500, 850))
every_loss = pytest.mark.parametrize("name", loss_names())


def _fields(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng, loss = np.random.default_rng(0), loss_named(name)
    members = rng.normal(size=(loss.most_members or max(2, loss.least_members), GRID.size, len(LAYOUT)))
    return members.astype(np.float32), rng.normal(size=members.shape[1:]).astype(np.float32)


@every_loss
def test_its_terms_add_up_to_it_and_it_is_least_for_the_truth(name):
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    value, terms = loss(members, target)
    assert terms.shape == (len(LAYOUT),) and value > 0
    np.testing.assert_allclose(loss.weights.total(terms), value, rtol=1e-5)
    perfect, _ = loss(np.broadcast_to(target, members.shape), target)
    assert perfect == pytest.approx(0, abs=1e-6) and perfect < value


@every_loss
def test_errors_k_times_as_large_are_reported_k_times_as_large_in_a_unit(name):
    """Where the unit is the variable's own, what is reported grows as errors and scales do."""
    loss, (members, target) = WeightedLoss(LossSettings(kind=name), LAYOUT, GRID), _fields(name)
    scale = np.array([1.0, 2.0, 3.0], np.float32)
    shown = [loss.kind.reported(np.asarray(loss(k * members, k * target)[1]), scale) for k in (1, 3)]
    assert loss.kind.reports and shown[0].shape == scale.shape
    if loss.kind.unit is None:
        np.testing.assert_allclose(shown[1], 3 * shown[0], rtol=1e-4)
        doubled = loss.kind.reported(np.asarray(loss(members, target)[1]), 2 * scale)
        np.testing.assert_allclose(doubled, 2 * shown[0], rtol=1e-5)


def test_members_that_a_loss_does_not_take_are_refused():
    with pytest.raises(InputError, match="squared_error, for members: 1, but FGN trains with 2"):
        require_members("squared_error", 2, "FGN")
    for recipe in RECIPES.values():
        require_members(recipe.loss.kind, recipe.family.training_members(recipe.model), recipe.family.title)


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="unknown loss 'squred_error'; known are fair_crps, squared_error"):
        LossSettings(kind="squred_error")

"""Fifteen days of eight members, killed twice: the same bits, and memory that does not grow."""

import pytest

from airmass.fields.grid import LatLonGrid
from airmass.recipes.recipes import RECIPES
from benchmarks.fgn_ensemble import measure


@pytest.mark.slow
def test_it_goes_on_to_the_same_bits_in_flat_memory(tmp_path):
    found = measure(tmp_path, RECIPES["fgn-demo"], LatLonGrid.equiangular(32, 64), members=8, steps=60, kills=2)
    assert found.equal and found.late_gib < 1.1 * found.early_gib

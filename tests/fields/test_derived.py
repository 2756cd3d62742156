"""The contract of derived fields, over all of them, and values that can be computed by hand."""

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.fields.derived import DERIVED, combined, derived_fields, linear, parts_of, scored
from airmass.fields.variables import VARIABLES

LEVELS = (300, 500, 850, 1000)
TYPICAL = {"geopotential": 5e4, "temperature": 270.0, "specific_humidity": 3e-3}


def parts_for(name, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {part: (2, len(LEVELS), 3, 4) if VARIABLES[part].on_levels else (2, 3, 4) for part in parts_of(name)}
    return [
        (TYPICAL.get(part, 8.0) * (1 + 0.02 * rng.standard_normal(shape))).astype(np.float32)
        for part, shape in shapes.items()
    ]


@pytest.mark.parametrize("name", DERIVED)
def test_the_contract(name):
    parts = parts_for(name)
    before = [part.copy() for part in parts]
    found = combined(name, parts, LEVELS)
    assert found.shape == ((2, 4, 3, 4) if scored(name).on_levels else (2, 3, 4)) and np.isfinite(found).all()
    assert name not in VARIABLES and scored(name).name == name and all(part in VARIABLES for part in parts_of(name))
    assert all(np.array_equal(part, old) for part, old in zip(parts, before, strict=True))
    low, high = scored(name).valid_range
    assert name == "thickness_500_1000" or (low <= found.min() and found.max() <= high)
    one = combined(name, [part[:1] for part in parts], LEVELS)
    np.testing.assert_array_equal(one, found[:1])  # each field by itself
    wanted = derived_fields(parts_of(name), LEVELS, [name])
    assert name in wanted
    with pytest.raises(InputError, match=f"{name} needs"):
        derived_fields(parts_of(name)[1:] or ("msl",), LEVELS, [name])


@pytest.mark.parametrize("name", DERIVED)
def test_linear_is_said_where_it_is_so(name):
    first, second = parts_for(name, 1), parts_for(name, 2)
    middle = combined(name, [(a + b) / 2 for a, b in zip(first, second, strict=True)], LEVELS)
    expected = (combined(name, first, LEVELS) + combined(name, second, LEVELS)) / 2
    assert np.allclose(middle, expected, rtol=1e-5, atol=2e-3) == linear(name)


def test_values_by_hand():
    def level(values):
        return np.array(values, np.float64)[:, None, None]

    height = combined("thickness_500_1000", [level([9e4, 5.5e4, 1.4e4, 1e3])], LEVELS)
    np.testing.assert_allclose(height, (5.5e4 - 1e3) / 9.80665)
    # Magnus-type formulas agree with the triple point: 611.21 Pa at 273.16 K, so at 1000 hPa q = 0.622 e / p.
    q = 0.621981 * 611.21 / (1e5 - 0.378 * 611.21)
    humid = combined("relative_humidity", [level([273.16]), level([q])], (1000,))
    np.testing.assert_allclose(humid, 100, rtol=1e-3)
    # Goff-Gratch over ice at -40 °C: 12.85 Pa (WMO 2008).
    cold = combined("relative_humidity", [level([233.15]), level([0.622 * 12.85 / 3e4])], (300,))
    np.testing.assert_allclose(cold, 100, rtol=5e-3)
    # q = 5 g/kg and 10 m/s from 1000 to 500 hPa.
    flux = combined(
        "integrated_vapour_transport", [level([5e-3] * 3), level([6.0] * 3), level([8.0] * 3)], (500, 850, 1000)
    )
    np.testing.assert_allclose(flux, 5e-3 * 10 * 5e4 / 9.80665)


def test_what_is_scored_by_default_and_on_request():
    held = {*VARIABLES}
    assert derived_fields(held, LEVELS) == ("10m_wind_speed",)
    assert set(derived_fields(held, LEVELS, ["all"])) == set(DERIVED)
    assert "thickness_500_1000" not in derived_fields(held, (500, 850), ["all"])
    with pytest.raises(InputError, match="unknown derived field 'speed'"):
        derived_fields(held, LEVELS, ["speed"])
    with pytest.raises(InputError, match="needs geopotential at 1000 hPa"):
        derived_fields(held, (500, 850), ["thickness_500_1000"])

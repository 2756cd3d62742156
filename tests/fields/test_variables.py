"""The table of variables and the ways to name one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.fields.variables import COMPUTED, VARIABLES, same_units, variable, variable_at_level


def test_every_name_short_name_and_alias_leads_to_one_variable():
    said = [key for v in VARIABLES.values() for key in (v.name, v.short_name, *v.aliases)]
    assert len(said) == len(set(said))
    for v in VARIABLES.values():
        assert all(variable(key) is v for key in (v.name, v.short_name, *v.aliases))


def test_table_is_consistent():
    assert set(COMPUTED) <= set(VARIABLES)
    for v in VARIABLES.values():
        assert v.valid_range[0] < v.valid_range[1]
        assert not (v.static and v.on_levels)
        assert v.attributes["units"] == v.units


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"unknown variable '2m_temprature'.*2m_temperature"):
        variable("2m_temprature")
    with pytest.raises(InputError, match=r"known are .*geopotential"):
        variable("zzzzzzzzzz")


@pytest.mark.parametrize(
    ("text", "name", "level"),
    [
        ("2t", "2m_temperature", None),
        ("t2m", "2m_temperature", None),
        ("tp06", "total_precipitation_6hr", None),
        ("z500", "geopotential", 500),
        ("temperature@850", "temperature", 850),
        ("q1000", "specific_humidity", 1000),
    ],
)
def test_fields_as_people_type_them(text, name, level):
    found, at = variable_at_level(text)
    assert (found.name, at) == (name, level)


@pytest.mark.parametrize(("text", "said"), [("z", "add one, for example z500"), ("2t@850", "asks for 850 hPa")])
def test_level_missing_or_out_of_place(text, said):
    with pytest.raises(InputError, match=said):
        variable_at_level(text)


@pytest.mark.parametrize(
    ("a", "b"),
    [("m**2 s**-2", "m2 s-2"), ("m^2/s^2", "m2 s-2"), ("kg/kg", "kg kg-1"), ("kg kg**-1", "1"), ("Kelvin", "K"),
     ("(0 - 1)", "1"), ("s-1 m", "m s-1")],
)  # fmt: skip
def test_spellings_of_one_unit(a, b):
    assert same_units(a, b)


@pytest.mark.parametrize(("a", "b"), [("hPa", "Pa"), ("C", "K"), ("mm", "m"), ("g kg-1", "kg kg-1"), ("gpm", "m2 s-2")])
def test_different_units(a, b):
    assert not same_units(a, b)


@given(st.sampled_from(sorted(VARIABLES)))
def test_units_of_the_table_equal_themselves_however_spelled(name):
    units = VARIABLES[name].units
    parts = units.split()
    assert same_units(units, " ".join(reversed(parts)))

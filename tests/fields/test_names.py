"""The table of names: every archive's name leads to one quantity; a user's file adds names."""

import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.fields.names import known_names, names_from
from airmass.fields.variables import VARIABLES


@pytest.mark.parametrize(
    ("name", "on_levels", "quantity"),
    [
        ("z", True, "geopotential"), ("z", False, "geopotential_at_surface"), ("gh", True, "geopotential_height"),
        ("zg", True, "geopotential_height"), ("VVEL", True, "vertical_velocity"), ("t2m", False, "2m_temperature"),
        ("tas", False, "2m_temperature"), ("VAR_10U", False, "10m_u_component_of_wind"),
        ("Temperature_isobaric", True, "temperature"), ("prmslmsl", False, "mean_sea_level_pressure"),
        ("geopotential", False, "geopotential_at_surface"), ("orog", False, "orography"), ("swvl1", False, None),
        ("T", False, None),
    ],
)  # fmt: skip
def test_names_of_archives(name, on_levels, quantity):
    found = known_names().find(name, on_levels)
    assert (found and found.name) == quantity


def test_no_name_is_of_two_quantities():
    held: dict = {}
    for q in known_names().quantities.values():
        for name in q.all_names:
            assert held.setdefault((name, q.on_levels), q.name) == q.name


def test_units_are_the_variables_own():
    for q in known_names().quantities.values():
        if q.name in VARIABLES:
            assert (q.units, q.on_levels) == (VARIABLES[q.name].units, VARIABLES[q.name].on_levels), q.name


def test_a_file_adds_names(tmp_path):
    (tmp_path / "own.csv").write_text("quantity,ecmwf,standard_name\ntemperature,TEMP Temp,\n")
    assert names_from(tmp_path / "own.csv").find("Temp", True).name == "temperature"
    assert known_names().find("Temp", True) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name\nx\n", "line 1: no column quantity"),
        ("quantity,colour\ntemperature,red\n", "line 1: unknown column 'colour'"),
        ("quantity,ecmwf\ntemprature,T\n", "line 2: unknown quantity 'temprature'"),
        ("quantity,ecmwf\ntemperature,u\n", "'u' is the name of u_component_of_wind|'u' is the name of temperature"),
        ("quantity,units\ntemperature,degC\n", "line 2: units of temperature are 'degC', expected 'K'"),
        ("quantity,ecmwf\ntemperature\n", "line 2: expected 2 values"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        names_from(tmp_path / "own.csv")


def test_the_command_shows_and_writes_the_table(tmp_path, capsys):
    assert main(["data", "names", "t2m"]) == 0
    shown = capsys.readouterr().out
    assert "2m_temperature" in shown.replace("\n", "") or "tas" in shown
    assert main(["data", "names", "--csv"]) == 0
    (tmp_path / "all.csv").write_text(capsys.readouterr().out)
    assert names_from(tmp_path / "all.csv").find("zg", True).name == "geopotential_height"
    assert main(["data", "names", "zzz"]) == 2

"""Variables of a user's own: known everywhere once their file is named, and refused by line."""

import subprocess
import sys

import pytest

from airmass.core.errors import InputError
from airmass.fields.own_variables import own_variables

HEAD = "name,units,place,least,greatest,missing_over_land\n"


def test_a_users_variable_is_ingested_checked_and_counted(tmp_path):
    """In a process of its own, as the table is read when it is imported."""
    (tmp_path / "own.csv").write_text(HEAD + "ozone_mass_mixing_ratio,kg kg-1,levels,-1e-6,1e-4,no\n")
    source, store, stats = (str(tmp_path / name) for name in ("a.nc", "s.zarr", "stats"))
    program = f"""
import numpy as np, xarray as xr
from airmass.commands.main import main
from airmass.fields.task import Task
time = np.datetime64("2020-01-01", "ns") + np.arange(8) * np.timedelta64(6, "h")
field = np.random.default_rng(0).uniform(0, 1e-5, (8, 2, 4, 8)).astype("float32")
coords = dict(time=time, level=[500, 850], latitude=[-67.5, -22.5, 22.5, 67.5], longitude=np.arange(8) * 45.0)
ozone = (("time", "level", "latitude", "longitude"), field, {{"units": "kg kg-1"}})
xr.Dataset({{"ozone_mass_mixing_ratio": ozone}}, coords).to_netcdf({source!r})
assert main(["data", "ingest", {source!r}, "--out", {store!r}]) == 0
assert main(["data", "check", {store!r}]) == 0
assert main(["data", "stats", {store!r}, "--dates", "2020-01-01", "2020-01-02", "--out", {stats!r}]) == 0
Task(("ozone_mass_mixing_ratio",), (), (), (), (500, 850))
"""
    environment = {"AIRMASS_VARIABLES": str(tmp_path / "own.csv"), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,units\na,K\n", "no column place, expected name, units, place"),
        (HEAD + "Ozone,1,levels,0,1,\n", "line 2: name is 'Ozone'"),
        (HEAD + "ozone,1,sky,0,1,\n", "line 2: place is 'sky', expected levels or surface"),
        (HEAD + "ozone,1,levels,1,0,\n", "line 2: the range runs from 1 to 0"),
        (HEAD + "ozone,1,levels,x,0,\n", "line 2: least is 'x', expected a number"),
        (HEAD + "ozone,1,levels,0,1,perhaps\n", "line 2: missing_over_land is 'perhaps', expected yes or no"),
        (HEAD + "ozone,1\n", "line 2: expected 6 values"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(tmp_path, monkeypatch, text, said):
    (tmp_path / "own.csv").write_text(text)
    monkeypatch.setenv("AIRMASS_VARIABLES", str(tmp_path / "own.csv"))
    with pytest.raises(InputError, match=said):
        list(own_variables())

"""The command line as a person meets it."""

import subprocess
import sys

import pytest

from airmass.commands.main import COMMANDS, main
from tests.conftest import make_store


def test_help_names_every_command_without_loading_jax_or_xarray():
    probe = (
        "import sys; from airmass.commands.main import main; main(['--help']); "
        "print(sorted({'jax', 'xarray', 'numpy', 'tyro'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout
    assert all(name in shown for name in COMMANDS)
    assert shown.endswith("[]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    try:
        assert main([*name.split(), "--help"]) == 0
    except SystemExit as ended:
        assert ended.code == 0
    assert "usage" in capsys.readouterr().out.lower()


def test_unknown_words_are_refused(capsys):
    assert main(["forcast"]) == 2
    assert "unknown command 'forcast'" in capsys.readouterr().err
    assert main(["train", "demmo"]) == 2
    assert "known are demo" in capsys.readouterr().err
    assert main(["train", "--data", "x"]) == 2
    assert "expected a recipe first" in capsys.readouterr().err


def test_an_unknown_option_is_refused_with_the_nearest_known(tmp_path, capsys):
    assert main(["train", "demo", "--data", "x", "--run", str(tmp_path / "run"), "--model.widht", "3"]) == 2
    assert "unknown option --model.widht; the nearest known is --model.width" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_version(capsys):
    import airmass

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"airmass {airmass.__version__}\n"


def test_data_check_ends_with_one_when_something_is_wrong(store, tmp_path, capsys):
    assert main(["data", "check", str(store)]) == 0
    broken = make_store(tmp_path / "broken.zarr", nan="temperature")
    assert main(["data", "check", str(broken)]) == 1
    assert "temperature" in capsys.readouterr().out


def test_data_stats_and_convert(store, tmp_path, capsys):
    reversed_store = make_store(tmp_path / "reversed.zarr", reversed_latitude=True)
    dates = ["--dates", "2000-11-01", "2000-11-03"]
    assert main(["data", "stats", str(reversed_store), *dates, "--out", str(tmp_path / "s")]) == 2
    assert "north to south" in capsys.readouterr().err
    assert main(["data", "convert", str(reversed_store), str(tmp_path / "c.zarr")]) == 0
    assert "latitude" in capsys.readouterr().out
    assert main(["data", "stats", str(tmp_path / "c.zarr"), *dates, "--out", str(tmp_path / "s")]) == 0
    assert (tmp_path / "s" / "mean_by_level.nc").exists()

"""Where a checkpoint is: on disk, or in the package by its name."""

from pathlib import Path

import pytest

from airmass.core.errors import InputError
from airmass.forecasting.checkpoints.location import MODEL_FILE, SHIPPED, checkpoint_file, is_shipped


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_name_stands_for_the_model_in_the_package():
    assert checkpoint_file("demo") == SHIPPED["demo"] and SHIPPED["demo"].is_file() and is_shipped("demo")


def test_a_run_or_file_of_that_name_comes_first_and_another_folder_does_not(folder):
    (folder / "demo").mkdir()
    assert is_shipped("demo")
    (folder / "demo" / MODEL_FILE).touch()
    assert checkpoint_file("demo") == Path("demo") / MODEL_FILE and not is_shipped("demo")
    (folder / "demo" / MODEL_FILE).unlink()
    (folder / "demo").rmdir()
    (folder / "demo").touch()
    assert checkpoint_file("demo") == Path("demo") and not is_shipped("demo")


@pytest.mark.parametrize("place", ["./demo", Path("demo"), "demo/", "a/demo"])
def test_a_path_is_never_a_name(place):
    with pytest.raises(InputError, match="demo: no such checkpoint"):
        checkpoint_file(place)


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(InputError, match="dmo: no such checkpoint; did you mean demo, the model"):
        checkpoint_file("dmo")
    with pytest.raises(InputError, match=r"run-of-tuesday: no such checkpoint$"):
        checkpoint_file("run-of-tuesday")

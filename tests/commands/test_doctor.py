"""What `airmass doctor` and `airmass completion` say is what is declared and what each command takes."""

import importlib.metadata
import subprocess
import tomllib
from pathlib import Path

import pytest

import airmass.commands.doctor as doctor
from airmass.commands.completion import options_of
from airmass.commands.main import COMMANDS, main

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def test_every_extra_has_a_purpose():
    assert list(doctor.EXTRAS) == list(PROJECT["optional-dependencies"])


def test_it_lists_every_package_with_its_version(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert len(doctor.required()) == len(PROJECT["dependencies"])
    for name, version in doctor.required().items():
        assert f"{name:<18} {version}" in said and version == importlib.metadata.version(name)
    assert "cpu 0" in said and "GiB free of" in said


def test_a_missing_package_is_named(monkeypatch, capsys):
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _: ["numpy>=2", "no-such-package>=1; python_version>'3'"]
    )
    assert main(["doctor"]) == 1
    assert "Missing: no-such-package." in capsys.readouterr().out


def test_a_device_that_cannot_be_used_is_a_line(monkeypatch, capsys):
    import jax

    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda':\n driver too old")

    monkeypatch.setattr(jax, "devices", fail)
    assert main(["doctor"]) == 0
    assert "finds no device: Unable to initialize backend 'cuda': driver too old" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["da"], "data"),
        (["data", "st"], "stats"),
        (["train", "gencast-d"], "gencast-demo"),
        (["view", "f.zarr", "--tru"], "--truth"),
        (["data", "stats", "s.zarr", "--da"], "--dates"),
        (["train", "demo", "--model.wid"], "--model.width"),
    ],
)
def test_bash_completes(words, expected, tmp_path, capsys):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out)
    given = " ".join(["airmass", *words])
    asked = f'source {script}; COMP_WORDS=({given}); COMP_CWORD={len(words)}; _airmass; echo "${{COMPREPLY[*]}}"'
    assert subprocess.run(["bash", "-c", asked], capture_output=True, text=True).stdout.split() == [expected]


def test_every_command_has_options_to_complete():
    assert [name for name in COMMANDS if "--help" not in options_of(name)] == []

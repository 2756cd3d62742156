"""What `airmass doctor` and `airmass completion` say is what is declared and what each command takes."""

import contextlib
import importlib.metadata
import os
import pty
import select
import shutil
import signal
import subprocess
import time
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


COMPLETIONS = pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["da"], "data"),
        (["data", "st"], "stats"),
        (["train", "gencast-d"], "gencast-demo"),
        (["view", "f.zarr", "--tru"], "--truth"),
        (["data", "stats", "s.zarr", "--da"], "--dates"),
        (["train", "demo", "--model.wid"], "--model.width"),
        (["inspect", "de"], "demo"),
        (["forecast", "--initial", "x", "--checkpoint", "de"], "demo"),
        (["train", "demo", "--start", "de"], "demo"),
    ],
)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """A folder with the script of each shell, as the command prints it."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        with (folder / shell).open("w") as file, contextlib.redirect_stdout(file):
            assert main(["completion", shell]) == 0
    return folder


@COMPLETIONS
def test_bash_completes(words, expected, scripts):
    script = scripts / "bash"
    given = " ".join(["airmass", *words])
    asked = f'source {script}; COMP_WORDS=({given}); COMP_CWORD={len(words)}; _airmass; echo "${{COMPREPLY[*]}}"'
    assert subprocess.run(["bash", "-c", asked], capture_output=True, text=True).stdout.split() == [expected]


@COMPLETIONS
@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes(words, expected, scripts):
    script = scripts / "fish"
    asked = f"source {script}; complete -C 'airmass {' '.join(words)}'"
    said = subprocess.run(["fish", "-c", asked], capture_output=True, text=True).stdout
    assert expected in [line.split("\t")[0] for line in said.splitlines()]


@pytest.fixture
def typed_into_zsh(monkeypatch):
    """Type into a zsh at a terminal of its own; gives what it shows within seconds."""
    monkeypatch.setenv("TERM", "dumb")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("zsh", ["zsh", "-f", "-i"])

    def typed(text: str, expected: str) -> str:
        os.write(terminal, text.encode())
        shown, until = "", time.monotonic() + 20
        while expected not in shown and time.monotonic() < until:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
        os.write(terminal, b"\x15")  # clears the line
        return shown

    yield typed
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes_what_is_typed(scripts, typed_into_zsh):
    script = scripts / "zsh"
    assert "ready" in typed_into_zsh(f"source {script}; echo rea''dy\n", "ready")
    for words, expected in (
        ("fore", "forecast "),
        ("data chec", "data check "),
        ("forecast --memb", "forecast --members "),
    ):
        assert f"airmass {expected}" in typed_into_zsh(f"airmass {words}\t", f"airmass {expected}"), words


def test_every_command_has_options_to_complete():
    assert [name for name in COMMANDS if "--help" not in options_of(name)] == []

"""The command line as a person meets it."""

import errno
import json
import re
import signal
import subprocess
import sys

import pytest

from airmass.commands.main import COMMANDS, main
from tests.conftest import make_store

# Of what a command's help may not load.
HEAVY = "jax", "xarray", "zarr", "pandas", "scipy", "matplotlib", "airmass.models.graphcast.model"


def test_help_names_every_command_without_loading_anything():
    probe = (
        "import sys; from airmass.commands.main import main; main(['--help']); "
        "print(sorted({'jax', 'xarray', 'numpy', 'tyro'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True).stdout
    assert all(name in shown for name in COMMANDS)
    assert shown.endswith("[]\n")


def test_no_help_loads_anything_heavy():
    """All in one process, of which each command's help would show what it alone loads."""
    helps = [[*name.split(), "--help"] for name in COMMANDS] + [["train", "demo", "--help"], ["plan", "gencast", "-h"]]
    probe = (
        "import contextlib, sys; from airmass.commands.main import main\n"
        f"for words in {helps}:\n"
        "    with contextlib.suppress(SystemExit): main(words)\n"
        f"print(sorted({set(HEAVY)} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("[]\n")


# The word for an option's value: PATH, DATE DATE, `N ...` or a choice such as float32|bfloat16.
WORD = re.compile(r"[A-Z]+([: ][A-Z]+)*( \.\.\.)?|[a-z0-9-]+(\|[a-z0-9-]+)+")


@pytest.mark.parametrize("name", [*COMMANDS, "train demo", "plan gencast-demo", "train fgn-demo"])
def test_every_command_has_help_in_words(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    try:
        assert main([*name.split(), "--help"]) == 0
    except SystemExit as ended:
        assert ended.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: airmass")
    valued = re.findall(r"^│ (--[a-z0-9.-]+) (\S.*?)(?:  .*)?│$", shown, re.MULTILINE)
    assert [f"{option} {value}" for option, value in valued if not WORD.fullmatch(value)] == []
    assert not re.search(r"\[\[|\b(STR|INT|FLOAT)\b|default: (None|False)?\)", shown)


def refused(words, capsys) -> str:
    """The one line that a command refuses with."""
    assert main(words) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("airmass") and shown.endswith("\n") and shown[:-1].isprintable()
    return shown


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("forcast", "unknown command 'forcast'; did you mean 'forecast'?"),
        ("data chek x", "unknown command 'data chek'; did you mean 'data check'?"),
        ("xyzzy", "unknown command 'xyzzy'; `airmass --help` lists them"),
        ("train demmo", "known are demo"),
        ("train --data x", "expected a recipe first"),
        ("train demo --data x --run r --model.widht 3", "option --model.widht; the nearest known is --model.width"),
        ("train demo --data x", "missing --run"),
        ("train demo --data x --run r --data y", "option --data is given 2 times, expected once"),
        (
            "train demo --data x --run r --accept-changes --no-accept-changes",
            "option --accept-changes is given 2 times",
        ),
        ("forecast", "missing --checkpoint, --initial, --out"),
        ("forecast --checkpiont x", "unknown option --checkpiont; the nearest known is --checkpoint"),
        ("forecast --checkpoint x --initial y --out z.nc --seed 1 --seed=2", "option --seed is given 2 times"),
        ("forecast --checkpoint x --initial y --out z.nc --seed -1", "--seed is -1, expected 0 to 4294967295"),
        ("forecast --checkpoint x --initial y --out z.nc --seed 9223372036854775808", "expected 0 to 4294967295"),
        ("forecast --checkpoint x --initial y --out z.nc --seed one", "--seed is one, expected a whole number"),
        ("forecast --checkpoint x --initial y --out z.nc --members 0", "--members is 0, expected 1"),
        ("forecast --checkpoint x --initial y --out z.nc --memory-limit nan", "--memory-limit is nan"),
        ("forecast --checkpoint x --initial y --out z.nc --precision float8", "expected float32 or bfloat16"),
        (
            "forecast --checkpoint demmo --initial y --out z.nc",
            "demmo: no such checkpoint; did you mean demo, the model in",
        ),
        ("inspect ./demo", "demo: no such checkpoint"),
        ("inspect", "missing CHECKPOINT"),
        ("data convert x", "missing OUT"),
        ("inspect x y", "y"),
        ("demo --seed -1", "--seed is -1"),
        ("plot f --truth t --out o --places 91 0", "--places: latitude is 91.0, expected -90 to 90"),
        ("plot f --truth t --out o --places 0 inf", "--places: longitude is inf, expected -180 to 360"),
        ("plot f --truth t --out o --lead-times -1", "--lead-times is -1.0, expected 0 or more"),
        ("plan demo --count 0", "--count is 0, expected 1 or more"),
        ("plan demo --memory -3", "--memory is -3.0, expected a number above 0"),
        ("simulate a.zarr --days 1 --seed -1", "seed is -1"),
        ("simulate a.zarr --days 1 --start 20201301", "time '20201301'"),
        ("data stats x --dates 2000-01-01 --out y", "--dates"),
    ],
)
def test_wrong_words_are_refused_in_one_line(words, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(words.split(), capsys)
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_shown_is_escaped(capsys):
    assert "a\\x1b[31m\\nb: no such file" in refused(["data", "check", "a\x1b[31m\nb"], capsys)
    assert "is not UTF-8 text" in refused(["data", "check", "a\udcff.zarr"], capsys)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "x.nc"), "x.nc: Permission denied"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", b"\xff"), "\\udcff: Is a directory"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError("Unable to open file"), "Unable to open file"),
        (MemoryError(), "out of memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."), "Out of memory allocating 8 bytes."),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "is not UTF-8: 'utf-8' codec can't"),
    ],
)
def test_what_the_system_refuses_is_one_line(error, words, capsys, monkeypatch):
    def fail(_):
        raise error

    monkeypatch.setattr("airmass.commands.main._load", lambda _: fail)
    assert words in refused(["plot"], capsys)


def test_a_fault_of_ours_keeps_its_traceback(capsys, monkeypatch):
    def fail(arguments):
        return fail(arguments) if arguments else {}["absent"]

    monkeypatch.setattr("airmass.commands.main._load", lambda _: fail)
    assert main(["plot"]) == 70
    shown = capsys.readouterr().err
    assert "KeyError: 'absent'" in shown and "this is a bug in airmass. Please report it" in shown


def test_nesting_without_end_is_input(capsys, monkeypatch):
    monkeypatch.setattr("airmass.commands.main._load", lambda _: lambda _: json.loads("[" * 100_000))
    assert "nested too deeply" in refused(["plot"], capsys)


_WAITING = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it is ignored
from airmass.commands import main
from airmass.core.files import new_output
def wait(arguments):
    with new_output(arguments[0]) as aside:
        aside.write_text("half")
        print("begun", flush=True)
        time.sleep(60)
main._load = lambda name: wait
sys.exit(main.main(["report", sys.argv[1]]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_a_command_cleans_up(tmp_path, number):
    command = [sys.executable, "-c", _WAITING, tmp_path / "a" / "out"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "begun\n"
        running.send_signal(number)
        _, told = running.communicate(timeout=30)
    assert running.returncode == 128 + number
    assert told == "airmass report: stopped; run the same command to resume\n"
    assert not any(tmp_path.iterdir())


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

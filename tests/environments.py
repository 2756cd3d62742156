"""`python -m tests.environments [EXTRA ...]`: install airmass afresh with each extra alone, and run all its commands.

Makes an environment for each of `plain` (no extra), `simulate`, `grib`, `cluster`, `icechunk` and `cuda` in a temporary
folder, from this checkout by uv. `cuda` is large, and without a GPU of no use: it is only resolved, unless named as
`cuda-install`. Prints a table.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.border.commands import WAYS, with_options
from tests.border.healthy import Home, make_home

ROOT = Path(__file__).parents[1]
EXTRAS = ("plain", "simulate", "grib", "cluster", "icechunk", "clients", "cuda")
_INPUTS: dict[str, Callable[[Home], Path]] = {
    "check": lambda home: home.store,
    "stats": lambda home: home.netcdf,
    "convert": lambda home: home.store_v2,
    "plan": lambda home: home.store,
    "train": lambda home: home.store,
    "published": lambda home: home.golden / "checkpoint.npz",
    "forecast with": lambda home: home.model,
    "inspect": lambda home: home.model,
    "evaluate": lambda home: home.forecast,
    "plot": lambda home: home.forecast,
    "report": lambda home: home.scores,
}
_OPTIONS = {"train": ("--training.updates", "3"), "plot": ("--fields", "2t", "--animate")}


@dataclass(frozen=True)
class Run:
    """The end of one command in one environment."""

    extra: str
    command: str
    status: int
    seconds: float
    said: str


def uv() -> str:
    """The installer: one on the path, or the one of this checkout."""
    found = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    if not Path(found).exists():
        raise SystemExit(f"{found}: no uv; `make setup` brings it, or name it in UV")
    return found


def try_extra(extra: str, folder: Path, home: Home) -> list[Run]:
    """Install into a new environment in `folder` and run every command there."""
    if extra == "cuda":
        _run([uv(), "venv", "-q", "--python", sys.executable, str(folder / "env")])
        return [_as(extra, "resolve", _dry(folder / "env", f"{ROOT}[cuda]"))]
    name = extra.removesuffix("-install")
    wanted = f"{ROOT}" if name == "plain" else f"{ROOT}[{name}]"
    python = folder / "env" / "bin" / "python"
    _run([uv(), "venv", "-q", "--python", sys.executable, str(folder / "env")])
    runs = [_as(extra, "install", _run([uv(), "pip", "install", "-q", "--python", str(python), wanted]))]
    return runs + [_as(extra, way, _command(python, way, folder, home)) for way in (*_INPUTS, "simulate")]


def _dry(env: Path, wanted: str):
    return _run([uv(), "pip", "install", "--dry-run", "-q", "--python", str(env / "bin" / "python"), wanted])


def _command(python: Path, way: str, folder: Path, home: Home):
    out = folder / way.replace(" ", "_")
    out.mkdir()
    given = _INPUTS[way](home) if way in _INPUTS else out / "simulated.zarr"
    arguments = with_options(WAYS[way](home, given, out), _OPTIONS.get(way, ()))
    return _run([str(python), "-m", "airmass", *arguments], cwd=out)


def _run(command: Sequence[str], cwd: Path | None = None) -> tuple[int, float, str]:
    hidden = ("VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)
    said = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode, time.perf_counter() - began, said[-1] if said else ""


def _as(extra: str, command: str, ended: tuple[int, float, str]) -> Run:
    return Run(extra, command, *ended)


def right(run: Run) -> bool:
    """True for a command that ended well, or, without the extra that it needs, with one line that names it."""
    if run.command == "simulate" and run.extra != "simulate":
        return run.status == 2 and "simulate" in run.said
    return run.status == 0


def main(extras: Sequence[str]) -> int:
    """Try every extra; returns how many commands did not end as they should."""
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        home = make_home(Path(place) / "home")
        for extra in extras or EXTRAS:
            folder = Path(place) / extra
            folder.mkdir()
            for run in try_extra(extra, folder, home):
                wrong += not right(run)
                last = "" if right(run) else run.said
                print(f"{run.extra:10} {run.command:14} exit {run.status:3} {run.seconds:6.1f} s  {last}", flush=True)
            shutil.rmtree(folder)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)

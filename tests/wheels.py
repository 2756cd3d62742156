"""`python -m tests.wheels [VERSION ...]`: build wheel and sdist, try them in a new environment of each Python.

For each version (by default 3.11, 3.12 and 3.13) that this machine has, the wheel is installed in a new environment;
its program lists its commands, examines itself and writes a viewer of a small forecast. For a version that is not here,
the requirements are only resolved, to wheels that exist for it. Prints a table.
"""

import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.environments import ROOT, uv
from tests.forecasts import forecast_dataset, truth_dataset, write_forecast

VERSIONS = ("3.11", "3.12", "3.13")
# Files that are no Python and must be in the wheel.
_DATA = (
    "plots/viewer/viewer.js",
    "plots/viewer/viewer.css",
    "plots/viewer/LICENCES.txt",
    "data/simulate/restart_t31l8.npz",
    "forecasting/shipped/demo.npz",
)


@dataclass(frozen=True)
class Step:
    """How one step ended for one Python."""

    version: str
    name: str
    status: int
    seconds: float
    said: str


def built(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist of this checkout; the wheel is built from the sdist, as an index would."""
    done = run([uv(), "build", "-q", "--out-dir", str(folder), str(ROOT)])
    if done.returncode:
        raise SystemExit(done.stderr)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def problems(wheel: Path) -> list[str]:
    """Files that the wheel lacks, and files in it that are none of the package."""
    names = zipfile.ZipFile(wheel).namelist()
    held = {name.removeprefix("airmass/") for name in names}
    wanted = {path.relative_to(ROOT / "airmass").as_posix() for path in (ROOT / "airmass").rglob("*.py")}
    lacking = sorted({*wanted, *_DATA} - held)
    other = sorted(name for name in names if not name.startswith("airmass"))
    return [f"lacks {name}" for name in lacking] + [f"holds {name}" for name in other]


def tried(version: str, wheel: Path, folder: Path) -> Iterator[Step]:
    """Steps for one Python: all of them where it is installed, else the requirements alone."""
    found = run([uv(), "python", "find", "--no-project", version])
    if found.returncode:
        yield step(version, "resolve", [
            uv(), "pip", "compile", "-q", "--python-version", version, "--only-binary", ":all:", "--no-header",
            str(ROOT / "pyproject.toml"),
        ])  # fmt: skip
        return
    python = folder / "bin" / "python"
    yield step(version, "environment", [uv(), "venv", "-q", "--python", found.stdout.strip(), str(folder)])
    yield step(version, "install", [uv(), "pip", "install", "-q", "--python", str(python), str(wheel)])
    size = sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6
    yield Step(version, "size", 0, 0.0, f"{size:,.0f} MB")
    forecast = write_forecast(folder / "f.zarr", forecast_dataset(truth_dataset()))
    program = str(folder / "bin" / "airmass")
    for name, words in (
        ("--version", ["--version"]), ("--help", ["--help"]), ("doctor", ["doctor"]),
        ("view", ["view", str(forecast), "--out", str(folder / "view.html")]),
    ):  # fmt: skip
        yield step(version, name, [program, *words])
    yield step(version, "import", [str(python), "-c", "import airmass; airmass.RECIPES"])


def step(version: str, name: str, command: Sequence[str]) -> Step:
    began = time.perf_counter()
    done = run(command)
    said = (done.stderr if done.returncode else done.stdout).strip().splitlines()
    return Step(version, name, done.returncode, time.perf_counter() - began, said[-1] if said else "")


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True)


def main(versions: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel, sdist = built(folder)
        print(f"{wheel.name} {wheel.stat().st_size / 1e6:.2f} MB, {sdist.name} {sdist.stat().st_size / 1e6:.2f} MB")
        found = problems(wheel)
        print(*found, sep="\n", end="\n" if found else "")
        failed = bool(found)
        for version in versions or VERSIONS:
            for done in tried(version, wheel, folder / version):
                failed |= done.status != 0
                print(
                    f"{version:<6} {done.name:<12} {done.status:>3} {done.seconds:6.1f} s  {done.said[:80]}", flush=True
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

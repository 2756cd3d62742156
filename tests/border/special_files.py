"""Files and names that are no input at all: pipes, devices, links in a circle, other formats, and broken names."""

import gzip
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.border.case import Case, Make
from tests.border.healthy import Home

READERS = (
    "check", "stats", "train", "forecast from", "evaluate", "evaluate with", "plot", "view", "climatology", "ingest",
    "initial", "initial beside", "track",
)  # fmt: skip
FEW = ("check", "forecast from", "evaluate", "ingest", "initial", "track")
CHECKPOINTS = ("inspect", "forecast with", "initial with")


def _at(name: str, write: Callable[[Home, Path], object]) -> Make:
    def make(home: Home, folder: Path) -> Path:
        write(home, folder / name)
        return folder / name

    return make


def _socket(home: Home, path: Path) -> None:
    held, here = socket.socket(socket.AF_UNIX), Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        held.bind(path.name)
    finally:
        os.chdir(here)
        held.close()


def _zip(home: Home, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.write(home.netcdf, "data_stream-oper_stepType-instant.nc")


def _circle(home: Home, path: Path) -> None:
    path.symlink_to(path.name)


# A NetCDF file cannot be any of these, whatever its name says.
CONTENTS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty": (b"", ("empty",)),
    "GRIB": (b"GRIB" + bytes(200), ("grib",)),
    "HTML": (b"<!doctype html><html><body>404 Not Found</body></html>", ("web page",)),
    "gzip": (gzip.compress(b"CDF\x01" + bytes(100)), ("gzip",)),
    "JSON": (b'{"error": "not found"}', ()),
    "HDF5 cut off": (b"\x89HDF\r\n\x1a\n" + bytes(100), ()),
    "NetCDF 3 cut off": (b"CDF\x01" + bytes(3), ()),
    "NetCDF 3 that counts 4 billion dimensions": (b"CDF\x01" + bytes(4) + b"\x00\x00\x00\x0a\xff\xff\xff\xff", ()),
    "NetCDF of an unknown version": (b"CDF\x09" + bytes(100), ()),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), ()),
}

CASES = [
    Case(
        f"file of {name}",
        _at("bad.nc", lambda home, path, data=data: path.write_bytes(data)),
        READERS[:1] + FEW[1:],
        words,
    )
    for name, (data, words) in CONTENTS.items()
]
CASES += [
    Case("zip named .nc", _at("bad.nc", _zip), ("check", "forecast from", "convert"), ("zip",)),
    Case("file named .zarr", _at("bad.zarr", lambda home, path: path.write_bytes(b"text")), READERS),
    Case("empty folder", _at("bad.zarr", lambda home, path: path.mkdir()), READERS),
    Case("folder of other things", _at("bad.zarr", lambda home, path: _others(path)), READERS),
    Case("nothing there", lambda home, folder: folder / "bad.zarr", (*READERS, *CHECKPOINTS, "report", "report of")),
    Case("link to nothing", _at("bad.zarr", lambda home, path: path.symlink_to("nowhere")), (*READERS, *CHECKPOINTS)),
    Case("link in a circle", _at("bad.zarr", _circle), (*READERS, *CHECKPOINTS, "report")),
    Case("circle named .nc", _at("bad.nc", _circle), FEW),
    Case("a name too long", lambda home, folder: folder / ("x" * 300), (*READERS, *CHECKPOINTS, "report"), named=False),
    Case("a NUL in a name", lambda home, folder: f"{folder}/b\0d.zarr", (*FEW, *CHECKPOINTS, "report"), named=False),
    Case(
        "a name that no text decodes",
        lambda home, folder: os.fsdecode(os.fsencode(folder) + b"/b\xffd.zarr"),
        (*FEW, *CHECKPOINTS, "report"),
        named=False,
    ),
    Case(
        "a newline and colours in a name",
        lambda home, folder: f"{folder}/b\n\x1b[31md.zarr",
        (*FEW, *CHECKPOINTS, "report"),
        named=False,
    ),
    Case("markup in a name", lambda home, folder: f"{folder}/[/red][bold]bad.zarr", (*FEW, *CHECKPOINTS, "report")),
    Case("no name", lambda home, folder: "", FEW, named=False),
    Case("FIFO", _at("bad.zarr", lambda home, path: os.mkfifo(path)), ("check", "evaluate"), alone=True),
    Case("FIFO named .nc", _at("bad.nc", lambda home, path: os.mkfifo(path)), ("check",), alone=True),
    Case("FIFO as a checkpoint", _at("bad.npz", lambda home, path: os.mkfifo(path)), ("inspect",), alone=True),
    Case("FIFO as scores", lambda home, folder: _fifo_scores(folder), ("report",), alone=True),
    Case("socket", _at("bad.nc", _socket), ("check", "inspect")),
    Case("/dev/zero", lambda home, folder: "/dev/zero", ("inspect",), alone=True),
    Case("link to /dev/zero", _at("bad.nc", lambda home, path: path.symlink_to("/dev/zero")), ("check",), alone=True),
    Case("scores that are /dev/zero", lambda home, folder: _zero_scores(folder), ("report",), alone=True),
    Case("/dev/null", lambda home, folder: "/dev/null", ("check", "inspect")),
    Case("folder without a model", _at("bad", lambda home, path: path.mkdir()), (*CHECKPOINTS, "train from", "report")),
    Case(
        "NetCDF as a checkpoint",
        _at("bad.npz", lambda home, path: path.write_bytes(home.netcdf.read_bytes())),
        CHECKPOINTS,
    ),
    Case("store as a forecast", lambda home, folder: home.store, ("evaluate", "plot")),
    Case(
        "forecast as a store", lambda home, folder: home.forecast, ("stats", "train", "evaluate with", "forecast from")
    ),
    Case("forecast as an archive", lambda home, folder: home.forecast, ("ingest", "initial")),
    Case("store as a climatology", lambda home, folder: home.store, ("climatology",)),
    Case("scores as pictures", lambda home, folder: home.scores, ("report of",)),
    Case("store as scores", lambda home, folder: home.store, ("report",)),
]


def _others(path: Path) -> None:
    path.mkdir()
    (path / "readme.txt").write_text("text")
    (path / "deeper").mkdir()


def _fifo_scores(folder: Path) -> Path:
    (folder / "bad_scores").mkdir()
    os.mkfifo(folder / "bad_scores" / "scores.json")
    return folder / "bad_scores"


def _zero_scores(folder: Path) -> Path:
    (folder / "bad_scores").mkdir()
    (folder / "bad_scores" / "scores.json").symlink_to("/dev/zero")
    return folder / "bad_scores"

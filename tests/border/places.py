"""Addresses where paths are meant, servers that do not answer, and outputs that must not be written."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.border.case import Case, Make
from tests.border.healthy import Home
from tests.border.servers import server

_TO = (
    "stats to",
    "convert to",
    "train in",
    "forecast to",
    "evaluate to",
    "plot to",
    "view to",
    "report to",
    "ingest to",
)
# Outputs whose names must have an ending of their own.
_NAMES = {"initial to": "bad.nc", "track to": "bad.csv"}
_REMOTE = ("check", "stats", "train", "evaluate with")
# A port that nothing listens on: the discard service's.
_CLOSED = "http://127.0.0.1:9"


def _address(text: str) -> Make:
    return lambda home, folder: text


CASES = [
    *(
        Case(f"address for an output: {way}", _address("https://example.invalid/bad"), (way,), ("https://",))
        for way in _TO
        if way not in ("convert to", "forecast to", "report to", "ingest to")
    ),
    Case("address for an output: ingest", _address("s3://bucket/bad.zarr"), ("ingest to",), ("s3://",)),
    Case("address for an output: initial", _address("s3://bucket/bad.nc"), ("initial to",), ("s3://",)),
    Case("address for an output: tracks", _address("s3://bucket/bad.csv"), ("track to",), ("s3://",)),
    Case("address for an output: download", _address("https://x.invalid/bad"), ("download to",), ("https://",)),
    Case("address of an FTP server", _address("ftp://x.invalid"), ("download at", "service at"), ("https://",)),
    Case("nobody at an address", _address(_CLOSED), ("download at", "service at"), ("127.0.0.1",), named=False),
    *(
        Case(
            f"a server that {does}",
            server(kind, ""),
            ("download at", "service at"),
            ("127.0.0.1",),
            named=False,
        )
        for kind, does in {
            "forbidden": "forbids",
            "page": "has one page",
            "circle": "sends in a circle",
            "endless": "has no end",
        }.items()
    ),
    Case("address for an output: convert", _address("s3://bucket/bad.zarr"), ("convert to",), ("s3://",)),
    Case("address for an output: forecast", _address("https://x.invalid/bad.zarr"), ("forecast to",), ("https://",)),
    Case("address for an output: NetCDF", _address("gs://bucket/bad.nc"), ("forecast to",), ("gs://",)),
    Case("address for an output: report", _address("https://x.invalid/bad.html"), ("report to",), ("https://",)),
    Case("address for an output: simulate", _address("s3://bucket/bad.zarr"), ("simulate",), ("s3://",)),
    Case("address for a demo", _address("https://x.invalid/bad"), ("demo",), ("https://",)),
    Case(
        "address for a checkpoint",
        _address("https://x.invalid/bad.npz"),
        ("inspect", "forecast with", "train from", "initial with"),
        ("https://",),
    ),
    Case("address for scores", _address("https://x.invalid/bad"), ("report",), ("https://",)),
    Case("address for pictures", _address("https://x.invalid/bad"), ("report of",), ("https://",)),
    Case("address for statistics", _address("https://x.invalid/bad"), ("published scales",), ("https://",)),
    Case(
        "address of no known kind",
        _address("ftp://x.invalid/bad.zarr"),
        (*_REMOTE, "evaluate", "forecast from", "ingest", "initial", "track", "view"),
        ("ftp://",),
    ),
    Case(
        "address of a file",
        _address("file:///nowhere/bad.zarr"),
        ("check", "evaluate", "ingest", "track"),
        ("file://",),
    ),
    Case("address without a place", _address("http://"), ("check",), named=False),
    Case("address with a broken port", _address("http://127.0.0.1:abc/bad.zarr"), ("check",)),
    Case("address of nobody", _address(f"{_CLOSED}/bad.zarr"), ("check",), alone=True),
    Case("server that is silent", server("silent"), ("check",), alone=True),
    Case("server that drips", server("drips"), ("check",), alone=True),
    Case("server without an end", server("endless"), ("check",), alone=True),
    Case("server that forbids", server("forbidden"), ("check", "evaluate", "ingest", "track", "initial beside")),
    Case("server of a page", server("page"), ("check", "evaluate", "ingest", "initial", "track")),
    Case("server in a circle", server("circle"), ("check",), alone=True),
]


def _there(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    """An output that exists, with something in it."""
    (folder / name).mkdir()
    (folder / name / "precious.txt").write_text("mine")
    return folder / name


def _in_file(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    (folder / "bad").write_text("a file")
    return folder / "bad" / name


def _in_store(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    return home.store / name


def _in_null(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    return Path("/dev/null") / name


def _in_proc(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    return Path("/proc") / name


def _long(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    return folder / ("bad" * 100 + name)


def _dangling(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    (folder / name).symlink_to(folder / "nowhere" / "deep")
    return folder / name


def _fifo(home: Home, folder: Path, name: str = "bad.zarr") -> Path:
    os.mkfifo(folder / name)
    return folder / name


_OUTPUTS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "that exists": (_there, _TO),
    "in a file": (_in_file, _TO),
    "in the input store": (
        _in_store,
        ("stats to", "convert to", "train in", "forecast to", "evaluate to", "plot to", "ingest to"),
    ),
    "in /dev/null": (_in_null, _TO),
    "in /proc": (_in_proc, _TO),
    "with too long a name": (_long, _TO),
    "that is a link to nothing": (_dangling, _TO),
    "that is a FIFO": (_fifo, _TO),
    "that is the input": (lambda home, folder: home.store, ("convert to", "stats to", "ingest to")),
}
_NAMED: dict[str, Callable[[Home, Path], Path]] = {
    "of no known kind": lambda home, folder: folder / "bad.grib",
    "without an ending": lambda home, folder: folder / "bad",
}
CASES += [
    *(
        Case(f"output {name}", make, ways, named=name != "with too long a name")
        for name, (make, ways) in _OUTPUTS.items()
    ),
    *(
        Case(f"output {way[:-3]} {name}", partial(make, name=file), (way,), named=name != "with too long a name")
        for name, (make, ways) in _OUTPUTS.items()
        for way, file in _NAMES.items()
        if "ingest to" in ways and name != "that is the input" and (way, name) != ("track to", "in the input store")
    ),
    *(
        Case(f"output download {name}", make, ("download to",), named=name != "with too long a name")
        for name, (make, ways) in _OUTPUTS.items()
        if name not in ("that exists", "in the input store", "that is the input")
    ),
    *(Case(f"ingest to a name {name}", make, ("ingest to",)) for name, make in _NAMED.items()),
    *(Case(f"initial to a name {name}", make, ("initial to",)) for name, make in _NAMED.items()),
    *(Case(f"track to a name {name}", make, ("track to",)) for name, make in _NAMED.items()),
    *(Case(f"forecast to a name {name}", make, ("forecast to",)) for name, make in _NAMED.items()),
    Case("demo in a folder of others", _there, ("demo",)),
    Case("simulation into a folder of others", _there, ("simulate",)),
]


def _picture(name: str, content: Callable[[Path], object]) -> Make:
    def make(home: Home, folder: Path) -> Path:
        (folder / "bad").mkdir()
        content(folder / "bad" / name)
        return folder / "bad"

    return make


_PICTURES: dict[str, Make] = {
    "a picture of text": _picture("map_z500.png", lambda path: path.write_text("<script>alert(1)</script>")),
    "a picture that is empty": _picture("map_z500.png", lambda path: path.write_bytes(b"")),
    "a picture that is a link to secrets": _picture("map_z500.png", lambda path: path.symlink_to("/etc/passwd")),
    "a picture that is a link to nothing": _picture("map_z500.png", lambda path: path.symlink_to("nowhere")),
    "a picture that is a folder": _picture("map_z500.png", lambda path: path.mkdir()),
    "a GIF that is HTML": _picture("animation_2t.gif", lambda path: path.write_text("<html></html>")),
    "no pictures": _picture("readme.txt", lambda path: path.write_text("none")),
}
CASES += [Case(f"report of {name}", make, ("report of",)) for name, make in _PICTURES.items()]

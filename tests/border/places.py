"""Addresses where paths are meant, servers that do not answer, and outputs that must not be written."""

import http.server
import os
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.border.case import Case, Make
from tests.border.healthy import Home

_TO = ("stats to", "convert to", "train in", "forecast to", "evaluate to", "plot to", "view to", "report to")
_REMOTE = ("check", "stats", "train", "evaluate with")
# A port that nothing listens on: the discard service's.
_CLOSED = "http://127.0.0.1:9"


def _address(text: str) -> Make:
    return lambda home, folder: text


class _Bad(http.server.BaseHTTPRequestHandler):
    """Answers as its server's `kind` says."""

    def do_GET(self):
        getattr(self, f"_{self.server.kind}")()  # type: ignore[attr-defined]

    do_HEAD = do_GET

    def _silent(self):
        time.sleep(60)

    def _drips(self):
        """A byte a second, for longer than anyone waits."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        for _ in range(60):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(1)

    def _endless(self):
        """A body without an end, as fast as it is taken."""
        self.send_response(200)
        self.end_headers()
        for _ in range(20_000):
            self.wfile.write(bytes(1 << 20))

    def _forbidden(self):
        self.send_error(403)

    def _page(self):
        """An error page with a status of success, as portals give."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html><html>please log in</html>")

    def _circle(self):
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()

    def log_message(self, *_):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_):
        pass


_SERVERS: dict[str, str] = {}


def _server(kind: str) -> Make:
    """A server on this machine for the rest of the session."""

    def make(home: Home, folder: Path) -> str:
        if kind not in _SERVERS:
            server = _Server(("127.0.0.1", 0), _Bad)
            server.kind = kind  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            _SERVERS[kind] = f"http://127.0.0.1:{server.server_port}/bad.zarr"
        return _SERVERS[kind]

    return make


CASES = [
    *(
        Case(f"address for an output: {way}", _address("https://example.invalid/bad"), (way,), ("https://",))
        for way in _TO
        if way not in ("convert to", "forecast to", "report to")
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
        ("inspect", "forecast with", "train from"),
        ("https://",),
    ),
    Case("address for scores", _address("https://x.invalid/bad"), ("report",), ("https://",)),
    Case("address for pictures", _address("https://x.invalid/bad"), ("report of",), ("https://",)),
    Case("address for statistics", _address("https://x.invalid/bad"), ("published scales",), ("https://",)),
    Case(
        "address of no known kind",
        _address("ftp://x.invalid/bad.zarr"),
        (*_REMOTE, "evaluate", "forecast from"),
        ("ftp://",),
    ),
    Case("address of a file", _address("file:///nowhere/bad.zarr"), ("check", "evaluate"), ("file://",)),
    Case("address without a place", _address("http://"), ("check",), named=False),
    Case("address with a broken port", _address("http://127.0.0.1:abc/bad.zarr"), ("check",)),
    Case("address of nobody", _address(f"{_CLOSED}/bad.zarr"), ("check",), alone=True),
    Case("server that is silent", _server("silent"), ("check",), alone=True),
    Case("server that drips", _server("drips"), ("check",), alone=True),
    Case("server without an end", _server("endless"), ("check",), alone=True),
    Case("server that forbids", _server("forbidden"), ("check", "evaluate")),
    Case("server of a page", _server("page"), ("check", "evaluate")),
    Case("server in a circle", _server("circle"), ("check",), alone=True),
]


def _there(home: Home, folder: Path) -> Path:
    """An output that exists, with something in it."""
    (folder / "bad.zarr").mkdir()
    (folder / "bad.zarr" / "precious.txt").write_text("mine")
    return folder / "bad.zarr"


def _in_file(home: Home, folder: Path) -> Path:
    (folder / "bad").write_text("a file")
    return folder / "bad" / "bad.zarr"


def _in_store(home: Home, folder: Path) -> Path:
    return home.store / "bad.zarr"


def _in_null(home: Home, folder: Path) -> Path:
    return Path("/dev/null/bad.zarr")


def _in_proc(home: Home, folder: Path) -> Path:
    return Path("/proc/bad.zarr")


def _long(home: Home, folder: Path) -> Path:
    return folder / ("bad" * 100 + ".zarr")


def _dangling(home: Home, folder: Path) -> Path:
    (folder / "bad.zarr").symlink_to(folder / "nowhere" / "deep")
    return folder / "bad.zarr"


def _fifo(home: Home, folder: Path) -> Path:
    os.mkfifo(folder / "bad.zarr")
    return folder / "bad.zarr"


_OUTPUTS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "that exists": (_there, _TO),
    "in a file": (_in_file, _TO),
    "in the input store": (_in_store, ("stats to", "convert to", "train in", "forecast to", "evaluate to", "plot to")),
    "in /dev/null": (_in_null, _TO),
    "in /proc": (_in_proc, _TO),
    "with too long a name": (_long, _TO),
    "that is a link to nothing": (_dangling, _TO),
    "that is a FIFO": (_fifo, _TO),
    "that is the input": (lambda home, folder: home.store, ("convert to", "stats to")),
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

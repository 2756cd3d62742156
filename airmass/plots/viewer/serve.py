"""The page from a server on this machine, for forecasts larger than a page: it reads what is looked at."""

import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError
from airmass.core.place import Place
from airmass.plots.viewer import page
from airmass.plots.viewer.colours import safe_style
from airmass.plots.viewer.sources import Contents, ViewField, holds, open_contents
from airmass.plots.viewer.tracks import track_records
from airmass.plots.viewer.view import all_sources, description

ADDRESS = "127.0.0.1"
# Frames of all members that are kept, of the last ones read.
_KEPT = 4


class Server(ThreadingHTTPServer):
    """Serves one page and the numbers that it asks for, on the loopback interface only."""

    daemon_threads = True

    def __init__(self, contents: Contents, tracks: list[dict[str, Any]], port: int = 0):
        super().__init__((ADDRESS, port), _Handler)
        self.fields = Fields(contents)
        about = description(contents, tracks, times=1, served=True)
        self.page = "".join([*page.head(about["title"], served=True), *page.tail(about)]).encode()

    @property
    def hosts(self) -> tuple[str, ...]:
        return f"{ADDRESS}:{self.server_port}", f"localhost:{self.server_port}"


class Fields:
    """Values of the sources in display units, by what a page asks for."""

    def __init__(self, contents: Contents):
        self._sources = all_sources(contents)
        self._fields = {field.key: field for field in contents.fields}
        self._nodes = contents.grid.size
        self._members = lru_cache(_KEPT)(self._read)
        self._lock = Lock()  # readers of NetCDF files are not safe among threads

    def frame(self, query: Mapping[str, str]) -> Float[np.ndarray, "latitude longitude"]:
        """One member, `mean`, `spread` or the percentage of members `above` a threshold, at one time."""
        number, init = self._place(query)
        time, product = _whole(query, "time", self._sources[number].shape[1]), query.get("product", "")
        with self._lock:
            values = self._members(number, self._parts(number, query), init, time)
        if product == "mean":
            return values.mean(0)
        if product == "spread":
            return values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)
        if product == "above":
            above = np.where(np.isnan(values), np.nan, values > _number(query, "threshold"))
            return 100 * above.mean(0)
        return values[_whole({"product": product}, "product", len(values))]

    def series(self, query: Mapping[str, str]) -> Float[np.ndarray, "time number"]:
        """Every member at one node, at all times."""
        number, init = self._place(query)
        source, node = self._sources[number], _whole(query, "node", self._nodes)
        with self._lock:
            parts = [source.read_node(self._fields[key], init, node) for key in self._parts(number, query)]
        return _shown([self._fields[key] for key in self._parts(number, query)], parts)

    def _place(self, query: Mapping[str, str]) -> tuple[int, int]:
        number = _whole(query, "source", len(self._sources))
        return number, _whole(query, "init", self._sources[number].shape[0])

    def _parts(self, number: int, query: Mapping[str, str]) -> tuple[str, ...]:
        """Fields to read for one that is asked for: the components, for a wind's speed."""
        key = query.get("field", "")
        height = key.removeprefix("wind")
        parts = (key,) if key == height else tuple(
            f"{height.removesuffix('m')}{part}" if height.endswith("m") else f"{part}{height}" for part in "uv"
        )  # fmt: skip
        for part in parts:
            if part not in self._fields or not holds(self._sources[number], self._fields[part]):
                raise InputError(f"no field {key}")
        return parts

    def _read(self, number: int, keys: tuple[str, ...], init: int, time: int) -> np.ndarray:
        fields = [self._fields[key] for key in keys]
        return _shown(fields, [self._sources[number].read_frame(field, init, time)[:, 0] for field in fields])


def _shown(fields: Sequence[ViewField], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Values in display units; of two components, the speed."""
    shown = [safe_style(field.variable).shown(part) for field, part in zip(fields, parts, strict=True)]
    return shown[0] if len(shown) == 1 else np.hypot(*shown)


def _whole(query: Mapping[str, str], name: str, count: int) -> int:
    text = query.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count):
        raise InputError(f"{name} is {text!r}, expected a whole number below {count}")
    return int(text)


def _number(query: Mapping[str, str], name: str) -> float:
    try:
        value = float(query.get(name, ""))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise InputError(f"{name} is {query.get(name, '')!r}, expected a number")
    return value


class _Handler(BaseHTTPRequestHandler):
    """Answers for the page alone: a request under another name of this machine (DNS rebinding) is refused."""

    server: Server
    timeout = 60

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        answers: dict[str, Callable[[Mapping[str, str]], np.ndarray]] = {
            "/frame": self.server.fields.frame, "/series": self.server.fields.series,
        }  # fmt: skip
        if self.headers.get("Host") not in self.server.hosts:
            self._answer(403, "text/plain", b"this server answers its own page only")
        elif address.path == "/":
            self._answer(200, "text/html; charset=utf-8", self.server.page)
        elif address.path in answers:
            self._numbers(answers[address.path], query)
        else:
            self._answer(404, "text/plain", b"no such page")

    def _numbers(self, read: Callable[[Mapping[str, str]], np.ndarray], query: Mapping[str, str]) -> None:
        try:
            values = read(query)
        except InputError as error:
            self._answer(400, "text/plain; charset=utf-8", str(error).encode())
            return
        self._answer(200, "application/octet-stream", np.ascontiguousarray(values, "<f4").tobytes())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(
    forecasts: Sequence[Place],
    truth: Place | None = None,
    tracks: str | Path | None = None,
    fields: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    all_init_times: bool = True,
    port: int = 0,
    ready: Callable[[Server], None] | None = None,
) -> None:
    """Serve a page of forecasts until interrupted; `ready` is called with the server once it listens.

    Raises InputError as `write_view` does, and for a port that is taken.
    """
    contents = open_contents(forecasts, truth, fields, init_times, all_init_times)
    found = [] if tracks is None else track_records(tracks)
    try:
        server = Server(contents, found, port)
    except OSError as error:
        raise InputError(f"--port {port}: {error.strerror}") from None
    with server:
        print(f"Open http://{ADDRESS}:{server.server_port}/ in a browser on this machine; Ctrl-C ends.", flush=True)
        if ready:
            ready(server)
        server.serve_forever(poll_interval=0.1)

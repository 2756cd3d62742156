"""Servers on this machine that answer as no server should, and one that is healthy."""

import http.server
import socketserver
import threading
import time
from functools import cache

from tests.border.case import Make


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

    def _whole(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"whole" if self.command == "GET" else b"")

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


@cache
def _address(kind: str) -> str:
    """The address of a server for the rest of the session."""
    server = _Server(("127.0.0.1", 0), _Bad)
    server.kind = kind  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def whole_files() -> str:
    """The address of a healthy server, which has every file."""
    return _address("whole")


def server(kind: str, path: str = "/bad.zarr") -> Make:
    return lambda home, folder: f"{_address(kind)}{path}"

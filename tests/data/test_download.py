"""Downloads from a server on this machine: resumed, verified, refused."""

import base64
import hashlib
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.download import download, files_named, offered, published_files

CONTENT = bytes(range(256)) * 9000


class Bucket(http.server.ThreadingHTTPServer):
    """Answers any path with `content`: ranges, Google's checksum; `cut` breaks off after that many bytes, once each."""

    content, md5, cuts, whole = CONTENT, hashlib.md5(CONTENT).digest(), [], False
    ranges: list[str]
    block, seconds, pause = 2**30, 0.0, threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Bucket

    def _head(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"v1"')
        if self.server.md5:
            self.send_header("x-goog-hash", "crc32c=AAAAAA==")
            self.send_header("x-goog-hash", f"md5={base64.b64encode(self.server.md5).decode()}")
        self.end_headers()

    def do_HEAD(self) -> None:
        if "absent" in self.path:
            self.send_error(404)
            return
        self._head(200, len(self.server.content))

    def do_GET(self) -> None:
        given = self.headers.get("Range", "")
        start = int(given[6:-1]) if given and not self.server.whole else 0
        self.server.ranges.append(given)
        part = self.server.content[start:]
        self._head(206 if start else 200, len(part))
        cut = self.server.cuts.pop(0) if self.server.cuts else len(part)
        for at in range(0, cut, self.server.block):
            self.wfile.write(part[at : min(at + self.server.block, cut)])
            self.server.pause.wait(self.server.seconds)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def bucket(monkeypatch) -> Iterator[tuple[Bucket, str]]:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with Bucket(("127.0.0.1", 0), Handler) as server:
        server.ranges = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


FILE = files_named("gencast-mini")[0]


def test_the_command_downloads_all_files_of_a_name(bucket, tmp_path, capsys):
    _, address = bucket
    assert main(["download", "gencast-stats", "--out", str(tmp_path / "stats"), "--server", address]) == 0
    shown = capsys.readouterr().out
    assert "mean_by_level.nc: 0.00 GB, CC BY 4.0, MD5 checked" in shown
    names = {"mean_by_level.nc", "stddev_by_level.nc", "diffs_stddev_by_level.nc", "min_by_level.nc"}
    assert {path.name for path in (tmp_path / "stats").iterdir()} == names
    assert all((tmp_path / "stats" / name).read_bytes() == CONTENT for name in names)
    assert main(["download"]) == 0
    assert main(["download", "gencast-mni", "--out", str(tmp_path)]) == 2


def test_broken_connections_are_gone_on_with(bucket, tmp_path):
    server, address = bucket
    server.cuts = [1000, 500_000, 10]
    assert download(offered(FILE, address), tmp_path) is True
    assert (tmp_path / FILE.file_name).read_bytes() == CONTENT
    assert server.ranges == ["", "bytes=1000-", "bytes=501000-", "bytes=501010-"]
    assert download(offered(FILE, address), tmp_path) is False
    assert [path.name for path in tmp_path.iterdir()] == [FILE.file_name]


def test_a_stopped_run_is_gone_on_with_and_says_so(bucket, tmp_path):
    server, address = bucket
    server.cuts = [100] * 5
    with pytest.raises(InputError, match=r"stopped after 500 of 2304000 bytes; run the same command to go on"):
        download(offered(FILE, address), tmp_path)
    server.ranges.clear()
    assert download(offered(FILE, address), tmp_path)
    assert server.ranges == ["bytes=500-"]


def test_another_version_is_read_from_its_start(bucket, tmp_path):
    server, address = bucket
    server.cuts = [100] * 5
    with pytest.raises(InputError, match="stopped"):
        download(offered(FILE, address), tmp_path)
    server.content, server.md5 = b"new" * 1000, hashlib.md5(b"new" * 1000).digest()
    assert download(offered(FILE, address), tmp_path)
    assert (tmp_path / FILE.file_name).read_bytes() == server.content


def test_a_server_without_ranges_sends_the_whole_again(bucket, tmp_path):
    server, address = bucket
    server.cuts, server.whole = [1000], True
    assert download(offered(FILE, address), tmp_path)
    assert (tmp_path / FILE.file_name).read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(bucket, tmp_path):
    server, address = bucket
    offer = offered(FILE, address)
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(InputError, match="2304000 bytes of another checksum"):
        download(offer, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_is_refused(bucket, tmp_path):
    _, address = bucket
    (tmp_path / FILE.file_name).write_bytes(b"mine")
    with pytest.raises(InputError, match="exists, and is not the file that the server has"):
        download(offered(FILE, address), tmp_path)
    with pytest.raises(InputError, match="the server answers 404"):
        offered(FILE, f"{address}/absent")
    with pytest.raises(InputError, match="cannot be reached"):
        offered(FILE, "http://127.0.0.1:9")
    with pytest.raises(InputError, match="begins with https"):
        offered(FILE, "ftp://127.0.0.1")


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with(bucket, tmp_path):
    server, address = bucket
    server.block, server.seconds = 2**16, 0.2
    words = ["download", "gencast-mini", "--out", str(tmp_path / "d"), "--server", address]
    part = tmp_path / "d" / f"{FILE.file_name}.part"
    with subprocess.Popen([sys.executable, "-m", "airmass", *words], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (part.exists() and part.stat().st_size > 2**17):
            server.pause.wait(0.05)
        process.kill()
    held = part.stat().st_size
    assert 0 < held < len(CONTENT) and not (tmp_path / "d" / FILE.file_name).exists()
    server.seconds = 0.0
    server.ranges.clear()
    assert main(words) == 0
    assert server.ranges == [f"bytes={held}-"]
    assert (tmp_path / "d" / FILE.file_name).read_bytes() == CONTENT
    assert not part.exists()


def test_every_name_has_a_licence_and_a_size():
    assert all(file.licence and file.megabytes > 0 and file.path for file in published_files())
    assert not Path(FILE.file_name).is_absolute()

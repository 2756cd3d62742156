"""The server: its page, exact values, its errors in words, and no answer to any name but its own."""

import http.client
import json
import re
import threading

import numpy as np
import pytest

from airmass.commands.main import main
from airmass.plots.viewer.serve import Server
from airmass.plots.viewer.sources import open_contents
from tests.browser import BROWSER, browser
from tests.plots.viewer.test_view import ENSEMBLE, TRUTH, files  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def server(files):  # noqa: F811
    contents = open_contents([files / "ensemble.zarr"], files / "truth.zarr", all_init_times=True)
    with Server(contents, []) as opened:
        threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield opened
        opened.shutdown()


def ask(server: Server, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def numbers(server: Server, path: str) -> np.ndarray:
    status, body = ask(server, path)
    assert status == 200, body
    return np.frombuffer(body, "<f4")


def celsius(members: np.ndarray) -> np.ndarray:
    return members.astype(np.float64) - 273.15


def test_frames_and_series_are_those_of_the_store(server):
    members = celsius(ENSEMBLE["2m_temperature"].isel(init_time=1, lead_time=2).values)
    at = "/frame?source=0&field=2t&init=1&time=2&product="
    for product, expected in (
        ("2", members[2]), ("mean", members.mean(0)), ("spread", members.std(0, ddof=1)),
        ("above&threshold=10", 100 * (members > 10).mean(0)),
    ):  # fmt: skip
        assert numbers(server, at + product) == pytest.approx(expected.ravel(), abs=1e-4)
    winds = [ENSEMBLE[f"10m_{part}_component_of_wind"].isel(init_time=0, lead_time=0).values for part in "uv"]
    assert numbers(server, "/frame?source=0&field=wind10m&init=0&time=0&product=mean") == pytest.approx(
        np.hypot(*winds).mean(0).ravel(), abs=1e-4
    )
    series = numbers(server, "/series?source=0&field=z500&init=2&node=37").reshape(-1, 3)
    stored = ENSEMBLE["geopotential"].sel(level=500).isel(init_time=2).values.reshape(3, 3, -1)[..., 37] / 98.0665
    assert series == pytest.approx(stored.T, abs=1e-3)
    times = np.unique(ENSEMBLE.valid_time.values)
    truth = celsius(TRUTH["2m_temperature"].sel(time=times[1]).values)
    assert numbers(server, "/frame?source=1&field=2t&init=0&time=1&product=0") == pytest.approx(truth.ravel(), abs=1e-4)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/frame", 400, "source is '', expected a whole number below 2"),
        ("/frame?source=0&field=2t&init=0&time=99&product=mean", 400, "time is '99', expected a whole number below 3"),
        ("/frame?source=0&field=nothing&init=0&time=0&product=mean", 400, "no field nothing"),
        ("/frame?source=0&field=wind850&init=0&time=0&product=mean", 400, "no field wind850"),
        (
            "/frame?source=0&field=2t&init=0&time=0&product=above&threshold=x",
            400,
            "threshold is 'x', expected a number",
        ),
        ("/series?source=0&field=2t&init=0&node=-1", 400, "node is '-1', expected a whole number below 128"),
        ("/../../etc/passwd", 404, "no such page"),
    ],
)
def test_a_bad_request_is_answered_in_words(server, path, status, said):
    assert ask(server, path) == (status, said.encode())


def test_only_the_machine_itself_is_answered(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, "/", host="evil.example")[0] == 403
    assert ask(server, "/", host=f"localhost:{server.server_port}")[0] == 200


def test_a_served_page_is_small_and_may_ask_its_server_only(server):
    page = ask(server, "/")[1].decode()
    assert "connect-src &#x27;self&#x27;" in page and len(page) < 500_000
    assert json.loads(re.search(r'id="about">(.*?)</script>', page, re.DOTALL)[1])["served"]


def test_a_port_that_is_taken_is_one_line(server, files, capsys):  # noqa: F811
    words = ["view", str(files / "single.zarr"), "--serve", "--port", str(server.server_port)]
    assert main(words) == 2
    assert capsys.readouterr().err == f"airmass view: --port {server.server_port}: Address already in use\n"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_served_page_in_a_browser(server, tmp_path):
    address = f"http://127.0.0.1:{server.server_port}/"
    with browser(tmp_path) as page:
        link = "#t=2000-11-01T18:00&a=0,0,2t,difference,-1,0&b=0,0,z500,spread,-1,0&n=2&w=arrows&x=10,100&m=meteogram"
        page.open(address + link)
        page.until("!document.querySelector('#panel-a .absent').textContent")
        page.until("!document.querySelector('#panel-b .absent').textContent")
        page.until("document.querySelectorAll('.chart canvas').length > 1")
        found = page.value("Object.assign({}, document.getElementById('value-a').dataset)")
        at = int(found["row"]), int(found["column"])
        mean = ENSEMBLE["2m_temperature"].isel(init_time=0, lead_time=0).values.mean(0)
        truth = TRUTH["2m_temperature"].sel(time=ENSEMBLE.valid_time.values[0, 0]).values
        assert float(found["value"]) == pytest.approx((mean - truth)[at], abs=1e-3)
        assert page.messages == [] and all(asked.startswith(address) for asked in page.requests)

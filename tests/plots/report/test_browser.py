"""The report in a real browser: names full of markup run no script and send no request."""

import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from airmass.data.preparation.statistics import compute_statistics
from airmass.evaluation.scores import Score, ScoreTable
from airmass.plots.report.report import write_report
from tests.browser import browser
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, forecast_dataset, scored, truth_dataset, write_forecast

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]


@pytest.fixture
def server():
    """Where markup sends its requests, and the paths that were asked for."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    held = ThreadingHTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=held.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{held.server_port}", asked
    held.shutdown()
    held.server_close()


def hostile(url: str) -> list[str]:
    """Texts that run a script or send a request wherever they stand in a page unescaped."""
    run, ask = "document.title='ran'", "fetch"
    return [
        f"<script>{run}</script>",
        f"<script src={url}/script></script>",
        f'"><img src={url}/image onerror="{run}">',
        f"' onmouseover='{run}' autofocus onfocus='{run}",
        f"</style></script></title></textarea><svg onload={run}>",
        f'<iframe src="{url}/frame"></iframe><link rel=stylesheet href="{url}/style">',
        f'<meta http-equiv=refresh content="0;url={url}/refresh"><base href="{url}/">',
        f"<style>body{{background:url({url}/css)}}</style>",
        f"<!--><script>{ask}('{url}/fetch')</script>",
        f"javascript:{run}",
    ]


def opened(path, tmp_path) -> tuple[str, str]:
    """The page as it stands after it was loaded, and what the browser logs."""
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=3000",
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
        f"--log-net-log={tmp_path / 'net.json'}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


def addresses(tmp_path, url) -> set[str]:
    """Everything under `url` that the browser's network log speaks of."""
    return set(re.findall(re.escape(url) + r"[^\"\\ ]*", (tmp_path / "net.json").read_text()))


@pytest.fixture
def page(tmp_path, server):
    """A report in which every name, path, attribute and file name is hostile."""
    texts = hostile(server[0])
    scores, plots = tmp_path / "scores", tmp_path / "plots"
    scores.mkdir()
    plots.mkdir()
    table = ScoreTable(Score(text, "temperature", 850, 6, "rmse", 1.0) for text in (*texts, "persistence"))
    (scores / "scores.json").write_text(table.to_json())
    left = {
        "variable": texts[0],
        "levels": [850],
        "lead_time_hours": 6,
        "init_times": ["2000-01-01T00:00"],
        "what": texts[1],
    }
    about = {
        "forecasts": {text: [text] for text in texts}, "members": dict.fromkeys(texts, 1), "truth": texts[2],
        "climatology": texts[3], "grid": texts[4], "init_times": ["2000-01-01T00:00"], "lead_time_hours": [6],
        "left_out": texts, "left_out_values": [left | {"reason": texts[5]}], "airmass_version": texts[6],
    }  # fmt: skip
    (scores / "evaluation.json").write_text(json.dumps(about))
    for text in texts:
        for kind in ("map", "curves"):
            name = f"{kind}_{text.replace('/', '&sol;')}.png"
            Image.fromarray(np.zeros((4, 6), np.uint8)).save(plots / name, format="PNG")
    settings = {text: dict.fromkeys(texts, texts) for text in texts}
    return write_report(
        tmp_path / "report.html", texts[0], scores, plots, settings, dict.fromkeys(texts, 1.0), texts
    )  # fmt: skip


def test_no_script_runs_and_no_request_leaves(page, tmp_path, server):
    url, asked = server
    dom, log = opened(page, tmp_path)
    texts = hostile(url)
    assert "<title>ran" not in dom and asked == [] and addresses(tmp_path, url) == set()
    assert dom.count("<script>") == 1 and "Content Security Policy" not in log
    for text in texts:
        assert text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in dom


def test_were_a_text_not_escaped_the_policy_would_still_hold(page, tmp_path, server):
    url, asked = server
    kinds = [text for text in hostile(url) if "refresh" not in text]
    page.write_text(page.read_text().replace("<body>", "<body>" + "".join(kinds), 1))
    dom, _ = opened(page, tmp_path)
    assert "<title>ran" not in dom and asked == []


def test_without_either_such_texts_do_run(page, tmp_path, server):
    """So that the tests above can fail."""
    url, asked = server
    bare = tmp_path / "bare.html"
    bare.write_text("<title>t</title><body>" + hostile(url)[0] + hostile(url)[2])
    dom, _ = opened(bare, tmp_path)
    assert "<title>ran" in dom and asked == ["/image"] and addresses(tmp_path, url) != set()


def test_every_picture_is_there_and_readable_at_two_widths(tmp_path):
    """An ensemble and a single forecast, with spectra, maps, events, regions and scorecards."""
    truth = truth_dataset(days=60, names=("geopotential", "2m_temperature"), start="2000-11-01")
    make_store(tmp_path / "truth.zarr", truth)
    compute_statistics(tmp_path / "truth.zarr", tmp_path / "statistics", ("2000-11-01", "2000-12-30"))
    options = {"init_indices": range(8, 28, 2), "climatology": tmp_path / "statistics" / "climatology.zarr"}
    write_forecast(tmp_path / "e.zarr", ensemble_dataset(truth, **options))
    write_forecast(tmp_path / "d.zarr", forecast_dataset(truth, error=2.0, **options))
    paths = [tmp_path / "e.zarr", tmp_path / "d.zarr"]
    asked = {"against": "graphcast", "regions": ["tropics"], "spectra": ["24h"], "maps": ["24h"]}
    scored(paths, tmp_path / "truth.zarr", tmp_path / "scores", **asked)
    report = write_report(tmp_path / "report.html", "title", tmp_path / "scores")
    with browser(tmp_path / "profile") as page:
        for width in (1280, 400):
            page.open(report.as_uri(), width)
            assert page.messages == [] and all(asked.startswith(("file:", "data:")) for asked in page.requests)
            images = page.value("[...document.images].map(i => [i.alt, i.naturalWidth, i.width])")
            for text in ("Scorecard", "Scores of", "Spread", "Rank", "reliability", "roc", "value", "Spectra", "Maps"):
                assert any(text in alt for alt, _, _ in images), text
            # A broad picture keeps a readable width and scrolls; the page itself does not.
            small = [(alt, shown) for alt, natural, shown in images if shown < (700 if natural > 700 else 300)]
            assert not small
            assert page.value("document.documentElement.scrollWidth") <= width
        assert "Effective resolution" in page.value("document.body.innerText")

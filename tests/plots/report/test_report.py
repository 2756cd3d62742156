"""The page: complete in itself, nothing from outside, every text escaped."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from airmass.core.errors import InputError
from airmass.evaluation.scores import Score, ScoreTable
from airmass.plots.report.report import write_report
from airmass.plots.report.tables import headline_table, verdict

NASTY = "<script>alert('x')</script> & \"more\""


@pytest.fixture
def folders(tmp_path):
    scores, plots = tmp_path / "scores", tmp_path / "plots"
    scores.mkdir()
    plots.mkdir()
    rows = {"graphcast": (30.0, 90.0), "persistence": (100.0, 90.1), "climatology": (80.0, 60.0), "<b>": (1.0, 1.0)}
    table = ScoreTable(
        Score(system, "geopotential", 500, hour, "rmse", value)
        for system, values in rows.items()
        for hour, value in zip((6, 120), values, strict=True)
    )
    (scores / "scores.json").write_text(table.to_json())
    about = {"init_times": ["2001-01-01T00:00"], "grid": "16 x 8", "truth": "t.zarr"}
    about |= {"forecasts": {"graphcast": ["f.zarr"]}, "lead_time_hours": [6, 120]}
    (scores / "evaluation.json").write_text(json.dumps(about))
    for name in ("map_z500.png", "curves.png", "animation_z500.gif"):
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(plots / name)
    return scores, plots, table


class Page(HTMLParser):
    VOID = ("meta", "link", "img", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def write(tmp_path, folders, **options):
    scores, plots, _ = folders
    arguments = {"settings": {NASTY: {NASTY: NASTY}}, "timings": {"train": 200.0}, "commands": [f"airmass {NASTY}"]}
    path = write_report(tmp_path / "report.html", NASTY, scores, plots, **arguments | options)
    text = path.read_text()
    return text, Page(text)


def test_it_is_one_page_that_needs_nothing_else(tmp_path, folders):
    text, page = write(tmp_path, folders)
    assert page.open == [] and page.tags.count("img") == 3
    assert page.links and all(link.startswith("data:") for link in page.links)
    assert not re.search(r"https?://|url\(|@import", text)


def test_every_text_is_escaped(tmp_path, folders):
    text, page = write(tmp_path, folders)
    assert page.tags.count("script") == 1 and "<script>alert" not in text and "<b>&lt;b&gt;" not in text
    assert page.text.count(NASTY) >= 5
    assert "RMSE of <b>" in page.text


def test_it_says_what_was_done(tmp_path, folders):
    _, page = write(tmp_path, folders)
    for said in ("1 initial time, 2001-01-01 00:00 UTC, to 5 days", "16 x 8", "3 min 20 s", "t.zarr"):
        assert said in page.text


def test_all_scores_can_be_downloaded(tmp_path, folders):
    _, page = write(tmp_path, folders)
    link = next(link for link in page.links if link.startswith("data:text/csv"))
    lines = base64.b64decode(link.partition(",")[2]).decode().splitlines()
    assert len(lines) == 1 + 8 and "graphcast,geopotential,500,6,rmse,30" in lines


def test_the_verdict_does_not_rest_on_colour(folders):
    table = folders[2]
    assert verdict(table, "graphcast") == (
        "graphcast beats persistence in 1 of 2 and climatology in 1 of 2 headline comparisons of RMSE."
    )
    shown = headline_table(table, "graphcast")
    for text in ("▲ 70 % below persistence", "● as persistence", "▼ 50 % above climatology"):
        assert text in shown


def test_without_pictures_or_settings(tmp_path, folders):
    path = write_report(tmp_path / "report.html", "plain", folders[0])
    assert Page(path.read_text()).tags.count("img") == 0


def test_refusals(tmp_path, folders):
    scores, plots, _ = folders
    with pytest.raises(InputError, match="already exists"):
        write_report(scores, "title", scores)
    with pytest.raises(InputError, match=r"scores\.json: no such file"):
        write_report(tmp_path / "report.html", "title", plots)
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "report.html", "title", scores, tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no pictures"):
        write_report(tmp_path / "report.html", "title", scores, scores)
    (scores / "scores.json").write_text('[{"system": "a"}]')
    with pytest.raises(InputError, match=r"scores.json: \[0\].variable is missing"):
        write_report(tmp_path / "report.html", "title", scores)
    assert not (tmp_path / "report.html").exists()


def test_an_ensemble_is_judged_by_its_crps_and_its_pictures_have_their_places(tmp_path, folders):
    scores, plots, _ = folders
    rows = {"gencast": {"crps": 20.0, "rmse": 45.0, "spread": 40.0, "spread_skill": 0.9, "brier_skill_above_0.9": 0.2}}
    rows |= {"persistence": {"crps": 40.0, "rmse": 50.0}}
    kept = [
        Score(system, "geopotential", 500, 120, metric, value)
        for system, by_metric in rows.items()
        for metric, value in by_metric.items()
    ]
    kept.append(Score("gencast", "10m_wind_speed", None, 120, "brier_skill_above_0.9", 0.25))
    (scores / "scores.json").write_text(ScoreTable(kept).to_json())
    for kind in ("spread", "ranks", "extremes", "spectra_24h", "plume_z500", "stamps_z500", "spaghetti_z500"):
        Image.fromarray(np.zeros((4, 6), np.uint8)).save(plots / f"{kind}.png")
    text, page = write(tmp_path, folders)
    assert page.tags.count("img") == 3 + 7 and page.open == []
    assert "gencast beats persistence in 1 of 1 headline comparisons of CRPS." in page.text
    for said in ("▲ 50 % below persistence", "▲ 10 % below persistence", "Rank histograms", "Plumes", "0.250"):
        assert said in page.text
    assert "brier_skill_above_0.9, " not in text and "spread, m²/s²" in page.text

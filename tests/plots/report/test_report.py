"""The page: complete in itself, nothing from outside, every text escaped."""

import base64
import csv
import hashlib
import html
import io
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from airmass.core.errors import InputError
from airmass.evaluation.scores import Score, ScoreTable, read_rank_histograms, read_spectra
from airmass.plots.report.report import write_report
from airmass.plots.report.tables import as_csv, headline_table, verdict

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
        "graphcast has a lower RMSE than persistence in 1 of 2 and climatology in 1 of 2 headline comparisons."
    )
    shown = headline_table(table, "graphcast")
    for text in ("▲ 70 % below persistence", "● as persistence", "▼ 50 % above climatology"):
        assert text in shown


def test_without_plots_the_pictures_of_the_scores_are_drawn(tmp_path, folders):
    page = Page(write_report(tmp_path / "report.html", "plain", folders[0]).read_text())
    assert page.tags.count("img") == 1 and "Error against lead time" in page.text


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
    assert "gencast has a lower CRPS than persistence in 1 of 1 headline comparisons." in page.text
    for said in ("▲ 50 % below persistence", "▲ 10 % below persistence", "Rank histograms", "Plumes", "0.250"):
        assert said in page.text
    assert "brier_skill_above_0.9, " not in text and "spread, m²/s²" in page.text


def test_names_that_are_formulas_stay_texts_in_the_csv():
    names = ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "＝1", 'a,"b"', "plain")
    table = ScoreTable(Score(name, "temperature", 850, 6, "bias", -0.5) for name in names)
    rows = list(csv.reader(io.StringIO(as_csv(table), newline="")))[1:]
    assert [row[0] for row in rows] == [*(f"'{name}" for name in names[:7]), 'a,"b"', "plain"]
    assert {row[-1] for row in rows} == {"-0.5"}


def test_the_policy_admits_our_style_and_script_and_nothing_else(tmp_path, folders):
    text, _ = write(tmp_path, folders)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.strip().split(" ", 1) for rule in html.unescape(policy).split(";"))
    for tag in ("style", "script"):
        (ours,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    none = {"default-src", "base-uri", "form-action"}
    assert rules == {"img-src": "data:"} | dict.fromkeys(none, "'none'")
    assert not re.search(r'\s(style|on\w+)="', text)


SCORE = {"system": "a", "variable": "temperature", "level": 850, "lead_time_hours": 6, "metric": "rmse", "value": 1.0}
HISTOGRAM = {key: SCORE[key] for key in ("system", "variable", "level", "lead_time_hours")}


@pytest.mark.parametrize(
    ("faults", "match"),
    [
        ({"level": "<script>alert(1)</script>"}, r"\[0\]\.level is '<script>alert.*expected an integer"),
        ({"level": 850.5}, r"\[0\]\.level"),
        ({"level": True}, r"\[0\]\.level"),
        ({"level": None}, "level is None, expected hPa"),
        ({"level": -1}, r"\[0\]\.level is -1, expected 1 to 2000"),
        ({"lead_time_hours": 1e300}, "lead_time_hours is 1e[+]300, expected 0 to 87840"),
        ({"lead_time_hours": "6"}, "lead_time_hours"),
        ({"value": None}, "value is None, expected a number"),
        ({"value": "1"}, "value"),
        ({"metric": "brier_skill_above_x"}, "metric is 'brier_skill_above_x', expected one of acc"),
        ({"variable": "__class__"}, "variable is '__class__'"),
        ({"system": ["a"]}, r"system"),
        ({"system": ""}, "system is empty"),
        ({"more": 1}, "more is not known"),
    ],
)
def test_scores_are_read_strictly(tmp_path, folders, faults, match):
    refused(tmp_path, folders, match, {"scores.json": json.dumps([SCORE | faults])})


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (
            {"scores.json": json.dumps([SCORE, SCORE | {"value": 2.0}])},
            r"\[1\] stands there twice: a, temperature, 850",
        ),
        ({"scores.json": json.dumps([SCORE]).replace("1.0", "NaN")}, "NaN"),
        ({"scores.json": json.dumps([SCORE]).replace("1.0", "1e999")}, "1e999"),
        ({"scores.json": "[" * 100_000}, "nested"),
        ({"scores.json": "{}"}, "expected a list"),
        ({"scores.json": "[]"}, "holds no scores"),
        ({"evaluation.json": "[]"}, "evaluation.json: the whole is .*expected an object"),
        ({"evaluation.json": "{"}, "evaluation.json: not JSON"),
        ({"evaluation.json": json.dumps({"forecasts": {"a": "f"}})}, "evaluation.json: truth is missing"),
    ],
)
def test_files_of_scores_are_read_strictly(tmp_path, folders, files, match):
    refused(tmp_path, folders, match, files)


def refused(tmp_path, folders, match, files):
    scores, plots, _ = folders
    for name, text in files.items():
        (scores / name).write_text(text)
    with pytest.raises(InputError, match=match) as caught:
        write_report(tmp_path / "report.html", "title", scores, plots)
    assert "\n" not in str(caught.value) and sorted(path.name for path in tmp_path.iterdir()) == ["plots", "scores"]


def test_histograms_and_spectra_are_read_strictly(folders):
    scores = folders[0]
    for shares in ([0.5, 0.6], [1.0], [-0.5, 1.5], ["0.5", 0.5]):
        (scores / "rank_histograms.json").write_text(json.dumps([HISTOGRAM | {"shares": shares}]))
        with pytest.raises(InputError, match=r"rank_histograms.json: \[0\].shares"):
            read_rank_histograms(scores)
    for power, ratio in (([1.0, 1.0], [1.0]), ([1.0], [1.0]), ([-1.0, 1.0], [1.0, None]), ([1.0, 1.0], [1.0, "x"])):
        record = HISTOGRAM | {"of_mean": False, "power": power, "ratio": ratio}
        (scores / "spectra.json").write_text(json.dumps([record]))
        with pytest.raises(InputError, match=r"spectra.json: \[0\]"):
            read_spectra(scores)


def test_what_is_no_picture_is_refused(tmp_path, folders):
    scores, plots, _ = folders
    (tmp_path / "secret").write_text("secret")
    png = (plots / "curves.png").read_bytes()
    makers = {
        "map_a.png": (lambda path: path.symlink_to(tmp_path / "secret"), "is a link to .*secret"),
        "map_b.png": (lambda path: path.symlink_to(plots / "curves.png"), "is a link to"),
        "map_c.png": (lambda path: path.write_text("<svg onload='alert(1)'/>"), "is not a PNG file: it begins with"),
        "map_d.gif": (lambda path: path.write_bytes(png), "is not a GIF file"),
        "map_e.png": (lambda path: path.write_bytes(png[:12]), "is not a PNG file"),
        "map_f.png": (
            lambda path: path.write_bytes(png[:16] + b"\xff" * 8 + png[24:]),
            "is 4294967295 x 4294967295 pixels, expected",
        ),
        "map_g.png": (lambda path: path.mkdir(), "is a folder, expected a file"),
        "map_h.png": (os.mkfifo, "is not a regular file"),
        "map_i.png": (lambda path: path.touch(), "is not a PNG file: it begins with nothing"),
    }
    for name, (make, match) in makers.items():
        make(plots / name)
        with pytest.raises(InputError, match=f"{name}: {match}"):
            write_report(tmp_path / "report.html", "title", scores, plots)
        path = plots / name
        path.rmdir() if path.is_dir() else path.unlink()
    assert not (tmp_path / "report.html").exists()


def test_names_that_no_document_can_hold_are_shown_with_a_mark(tmp_path, folders):
    _, page = write(tmp_path, folders, settings={"a\udcff\x00": {"b\x1b[31m": "\ufffe"}})
    assert "a\ufffd\ufffd" in page.text and "b\ufffd[31m" in page.text


def test_what_was_left_out_is_in_the_page(tmp_path, folders):
    scores = folders[0]
    about = json.loads((scores / "evaluation.json").read_text())
    one = {"variable": "temperature", "levels": [500, 850], "lead_time_hours": 6, "init_times": ["2001-01-01T00:00"]}
    about |= {"left_out": [NASTY], "left_out_values": [one | {"what": NASTY, "reason": "lost"}]}
    (scores / "evaluation.json").write_text(json.dumps(about))
    _, page = write(tmp_path, folders)
    assert page.text.count(NASTY) >= 7 and "500, 850 hPa" in page.text and page.tags.count("script") == 1

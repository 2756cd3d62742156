"""Bad input for evaluate, plot and report: exit 2, one line that names what is wrong, nothing written."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from airmass.commands.main import main
from airmass.evaluation.scores import Score, ScoreTable
from tests.conftest import make_store
from tests.forecasts import ensemble_dataset, forecast_dataset, truth_dataset, write_climatology, write_forecast

TRUTH = truth_dataset()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    make_store(folder / "truth.zarr", TRUTH)
    write_climatology(folder / "climatology.zarr", TRUTH)
    write_forecast(folder / "f.zarr", forecast_dataset(TRUTH, error=1.0))
    write_forecast(folder / "e.zarr", ensemble_dataset(TRUTH, 2))
    write_forecast(folder / "other.zarr", forecast_dataset(TRUTH, (0, 1), (6, 12), system="other"))
    write_forecast(folder / "far.zarr", forecast_dataset(TRUTH, (10, 11), (6, 12), system="far"))
    write_forecast(folder / "late.zarr", forecast_dataset(TRUTH, (3,), (12, 24)))
    write_forecast(folder / "named_truth.zarr", forecast_dataset(TRUTH, system="truth"))
    write_forecast(folder / "unnamed.zarr", forecast_dataset(TRUTH, system=""))
    coarse = truth_dataset(n_latitude=16, n_longitude=32)
    write_forecast(folder / "grid.zarr", forecast_dataset(coarse, system="grid"))
    write_forecast(folder / "levels.zarr", forecast_dataset(TRUTH.sel(level=[300, 500]), system="levels"))
    less = forecast_dataset(TRUTH, (3,)).drop_vars("2m_temperature")
    write_forecast(folder / "less.zarr", less)
    celsius = forecast_dataset(TRUTH, system="celsius")
    celsius["2m_temperature"].attrs["units"] = "degC"
    write_forecast(folder / "units.zarr", celsius)
    infinite = forecast_dataset(TRUTH, system="infinite")
    infinite.temperature.values[0, 0, 0, 0, 0] = np.inf
    write_forecast(folder / "infinite.zarr", infinite)
    (folder / "scores").mkdir()
    score = Score("graphcast", "temperature", 500, 6, "rmse", 1.0)
    (folder / "scores" / "scores.json").write_text(ScoreTable([score]).to_json())
    (folder / "empty").mkdir()
    (folder / "pictures").mkdir()
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(folder / "pictures" / "map_z500.png")
    return folder


# The words after the command, without truth and output, and what the line says.
EVALUATE = [
    ("f.zarr f.zarr", "f.zarr: given twice among the forecasts"),
    ("f.zarr late.zarr", "late.zarr: lead_time is 12 to 24 h every 12 h (2), but in"),
    ("f.zarr less.zarr", "less.zarr: holds geopotential"),
    ("f.zarr ./f.zarr/", "f.zarr: given twice among the forecasts"),
    ("f.zarr grid.zarr", "grid.zarr: grid is"),
    ("f.zarr levels.zarr", "levels.zarr: level is [300, 500], but in"),
    ("f.zarr units.zarr", "units.zarr: 2m_temperature has units 'degC', expected 'K'"),
    ("f.zarr infinite.zarr", "infinite.zarr: temperature"),
    ("f.zarr other.zarr", "init_time of other is"),
    ("f.zarr far.zarr --init-times common --lead-times common", "no init_time is common to all systems"),
    ("named_truth.zarr", "its system is 'truth', a name reserved for the truth"),
    ("unnamed.zarr", "attribute 'airmass_system' is ''"),
    ("truth.zarr", "so not a forecast"),
    ("empty", "empty"),
    ("scores/scores.json", "scores.json"),
    ("f.zarr --init-times yesterday", "yesterday"),
    ("f.zarr --init-times 2000-13-01", "2000-13-01"),
    ("f.zarr --init-times 2000-11-01T13", "graphcast has no init_time 2000-11-01T13:00"),
    ("f.zarr --init-times common 2000-11-02", "common"),
    ("f.zarr --lead-times 9e20d", "9e20d"),
    ("f.zarr --lead-times -6h", "-6h"),
    ("f.zarr --lead-times 48h", "graphcast has no lead_time 48 h"),
    ("f.zarr --lead-times 6h --spectra 24h", "spectra at 24 h: not among the lead times that are scored, 6 h"),
    ("f.zarr --spectra soon", "soon"),
    ("f.zarr --climatology truth.zarr", "no coordinate hour, dayofyear"),
    ("f.zarr --climatology nowhere", "nowhere: no such file or folder"),
    ("nowhere.zarr", "nowhere.zarr: no such file or folder"),
    ("", "no forecast files given, expected one or more"),
]
PLOT = [
    ("grid.zarr", "grid.zarr: grid is"),
    ("infinite.zarr --fields t300", "infinite.zarr: temperature has 1 infinite values at 2000-11-01T18:00"),
    ("e.zarr --places 91 0", "latitude is 91"),
    ("e.zarr --places nan 0", "latitude is nan"),
    ("e.zarr --places 0", "places"),
    ("f.zarr --fields z", "'z' is on levels"),
    ("f.zarr --fields ../x", "unknown variable '../x'"),
    ("f.zarr --fields z500 --animate q700", "missing variable specific_humidity"),
    ("f.zarr --fields z99999999999999999999", "missing level [99999999999999999999] hPa"),
    ("f.zarr --lead-times nan", "nan"),
    ("f.zarr --lead-times 7", "no lead time of 7 h"),
    ("f.zarr --init-time 2000-11-01", "no initial time 2000-11-01T00:00"),
    ("f.zarr --scores empty", "scores.json: no such file"),
    ("f.zarr --scores truth.zarr", "truth.zarr/scores.json: no such file"),
    ("f.zarr --scores nowhere.json", "nowhere.json"),
    ("e.zarr --climatology truth.zarr", "no coordinate hour, dayofyear"),
    ("truth.zarr", "so not a forecast"),
]
REPORT = [
    ("--scores empty", "scores.json: no such file"),
    ("--scores truth.zarr", "scores.json: no such file"),
    ("--scores pictures/map_z500.png", "map_z500.png"),
    ("--scores scores --plots empty", "empty: holds no pictures"),
    ("--scores scores --plots scores/scores.json", "scores.json: no such folder"),
    ("--scores scores --plots nowhere", "nowhere: no such folder"),
    ("--scores https://a/b", "scores must be a local path"),
]


def run(files, capsys, monkeypatch, words):
    monkeypatch.chdir(files)
    before = sorted(str(path) for path in files.rglob("*"))
    status = main(words)
    out, err = capsys.readouterr()
    assert status == 2 and err.count("\n") == 1 and "Traceback" not in err + out, (out, err)
    assert sorted(str(path) for path in files.rglob("*")) == before
    return err


@pytest.mark.parametrize(("words", "says"), EVALUATE)
def test_evaluate(files, capsys, monkeypatch, words, says):
    assert says in run(files, capsys, monkeypatch, ["evaluate", *words.split(), "--truth", "truth.zarr", "--out", "o"])


@pytest.mark.parametrize(("words", "says"), PLOT)
def test_plot(files, capsys, monkeypatch, words, says):
    assert says in run(files, capsys, monkeypatch, ["plot", *words.split(), "--truth", "truth.zarr", "--out", "o"])


@pytest.mark.parametrize(("words", "says"), REPORT)
def test_report(files, capsys, monkeypatch, words, says):
    assert says in run(files, capsys, monkeypatch, ["report", *words.split(), "--out", "o.html"])


@pytest.mark.parametrize(
    "command", ["evaluate f.zarr --truth truth.zarr", "plot f.zarr --truth truth.zarr", "report --scores scores"]
)
@pytest.mark.parametrize("out", ["scores", "scores/scores.json", "scores/scores.json/x", "https://a/o"])
def test_outputs_that_exist_or_cannot_be(files, capsys, monkeypatch, command, out):
    run(files, capsys, monkeypatch, [*command.split(), "--out", out])


@pytest.mark.parametrize("command", ["evaluate", "plot"])
@pytest.mark.parametrize("out", ["truth.zarr/o", "f.zarr/a/b", "truth.zarr"])
def test_outputs_in_what_is_read(files, capsys, monkeypatch, command, out):
    run(files, capsys, monkeypatch, [command, "f.zarr", "--truth", "truth.zarr", "--out", out])


def test_times_are_read_as_people_type_them(files, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    times = ["20001101T1200", "2000-11-02T01:00+01:00"]
    out = tmp_path / "o"
    assert main(["evaluate", "f.zarr", "--truth", "truth.zarr", "--out", str(out), "--init-times", *times]) == 0
    assert json.loads((out / "evaluation.json").read_text())["init_times"] == ["2000-11-01T12:00", "2000-11-02T00:00"]


def test_spectra_of_a_system_that_has_no_scores(files, capsys, monkeypatch, tmp_path):
    held = tmp_path / "held"
    shutil.copytree(files / "scores", held)
    spectrum = {"system": "x", "variable": "temperature", "level": 500, "lead_time_hours": 6, "of_mean": False}
    (held / "spectra.json").write_text(json.dumps([spectrum | {"power": [1.0, 1.0], "ratio": [1.0, None]}]))
    words = ["plot", "f.zarr", "--truth", "truth.zarr", "--out", "o", "--scores", str(held)]
    assert "system 'x' is not among those of" in run(files, capsys, monkeypatch, words)


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_a_frame_of_zeros_is_no_truth(files, capsys, tmp_path, command):
    """A lost chunk whose fill value is 0."""
    truth = TRUTH.copy(deep=True)
    truth.geopotential.values[6] = 0
    path = make_store(tmp_path / "t.zarr", truth)
    assert main([command, str(files / "f.zarr"), "--truth", str(path), "--out", str(tmp_path / "o")]) == 2
    said = capsys.readouterr().err
    assert f"{path}: geopotential at " in said and "hPa at 2000-11-02T12:00 averages 0, expected about" in said
    assert "is a part of the file lost?" in said
    assert not (tmp_path / "o").exists()


def test_lost_truth_is_drawn_as_missing(files, tmp_path):
    truth = TRUTH.copy(deep=True)
    truth.geopotential.values[3] = np.nan
    make_store(tmp_path / "t.zarr", truth)
    words = ["plot", str(files / "e.zarr"), "--truth", str(tmp_path / "t.zarr"), "--fields", "z500"]
    assert main([*words, "--lead-times", "6", "24", "--out", str(tmp_path / "o")]) == 0
    with Image.open(tmp_path / "o" / "map_z500.png") as picture:
        assert picture.width > 700

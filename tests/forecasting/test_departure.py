"""An initial state outside the climate that a checkpoint learned is told: on screen, in attributes, in the report."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.departure import departure
from tests.border.healthy import Home, _write_model
from tests.conftest import make_store, synthetic_dataset
from tests.training.small import SMALL

NAMES = (*SMALL.task.targets, *SMALL.task.static)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Home:
    """A model, its store, and a store whose 2 m temperature varies twice as much."""
    home = Home(tmp_path_factory.mktemp("home"))
    fields = synthetic_dataset(days=2, levels=(500, 850), names=NAMES)
    make_store(home.store, fields)
    _write_model(home)
    warm = fields["2m_temperature"]
    wild = (warm.mean() + 1.8 * (warm - warm.mean())).astype(np.float32).assign_attrs(warm.attrs)
    make_store(home.folder / "wild.zarr", fields.assign({"2m_temperature": wild}))
    return home


def test_distance_is_in_spreads():
    """A shift by b and a factor a of values of mean m and spread s are sqrt(a² + (b/s)²) spreads away."""
    values = np.random.default_rng(0).standard_normal((4000, 2))
    values = (values - values.mean(0)) / values.std(0)
    usual = {
        ("temperature", 500): (250.0, 10.0),
        ("temperature", 850): (280.0, 12.0),
        ("specific_humidity", 850): (0, 1),
    }
    channels = list(usual)
    frame = np.column_stack([250 + 10 * values[:, 0], 280 + 6 + 12 * 1.5 * values[:, 1], 99 * values[:, 0]])
    found = departure(frame, channels, usual)
    assert found.channel == ("temperature", 850)
    assert found.spreads == pytest.approx(np.hypot(1.5, 0.5)) and found.outside
    calm = np.column_stack([250 + 5 * values[:, 0], 280 + 12 * values[:, 1], values[:, 0]])
    assert departure(calm, channels, usual).spreads == pytest.approx(0.5)
    assert not departure(np.column_stack([frame[:, 0], calm[:, 1], calm[:, 2]]), channels, usual).outside
    assert departure(frame[:, 2:], channels[2:], usual) is None


def test_a_forecast_says_so_everywhere(home, tmp_path, capsys):
    out = tmp_path / "f.zarr"
    words = ["forecast", "--checkpoint", str(home.model), "--lead-time", "6h", "--init-time", "2000-11-01T06"]
    assert main([*words, "--initial", str(home.folder / "wild.zarr"), "--out", str(out)]) == 0
    remark = "2m_temperature is 1.8"
    shown = " ".join(capsys.readouterr().err.split())
    assert f"note: the initial state: {remark}" in shown and "outside of what it learned" in shown
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]
    assert attributes["airmass_departure_spreads"] == pytest.approx(1.8, abs=0.05)
    assert remark in attributes["airmass_initial_remarks"]
    assert main(["evaluate", str(out), "--truth", str(home.store), "--out", str(tmp_path / "scores")]) == 0
    assert remark in " ".join(capsys.readouterr().out.split())
    assert main(["report", "--scores", str(tmp_path / "scores"), "--out", str(tmp_path / "r.html")]) == 0
    assert remark in (tmp_path / "r.html").read_text()


def test_a_state_of_the_climate_has_no_remark(home, tmp_path, capsys):
    out = tmp_path / "f.nc"
    words = ["forecast", "--checkpoint", str(home.model), "--lead-time", "6h", "--init-time", "2000-11-01T06"]
    assert main([*words, "--initial", str(home.store), "--out", str(out)]) == 0
    assert "note" not in capsys.readouterr().err
    with xr.open_dataset(out) as made:
        assert "within what it learned" in made.attrs["airmass_departure"]
        assert "airmass_initial_remarks" not in made.attrs


def test_one_frame_for_all_is_said(home, tmp_path, capsys):
    one: Path = tmp_path / "one.nc"
    xr.open_zarr(home.store).isel(time=[3]).to_netcdf(one, engine="h5netcdf")
    words = ["initial", str(one), "--checkpoint", str(home.model), "--out", str(tmp_path / "i.nc")]
    assert main(words) == 2
    assert "expected 2 frames 6 h apart" in (line := capsys.readouterr().err)
    assert "--repeat-frame takes the last for all" in line
    assert main([*words, "--repeat-frame"]) == 0
    said = "the frame of 2000-11-01T18:00 stands for all 2 of the history"
    assert said in capsys.readouterr().out
    made = xr.load_dataset(tmp_path / "i.nc")
    assert list(made.time.values) == list(np.array(["2000-11-01T12", "2000-11-01T18"], "datetime64[ns]"))
    np.testing.assert_array_equal(made.temperature[0], made.temperature[1])
    words = ["forecast", "--checkpoint", str(home.model), "--lead-time", "6h", "--initial", str(tmp_path / "i.nc")]
    assert main([*words, "--out", str(tmp_path / "f.nc")]) == 0
    assert said in " ".join(capsys.readouterr().err.split())
    assert said in xr.load_dataset(tmp_path / "f.nc").attrs["airmass_initial_remarks"]

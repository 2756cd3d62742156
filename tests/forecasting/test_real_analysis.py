"""The demo checkpoint from real fields of GFS: outside of the climate that it learned, which is said everywhere."""

import html
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from tests.conftest import make_store

GFS = Path(__file__).parents[1] / "data" / "real" / "gfs_20110110T12_f120_2p5deg.grib2"
REMARK = "temperature at 100 hPa is 1.63 spreads from the mean of the checkpoint's climate"


def with_next_frame(initial: Path, path: Path) -> Path:
    """A store of the state and, six hours later, its last frame again without rain, to judge a forecast by."""
    state = xr.load_dataset(initial, engine="h5netcdf").drop_encoding()
    later = state.isel(time=[-1]).assign_coords(time=state.time[-1:].values + np.timedelta64(6, "h"))
    frames = xr.concat([state, later], "time", data_vars="minimal")
    dry = (0 * frames["2m_temperature"]).assign_attrs(units="m")
    return make_store(path, frames.assign(total_precipitation_6hr=dry))


def words_of(text: str) -> str:
    return " ".join(text.split())


def test_a_forecast_of_the_demo_from_gfs_says_how_far_the_state_is(tmp_path, capsys):
    initial, out, scores = tmp_path / "initial.nc", tmp_path / "f.zarr", tmp_path / "scores"
    words = ["initial", str(GFS), "--checkpoint", "demo", "--repeat-frame", "--out", str(initial)]
    assert main(words) == 0
    assert f"note: {REMARK}" in (shown := words_of(capsys.readouterr().out)) and "outside of what it learned" in shown

    words = ["forecast", "--checkpoint", "demo", "--initial", str(initial), "--lead-time", "6h", "--out", str(out)]
    assert main(words) == 0
    shown = words_of(capsys.readouterr().err)
    assert f"{REMARK}, where its own states are 1 (root mean square): outside of what it learned" in shown
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]
    assert attributes["airmass_departure_spreads"] == pytest.approx(1.63, abs=0.005)
    assert REMARK in attributes["airmass_departure"] and REMARK in attributes["airmass_initial_remarks"]

    truth = with_next_frame(initial, tmp_path / "truth.zarr")
    assert main(["evaluate", str(out), "--truth", str(truth), "--out", str(scores)]) == 0
    assert REMARK in words_of(capsys.readouterr().out)
    assert main(["report", "--scores", str(scores), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert html.escape(REMARK) in page and "outside of what it learned" in page

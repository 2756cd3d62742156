"""Eight six-hourly frames of GRIB 1, as ECMWF's open data have them, become a series to train and to score on."""

import json
from pathlib import Path

import pytest

from airmass.commands.main import main
from airmass.data.formats.store import open_store
from tests.conftest import synthetic_dataset
from tests.grib import messages, write

FIELDS = {"geopotential": "z", "temperature": "t", "u_component_of_wind": "u", "v_component_of_wind": "v"}
LEVELS = (300, 500, 700, 850)
TINY = "--model.mesh-level 1 --model.width 8 --model.steps 1 --training.updates 2 --training.batch 2".split()


@pytest.mark.slow
def test_frames_are_trained_on_and_persistence_is_scored(tmp_path: Path):
    frames = synthetic_dataset(days=2, n_latitude=19, n_longitude=36, levels=LEVELS, poles=True, names=tuple(FIELDS))
    source = write(tmp_path / "frames.grib", messages(frames, FIELDS, edition=1))
    store, run, forecast = (str(tmp_path / name) for name in ("s.zarr", "run", "f.zarr"))
    assert main(["data", "ingest", str(source), "--out", store]) == 0
    assert open_store(store).sizes["time"] == 8
    dates = ["--training.dates", "2000-11-01", "2000-11-02"]
    task = ["--task.prognostic", *FIELDS, "--task.diagnostic", "--task.static", "--task.levels", *map(str, LEVELS)]
    assert main(["train", "demo", "--data", store, "--run", run, *task, *TINY, *dates]) == 0
    start = ["--init-time", "2000-11-01T12", "--lead-time", "12h"]
    assert main(["forecast", "--checkpoint", run, "--initial", store, "--out", forecast, *start]) == 0
    assert main(["evaluate", forecast, "--truth", store, "--out", str(tmp_path / "scores")]) == 0
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    persistence = [row for row in scores if row["system"] == "persistence" and row["metric"] == "rmse"]
    assert persistence and all(row["value"] > 0 for row in persistence)

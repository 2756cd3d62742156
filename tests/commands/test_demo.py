"""The demo from its second part on, over a small store in place of the simulated one, and how it goes on."""

import dataclasses
import json

import numpy as np
import pytest
from rich.console import Console

from airmass.commands import demo_pipeline
from airmass.commands.demo_pipeline import (
    GRAPHCAST,
    HELD_OUT_DAYS,
    INIT_TIMES,
    PLAIN,
    TRAINING_DATES,
    demo,
)
from airmass.core.errors import InputError
from tests.conftest import make_store
from tests.models.gencast.test_objective import TINY as TINY_GENCAST
from tests.models.test_family_contract import small_recipe
from tests.training.small import SMALL

TINY = dataclasses.replace(SMALL, training=dataclasses.replace(SMALL.training, updates=(4,), rollout=(1,)))
# Fewer days than the demo has: ten to train on, four that forecasts start from, ten more to judge them by.
SHORT_DAYS, SHORT_INIT_TIMES = 24, tuple(f"2000-11-{day}T00" for day in range(11, 15))
SIMULATED = {f"Simulate {SHORT_DAYS} days of weather": 1.0}


@pytest.fixture(scope="module")
def short():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_pipeline, "HELD_OUT_DAYS", SHORT_DAYS - 10)
        patch.setattr(demo_pipeline, "TRAINING_DATES", dict.fromkeys(TRAINING_DATES, ("2000-11-01", "2000-11-10")))
        patch.setattr(demo_pipeline, "INIT_TIMES", SHORT_INIT_TIMES)
        yield


@pytest.fixture(scope="module")
def made(short, tmp_path_factory):
    """A demo with a finished simulation."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    out.mkdir()
    make_store(out / "simulated.zarr", days=SHORT_DAYS, levels=(500, 850))
    (out / "demo.json").write_text(json.dumps({"seed": 0, "timings": SIMULATED}))
    demo(out, recipes={GRAPHCAST: TINY}, console=Console(quiet=True))
    return out


def test_it_makes_scores_pictures_and_a_report(made):
    scores = json.loads((made / "scores" / "scores.json").read_text())
    assert {score["system"] for score in scores} == {"graphcast", "persistence", "climatology"}
    assert {score["lead_time_hours"] for score in scores} == set(range(6, 246, 6))
    assert scores[0].keys() == {"system", "variable", "level", "lead_time_hours", "metric", "value"}
    pictures = {path.name for path in (made / "pictures").iterdir()}
    assert {"map_z500.png", "map_2t.png", "curves.png", "animation_z500.gif"} <= pictures
    assert "<img" in (made / "report.html").read_text()
    assert 'id="s0-z500"' in (made / "view.html").read_text()


def test_it_trains_on_the_dates_for_training(made):
    settings = json.loads((made / "run" / "settings.json").read_text())
    assert settings["recipe"]["training"]["dates"] == ["2000-11-01", "2000-11-10"]


@pytest.mark.parametrize("model", TRAINING_DATES)
def test_twenty_initial_times_are_held_out(model):
    first, last = (np.datetime64(day) for day in TRAINING_DATES[model])
    assert (last - first).astype(int) + 1 in (60, 121)
    assert len(INIT_TIMES) == 20 and np.datetime64(min(INIT_TIMES)) == last + 1
    assert np.datetime64(max(INIT_TIMES)) + np.timedelta64(10, "D") < last + 1 + HELD_OUT_DAYS


def test_a_second_run_only_makes_what_is_missing(made):
    (made / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.is_file() and path.name != "demo.json"}
    demo(made, recipes={GRAPHCAST: TINY}, console=Console(quiet=True))
    assert (made / "report.html").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_seed_or_folder_is_refused(made, tmp_path):
    with pytest.raises(InputError, match="started with seed 0, not 1"):
        demo(made, seed=1, recipes={GRAPHCAST: TINY})
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="not a demo"):
        demo(tmp_path)


def test_without_the_simulator_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_pipeline, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs jcm, which is not installed: pip install"):
        demo(tmp_path / "a" / "demo")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "[]", '{"seed": "0"}', '{"seed": 0, "timings": {"a": "b"}}'])
def test_a_broken_mark_is_refused(tmp_path, text):
    (tmp_path / "demo.json").write_text(text)
    with pytest.raises(InputError, match=r"demo\.json: "):
        demo(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["gencast", "fgn"])
def test_an_ensemble_is_judged_beside_graphcast_alone_and_from_perturbed_states(made, tmp_path, monkeypatch, model):
    for name, value in {"MEMBERS": 2, "ENSEMBLE_INIT_TIMES": SHORT_INIT_TIMES[:2], "ENSEMBLE_LEAD_TIME": "5d"}.items():
        monkeypatch.setattr(demo_pipeline, name, value)
    out = tmp_path / "demo"
    out.mkdir()
    (out / "simulated.zarr").symlink_to(made / "simulated.zarr")
    (out / "demo.json").write_text(json.dumps({"seed": 0, "model": model, "timings": SIMULATED}))
    tiny = TINY_GENCAST if model == "gencast" else small_recipe("fgn", calibrated=True, forced=())
    twelve = dataclasses.replace(
        tiny, task=dataclasses.replace(tiny.task, step=12, diagnostic=TINY.task.diagnostic), watch=TINY.watch
    )
    demo(out, model=model, recipes={PLAIN: TINY, f"{model}-demo": twelve}, console=Console(quiet=True))
    name = {"gencast": "gencast-perturbed", "fgn": "fgn"}[model]
    scores = json.loads((out / "scores" / "scores.json").read_text())
    assert {name, "graphcast", "graphcast-perturbed", "persistence"} <= {score["system"] for score in scores}
    assert {"crps", "spread_skill"} <= {score["metric"] for score in scores if score["system"] == name}
    assert json.loads((out / "scores" / "rank_histograms.json").read_text())
    pictures = {path.name.split("_")[0] for path in (out / "pictures").iterdir()}
    assert {"plume", "stamps", "spaghetti"} <= pictures
    with pytest.raises(InputError, match=f"started with model {model}, not graphcast"):
        demo(out, recipes={GRAPHCAST: TINY})

"""`airmass forecast` with published WeatherNext 2: the published numbers, several models as one, each bad input."""

import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.formats.forecast_reader import open_forecast
from airmass.models.mesh.graph import containing_faces, sphere_points
from airmass.models.mesh.icosphere import icosphere
from tests.models.fgn.golden import FOLDER, GOLDEN_FGN, MEMBERS, STEPS

LEAD = f"{6 * STEPS}h"


def command(out, *more, checkpoints=(FOLDER / "checkpoint.npz",), **inputs):
    named = {"--config": FOLDER / "config.json", "--initial": FOLDER / "dataset.nc", "--lead-time": LEAD}
    named |= {f"--{name.replace('_', '-')}": value for name, value in inputs.items()}
    given = [str(word) for option, value in named.items() if value is not None for word in (option, value)]
    return main(["forecast", "--checkpoint", *map(str, checkpoints), *given, "--out", str(out), *map(str, more)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two members with the golden noise."""
    out = tmp_path_factory.mktemp("out") / "f.zarr"
    assert command(out, "--members", MEMBERS, "--initial-noise", FOLDER / "noise.nc") == 0
    return out


def frames_of(path) -> np.ndarray:
    """[member, step, node, target]"""
    data = open_forecast(path, ensemble=True).isel(init_time=0).rename(lead_time="time")
    return np.stack([GOLDEN_FGN.layout.pack(data.sel(number=number)) for number in data.number.values])


def on_a_side() -> np.ndarray:
    """Grid nodes on the side of a mesh triangle, where either triangle is right and outputs differ."""
    points, mesh = sphere_points(*GOLDEN_FGN.grid.nodes), icosphere(2)
    corners = mesh.vertices[mesh.faces[containing_faces(mesh, points)]]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), points[..., None])[..., 0]
    return weights.min(axis=1) < 1e-6


def test_it_is_the_published_forecast(made):
    found, expected = frames_of(made), GOLDEN_FGN.prediction
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    spread = np.nanstd(expected, axis=2, keepdims=True)
    away = np.abs(found - expected) / spread
    # Where triangles tie in the first step, later steps see a little of it elsewhere: 0.016 was measured.
    assert np.nanmax(away[:, :, ~on_a_side()]) < 0.03
    assert np.nanmax(away[:, 0, ~on_a_side()]) < 1e-3
    assert np.nanmean(away[:, 0, ~on_a_side()] < 1e-4) > 0.99


def test_the_store_says_what_it_is(made):
    data = open_forecast(made, ensemble=True)
    assert data.attrs["airmass_system"] == "fgn" and data.attrs["airmass_statistics"] == str(FOLDER / "config.json")
    assert data.number.size == MEMBERS and data.cyclone_exists_gaussian_unit_mode.max() <= 1


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three checkpoints of other parameters."""
    with np.load(FOLDER / "checkpoint.npz", allow_pickle=False) as stored:
        flat = {key: stored[key] for key in stored.files}
    folder = tmp_path_factory.mktemp("models")
    for number in range(3):
        factor = np.float32(1 + 0.1 * number)
        scaled = {key: factor * value if key.endswith(":w_input_noise") else value for key, value in flat.items()}
        scaled |= {key: factor * value for key, value in flat.items() if "w_input_noise" in key}
        np.savez(folder / f"m{number}.npz", **scaled)
    return [folder / f"m{number}.npz" for number in range(3)]


def test_members_are_dealt_to_several_models_by_number_and_can_be_added(models, tmp_path, capsys):
    pool, short = tmp_path / "pool.zarr", {"lead_time": "6h", "checkpoints": models}
    assert command(pool, "--members", 4, **short) == 0
    assert (
        "4 members over 3 models are not equally many of each: m0.npz 2, m1.npz 1, m2.npz 1" in capsys.readouterr().err
    )
    assert command(tmp_path / "one.zarr", "--first-member", 1, lead_time="6h", checkpoints=models[1:2]) == 0
    both = [frames_of(path) for path in (pool, tmp_path / "one.zarr")]
    np.testing.assert_array_equal(both[0][1], both[1][0])
    assert len(np.unique(both[0][:, 0, 0, 0])) == 4
    assert command(tmp_path / "added.zarr", **short) == 0  # one for each model
    assert command(tmp_path / "added.zarr", "--add", "--members", 4, **short) == 0
    np.testing.assert_array_equal(frames_of(tmp_path / "added.zarr"), both[0])
    assert open_forecast(pool, ensemble=True).attrs["airmass_models"] == ", ".join(map(str, models))


def test_a_scale_of_noise_replaces_the_checkpoints(tmp_path):
    """Without noise members are one; each scale is its own forecast, which the store tells."""
    first = {}
    for scale in (0, 1, 2):
        out = tmp_path / f"{scale}.zarr"
        assert command(out, "--members", 2, "--noise-scale", scale, lead_time="6h") == 0
        first[scale] = frames_of(out)[:, 0]
        assert json.loads(open_forecast(out, ensemble=True).attrs["airmass_settings"])["noise_scale"] == scale
    assert command(tmp_path / "plain.zarr", "--members", 2, lead_time="6h") == 0
    np.testing.assert_array_equal(frames_of(tmp_path / "plain.zarr")[:, 0], first[1])
    apart = [np.nanstd(first[scale][0] - first[scale][1]) for scale in (0, 1, 2)]
    assert apart[0] == 0 and 1.2 < apart[2] / apart[1] < 4


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"initial_noise": FOLDER / "noise.nc"}, "--initial-noise fixes the noise, so --noise-scale 2 has no effect"),
        (
            {"checkpoints": (FOLDER.parent / "graphcast" / "checkpoint.npz",), "config": None},
            "GraphCast has no noise in its norms: --noise-scale has no effect",
        ),
    ],
)
def test_a_scale_of_noise_without_effect(refused, inputs, words):
    assert words in refused("--noise-scale", 2, **inputs)


@pytest.mark.slow
def test_bfloat16_is_near(made, tmp_path):
    noise = ["--members", MEMBERS, "--initial-noise", FOLDER / "noise.nc", "--precision", "bfloat16"]
    assert command(tmp_path / "f.zarr", *noise, lead_time="6h") == 0
    low, high = frames_of(tmp_path / "f.zarr")[:, 0], frames_of(made)[:, 0]
    apart = np.sqrt(np.nanmean((low - high) ** 2, axis=1)) / np.nanstd(high, axis=1)
    assert 0 < apart.max() < 0.03


@pytest.fixture
def refused(tmp_path, capsys):
    """Run the command, which must end with status 2 and one line, and leave nothing; gives the line."""

    def check(*more, **inputs) -> str:
        folder = tmp_path / "out"
        folder.mkdir()
        assert command(folder / "f.zarr", *more, **inputs) == 2
        error = capsys.readouterr().err
        assert error.startswith("airmass forecast: ") and error.count("\n") == 1
        assert not list(folder.iterdir())
        return error

    return check


def changed_config(path, change) -> str:
    """The golden configuration with `change` done to its text."""
    (path / "other.json").write_text(change((FOLDER / "config.json").read_text()))
    return path / "other.json"


def test_without_a_configuration(refused):
    assert "has no settings; give its configuration, such as WeatherNext2.json, by --config" in refused(config=None)


def test_a_configuration_of_another_width(refused, tmp_path):
    config = changed_config(tmp_path, lambda text: re.sub(r'("value": ?)24\b', r"\g<1>48", text))
    line = refused(config=config)
    assert "checkpoint.npz: " in line and f"is {config} the configuration of this checkpoint?" in line


def test_a_configuration_that_is_none(refused, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"a": 1}))
    assert "expected a configuration of WeatherNext 2" in refused(config=tmp_path / "c.json")


def test_a_configuration_with_a_model_that_has_its_own_settings(refused):
    other = (FOLDER.parent / "graphcast" / "checkpoint.npz",)
    assert "contains its settings; leave out --config" in refused(checkpoints=other)


def test_statistics_beside_a_configuration(refused):
    assert "config.json: contains the statistics; leave out --statistics" in refused(statistics=FOLDER)


def test_noise_of_another_size(refused, tmp_path):
    noise = xr.open_dataset(FOLDER / "noise.nc").load()
    noise.isel(noise_channels=slice(16)).to_netcdf(tmp_path / "narrow.nc")
    assert "noise_channels is 16, expected the model's 32" in refused(initial_noise=tmp_path / "narrow.nc")


def test_noise_of_too_few_members(refused):
    assert "sample has length 2, expected at least 5, one of members" in refused(
        "--members", 5, initial_noise=FOLDER / "noise.nc"
    )


def test_noise_of_too_few_steps(refused):
    assert "time has length 3, expected at least 4, one of steps" in refused(
        lead_time="24h", initial_noise=FOLDER / "noise.nc"
    )


def test_without_the_land_sea_mask(refused, tmp_path):
    xr.open_dataset(FOLDER / "dataset.nc").drop_vars("land_sea_mask").to_netcdf(tmp_path / "d.nc")
    assert "land_sea_mask" in refused(initial=tmp_path / "d.nc")


def test_the_same_model_twice(refused, models, tmp_path):
    shutil.copy(models[0], tmp_path / "copy.npz")
    assert "copy.npz: holds the same model as" in refused(checkpoints=[models[0], tmp_path / "copy.npz"])


def test_models_of_different_kinds(refused, models):
    run = (FOLDER.parent / "graphcast" / "checkpoint.npz", models[0])
    assert "leave out --config" in refused(checkpoints=run)


def test_too_little_memory(refused, models):
    assert "needs about" in refused(memory_limit=0.1, checkpoints=models)


def test_inspect_shows_it_with_its_configuration(capsys):
    assert main(["inspect", str(FOLDER / "checkpoint.npz"), "--config", str(FOLDER / "config.json")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "kind published FGN" in shown and "noise_channels 32" in shown and "cyclone_exists" in shown
    assert main(["inspect", str(FOLDER / "checkpoint.npz")]) == 2
    assert "give its configuration" in capsys.readouterr().err


def test_a_sea_surface_temperature_that_is_not_missing_over_land(refused, tmp_path):
    whole = xr.open_dataset(FOLDER / "dataset.nc", decode_timedelta=False).load()
    whole["sea_surface_temperature"] = whole.sea_surface_temperature.fillna(285.0)
    whole.to_netcdf(tmp_path / "d.nc")
    line = refused(initial=tmp_path / "d.nc")
    assert "sea_surface_temperature at 2020" in line and "points that land_sea_mask says are land" in line

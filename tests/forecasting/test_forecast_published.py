"""`airmass forecast` with a published checkpoint: the published numbers, and each bad input refused in one line."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.formats.forecast_reader import open_forecast
from airmass.models.mesh.graph import containing_faces, sphere_points
from airmass.models.mesh.icosphere import icosphere
from airmass.models.state import State
from tests.golden_case import GOLDEN, GOLDEN_GENCAST

FOLDER, GENCAST = GOLDEN.folder, GOLDEN_GENCAST.folder
# Largest root mean square difference of a channel after one step, in units of its spread; a third of that was measured.
GRAPHCAST_BFLOAT16, GENCAST_BFLOAT16 = 0.021, 0.024
TABLES = ("mean_by_level", "stddev_by_level", "diffs_stddev_by_level", "min_by_level")


def command(out, checkpoint=FOLDER / "checkpoint.npz", statistics=FOLDER, initial=FOLDER / "dataset.nc", *more):
    named = {"--checkpoint": checkpoint, "--statistics": statistics, "--initial": initial, "--out": out}
    given = [str(word) for option, value in named.items() if value is not None for word in (option, value)]
    return main(["forecast", *given, *map(str, more)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "f.nc"
    assert command(out, FOLDER / "checkpoint.npz", FOLDER, FOLDER / "dataset.nc", "--lead-time", "18h") == 0
    return out


def on_a_side() -> np.ndarray:
    """Grid nodes on the side of a mesh triangle, where either triangle is right and outputs differ."""
    points, mesh = sphere_points(*GOLDEN.grid.nodes), icosphere(2)
    corners = mesh.vertices[mesh.faces[containing_faces(mesh, points)]]
    weights = np.linalg.solve(corners.transpose(0, 2, 1), points[..., None])[..., 0]
    return weights.min(axis=1) < 1e-6


def test_the_first_step_is_the_published_one(made):
    data = open_forecast(made).isel(init_time=0, lead_time=[0]).rename(lead_time="time")
    found, expected = GOLDEN.layout.pack(data)[0], GOLDEN.prediction[0]
    away = np.abs(found - expected) / expected.std(axis=0)
    elsewhere = away[~on_a_side()]
    assert on_a_side().sum() == 48
    assert elsewhere.max() < 1e-3
    assert (elsewhere < 1e-4).mean() > 0.99


def test_the_file_says_what_it_is(made):
    data = open_forecast(made)
    assert dict(data.sizes) == {"init_time": 1, "lead_time": 3, "level": 13, "latitude": 19, "longitude": 36}
    assert data.init_time.values[0] == GOLDEN.times.reshape(-1)[1]
    np.testing.assert_array_equal(data.valid_time, data.init_time + data.lead_time)
    assert data.attrs["airmass_system"] == "graphcast" and data.attrs["airmass_license"] == "none"
    assert data.temperature.attrs["units"] == "K" and data.temperature.attrs["standard_name"] == "air_temperature"
    assert all(np.isfinite(data[name]).all() for name in data.data_vars)


def test_a_zarr_store_holds_the_same_numbers(made, tmp_path):
    out = tmp_path / "f.zarr"
    assert command(out, FOLDER / "checkpoint.npz", FOLDER, FOLDER / "dataset.nc", "--lead-time", "18h") == 0
    xr.testing.assert_identical(open_forecast(out).load(), open_forecast(made).load())


def test_some_levels_of_another_initial_time(tmp_path):
    more = ["--lead-time", "6h", "--levels", "850", "500", "--init-time", "2020-01-01T18"]
    assert command(tmp_path / "f.nc", FOLDER / "checkpoint.npz", FOLDER, FOLDER / "dataset.nc", *more) == 0
    data = open_forecast(tmp_path / "f.nc")
    np.testing.assert_array_equal(data.level, [500, 850])
    assert data.init_time.values[0] == np.datetime64("2020-01-01T18")


@pytest.fixture
def refused(tmp_path, capsys):
    """Run the command, which must end with status 2 and one line, and leave nothing; gives the line."""

    def check(suffix=".nc", more=(), case=FOLDER, **inputs) -> str:
        folder = tmp_path / "out"
        defaults = {"checkpoint": case / "checkpoint.npz", "statistics": case, "initial": case / "dataset.nc"}
        folder.mkdir()
        assert command(folder / f"f{suffix}", *(defaults | inputs).values(), *more) == 2
        error = capsys.readouterr().err
        assert error.startswith("airmass forecast: ") and error.count("\n") == 1
        assert not list(folder.iterdir())
        return error

    return check


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_checkpoint(refused, tmp_path, share):
    whole = (FOLDER / "checkpoint.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
    assert f"{tmp_path}/cut.npz: cannot be read as a file of arrays" in refused(checkpoint=tmp_path / "cut.npz")


def test_a_checkpoint_with_a_broken_array(refused, tmp_path):
    whole = bytearray((FOLDER / "checkpoint.npz").read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 2000] = bytes(2000)
    (tmp_path / "broken.npz").write_bytes(whole)
    assert "broken.npz: cannot be read as a" in refused(checkpoint=tmp_path / "broken.npz")


def test_a_file_that_is_no_checkpoint(refused, tmp_path):
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    message = refused(checkpoint=tmp_path / "other.npz")
    assert "nor a published FGN or GenCast or GraphCast; keys found: weights" in message


def test_a_checkpoint_that_is_not_there(refused, tmp_path):
    assert "absent.npz: no such checkpoint" in refused(checkpoint=tmp_path / "absent.npz")


def tables(folder: Path, change, case: Path = FOLDER) -> Path:
    """The statistics with each file changed."""
    folder.mkdir()
    for kind in TABLES:
        if not (case / f"{kind}.nc").exists():
            continue
        table = change(kind, xr.load_dataset(case / f"{kind}.nc"))
        if table is not None:
            table.to_netcdf(folder / f"{kind}.nc")
    return folder


def nan_in(dataset: xr.Dataset, name: str) -> xr.Dataset:
    return dataset.assign({name: dataset[name] * np.nan})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda kind, d: d.sel(level=d.level != 500),
            "mean_by_level.nc: missing level [500] hPa; the store holds [50,",
        ),
        (lambda kind, d: d.drop_vars("temperature"), "mean_by_level.nc: missing variable temperature; the store holds"),
        (lambda kind, d: d.drop_vars("day_progress_sin"), "mean_by_level.nc: missing variable day_progress_sin"),
        (lambda kind, d: None if "diffs" in kind else d, "diffs_stddev_by_level.nc: no such file"),
        (lambda kind, d: nan_in(d, "temperature"), "mean_by_level.nc: temperature has 13 NaN or infinite values of 13"),
        (lambda kind, d: d.isel(level=0), "missing level [100,"),
        (lambda kind, d: d * 0 if kind.startswith("stddev") else d, "stddev_by_level.nc: "),
    ],
)
def test_wrong_statistics(refused, tmp_path, change, words):
    assert words in refused(statistics=tables(tmp_path / "statistics", change))


def test_statistics_that_are_not_there(refused, tmp_path):
    assert "a published checkpoint has no statistics; give the folder" in refused(statistics=None)


def test_statistics_in_a_folder_that_has_none(refused, tmp_path):
    assert f"{tmp_path}/mean_by_level.nc: no such file" in refused(statistics=tmp_path)


INITIAL = {
    "wrong step": (lambda d: d.isel(time=[0, 2, 4]), "time advances by 12 h; expected 2 frames 6 h apart"),
    "one frame": (lambda d: d.isel(time=[0]), "one time only; expected 2 frames 6 h apart"),
    "wrong resolution": (
        lambda d: d.isel(lat=slice(None, None, 2), lon=slice(None, None, 2)),
        "was trained at 10 degrees, but",
    ),
    "reversed latitude": (lambda d: d.isel(lat=slice(None, None, -1)), "latitude runs north to south (90 to -90)"),
    "reversed levels": (lambda d: d.isel(level=slice(None, None, -1)), "level is [1000.0, 925.0"),
    "no precipitation": (
        lambda d: d.drop_vars("total_precipitation_6hr"),
        "missing variable total_precipitation_6hr; the store holds",
    ),
    "missing level": (lambda d: d.drop_sel(level=500), "missing level [500] hPa"),
    "NaN": (lambda d: nan_in(d, "temperature"), "temperature has 17784 NaN or infinite values, first at 2020-01-01T06"),
    "swapped": (lambda d: d.transpose(..., "lon", "lat"), "has dimensions"),
    "two at once": (lambda d: d.isel(batch=[0, 0]), "batch has length 2, expected 1"),
    "units": (lambda d: d.assign(temperature=d.temperature.assign_attrs(units="degC")), "temperature has units 'degC'"),
    "half hours": (
        lambda d: d.assign_coords(datetime=d.datetime + np.timedelta64(30, "m")),
        "init time 2020-01-01T12:30: expected a whole hour",
    ),
    "no dates": (lambda d: d.drop_vars("datetime"), "there is no datetime"),
}


@pytest.mark.parametrize("case", INITIAL)
def test_initial_frames_that_do_not_fit(refused, tmp_path, case):
    change, words = INITIAL[case]
    change(xr.load_dataset(FOLDER / "dataset.nc", decode_timedelta=True)).to_netcdf(tmp_path / "bad.nc")
    assert words in refused(initial=tmp_path / "bad.nc")


def test_an_initial_file_cut_short(refused, tmp_path):
    whole = (FOLDER / "dataset.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    assert "cut.nc: cannot be read: " in refused(initial=tmp_path / "cut.nc")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--init-time", "2020-01-01T06"], "missing time 2020-01-01T00:00; the store holds 2020-01-01T06:00 to"),
        (["--lead-time", "7h"], "lead time 7h: expected a multiple of the model's step of 6 h"),
        (["--levels", "500", "510"], "levels [510] hPa: the model has [50, 100,"),
        (["--init-time", "2020-01-01T12", "2020-01-01T12"], "each may be given once"),
        (["--memory-limit", "0"], "--memory-limit is 0.0, expected above 0"),
        (["--members", "2"], "GraphCast is deterministic: --members 2 has no effect"),
        (["--members", "0"], "--members is 0, expected 1 to "),
        (["--seed", "0"], "deterministic: --seed 0 has no effect"),
        (["--initial-noise", "noise.nc"], "deterministic: --initial-noise noise.nc has no effect"),
        (["--sampler", "ddim"], "deterministic: --sampler ddim has no effect"),
        (["--noise-memory", "0.5"], "deterministic: --noise-memory 0.5 has no effect"),
        (["--perturb", "0.5", "--churn", "0"], "has no sampler: its churn cannot be set"),
    ],
)
def test_options_that_do_not_fit(refused, more, words):
    assert words in refused(more=more)


def test_an_output_of_another_kind(refused):
    assert "f.grib: expected a name that ends in .zarr or .nc" in refused(suffix=".grib")


def test_ten_days_are_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "airmass.models.deterministic.compiled_step", lambda model, state, window, *, key: (state, GOLDEN.frames[0])
    )
    assert command(tmp_path / "f.nc") == 0
    assert open_forecast(tmp_path / "f.nc").sizes["lead_time"] == 40


def gencast(out, *more, initial=GENCAST / "dataset.nc") -> xr.Dataset:
    """The frame twelve hours ahead, from the noise that the published code was given."""
    noise = ("--initial-noise", GENCAST / "noise.nc")
    assert command(out, GENCAST / "checkpoint.npz", GENCAST, initial, "--lead-time", "12h", *noise, *more) == 0
    return open_forecast(out, ensemble=True).load()


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> xr.Dataset:
    return gencast(tmp_path_factory.mktemp("gencast") / "g.nc")


def packed(data: xr.Dataset) -> np.ndarray:
    """[node, target] of the first member's first frame."""
    one = data.isel(init_time=0, number=0) if "number" in data.dims else data.isel(init_time=0)
    case = GOLDEN_GENCAST if "number" in data.dims else GOLDEN
    return case.layout.pack(one.isel(lead_time=[0]).rename(lead_time="time"))[0]


def test_the_sample_is_the_published_one(sampled):
    found, expected = packed(sampled), GOLDEN_GENCAST.prediction[0]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    away = (np.abs(found - expected) / np.nanstd(expected, axis=0))[~on_a_side()]
    away = away[~np.isnan(away)]
    assert away.max() < 1e-3
    assert (away < 1e-4).mean() > 0.99


def test_a_sample_is_missing_where_the_history_was(sampled):
    columns = GOLDEN_GENCAST.layout.columns("sea_surface_temperature")
    missing = np.isnan(GOLDEN_GENCAST.frames[:2, :, columns]).any(axis=0)
    assert 0 < missing.mean() < 1
    np.testing.assert_array_equal(np.isnan(packed(sampled)[:, columns]), missing)
    assert all(np.isfinite(sampled[name]).all() for name in sampled.data_vars if name != "sea_surface_temperature")


def test_the_file_of_an_ensemble_says_what_it_is(sampled):
    assert dict(sampled.sizes) == {
        "init_time": 1, "number": 1, "lead_time": 1, "level": 13, "latitude": 19, "longitude": 36,
    }  # fmt: skip
    assert sampled.attrs["airmass_system"] == "gencast" and sampled.attrs["airmass_seed"] == 0
    assert sampled.init_time.values[0] == GOLDEN_GENCAST.times.reshape(-1)[1]


def test_what_is_only_predicted_need_not_be_held(sampled, tmp_path):
    dataset = xr.load_dataset(GENCAST / "dataset.nc", decode_timedelta=True).drop_vars("total_precipitation_12hr")
    dataset.to_netcdf(tmp_path / "dry.nc")
    found = gencast(tmp_path / "g.nc", initial=tmp_path / "dry.nc")
    for name in sampled.data_vars:
        np.testing.assert_array_equal(found[name], sampled[name], err_msg=str(name))


def _spread_apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Root mean square difference of each channel in units of its spread."""
    return np.sqrt(np.nanmean((found - expected) ** 2, axis=0)) / np.nanstd(expected, axis=0)


def test_the_sampler_may_be_named(sampled, tmp_path):
    """The published one by its name is what it was; another is what it makes of the golden graph, but for ties."""
    levels = GOLDEN_GENCAST.published.sampler.levels
    same = gencast(tmp_path / "same.nc", "--sampler", "dpmpp-2s", "--noise-levels", str(levels))
    np.testing.assert_array_equal(packed(same), packed(sampled))
    assert same.attrs["airmass_sampler_kind"] == "dpmpp-2s" and same.attrs["airmass_sampler_levels"] == levels
    model = jax.tree.map(jnp.asarray, GOLDEN_GENCAST.model).ready(inference=True)
    state = State(model.normaliser.prognostic(jnp.asarray(GOLDEN_GENCAST.frames[:2])), jnp.int32(0))
    frame = jax.jit(lambda model: model.prepare(state, jnp.asarray(GOLDEN_GENCAST.forcings)))(model)
    denoise = jax.jit(lambda model, frame, x, sigma: model.denoise(frame, x, sigma))
    sampler = GOLDEN_GENCAST.published.sampler.as_kind("ddim")
    scaled = sampler.sample(
        lambda x, sigma: denoise(model, frame, x, sigma), lambda number: jnp.asarray(GOLDEN_GENCAST.noise)
    )
    expected = np.asarray(model.restore(frame, scaled))
    found = packed(gencast(tmp_path / "ddim.nc", "--sampler", "ddim"))
    away = (np.abs(found - expected) / np.nanstd(expected, axis=0))[~on_a_side()]
    assert np.nanmax(away) < 1e-3
    assert _spread_apart(found, packed(sampled)).max() > 0.01


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--sampler", "dpmpp"], "sampler.kind is 'dpmpp'"),
        (["--noise-levels", "1"], "sampler.levels is 1, expected 2 to "),
        (["--churn", "-1"], "--churn is -1.0, expected "),
        (["--noise-memory", "1"], "sampler.memory is 1.0, expected 0 or more, below 1"),
        (["--noise-memory-degrees", "0"], "sampler.memory_degrees is 0"),
        (["--noise-memory", "0.5", "--noise-memory-degrees", "19"], "memory_degrees is 19, expected at most 18"),
        (["--noise-memory", "0.5", "--initial-noise", "n.nc"], "fixes the noise, so --noise-memory 0.5 has no effect"),
    ],
)
def test_samplers_that_are_none(refused, more, words):
    assert words in refused(more=more, case=GENCAST)


def test_gencast_in_bfloat16(sampled, tmp_path):
    found, expected = packed(gencast(tmp_path / "g.nc", "--precision", "bfloat16")), packed(sampled)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    apart = _spread_apart(found, expected)
    assert 0 < apart.max() < GENCAST_BFLOAT16, apart.max()


def test_graphcast_in_bfloat16(made, tmp_path):
    low = tmp_path / "f.nc"
    more = ("--lead-time", "6h", "--precision", "bfloat16")
    assert command(low, GOLDEN.folder / "checkpoint.npz", GOLDEN.folder, GOLDEN.folder / "dataset.nc", *more) == 0
    found, expected = packed(open_forecast(low)), packed(open_forecast(made))
    assert np.isfinite(found).all()
    apart = _spread_apart(found[~on_a_side()], expected[~on_a_side()])
    assert 0 < apart.max() < GRAPHCAST_BFLOAT16, apart.max()


SST = "sea_surface_temperature"
GENCAST_INITIAL = {
    "a value over land": (
        lambda d: d.assign({SST: d[SST].fillna(280.0)}),
        "sea_surface_temperature at 2020-01-01T06:00 has a value at ",
    ),
    "none at all": (lambda d: nan_in(d, SST), "points that land_sea_mask says are water; expected a value there"),
    "infinite": (lambda d: d.assign({SST: d[SST].fillna(np.inf)}), "infinite values; expected none"),
    "no sea surface": (lambda d: d.drop_vars(SST), f"missing variable {SST}; the store holds"),
    "no mask": (lambda d: d.drop_vars("land_sea_mask"), "missing variable land_sea_mask; the store holds"),
    "NaN elsewhere": (
        lambda d: nan_in(d, "2m_temperature"),
        "2m_temperature has 1368 NaN or infinite values",
    ),
    "wrong step": (lambda d: d.isel(time=[0, 2, 4]), "time advances by 24 h; expected 2 frames 12 h apart"),
}


@pytest.mark.parametrize("case", GENCAST_INITIAL)
def test_initial_frames_that_do_not_fit_gencast(refused, tmp_path, case):
    change, words = GENCAST_INITIAL[case]
    change(xr.load_dataset(GENCAST / "dataset.nc", decode_timedelta=True)).to_netcdf(tmp_path / "bad.nc")
    assert words in refused(case=GENCAST, initial=tmp_path / "bad.nc")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda kind, d: None if "min" in kind else d, "min_by_level.nc: no such file"),
        (lambda kind, d: d.drop_vars(SST) if "min" in kind else d, f"min_by_level.nc: missing variable {SST}"),
        (lambda kind, d: nan_in(d, SST) if "min" in kind else d, f"min_by_level.nc: {SST} has 1 NaN"),
        (
            lambda kind, d: d.drop_vars("total_precipitation_12hr", errors="ignore"),
            "mean_by_level.nc: missing variable total_precipitation_12hr",
        ),
    ],
)
def test_wrong_statistics_of_gencast(refused, tmp_path, change, words):
    assert words in refused(case=GENCAST, statistics=tables(tmp_path / "statistics", change, GENCAST))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda d: d.isel(lat=slice(None, None, 2), lon=slice(None, None, 2)),
            "the noise is on the grid 18 x 10",
        ),
        (lambda d: d.drop_vars("temperature"), "noise.nc: missing variable temperature; the store holds"),
        (lambda d: d.drop_sel(level=500), "noise.nc: missing level [500] hPa"),
        (lambda d: nan_in(d, "temperature"), "noise.nc: temperature has 8892 NaN or infinite values; expected none"),
        (lambda d: xr.concat([d, d], "time"), "noise.nc: time has length 2, expected 1"),
        (lambda d: d.isel(lat=slice(None, None, -1)), "noise.nc: latitude runs north to south (90 to -90)"),
    ],
)
def test_noise_that_does_not_fit(refused, tmp_path, change, words):
    change(xr.load_dataset(GENCAST / "noise.nc", decode_timedelta=True)).to_netcdf(tmp_path / "noise.nc")
    assert words in refused(case=GENCAST, more=["--initial-noise", tmp_path / "noise.nc"])


def test_noise_that_is_not_there(refused, tmp_path):
    assert "absent.nc" in refused(case=GENCAST, more=["--initial-noise", tmp_path / "absent.nc"])


@pytest.mark.parametrize("members", ["0", "-1"])
def test_an_ensemble_of_none(refused, members):
    assert f"--members is {members}, expected 1 to " in refused(case=GENCAST, more=[f"--members={members}"])


def test_a_lead_time_between_frames_of_gencast(refused):
    message = refused(case=GENCAST, more=["--lead-time", "6h"])
    assert "lead time 6h: expected a multiple of the model's step of 12 h" in message


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_gencast(refused, tmp_path, share):
    whole = (GENCAST / "checkpoint.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
    assert f"{tmp_path}/cut.npz: cannot be read as a" in refused(case=GENCAST, checkpoint=tmp_path / "cut.npz")


QUERY = "params:mesh_transformer/~/transformer/block_00/mha_proj_q:w"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: flat.update({"params:other:w": np.ones((2, 3))}), "nothing uses, first other:w (2, 3)"),
        (lambda flat: flat.pop(QUERY), f"1 parameters missing, first {QUERY.removeprefix('params:')}"),
        (
            lambda flat: flat.update({"params:other:w": flat.pop(QUERY)}),
            f"first {QUERY.removeprefix('params:')}; instead it has other:w (32, 32)",
        ),
        (lambda flat: flat.update({QUERY: np.ones((5, 16))}), "has shape (5, 16), expected (32, 32)"),
        (lambda flat: flat.pop("sampler_config:rho"), "no sampler_config:rho in this published checkpoint"),
    ],
)
def test_a_gencast_of_other_parameters(refused, tmp_path, change, words):
    with np.load(GENCAST / "checkpoint.npz", allow_pickle=False) as stored:
        flat = {key: stored[key] for key in stored.files}
    change(flat)
    np.savez(tmp_path / "other.npz", **flat)
    message = refused(case=GENCAST, checkpoint=tmp_path / "other.npz")
    assert "other.npz: " in message and words in message


def test_frames_of_the_other_model(refused):
    assert f"{FOLDER}/dataset.nc: " in refused(case=GENCAST, initial=FOLDER / "dataset.nc")

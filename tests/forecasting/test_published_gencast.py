"""`airmass forecast` with a published GenCast: the published sample, samplers, and each bad input in one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from airmass.data.formats.forecast_reader import open_forecast
from airmass.models.state import State
from tests.forecasting.published import FOLDER, GENCAST, command, nan_in, on_a_side, packed, spread_apart, tables
from tests.golden_case import GOLDEN_GENCAST

# Largest root mean square difference of a channel after one step, in units of its spread; a third of that was measured.
BFLOAT16 = 0.024


def gencast(out, *more, initial=GENCAST / "dataset.nc") -> xr.Dataset:
    """The frame twelve hours ahead, from the noise that the published code was given."""
    noise = ("--initial-noise", GENCAST / "noise.nc")
    assert command(out, GENCAST / "checkpoint.npz", GENCAST, initial, "--lead-time", "12h", *noise, *more) == 0
    return open_forecast(out, ensemble=True).load()


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> xr.Dataset:
    return gencast(tmp_path_factory.mktemp("gencast") / "g.nc")


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
    assert spread_apart(found, packed(sampled)).max() > 0.01


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


@pytest.mark.slow
def test_gencast_in_bfloat16(sampled, tmp_path):
    found, expected = packed(gencast(tmp_path / "g.nc", "--precision", "bfloat16")), packed(sampled)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    apart = spread_apart(found, expected)
    assert 0 < apart.max() < BFLOAT16, apart.max()


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

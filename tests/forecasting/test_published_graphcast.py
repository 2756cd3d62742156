"""`airmass forecast` with a published GraphCast: the published numbers, and each bad input refused in one line."""

import numpy as np
import pytest
import xarray as xr

from airmass.data.formats.forecast_reader import open_forecast
from tests.forecasting.published import FOLDER, command, nan_in, on_a_side, packed, spread_apart, tables
from tests.golden_case import GOLDEN

# Largest root mean square difference of a channel after one step, in units of its spread; a third of that was measured.
BFLOAT16 = 0.021


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "f.nc"
    assert command(out, FOLDER / "checkpoint.npz", FOLDER, FOLDER / "dataset.nc", "--lead-time", "18h") == 0
    return out


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


@pytest.mark.slow
def test_graphcast_in_bfloat16(made, tmp_path):
    low = tmp_path / "f.nc"
    more = ("--lead-time", "6h", "--precision", "bfloat16")
    assert command(low, GOLDEN.folder / "checkpoint.npz", GOLDEN.folder, GOLDEN.folder / "dataset.nc", *more) == 0
    found, expected = packed(open_forecast(low)), packed(open_forecast(made))
    assert np.isfinite(found).all()
    apart = spread_apart(found[~on_a_side()], expected[~on_a_side()])
    assert 0 < apart.max() < BFLOAT16, apart.max()

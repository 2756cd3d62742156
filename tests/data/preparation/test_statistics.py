"""Statistics against float64 numpy on all data at once, and against closed forms."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.data.preparation import statistics
from airmass.data.preparation.moments import Changes, Moments
from airmass.data.preparation.saved_statistics import MINIMUM, load_statistics, load_table
from airmass.data.preparation.statistics import compute_statistics
from tests.conftest import NAMES, make_store, synthetic_dataset

DATES = ("2000-11-01", "2000-11-03")
SIX_HOURS = np.timedelta64(6, "h")


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    return compute_statistics(store, tmp_path_factory.mktemp("stats") / "statistics", DATES)


def direct(field: xr.DataArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation and that of changes over all but level, in float64 and all at once."""
    values = field.values.astype(np.float64)
    if field.dims[0] != "time":
        return values.mean(), values.std(), np.nan
    axes = (0, -2, -1)
    return np.nanmean(values, axes), np.nanstd(values, axes), np.nanstd(np.diff(values, axis=0), axes)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_agrees_with_numpy(folder, name):
    mean, stddev, diffs = load_statistics(folder)
    wanted = direct(synthetic_dataset()[name])
    np.testing.assert_allclose(mean[name], wanted[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(stddev[name], wanted[1], rtol=1e-6)
    if name in ("geopotential_at_surface", "land_sea_mask"):
        assert name not in diffs
    else:
        np.testing.assert_allclose(diffs[name], wanted[2], rtol=1e-6)
    np.testing.assert_array_equal(
        load_table(folder, MINIMUM)[name], synthetic_dataset()[name].min([d for d in ("time", "latitude", "longitude")
        if d in synthetic_dataset()[name].dims]),
    )  # fmt: skip


def test_files_are_laid_out_as_the_published_ones_and_say_where_they_come_from(folder, store):
    for dataset in load_statistics(folder):
        assert dataset.temperature.dims == ("level",) and dataset["2m_temperature"].dims == ()
        assert all(field.dtype == np.float32 for field in dataset.values())
        said = dataset.attrs
        assert said["store"] == str(store) and said["dates"] == "2000-11-01 2000-11-03"
        assert (said["frames"], said["step_hours"], said["pairs"], said["pairs_left_out"]) == (12, 6, 11, 0)
        assert len(said["data_fingerprint"]) == 16 and said["airmass_version"]
    assert sorted(p.name for p in folder.iterdir()) == [
        "climatology.zarr", "diffs_stddev_by_level.nc", "mean_by_level.nc", "min_by_level.nc", "stddev_by_level.nc",
    ]  # fmt: skip


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.sampled_from([0.0, 1e6, -1e8]), st.integers(0, 99))
def test_any_split_into_blocks_gives_the_same(lengths, offset, seed):
    """With an offset 1e8 times the spread, where sums of squares in float64 would keep no digit."""
    n = sum(lengths)
    values = offset + np.random.default_rng(seed).normal(size=(n, 2, 3, 4))
    values[:, :, 0, 0] = np.nan
    times = np.datetime64("2000-01-01", "ns") + np.arange(n) * SIX_HOURS
    moments, changes = Moments.none((2,)), Changes(SIX_HOURS, (2,))
    for stop, length in zip(np.cumsum(lengths), lengths, strict=True):
        block = slice(stop - length, stop)
        moments = moments.merge(Moments.of(values[block]))
        changes.add(times[block], values[block])
    np.testing.assert_allclose(moments.mean, np.nanmean(values, (0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(moments.stddev, np.nanstd(values, (0, 2, 3)), rtol=1e-7)
    assert moments.count.tolist() == [n * 11] * 2
    np.testing.assert_array_equal(moments.least, np.nanmin(values, (0, 2, 3)))
    assert changes.moments.count.tolist() == [(n - 1) * 11] * 2
    if n > 1:
        np.testing.assert_allclose(changes.moments.stddev, np.nanstd(np.diff(values, axis=0), (0, 2, 3)), rtol=1e-7)


def test_blocks_of_one_frame_give_the_same_files(store, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "_BLOCK_BYTES", 1)
    seen = []
    again = compute_statistics(store, tmp_path / "out", DATES, progress=lambda *said: seen.append(said))
    for one, other in zip(load_statistics(folder), load_statistics(again), strict=True):
        xr.testing.assert_allclose(one, other, rtol=1e-6)
    assert ("temperature", 12, 12) in seen


def test_four_workers_give_the_same_files(store, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "_BLOCK_BYTES", 1)
    names = ("temperature", "10m_u_component_of_wind", "10m_v_component_of_wind")
    one, four = (compute_statistics(store, tmp_path / f"{n}", DATES, names, workers=n) for n in (1, 4))
    for a, b in zip(load_statistics(one), load_statistics(four), strict=True):
        xr.testing.assert_identical(a, b)
    chunks = [path.relative_to(one) for path in one.rglob("*") if path.is_file() and "c" in path.parts]
    assert chunks and all((one / path).read_bytes() == (four / path).read_bytes() for path in chunks)


def test_linear_trend_has_equal_changes(tmp_path):
    """x = position + hours: the changes over 12 h are 12 everywhere, so their spread is none."""
    dataset = synthetic_dataset(days=2, step=3, names=("2m_temperature",))
    hours = xr.DataArray(np.arange(16) * 3.0, {"time": dataset.time})
    place = xr.DataArray(np.arange(8) / 8, {"latitude": dataset.latitude})
    dataset["2m_temperature"][:] = 250 + hours + place
    path = make_store(tmp_path / "a.zarr", dataset)
    mean, stddev, diffs = load_statistics(
        compute_statistics(path, tmp_path / "s", ("2000-11-01", "2000-11-02"), step=12)
    )
    assert float(mean["2m_temperature"]) == pytest.approx(250 + 22.5 + 3.5 / 8)
    assert float(stddev["2m_temperature"]) == pytest.approx(np.sqrt(9 * (16**2 - 1) / 12 + (8**2 - 1) / 12 / 64))
    assert float(diffs["2m_temperature"]) == pytest.approx(0, abs=1e-5)
    assert diffs.attrs["step_hours"] == 12 and diffs.attrs["pairs"] == 12


def test_pairs_across_a_gap_are_left_out_and_counted(tmp_path):
    path = make_store(tmp_path / "a.zarr", missing_time=5, names=("2m_temperature",))
    _, _, diffs = load_statistics(compute_statistics(path, tmp_path / "s", DATES))
    assert (diffs.attrs["pairs"], diffs.attrs["pairs_left_out"], diffs.attrs["frames_missing"]) == (9, 1, 1)
    values = synthetic_dataset()["2m_temperature"].values.astype(np.float64)
    whole = np.delete(np.diff(values, axis=0), [4, 5], axis=0)
    np.testing.assert_allclose(diffs["2m_temperature"], whole.std(), rtol=1e-6)


@pytest.mark.parametrize(("store_step", "step"), [(1, 6), (3, 6), (6, 6), (12, 12), (24, 24)])
def test_default_interval(tmp_path, store_step, step):
    path = make_store(tmp_path / "a.zarr", step=store_step, names=("2m_temperature",))
    assert load_statistics(compute_statistics(path, tmp_path / "s", DATES))[2].attrs["step_hours"] == step


def test_only_the_named_dates_variables_and_levels_count(store, tmp_path):
    path = compute_statistics(store, tmp_path / "s", ("2000-11-02", "2000-11-02"), ["t", "2t"], [500])
    mean, _, _ = load_statistics(path, ["temperature", "2m_temperature"], [500])
    part = synthetic_dataset().temperature.sel(time="2000-11-02", level=500).values
    assert mean.temperature.values == pytest.approx(part.mean(dtype=np.float64))
    assert set(mean) == {"temperature", "2m_temperature"} and mean.attrs["frames"] == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"dates": ("2000-10-01", "2000-11-02")},
            "2000-10-01 to 2000-11-02 are not covered; the store holds 2000-11-01",
        ),
        ({"dates": ("2000-11-01", "2000-11-04")}, "are not covered"),
        ({"dates": ("2000-11-03", "2000-11-01")}, "the last is before the first"),
        ({"dates": ("first", "last")}, "expected one such as"),
        ({"dates": DATES, "variables": ["snow"]}, "unknown variable 'snow'"),
        ({"dates": DATES, "levels": [10]}, r"missing level \[10\] hPa"),
        ({"dates": DATES, "variables": ["lsm"]}, "no variable of land_sea_mask changes in time"),
        ({"dates": DATES, "step": 4}, "no two frames 4 h apart"),
    ],
)
def test_wrong_requests_are_refused(store, tmp_path, options, said):
    with pytest.raises(InputError, match=said):
        compute_statistics(store, tmp_path / "s", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"nan": "geopotential"}, "geopotential has 3 NaN or infinite values, first at 2000-11-01T06:00"),
        ({"corrupt_chunk": "temperature"}, "temperature cannot be read between"),
        ({"reversed_latitude": True}, "latitude runs north to south"),
    ],
)
def test_faulty_stores_are_refused_with_nothing_written(tmp_path, fault, said):
    path = make_store(tmp_path / "a.zarr", **fault)
    with pytest.raises(InputError, match=said):
        compute_statistics(path, tmp_path / "s", DATES)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_constant_field_is_refused(tmp_path):
    dataset = synthetic_dataset(names=("2m_temperature", "temperature"))
    dataset["2m_temperature"][:] = 280
    with pytest.raises(InputError, match=r"2m_temperature is constant.*--variables"):
        compute_statistics(make_store(tmp_path / "a.zarr", dataset), tmp_path / "s", DATES)


BAD_FILES = {
    "nan": ("stddev_by_level", lambda f: f * np.nan, "temperature has 3 NaN or infinite values of 3; expected none"),
    "zero": ("stddev_by_level", lambda f: f * 0, "temperature at 300 hPa has the spread 0, expected above zero"),
    "negative": ("diffs_stddev_by_level", lambda f: -f, "temperature at 300 hPa has the spread -"),
    "text": ("mean_by_level", lambda f: f.astype(str), "temperature has type"),
    "no levels": (
        "mean_by_level",
        lambda f: f.isel(level=0, drop=True),
        "missing level [300, 500, 850] hPa; the store holds []",
    ),
    "fewer levels": ("mean_by_level", lambda f: f.isel(level=slice(2)), "missing level [850] hPa"),
    "units": ("mean_by_level", lambda f: f.assign_attrs(units="degC"), "temperature has units 'degC', expected 'K'"),
    "celsius": ("mean_by_level", lambda f: f - 273.15, "expected 140 to 350 K; are these °C?"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_statistics_that_no_field_has_are_refused(folder, tmp_path, fault):
    kind, change, words = BAD_FILES[fault]
    for name in ("mean_by_level", "stddev_by_level", "diffs_stddev_by_level"):
        table = load_table(folder, name)[["temperature"]]
        with xr.set_options(keep_attrs=True):
            table = change(table.temperature).to_dataset(name="temperature") if name == kind else table
        table.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
    with pytest.raises(InputError) as error:
        load_statistics(tmp_path, ["temperature"], [300, 500, 850])
    assert str(error.value).startswith(f"{tmp_path / kind}.nc: ") and words in str(error.value)
    assert "\n" not in str(error.value)


def test_loading_says_what_is_missing(folder, tmp_path):
    with pytest.raises(InputError, match=r"mean_by_level.nc: no such file"):
        load_statistics(tmp_path)
    with pytest.raises(InputError, match=r"mean_by_level.nc: missing level \[1000\] hPa"):
        load_statistics(folder, ["temperature"], [500, 1000])
    with pytest.raises(InputError, match="missing variable toa_incident"):
        load_statistics(folder, ["toa_incident_solar_radiation"])
    load_statistics(folder, ["land_sea_mask", "temperature"], [500])
    (tmp_path / "mean_by_level.nc").write_text("not netcdf")
    with pytest.raises(InputError, match="cannot be read as NetCDF"):
        load_statistics(tmp_path)

"""What a forecast starts from, in both layouts: same numbers, the right frames, and what is refused."""

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.initial import open_initial, read_noise
from airmass.fields.channels import ChannelLayout
from airmass.fields.grid import LatLonGrid
from airmass.fields.task import Task
from tests.conftest import make_store, synthetic_dataset

TASK = Task(
    prognostic=("temperature", "2m_temperature", "sea_surface_temperature"),
    diagnostic=("total_precipitation_12hr",),
    forcing=("day_progress_sin",),
    static=("geopotential_at_surface", "land_sea_mask"),
    levels=(300, 850),
    step=12,
)
NAMES = (*TASK.prognostic, *TASK.static)


def sea_and_land(**options) -> xr.Dataset:
    """Synthetic frames with a mask of zeros and ones and sea surface temperature over exactly the sea."""
    dataset = synthetic_dataset(names=NAMES, **options)
    land = np.isnan(dataset.sea_surface_temperature[0]).drop_vars("time")
    return dataset.assign(land_sea_mask=land.astype(np.float32).assign_attrs(units="1"))


def example(dataset: xr.Dataset) -> xr.Dataset:
    """The same in the layout of the published example files."""
    dates, batched = dataset.time.values, [str(n) for n, field in dataset.items() if "time" in field.dims]
    dataset = dataset.assign_coords(time=dates - dates[0])
    dataset = dataset.assign({name: dataset[name].expand_dims("batch") for name in batched})
    dataset = dataset.assign_coords(datetime=(("batch", "time"), dates[None]))
    return dataset.rename(latitude="lat", longitude="lon")


def write(path, dataset: xr.Dataset):
    path.write_bytes(dataset.to_netcdf(engine="h5netcdf"))  # a refused file may still be open
    return path


@pytest.fixture(scope="module")
def dataset() -> xr.Dataset:
    return sea_and_land(days=2, step=12)


@pytest.fixture(scope="module")
def published(dataset, tmp_path_factory):
    return write(tmp_path_factory.mktemp("example") / "e.nc", example(dataset))


def refused(dataset: xr.Dataset, tmp_path, init="2000-11-01T12", task=TASK) -> str:
    path = write(tmp_path / "bad.nc", dataset)
    with pytest.raises(InputError) as error:
        initial = open_initial(path, task)
        initial.static()
        initial.history(np.datetime64(init, "ns"))
    message = str(error.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message


def test_every_layout_gives_the_same_frames(dataset, published, tmp_path):
    layouts = [
        published,
        write(tmp_path / "variable.nc", example(dataset).reset_coords("datetime")),
        write(tmp_path / "spelt.nc", example(dataset).rename(lat="latitude", lon="longitude")),
        write(tmp_path / "ours.nc", dataset),
        write(tmp_path / "short.nc", dataset.rename(latitude="lat", longitude="lon")),
        make_store(tmp_path / "v3.zarr", dataset),
        make_store(tmp_path / "v2.zarr", dataset, zarr_format=2),
    ]
    init = np.datetime64("2000-11-02T00", "ns")
    frames, static = dataset.sel(time=[init - np.timedelta64(12, "h"), init]), dataset[list(TASK.static)]
    expected = ChannelLayout.of(TASK.prognostic, TASK.levels).pack(frames)
    for path in layouts:
        initial = open_initial(path, TASK)
        assert initial.grid == LatLonGrid.equiangular(8, 16)
        np.testing.assert_array_equal(initial.inits, dataset.time[1:])
        history = initial.history(init)
        assert history.dtype == np.float32
        np.testing.assert_array_equal(history, expected)
        np.testing.assert_array_equal(initial.static(), ChannelLayout.of(TASK.static, ()).pack(static))


def test_an_example_file_means_its_earliest_initial_time(published):
    assert open_initial(published, TASK).default_init() == np.datetime64("2000-11-01T12")


def test_a_store_means_its_only_initial_time(dataset, tmp_path):
    two = open_initial(make_store(tmp_path / "two.zarr", dataset.isel(time=[1, 2])), TASK)
    assert two.default_init() == np.datetime64("2000-11-02T00")
    many = open_initial(make_store(tmp_path / "many.zarr", dataset), TASK)
    with pytest.raises(InputError, match=r"3 initial times are possible, 2000-11-01T12:00 to 2000-11-02T12:00.*--init"):
        many.default_init()


def test_frames_at_a_finer_step_are_used(tmp_path):
    fine = sea_and_land(days=2, step=6)
    initial = open_initial(write(tmp_path / "fine.nc", example(fine)), TASK)
    assert initial.default_init() == fine.time.values[2]
    layout = ChannelLayout.of(TASK.prognostic, TASK.levels)
    np.testing.assert_array_equal(initial.history(initial.default_init()), layout.pack(fine.isel(time=[0, 2])))


def test_the_fingerprint_follows_the_values(dataset, published, tmp_path):
    warmer = dataset.assign({"2m_temperature": dataset["2m_temperature"] + 1})
    other = open_initial(write(tmp_path / "o.nc", example(warmer)), TASK)
    assert other.fingerprint != open_initial(published, TASK).fingerprint


def test_what_does_not_fit_is_refused(dataset, tmp_path):
    good = example(dataset)
    south = good.isel(lat=slice(None, None, -1))
    cases = [
        (good.isel(time=[0, 2]), "time advances by 24 h; expected 2 frames 12 h apart"),
        (good.isel(time=[0]), "one time only; expected 2 frames 12 h apart"),
        (good.drop_vars("datetime"), "time is a duration, and there is no datetime"),
        (xr.concat([good, good], "batch", data_vars="minimal", coords="minimal"), "batch has length 2, expected 1"),
        (south, "latitude runs north to south"),
        (good.drop_vars("2m_temperature"), "missing variable 2m_temperature"),
        (good.drop_vars("land_sea_mask"), "missing variable land_sea_mask"),
        (good.sel(level=[300, 500]), "missing level [850] hPa; the store holds [300, 500]"),
        (good.transpose("batch", "time", "level", "lon", "lat"), "has dimensions"),
    ]
    for number, (bad, words) in enumerate(cases):
        (tmp_path / str(number)).mkdir()
        assert words in refused(bad, tmp_path / str(number))


@pytest.mark.parametrize("name", ["temperature", "geopotential_at_surface"])
def test_missing_values_are_refused(dataset, tmp_path, name):
    bad = dataset.copy(deep=True)
    bad[name].values[..., 3] = np.nan
    message = refused(example(bad), tmp_path)
    assert f"{name} has" in message and message.endswith("expected none")


def test_sea_surface_temperature_must_be_missing_over_land(dataset, tmp_path):
    n_land = int(dataset.land_sea_mask.sum())
    message = refused(example(dataset.fillna(290.0)), tmp_path)
    assert f"sea_surface_temperature at 2000-11-01T00:00 has a value at {n_land} of the {n_land} points" in message
    one = dataset.copy(deep=True)
    row, column = np.argwhere(dataset.land_sea_mask.values == 1)[0]
    one.sea_surface_temperature.values[1, row, column] = 290.0
    assert f"at 2000-11-01T12:00 has a value at 1 of the {n_land} points" in refused(example(one), tmp_path)


def test_sea_surface_temperature_must_be_there_over_water(dataset, tmp_path):
    bad = dataset.assign(sea_surface_temperature=dataset.sea_surface_temperature * np.nan)
    n_sea = int((dataset.land_sea_mask == 0).sum())
    assert f"is NaN at {n_sea} of the {n_sea} points that land_sea_mask says are water" in refused(bad, tmp_path)


def test_a_coast_may_be_either(dataset, tmp_path):
    coast = dataset.assign(land_sea_mask=dataset.land_sea_mask * 0.8 + 0.1)
    initial = open_initial(write(tmp_path / "coast.nc", example(coast)), TASK)
    assert np.isfinite(initial.static()).all()
    initial.history(initial.default_init())


def noise(n_latitude=8, **options) -> xr.Dataset:
    frame = synthetic_dataset(names=TASK.targets, n_latitude=n_latitude, days=0.25, **options)
    rng = np.random.default_rng(0)
    fields = {str(name): field.copy(data=rng.normal(size=field.shape)) for name, field in frame.items()}
    return example(xr.Dataset(fields)).drop_vars("datetime").astype(np.float32)


def test_noise_is_read_in_the_order_of_targets(tmp_path):
    dataset = noise()
    found = read_noise(write(tmp_path / "n.nc", dataset), TASK, LatLonGrid.equiangular(8, 16))
    layout = ChannelLayout.of(TASK.targets, TASK.levels)
    expected = dataset.isel(batch=0, time=0).rename(lat="latitude", lon="longitude")
    assert found.shape == (128, len(layout))
    np.testing.assert_array_equal(found, layout.pack(expected))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (noise().drop_vars("sea_surface_temperature"), "missing variable sea_surface_temperature"),
        (noise().sel(level=[500, 850]), "missing level [300] hPa"),
        (noise(n_latitude=16), "the noise is on the grid 16 x 16"),
        (noise().where(noise().lat > 0), "NaN or infinite values; expected none"),
        (noise().isel(time=[0, 0]), "time has length 2, expected 1"),
    ],
)
def test_noise_that_does_not_fit_is_refused(tmp_path, bad, words):
    path = write(tmp_path / "n.nc", bad)
    with pytest.raises(InputError) as error:
        read_noise(path, TASK, LatLonGrid.equiangular(8, 16))
    assert words in str(error.value) and str(path) in str(error.value)

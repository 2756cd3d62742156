"""Archives in every layout become one store; real files become stores of known values; runs go on after a kill."""

import shutil
import zipfile
from pathlib import Path

import cfgrib
import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.store import open_store
from airmass.data.ingest.ingest import ingest
from airmass.data.ingest.request import IngestRequest, open_sources, parse_times
from tests.conftest import synthetic_dataset
from tests.grib import messages, write
from tests.layouts import LAYOUTS, cds_new

REAL = Path(__file__).parents[1] / "real"
GFS = REAL / "gfs_20110110T12_f120_2p5deg.grib2"
NAMES = ("geopotential", "temperature", "u_component_of_wind", "specific_humidity", "2m_temperature",
         "mean_sea_level_pressure", "sea_surface_temperature", "land_sea_mask", "geopotential_at_surface")  # fmt: skip

FEW = ("temperature", "2m_temperature")


def archive(names=NAMES, days: float = 0.5, **options) -> xr.Dataset:
    return synthetic_dataset(days=days, names=tuple(names), **options)


def taken(sources, out: Path, **options) -> xr.Dataset:
    ingest(IngestRequest(tuple(sources), **options), out)
    return open_store(out, dask=False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_becomes_the_same_store(layout, tmp_path):
    wanted = archive()
    found = taken(LAYOUTS[layout](wanted, tmp_path), tmp_path / "out.zarr")
    for name in map(str, found.data_vars):
        one, other = found[name].values, wanted[name].values
        if layout == "CDS, old":  # packed in 16 bits: half of a 65,532nd of the range
            np.testing.assert_allclose(
                one, other, atol=0.51 * np.nanmax(np.abs(other - np.nanmin(other))) / 65532 + 1e-9
            )
        elif layout == "CMIP":  # divided by g or by a hundred, and multiplied again
            np.testing.assert_allclose(one, other, rtol=2e-7)
        else:
            np.testing.assert_array_equal(one, other)
    assert set(found.data_vars) == set(NAMES) - ({"sea_surface_temperature"} if layout == "CMIP" else set())
    np.testing.assert_array_equal(found.time, wanted.time)


def test_a_zip_of_new_cds_is_taken_in(tmp_path):
    wanted = archive(FEW)
    with zipfile.ZipFile(tmp_path / "cds.zip", "w") as held:
        for file in cds_new(wanted, tmp_path):
            held.write(file, file.name)
    found = taken([tmp_path / "cds.zip"], tmp_path / "out.zarr")
    np.testing.assert_array_equal(found.temperature, wanted.temperature)


def test_a_folder_of_files_is_taken_in(tmp_path):
    (tmp_path / "tree" / "2000").mkdir(parents=True)
    wanted = archive(FEW)
    LAYOUTS["NCAR"](wanted, tmp_path / "tree" / "2000")
    np.testing.assert_array_equal(taken([tmp_path / "tree"], tmp_path / "o.zarr").temperature, wanted.temperature)


@pytest.mark.parametrize("expver", ["0001", "0005"])
def test_era5_and_era5t_are_one(tmp_path, expver):
    wanted = archive(["2m_temperature"], days=1)
    versions = xr.concat(
        [wanted.where(wanted.time < wanted.time[2]), wanted.where(wanted.time >= wanted.time[2])], "expver"
    )
    versions = versions.assign_coords(expver=[1, 5]).rename({"2m_temperature": "t2m"})
    versions.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    np.testing.assert_array_equal(
        taken([tmp_path / "a.nc"], tmp_path / "o.zarr")["2m_temperature"], wanted["2m_temperature"]
    )


# --- real files -----------------------------------------------------------------------------------------------------


def theirs(**keys) -> xr.Dataset:
    return cfgrib.open_dataset(str(GFS), indexpath="", backend_kwargs={"filter_by_keys": keys}).sortby("latitude")


def test_gfs_at_its_own_grid_holds_the_files_values(tmp_path):
    found = taken([GFS], tmp_path / "o.zarr", variables=("z", "t", "u", "v", "2t", "msl", "tp06", "zsfc", "lsm"))
    on_levels = theirs(typeOfLevel="isobaricInhPa").sortby("isobaricInhPa")
    np.testing.assert_array_equal(found.temperature[0], on_levels.t)
    np.testing.assert_array_equal(found.v_component_of_wind[0], on_levels.v)
    np.testing.assert_array_equal(found.geopotential[0], (on_levels.gh.astype("float64") * 9.80665).astype("float32"))
    rain = theirs(shortName="tp")
    np.testing.assert_array_equal(
        found.total_precipitation_6hr[0], (rain.tp.astype("float64") * 1e-3).astype("float32")
    )
    assert found.total_precipitation_6hr.attrs["cell_methods"] == "time: sum (interval: 6 hours)"
    assert "9.80665 m s-2 times geopotential height" in found.geopotential.attrs["history"]
    assert found.sizes == {"time": 1, "level": 13, "latitude": 73, "longitude": 144}


@pytest.mark.parametrize(("grid", "shape"), [("64x32", (32, 64)), ("5", (37, 72))])
def test_gfs_on_other_grids_keeps_area_means(tmp_path, grid, shape):
    """The means by area, with areas from the edges of the rows: an independent sum over cfgrib's values."""
    found = taken([GFS], tmp_path / "o.zarr", grid=grid, variables=("t", "2t", "msl"))
    assert found["2m_temperature"].shape[1:] == shape

    def mean(field, rows) -> float:
        edges = np.r_[-90, (rows[1:] + rows[:-1]) / 2, 90]
        return float(
            (field.mean(axis=-1, dtype="float64") * np.diff(np.sin(np.deg2rad(edges)))).sum(axis=-1).mean() / 2
        )

    source = theirs(typeOfLevel="isobaricInhPa").sortby("isobaricInhPa")
    assert mean(found.temperature.values[0], found.latitude.values) == pytest.approx(
        mean(source.t.values, source.latitude.values), rel=1e-6
    )


def test_gfs_becomes_thirteen_levels_and_tells_what_lacks_them(tmp_path, capsys):
    levels = ["50", "100", "150", "200", "250", "300", "400", "500", "600", "700", "850", "925", "1000"]
    words = ["data", "ingest", str(GFS), "--out", str(tmp_path / "o.zarr"), "--grid", "64x32", "--levels", *levels]
    assert main(words) == 0
    assert "left out: vertical_velocity: it is missing at 50 hPa" in " ".join(capsys.readouterr().out.split())
    found = open_store(tmp_path / "o.zarr")
    assert found.sizes["level"] == 13 and "specific_humidity" in found and "vertical_velocity" not in found
    assert main([*words[:4], str(tmp_path / "p.zarr"), *words[5:], "--variables", "w"]) == 2
    assert "vertical_velocity is missing at 50 hPa" in capsys.readouterr().err


def test_gfs_humidity_saturates_where_it_should(tmp_path):
    """Relative humidity computed back, with the same phase, is the file's; and 2 m temperature is within its bounds."""
    found = taken([GFS], tmp_path / "o.zarr", variables=("q", "t"), levels=(500, 850))
    on_levels = theirs(typeOfLevel="isobaricInhPa").sortby("isobaricInhPa").sel(isobaricInhPa=[500, 850])
    p, t, q = np.array([5e4, 8.5e4])[:, None, None], on_levels.t.values.astype(float), found.specific_humidity.values[0]
    e = q * p / (0.621981 + (1 - 0.621981) * q)
    warm = t > 273.16
    saturated = 611.21 * np.exp(17.502 * (t - 273.16) / (t - 32.19))
    np.testing.assert_allclose((100 * e / saturated)[warm], on_levels.r.values[warm], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("source", ["gfs", "era5"])
def test_geopotential_and_temperature_are_in_hydrostatic_balance(source, tmp_path):
    """Thickness of each layer against R Tv ln(p1/p2), of the layer's mean: within 1.5 % of the layer on average."""
    levels = (100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
    file = GFS if source == "gfs" else REAL / "era5_tl31_19590102T00.nc"
    found = taken([file], tmp_path / "o.zarr", grid="64x32", levels=levels, variables=("z", "t", "q"))
    virtual = (found.temperature * (1 + 0.6078 * found.specific_humidity)).values[0]
    layer = np.diff(np.log(levels))[:, None, None] * (virtual[1:] + virtual[:-1]) / 2 * 287.06
    thickness = -np.diff(found.geopotential.values[0], axis=0)
    assert np.abs(thickness / layer - 1).mean(axis=(1, 2)).max() < 0.015


def test_era5_on_gaussian_rows_from_18_to_13_levels(tmp_path):
    levels = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
    found = taken([REAL / "era5_tl31_19590102T00.nc"], tmp_path / "o.zarr", grid="64x32", levels=levels)
    assert found.sizes == {"time": 1, "level": 13, "latitude": 32, "longitude": 64}
    source = xr.open_dataset(REAL / "era5_tl31_19590102T00.nc", engine="scipy")
    weights = np.polynomial.legendre.leggauss(32)[1]
    edges = np.sin(np.deg2rad(np.linspace(-90, 90, 33)))
    for level in (50, 500, 1000):
        wanted = (source.temperature.sel(level=level).mean("longitude", dtype="float64") * weights).sum() / 2
        rows = found.temperature.sel(level=level)[0].mean("longitude", dtype="float64")
        assert float((rows * np.diff(edges)).sum() / 2) == pytest.approx(float(wanted), rel=1e-6)


def test_members_are_kept_or_chosen(tmp_path):
    file = REAL / "era5_members_20170101_3deg.grib"
    ingest(IngestRequest((file,)), tmp_path / "all.zarr")
    with xr.open_zarr(tmp_path / "all.zarr", consolidated=False) as all_members:
        assert all_members.temperature.dims == ("time", "number", "level", "latitude", "longitude")
        one = taken([file], tmp_path / "one.zarr", member=1)
        np.testing.assert_array_equal(one.temperature, all_members.temperature.sel(number=1))
    with pytest.raises(InputError, match="no member 7; the sources have 0, 1"):
        open_sources(IngestRequest((file,), member=7))


# --- what is refused ------------------------------------------------------------------------------------------------


def test_times_of_a_text():
    assert list(parse_times("2020-01-01T06:00:2020-01-02:12h").astype("M8[h]").astype(str)) == [
        "2020-01-01T06", "2020-01-01T18", "2020-01-02T06", "2020-01-02T18",
    ]  # fmt: skip
    for wrong in (
        "",
        "2020-01-01:6h",
        "2020-01-01:2020-01-02",
        "2020-01-02:2020-01-01:6h",
        "2020-01-01:2020-01-02:0h",
        "a:b:6h",
    ):
        with pytest.raises(InputError, match=r"--times is|the last is before"):
            parse_times(wrong)


def test_rain_without_its_hours_is_refused_and_hourly_rain_is_summed(tmp_path):
    hours = np.datetime64("2020-01-01T01", "ns") + np.arange(24) * np.timedelta64(1, "h")
    rain = np.random.default_rng(0).gamma(0.3, 0.002, (24, 8, 16)).astype(np.float32)
    base = archive(["2m_temperature"])
    hourly = xr.Dataset({"tp": (("valid_time", "latitude", "longitude"), rain, {"units": "m"})}, {"valid_time": hours})
    hourly = hourly.assign_coords(latitude=base.latitude, longitude=base.longitude)
    hourly.to_netcdf(tmp_path / "tp.nc", engine="h5netcdf")
    asked = {"variables": ("tp06", "tp12"), "times": "2020-01-01T12:2020-01-02T00:6h"}
    with pytest.raises(InputError, match=r"tp\.nc: tp: nothing says over how many hours it is summed.*--accumulation"):
        open_sources(IngestRequest((tmp_path / "tp.nc",), **asked))
    found = taken([tmp_path / "tp.nc"], tmp_path / "o.zarr", accumulation=1, **asked)
    np.testing.assert_allclose(found.total_precipitation_6hr[0], rain[6:12].sum(0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(found.total_precipitation_12hr[2], rain[12:24].sum(0, dtype=float), rtol=1e-6)


def test_sums_since_the_start_that_fall_are_refused(tmp_path):
    frame = np.full((8, 16), 0.004, np.float32)
    base = archive(["2m_temperature"])
    keys = {"dataDate": 20000101, "dataTime": 0, "shortName": "tp", "stepType": "accum"}
    from tests.grib import message

    parts = [message(frame * k, {**keys, "stepRange": f"0-{6 * k}"}, False) for k in (1, 2)]
    parts.append(message(frame, {**keys, "stepRange": "0-18"}, False))
    del base
    with pytest.raises(InputError, match=r"falls by 0\.004 m within the 6 h to 2000-01-01T18:00"):
        taken(
            [write(tmp_path / "f.grib", parts)],
            tmp_path / "o.zarr",
            variables=("tp06",),
            times="2000-01-01T06:2000-01-01T18:6h",
        )
    assert not (tmp_path / "o.zarr").exists() and not (tmp_path / "o.zarr.partial").exists()


def test_single_and_pressure_levels_join_only_at_equal_times(tmp_path):
    files = cds_new(archive(("geopotential", "2m_temperature"), days=1), tmp_path)
    shifted = xr.open_dataset(files[1], engine="h5netcdf").load()
    shifted = shifted.assign_coords(valid_time=shifted.valid_time + np.timedelta64(3, "h"))
    files[1].unlink()
    shifted.to_netcdf(files[1], engine="h5netcdf")
    with pytest.raises(
        InputError, match=r"geopotential has 4 times from 2000-11-01T00:00 .*2m_temperature has 4 times .*T03:00"
    ):
        open_sources(IngestRequest(tuple(files)))


def test_levels_split_over_files_join(tmp_path):
    whole = archive(["temperature"])
    files = [
        write(tmp_path / f"{p}.grib", messages(whole.sel(level=[p]), {"temperature": "t"})) for p in (850, 300, 500)
    ]
    np.testing.assert_array_equal(taken(files, tmp_path / "o.zarr").temperature, whole.temperature)
    shutil.copy(files[0], tmp_path / "again.grib")
    with pytest.raises(
        InputError,
        match=r"temperature at 850 hPa at 2000-11-01T00:00 is there twice, in .*850\.grib: t and .*again\.grib: t",
    ):
        open_sources(IngestRequest((*files, tmp_path / "again.grib")))

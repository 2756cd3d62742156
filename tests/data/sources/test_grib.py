"""GRIB: real fields against another reader, axes, windows, grids, and damaged files."""

import sys
from pathlib import Path

import cfgrib
import eccodes
import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.formats.opening import open_unchecked
from tests.conftest import synthetic_dataset
from tests.grib import message, messages, write

REAL = Path(__file__).parents[1] / "real"
GFS, MEMBERS = REAL / "gfs_20110110T12_f120_2p5deg.grib2", REAL / "era5_members_20170101_3deg.grib"
FRAME = np.arange(8 * 16, dtype=np.float32).reshape(8, 16)
DAY = {"dataDate": 20000101, "dataTime": 0}


def opened(path: Path):
    return open_unchecked(path, dask=False)


def test_gfs_is_as_cfgrib_reads_it():
    """u and v stand in one message there, which ecCodes skips unless it is told not to."""
    ours = opened(GFS)
    levels = cfgrib.open_dataset(
        str(GFS), indexpath="", backend_kwargs={}, filter_by_keys={"typeOfLevel": "isobaricInhPa"}
    )
    for name in ("gh", "t", "r", "u", "v"):
        theirs = levels[name].sortby("isobaricInhPa").values
        np.testing.assert_array_equal(ours[name].values[0], theirs)
    assert ours.time.values == np.datetime64("2011-01-15T12") == levels.valid_time.values
    assert ours.sizes["level"] == 13 and ours.tp_window.values == np.timedelta64(6, "h")


def test_members_stay_members():
    ours, theirs = opened(MEMBERS), cfgrib.open_dataset(str(MEMBERS), indexpath="")
    assert dict(ours.sizes) == {"time": 2, "number": 2, "level": 2, "latitude": 61, "longitude": 120}
    for name in "zt":
        theirs_ordered = theirs[name].sortby("isobaricInhPa").transpose("time", "number", ...)
        np.testing.assert_array_equal(ours[name].values, theirs_ordered.values)


def test_a_field_that_is_not_there_is_named(tmp_path):
    """Vertical velocity of GFS ends at 100 hPa."""
    with pytest.raises(InputError, match=r"w is not there at 50 hPa at 2011-01-15T12:00"):
        opened(GFS).w.load()
    assert opened(GFS).w.sel(level=[500, 850]).load().notnull().all()


def test_overlapping_forecasts_have_two_axes_of_time(tmp_path):
    parts = [
        message(FRAME + hour + step, {"shortName": "2t", **DAY, "dataTime": 100 * hour, "step": step}, False)
        for hour in (0, 6) for step in (0, 6)
    ]  # fmt: skip
    ours = opened(write(tmp_path / "f.grib", parts))
    assert ours["2t"].dims == ("time", "step", "latitude", "longitude")
    assert ours.valid_time.values[1, 1] == np.datetime64("2000-01-01T12")
    assert ours["2t"].values[1, 1, 0, 0] == 12


def test_forecasts_that_follow_one_another_have_valid_times(tmp_path):
    parts = [message(FRAME, {"shortName": "2t", **DAY, "step": step}, False) for step in (6, 3)]
    ours = opened(write(tmp_path / "f.grib", parts))
    assert list(ours.time.values.astype("datetime64[h]").astype(str)) == ["2000-01-01T03", "2000-01-01T06"]


def total(start: int, end: int) -> bytes:
    keys = {"shortName": "tp", **DAY, "stepType": "accum", "stepRange": f"{start}-{end}"}
    return message(FRAME, keys, False)


def test_sums_tell_their_windows(tmp_path):
    ours = opened(write(tmp_path / "f.grib", [total(0, 6), total(6, 12), total(0, 12)]))
    hours = lambda name: list(ours[name].values / np.timedelta64(1, "h"))  # noqa: E731
    assert hours("tp_window") == [6, 6]
    assert np.isnan(hours("tp_2_window")[0]) and hours("tp_2_window")[1] == 12


def test_missing_values_are_nan(tmp_path):
    frame = np.where(FRAME % 3 == 0, np.nan, FRAME)
    ours = opened(write(tmp_path / "f.grib", [message(frame, {"paramId": 34, **DAY}, False)]))
    np.testing.assert_array_equal(ours.sst.values[0], frame)


def test_a_reduced_grid_is_points(tmp_path):
    held = eccodes.codes_grib_new_from_samples("reduced_gg_pl_32_grib2")
    eccodes.codes_set(held, "shortName", "t")
    eccodes.codes_set(held, "level", 500)
    (tmp_path / "f.grib").write_bytes(eccodes.codes_get_message(held))
    eccodes.codes_release(held)
    ours = opened(tmp_path / "f.grib")
    assert ours.t.dims == ("time", "level", "values") and ours.latitude.dims == ("values",)
    assert len(np.unique(ours.latitude)) == 64


def without(key: str, value) -> dict:
    return {"shortName": "2t", **DAY, key: value}


FIELD = message(FRAME, {"shortName": "2t", **DAY}, False)
LONG = message(FRAME, {"shortName": "2t", **DAY}, False, edition=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FIELD + FIELD[:-50], r"truncated: message 2 at byte \d+ has \d+ bytes, of which the file holds \d+"),
        (FIELD[:-4] + b"7787", "message 1 at byte 0 does not end with 7777"),
        (FIELD[:7] + b"\3" + FIELD[8:], "is GRIB edition 3, expected 1 or 2"),
        (FIELD + b"x" * 900, r"900 bytes after message 1, at byte \d+, are no GRIB message"),
        (FIELD + FIELD, r"2t at 2000-01-01T00:00 is there twice, at bytes 0 and \d+"),
        (FIELD + message(FRAME[:, :8], without("dataTime", 600), False), "fields on two grids, 2t on regular_ll 16"),
        (message(FRAME, without("shortName", "swvl1"), False), r"no field that airmass knows; it holds swvl1"),
        (LONG[:4] + b"\0\0\5" + LONG[7:], "says that it has 5 bytes"),
        (b"GRIB", "truncated: message 1 at byte 0 has 4 bytes"),
        (FIELD[:16] + b"\0\0\0\1" + FIELD[20:], "message 1 at byte 0 has a section of 1 bytes at byte 16"),
    ],
    ids=range(10),
)  # fmt: skip
def test_damaged_files_are_one_line(tmp_path, content, said):
    (tmp_path / "f.grib").write_bytes(content)
    with pytest.raises(InputError, match=rf"f\.grib: .*{said}"):
        opened(tmp_path / "f.grib").load()


def test_spherical_harmonics_are_refused(tmp_path):
    held = eccodes.codes_grib_new_from_samples("sh_pl_grib2")
    eccodes.codes_set(held, "shortName", "t")
    (tmp_path / "f.grib").write_bytes(eccodes.codes_get_message(held))
    with pytest.raises(InputError, match="in spherical harmonics, expected a grid"):
        opened(tmp_path / "f.grib")


def test_without_eccodes_the_extra_is_named(tmp_path, monkeypatch):
    write(tmp_path / "f.grib", [FIELD])
    monkeypatch.setitem(sys.modules, "eccodes", None)
    with pytest.raises(InputError, match=r"needs ecCodes; install it with pip install 'airmass\[grib\]'"):
        opened(tmp_path / "f.grib")


def test_edition_1_reads_as_edition_2(tmp_path):
    dataset = synthetic_dataset(days=0.5, names=("temperature",))
    one = opened(write(tmp_path / "1.grib", messages(dataset, {"temperature": "t"}, edition=1)))
    two = opened(write(tmp_path / "2.grib", messages(dataset, {"temperature": "t"}, edition=2)))
    np.testing.assert_allclose(one.t.values, two.t.values, atol=1e-5)
    np.testing.assert_array_equal(one.latitude, two.latitude)

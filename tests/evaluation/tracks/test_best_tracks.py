"""Best tracks: the typhoon Hagibis as it was, and one table from every format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.evaluation.tracks.best_tracks import KNOT, landfalls, read_best_tracks

FILE = Path(__file__).with_name("ibtracs_october_2019.csv")
HAGIBIS = "2019278N16165"


@pytest.fixture(scope="module")
def best():
    return read_best_tracks(FILE)


def test_hagibis(best):
    storm = best[best.track_id == HAGIBIS]
    assert storm.slp.min() == 91500 and storm.wind.max() == pytest.approx(105 * KNOT)
    assert storm.time.iloc[0] == np.datetime64("2019-10-04T12") and storm.lon.iloc[-1] == 182.0
    assert storm.wind.isna().sum() == 12 and storm.slp.isna().sum() == 2
    first = landfalls(storm).iloc[0]
    # The Izu peninsula of Honshu, before 19:00 Japanese time (Japan Meteorological Agency).
    assert np.datetime64("2019-10-12T08") < first.time < np.datetime64("2019-10-12T11")
    assert 34.5 < first.lat < 35.4 and 138.6 < first.lon < 139.3
    assert set(landfalls(storm).time.dt.date) == {first.time.date()}


def test_basin_na_is_the_north_atlantic(best):
    atlantic = best[best.basin == "NA"]
    assert set(atlantic.track_id) == {"2019282N35286", "2019288N13341"} and not best.basin.isna().any()


def ibtracs(best: pd.DataFrame, agency: str = "TOKYO") -> pd.DataFrame:
    """The same rows in IBTrACS' columns; the other agency has winds 10 kt higher and positions 0.5 degrees east."""
    text = pd.DataFrame({"SID": best.track_id, "SEASON": best.season.astype(str), "BASIN": best.basin, "NAME": "X"})
    text["ISO_TIME"] = best.time.dt.strftime("%Y-%m-%d %H:%M:%S")
    text["LAT"], text["LON"] = best.lat.map("{:.1f}".format), (((best.lon + 180) % 360) - 180).map("{:.1f}".format)
    text["WMO_WIND"] = (best.wind / KNOT).map("{:.0f}".format)
    text["WMO_PRES"] = (best.slp / 100).map("{:.0f}".format)
    text[f"{agency}_LAT"], text[f"{agency}_LON"] = text.LAT, (best.lon + 0.5).map("{:.1f}".format)
    text[f"{agency}_WIND"] = (best.wind / KNOT + 10).map("{:.0f}".format)
    text[f"{agency}_PRES"] = text.WMO_PRES
    text["TRACK_TYPE"] = "main"
    text = text.replace("nan", " ")
    units = {name: " " for name in text} | {"LAT": "degrees_north", "LON": "degrees_east"}
    units |= {name: "kts" if name.endswith("WIND") else "mb" for name in text if name.endswith(("WIND", "PRES"))}
    return pd.concat([pd.DataFrame([units]), text])


def test_ibtracs_in_csv(best, tmp_path):
    text = ibtracs(best)
    spur = text.iloc[5:6].assign(TRACK_TYPE="spur", LAT="0.0")
    pd.concat([text, spur]).to_csv(tmp_path / "ibtracs.csv", index=False)
    found = read_best_tracks(tmp_path / "ibtracs.csv")
    pd.testing.assert_frame_equal(found.drop(columns="name"), best.drop(columns="name"))
    tokyo = read_best_tracks(tmp_path / "ibtracs.csv", "tokyo")
    np.testing.assert_allclose(tokyo.wind, best.wind + 10 * KNOT)
    np.testing.assert_allclose(tokyo.lon, (best.lon + 0.5) % 360)


def test_ibtracs_in_netcdf(best, tmp_path):
    storms = [rows for _, rows in best.groupby("track_id", sort=False)]
    shape = (len(storms), max(map(len, storms)))
    arrays = {name: np.full(shape, np.nan) for name in ("lat", "lon", "wmo_wind", "wmo_pres")}
    time, basin = np.full(shape, "NaT", "datetime64[ns]"), np.full(shape, b"", "S2")
    for i, rows in enumerate(storms):
        for name, values in (
            ("lat", rows.lat), ("lon", rows.lon), ("wmo_wind", rows.wind / KNOT), ("wmo_pres", rows.slp / 100),
        ):  # fmt: skip
            arrays[name][i, : len(rows)] = values
        time[i, : len(rows)], basin[i, : len(rows)] = rows.time, rows.basin.astype("S2")
    axes = ("storm", "date_time")
    made = xr.Dataset({name: (axes, values) for name, values in arrays.items()} | {"basin": (axes, basin)})
    made["time"] = (axes, time)
    made["sid"] = ("storm", np.array([rows.track_id.iloc[0] for rows in storms], "S13"))
    made["name"], made["season"] = ("storm", np.array(["X"] * len(storms), "S9")), ("storm", [2019] * len(storms))
    made.wmo_wind.attrs["units"], made.wmo_pres.attrs["units"] = "kts", "mb"
    made = made.set_coords("time")
    encoding = {"time": {"units": "days since 1858-11-17", "dtype": "f8"}}
    made.to_netcdf(tmp_path / "i.nc", engine="h5netcdf", encoding=encoding)
    found = read_best_tracks(tmp_path / "i.nc")
    pd.testing.assert_frame_equal(found.drop(columns="name"), best.drop(columns="name"))
    (tmp_path / "i.nc").rename(tmp_path / "i.csv")
    pd.testing.assert_frame_equal(read_best_tracks(tmp_path / "i.csv"), found)
    made["track_type"] = ("storm", np.array(["spur", *["main"] * (len(storms) - 1)], "S16"))
    made.to_netcdf(tmp_path / "spur.nc", engine="h5netcdf", encoding=encoding)
    assert set(read_best_tracks(tmp_path / "spur.nc").track_id) == {rows.track_id.iloc[0] for rows in storms[1:]}


def copied(text: str, name: str, part: slice = slice(None)) -> str:
    """Hagibis' lines once more, under another name."""
    lines = [line for line in text.splitlines() if line.startswith(HAGIBIS)]
    return "".join(f"{line.replace(HAGIBIS, name)}\n" for line in lines[part])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("track_id", "storm"), "missing column track_id, expected best tracks"),
        (lambda text: text.replace("915.0", "91500.0"), "slp is 91500 in track 2019278N16165 at 2019-10-07 12:00:00"),
        (lambda text: text.replace(",105.0,", ",1050,"), "wind is 1050"),
        (lambda text: text.replace("182.0,57.4", "182.0,97.4"), "lat is 97.4"),
        (lambda text: text.replace("2019-10-14 18:00:00,182.0", "2019-10-14 12:00:00,182.0"), "12:00:00 twice"),
        (lambda text: text.replace("915.0", "low", 1), "slp is 'low' in row"),
        (lambda text: text.replace("2019-10-14 18:00:00", "tomorrow", 1), "time is 'tomorrow' in row"),
        (lambda text: text.splitlines()[0] + "\n", "holds no positions"),
        (lambda text: text.splitlines()[0][:20] + "\n", "missing column"),
        (
            lambda text: text + copied(text, "copy"),
            "storms 2019278N16165 and copy are one, 42 of 42 times within 12 km",
        ),
        (lambda text: text + copied(text, "cut", slice(8, 14)), "2019278N16165 and cut are one, 6 of 6 times"),
        (lambda text: text[:-40], "its last line has 4 values, expected 8; the file is not whole"),
    ],
)
def test_bad_files_are_refused(change, words, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(change(FILE.read_text()))
    with pytest.raises(InputError, match=r"bad\.csv") as raised:
        read_best_tracks(bad)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file; expected CSV, NetCDF or Parquet"),
        (b"GRIB\x00\x01\x02\x02" + bytes(200), "a GRIB file; expected CSV"),
        (b"\x1f\x8b\x08" + bytes(50), "compressed by gzip; decompress it first"),
        (b"PK\x03\x04" + bytes(50), "zip archive"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"PAR1" + bytes(50), "a Parquet file, expected best tracks (IBTrACS)"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "cannot be read"),
        (b"CDF\x01" + bytes(2), "cannot be read"),
        (bytes(300), "of an unknown format"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".nc"])
def test_files_of_other_kinds_are_told_by_their_bytes(content, words, suffix, tmp_path):
    bad = tmp_path / f"bad{suffix}"
    bad.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.") as raised:
        read_best_tracks(bad)
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_addresses_and_folders_are_no_best_tracks(tmp_path):
    with pytest.raises(InputError, match="best tracks must be a local path"):
        read_best_tracks("https://host/ibtracs.csv")
    with pytest.raises(InputError, match="is a folder, expected a file"):
        read_best_tracks(tmp_path)


def test_the_suffix_says_nothing(best, tmp_path):
    (tmp_path / "ibtracs.nc").write_bytes(FILE.read_bytes())
    pd.testing.assert_frame_equal(read_best_tracks(tmp_path / "ibtracs.nc"), best)
    text = FILE.read_text().replace("2019278N16165", "Hagibís")
    (tmp_path / "names").write_text(text, encoding="utf-8")
    assert "Hagibís" in set(read_best_tracks(tmp_path / "names").track_id)


def test_storms_that_merge_are_two(best, tmp_path):
    """One storm joins another for its last 5 of 12 points."""
    lines = [line.split(",") for line in FILE.read_text().splitlines() if line.startswith(HAGIBIS)][:12]
    for i, line in enumerate(lines):
        line[0], line[5] = "other", str(float(line[5]) - 0.4 * max(0, 7 - i))
    text = FILE.read_text() + "".join(",".join(line) + "\n" for line in lines)
    (tmp_path / "merging.csv").write_text(text)
    assert "other" in set(read_best_tracks(tmp_path / "merging.csv").track_id)


def test_longitudes_from_minus_180_are_the_same(best, tmp_path):
    table = pd.read_csv(FILE, keep_default_na=False, na_values=[""])
    table.assign(lon=(table.lon + 180) % 360 - 180).to_csv(tmp_path / "west.csv", index=False)
    pd.testing.assert_frame_equal(read_best_tracks(tmp_path / "west.csv"), best)


def test_agencies(tmp_path):
    with pytest.raises(InputError, match="expected one of wmo, usa"):
        read_best_tracks(FILE, "nasa")
    with pytest.raises(InputError, match="winds of one agency only"):
        read_best_tracks(FILE, "usa")

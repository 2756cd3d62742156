"""NetCDF files whose axes, levels or times are wrong."""

from pathlib import Path

import numpy as np
import xarray as xr
from scipy.io import netcdf_file

from tests.data.ingest.malformed.case import at, case, changed, spoiled

# --- axes ---
changed(
    "axes exchanged",
    r"latitude .*(expected -90 to 90|expected the whole circle)",
    lambda d: d.rename(latitude="longitude", longitude="latitude"),
)
changed("the northern half", "expected rows of the whole globe", lambda d: d.isel(latitude=slice(4, None)))
changed(
    "a region",
    r"longitude runs 0 to 135 in 7 columns, expected the whole circle",
    lambda d: d.isel(longitude=slice(0, 7)),
)
changed(
    "the first meridian twice",
    "the first meridian is there twice",
    lambda d: xr.concat([d, d.isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude", data_vars="minimal"),
)
changed("uneven longitudes", "in even steps of 22.5", at("longitude", lambda v: np.where(v == 45, 50, v)))
changed(
    "uneven latitudes",
    "latitude runs from -77.175 to 77.175 in 8 rows, expected .*choose a grid with --grid",
    at("latitude", lambda v: v * 0.98),
)
changed("latitude missing a row", "latitude", lambda d: d.isel(latitude=[0, 1, 2, 4, 5, 6, 7]))
changed("latitude with NaN", "not finite", at("latitude", spoiled(2, np.nan)))
changed("latitude as text", "latitude is <U6, expected numbers", at("latitude", lambda v: v.astype(str)))
changed("no latitude", "has no latitude, expected fields of latitude and longitude", lambda d: d.drop_vars("latitude"))
changed(
    "a projection", "has the axis y of length 8, expected none such", lambda d: d.rename(latitude="y", longitude="x")
)
changed("an axis more", "has the axis colour of length 2, expected none such", lambda d: d.expand_dims(colour=2))
changed(
    "another grid in one file",
    "t2m: latitude runs from .*choose a grid with --grid",
    lambda d: d.drop_vars("2m_temperature").assign(
        t2m=d["2m_temperature"]
        .isel(latitude=slice(0, 8, 2), longitude=slice(0, 16, 2))
        .rename(latitude="lat", longitude="lon")
    ),
)
# --- levels ---
changed(
    "a level that is not there",
    "temperature is missing at 700 hPa at 2000-11-01T00:00; it has 300 500 850",
    lambda d: d,
    "--variables",
    "t",
    "--levels",
    "500",
    "700",
)
changed("levels in Pa called hPa", "levels from 30000 to 85000 hPa: are they in Pa", at("level", lambda v: v * 100))
changed("a level below zero", "levels from -300 to 850 hPa", at("level", [-300, 500, 850]))
changed(
    "a level that is NaN",
    "temperature has 1 missing levels of 3, expected pressures",
    at("level", [300.0, np.nan, 850]),
)
changed("levels as text", "expected pressures in hPa", at("level", ["a", "b", "c"]))
changed("a level twice", "has a level twice, expected each once", at("level", [300, 500, 500]))
changed("levels in km", "has levels in 'km', expected hPa or Pa", at("level", [9, 5, 1], units="km"))
changed(
    "levels that differ between variables",
    "a.nc: not every variable has the levels",
    lambda d: d.drop_vars("temperature").assign(t=d.temperature.isel(level=[0, 1]).rename(level="plev")),
)
# --- times ---
changed("a time twice", "has the time 2000-11-01T00:00 twice", at("time", lambda v: v[[0, 0]]))
changed("times backwards", "has times that run backwards after 2000-11-01T06:00", lambda d: d.isel(time=[1, 0]))
changed("a time missing its value", "missing", at("time", lambda v: np.array([v[0], np.datetime64("NaT")])))
changed("no times", "has no times, expected one or more", lambda d: d.isel(time=slice(0, 0)))
changed(
    "a calendar without leap days",
    "in the calendar 'noleap', expected dates of the standard calendar",
    at("time", xr.date_range("2000-01-01", periods=2, freq="6h", calendar="noleap", use_cftime=True)),
)
changed(
    "a calendar of 360 days",
    "in the calendar '360_day'",
    at("time", xr.date_range("2000-01-01", periods=2, freq="6h", calendar="360_day", use_cftime=True)),
)
changed("times as plain numbers", "has times without dates, expected dates", at("time", [0, 6]))
changed(
    "dates far in the future",
    "has times such as 2400-01-02 00:00:00, expected dates from 1700 to 2200",
    at("time", np.array(["2400-01-01", "2400-01-02"], "datetime64[s]")),
)
changed(
    "dates after those of GRIB",
    "has the time 2201-01-01T00:00, expected dates from 1700 to 2200",
    at("time", np.array(["2200-12-31T18", "2201-01-01"], "datetime64[ns]")),
)
changed(
    "dates before those of GRIB",
    "has the time 1699-12-31T18:00, expected dates from 1700 to 2200",
    at("time", np.array(["1699-12-31T18", "1700-01-01"], "datetime64[ns]")),
)
changed(
    "a time that is asked for and absent",
    "missing at 2000-11-01T12:00; it has 2 times",
    lambda d: d,
    "--times",
    "2000-11-01:2000-11-01:6h",
)
changed(
    "a step that is not there", "missing at 2000-11-01T03:00", lambda d: d, "--times", "2000-11-01T00:2000-11-01T06:3h"
)
changed(
    "reference and lead time without dates",
    "expected durations with units",
    lambda d: d.assign_coords(step=("time", [0, 6])),
)


@case("a dimension twice", r"2m_temperature has dimensions \('time', 'latitude', 'latitude'\), expected each name once")
def _(folder: Path) -> list[Path]:
    with netcdf_file(folder / "a.nc", "w") as file:
        for name, size in (("time", 1), ("latitude", 8)):
            file.createDimension(name, size)
        file.createVariable("2m_temperature", "f4", ("time", "latitude", "latitude"))[:] = 280
    return [folder / "a.nc"]

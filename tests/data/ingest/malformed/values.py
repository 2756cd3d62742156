"""NetCDF files whose values, units or variables are wrong."""

import numpy as np

from tests.data.ingest.malformed.case import changed, spoiled, values

changed(
    "K called degrees Celsius",
    "the file's units 'degC' were converted: are they right?",
    values("2m_temperature", lambda v: v, units="degC"),
)
changed(
    "Pa called hPa",
    "has the value .*units 'hPa' were converted",
    values("mean_sea_level_pressure", lambda v: v, units="hPa"),
)
changed(
    "unknown units",
    "2m_temperature has units 'furlong', expected 'K'",
    values("2m_temperature", lambda v: v, units="furlong"),
)
changed("units that are a number", "has units '7', expected 'K'", values("2m_temperature", lambda v: v, units=7))
changed("°C without units", "are these °C", values("2m_temperature", lambda v: v - 273.15, units=None))
changed("hPa without units", "are these hPa", values("mean_sea_level_pressure", lambda v: v / 100, units=None))
changed("heights called geopotential", "are these heights in m", values("geopotential", lambda v: v / 9.80665))
changed("a mask in per cent", "are these %", values("land_sea_mask", lambda v: v * 100))
changed(
    "a NaN",
    r"temperature at 300 hPa at 2000-11-01T00:00 has 1 NaN or infinite values",
    values("temperature", spoiled(7, np.nan)),
)
changed(
    "an infinity",
    "2m_temperature at 2000-11-01T06:00 has 1 NaN or infinite values",
    values("2m_temperature", spoiled(135, np.inf)),
)
changed(
    "1e20 undeclared",
    r"has the value 1e\+20.*a fill value that the file does not declare",
    values("2m_temperature", spoiled(7, 1e20)),
)
changed("netCDF's own fill undeclared", r"9\.96921e\+36.*fill value", values("2m_temperature", spoiled(7, 9.96921e36)))
changed("-9999 undeclared", "-9999.*fill value", values("2m_temperature", spoiled(7, -9999.0)))
changed(
    "a field of text",
    "2m_temperature is .*expected numbers",
    lambda d: d.assign({"2m_temperature": d["2m_temperature"].astype(str)}),
)
changed(
    "a static field that changes",
    "differs between 2000-11-01T00:00 and 2000-11-01T06:00",
    lambda d: d.assign(
        land_sea_mask=(
            ("time", "latitude", "longitude"),
            np.stack([d.land_sea_mask, 0 * d.land_sea_mask]),
            {"units": "1"},
        )
    ),
)
changed(
    "two versions with values",
    "has values in 2 versions of expver",
    lambda d: d[["2m_temperature"]].expand_dims(expver=[1, 5]),
)
changed(
    "rain without its hours",
    "nothing says over how many hours it is summed",
    lambda d: d.assign(tp=(d["2m_temperature"] * 0).assign_attrs(units="m")),
    "--variables",
    "tp06",
)
changed(
    "nothing known",
    "no quantity that airmass knows; it holds swvl1",
    lambda d: d[["2m_temperature"]].rename({"2m_temperature": "swvl1"}),
)
changed("only static fields", "only fields that never change", lambda d: d[["land_sea_mask"]])

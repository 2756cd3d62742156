"""GRIB files whose messages, grids, members or sums are wrong."""

from collections.abc import Callable

import eccodes
import numpy as np

from tests.data.ingest.malformed.case import content
from tests.grib import message

FRAME = np.full((8, 16), 280, np.float32)
DAY = {"dataDate": 20000101, "dataTime": 0}


def grib(name: str, said: str, parts: Callable[[], list[bytes]], *options: str) -> None:
    content(name, said, lambda: b"".join(parts()), "grib", *options)


def one(keys: dict | None = None, frame: np.ndarray = FRAME, on_levels: bool = False, edition: int = 2) -> bytes:
    return message(frame, {"shortName": "2t", **DAY, **(keys or {})}, on_levels, edition)


def level(p: int, **keys) -> bytes:
    return message(FRAME, {"shortName": "t", "level": p, **DAY, **keys}, True)


def sample(name: str, **keys) -> bytes:
    held = eccodes.codes_grib_new_from_samples(name)
    for key, value in keys.items():
        eccodes.codes_set(held, key, value)
    data = eccodes.codes_get_message(held)
    eccodes.codes_release(held)
    return data


def patched(data: bytes, at_byte: int, new: bytes) -> bytes:
    return data[:at_byte] + new + data[at_byte + len(new) :]


def rain(start: int, end: int, amount: float = 1.0) -> bytes:
    keys = {"shortName": "tp", **DAY, "stepType": "accum", "stepRange": f"{start}-{end}"}
    return message(FRAME * 0 + amount, keys, False)


RAIN = ("--variables", "tp06", "--times", "2000-01-01T06:2000-01-01T12:6h")

grib(
    "GRIB cut off",
    r"truncated: message 2 at byte \d+ has \d+ bytes, of which the file holds",
    lambda: [one(), one({"dataTime": 600})[:-9]],
)
grib("GRIB cut within a heading", r"truncated: message 2 at byte \d+ has 10 bytes", lambda: [one(), one()[:10]])
grib("GRIB edition 3", "is GRIB edition 3, expected 1 or 2", lambda: [patched(one(), 7, b"\3")])
grib("GRIB with junk", r"900 bytes after message 1, at byte \d+, are no GRIB message", lambda: [one(), b"\1" * 900])
grib("GRIB without its end", "does not end with 7777", lambda: [one()[:-4] + b"7767"])
grib("GRIB with a section too long", "has a section of 65280 bytes", lambda: [patched(one(), 18, b"\xff\0")])
grib("GRIB with a length of nothing", "says that it has 0 bytes", lambda: [patched(one(), 8, bytes(8))])
grib("GRIB field twice", r"2t at 2000-01-01T00:00 is there twice, at bytes 0 and \d+", lambda: [one(), one()])
grib(
    "GRIB on two grids",
    "fields on two grids, 2t on regular_ll 16 x 8 and 2t on regular_ll 8 x 4",
    lambda: [one(), one({"dataTime": 600}, FRAME[::2, ::2])],
)
grib(
    "GRIB in spherical harmonics",
    "t at byte 0 is in spherical harmonics",
    lambda: [sample("sh_pl_grib2", shortName="t")],
)
grib(
    "GRIB on a stereographic grid",
    "is on the grid polar_stereographic, expected one of regular_ll",
    lambda: [sample("polar_stereographic_pl_grib2", shortName="t")],
)
grib("GRIB of unknown fields", "no field that airmass knows; it holds swvl1", lambda: [one({"shortName": "swvl1"})])
grib("GRIB of month 13", "has the date 20001301|cannot be read", lambda: [patched(one(), 16 + 14, b"\x0d")])
grib(
    "GRIB on half a globe",
    "expected rows of the whole globe",
    lambda: [one({"latitudeOfLastGridPointInDegrees": 10, "jDirectionIncrementInDegrees": 10})],
)
grib(
    "GRIB members of other levels",
    r"temperature is missing at 850 hPa at 2000-01-01T00:00|not every variable has the levels",
    lambda: (
        [level(500, **{"productDefinitionTemplateNumber": 1, "number": n}) for n in (0, 1)]
        + [level(850, **{"productDefinitionTemplateNumber": 1, "number": 0})]
    ),
    "--levels",
    "500",
    "850",
)
grib(
    "GRIB that lacks a level at one time",
    "temperature is missing at 850 hPa at 2000-01-01T06:00; it has 500",
    lambda: [level(500), level(850), level(500, dataTime=600)],
    "--levels",
    "500",
    "850",
)
grib(
    "GRIB forecasts that overlap",
    "2t has the two axes of time time and step; choose forecasts of one lead time with --lead",
    lambda: [one({"dataTime": t, "step": s}) for t in (0, 600) for s in (0, 6)],
)
grib(
    "GRIB without that lead",
    "step has no 12 h",
    lambda: [one({"dataTime": t, "step": s}) for t in (0, 600) for s in (0, 6)],
    "--lead",
    "12",
)
grib(
    "GRIB without that member",
    "no member 3; the sources have 0, 1",
    lambda: [one({"productDefinitionTemplateNumber": 1, "number": n}) for n in (0, 1)],
    "--member",
    "3",
)
grib(
    "GRIB masked inside",
    r"2m_temperature at 2000-01-01T00:00 has 1 NaN or infinite values of 128",
    lambda: [one(frame=np.where(np.arange(128).reshape(8, 16) == 5, np.nan, FRAME))],
)
grib(
    "sums with a gap",
    "6 h to 2000-01-01T12:00 cannot be put together: sums that end then are over 3 h",
    lambda: [rain(0, 6), rain(9, 12)],
    *RAIN,
)
grib(
    "sums that fall", "falls by 3 m within|total_precipitation_6hr", lambda: [rain(0, 6, 4e3), rain(0, 12, 1e3)], *RAIN
)
grib("a sum twice", r"tp at 2000-01-01T06:00.* is there twice", lambda: [rain(0, 6), rain(0, 6), rain(6, 12)], *RAIN)
grib(
    "GRIB whose data decode to nonsense",
    "has the value|cannot be decoded|cannot be read",
    lambda: [patched(one(), len(one()) - 40, b"\x7f\x7f\x7f\x7f")],
)
# numpy reads 2000-01-01T127:00 as 12 o'clock in a time zone of 7:00, with a warning.
grib(
    "GRIB 1 of hour 127",
    "has the date 20000101 12700, expected a date from 1700 to 2200",
    lambda: [patched(one(edition=1), 8 + 15, b"\x7f")],
)

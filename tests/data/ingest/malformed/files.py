"""Files, folders and options that cannot be taken in."""

import os
import zipfile
from pathlib import Path

import numpy as np

from tests.conftest import make_store
from tests.data.ingest.malformed.case import base, case, changed, content

content("an empty file", "an empty file", lambda: b"")
content("a web page", "a web page", lambda: b"<html>404</html>")
content("text", "text", lambda: b"time,temperature\n")
content("HDF5 cut off", "cannot be read", lambda: b"\x89HDF\r\n\x1a\n" + bytes(200))
content("NetCDF 3 cut off", "cannot be read", lambda: b"CDF\1" + bytes(9))
content("a broken zip", "a zip archive that cannot be unpacked", lambda: b"PK\3\4" + bytes(60), "zip")


@case("a zip without fields", "a zip archive without NetCDF or GRIB files")
def _(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "a.zip", "w") as held:
        held.writestr("readme.txt", "nothing")
    return [folder / "a.zip"]


@case("a zip that explodes", "unpacks to more than 100 times its size")
def _(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr("a.nc", bytes(30_000_000))
    return [folder / "a.zip"]


@case("an absent file", "no such file or folder")
def _(folder: Path) -> list[Path]:
    return [folder / "absent.nc"]


@case("an empty folder", "a folder without zarr.json")
def _(folder: Path) -> list[Path]:
    (folder / "tree").mkdir()
    return [folder / "tree"]


@case("a pipe", "a named pipe")
def _(folder: Path) -> list[Path]:
    os.mkfifo(folder / "pipe")
    return [folder / "pipe"]


@case("a source twice", "given twice as a source")
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base())] * 2


@case(
    "a variable in two files", "geopotential at 300 hPa at 2000-11-01T00:00 is there twice, in .*a.zarr.* and .*b.zarr"
)
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base()), make_store(folder / "b.zarr", base())]


@case(
    "files at other times",
    "a.zarr: geopotential has 2 times from 2000-11-01T00:00 .*b.zarr: 2m_temperature has 2 times from 2000-11-02T00:00",
)
def _(folder: Path) -> list[Path]:
    surface = base()[["2m_temperature"]]
    later = surface.assign_coords(time=surface.time + np.timedelta64(24, "h"))
    return [make_store(folder / "a.zarr", base()[["geopotential"]]), make_store(folder / "b.zarr", later)]


@case("a chunk that does not decode", "temperature.* cannot be read")
def _(folder: Path) -> list[Path]:
    return [make_store(folder / "a.zarr", base(), corrupt_chunk="temperature")]


@case("members that differ", "expected the same members")
def _(folder: Path) -> list[Path]:
    both = base()[["temperature", "2m_temperature"]]
    two = both[["temperature"]].expand_dims(number=[0, 1]).transpose("time", "number", ...)
    three = both[["2m_temperature"]].expand_dims(number=[0, 1, 2]).transpose("time", "number", ...)
    two.to_netcdf(folder / "a.nc", engine="h5netcdf")
    three.to_netcdf(folder / "b.nc", engine="h5netcdf")
    return [folder / "a.nc", folder / "b.nc"]


# --- options ---
for _name, _said, *_options in (
    ("an unknown variable", "unknown variable 'temprature'; did you mean temperature", "--variables", "temprature"),
    ("a computed variable", "is computed from time and grid", "--variables", "tisr"),
    (
        "a variable that no source has",
        "no source has vertical_velocity: expected vertical_velocity or upward_air_velocity and temperature",
        "--variables",
        "w",
    ),
    ("a grid of no sense", "--grid is 'fine', expected degrees", "--grid", "fine"),
    (
        "a grid that thinning cannot give",
        "its nodes are not points of the regular grid",
        "--grid",
        "7x5",
        "--method",
        "thin",
    ),
    ("times of no sense", "--times is 'always', expected FIRST:LAST:STEP", "--times", "always"),
    ("a level of no sense", "--levels has 5000, expected hPa from 1 to 1100", "--levels", "5000"),
    ("a member of no ensemble", "--member is 3, but the sources have no members", "--member", "3"),
):
    changed(_name, _said, lambda d: d, *_options)

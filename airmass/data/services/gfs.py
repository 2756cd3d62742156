"""NOAA's GFS analyses at 0.25 degrees, from NOAA's open bucket: single fields by the `.idx` file beside each GRIB file.

A line of `.idx` is `number:offset:d=YYYYMMDDHH:NAME:level:forecast:`; a field ends where the next begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from airmass.core.errors import InputError
from airmass.data.download import download_parts, read_small, told_length
from airmass.data.services.base import Absent, Downloads, Field, FieldService, require_fields
from airmass.data.sources.grib_process import require_eccodes

SERVER = "https://noaa-gfs-bdp-pds.s3.amazonaws.com"
# Rarer levels are in the second file.
_FILES = ("pgrb2", "pgrb2b")
# (NAME, level) of a line; "mb" for pressures.
_FIELDS = {
    "geopotential_height": ("HGT", "mb"),
    "temperature": ("TMP", "mb"),
    "u_component_of_wind": ("UGRD", "mb"),
    "v_component_of_wind": ("VGRD", "mb"),
    "vertical_velocity": ("VVEL", "mb"),
    "specific_humidity": ("SPFH", "mb"),
    "relative_humidity": ("RH", "mb"),
    "2m_temperature": ("TMP", "2 m above ground"),
    "2m_dewpoint_temperature": ("DPT", "2 m above ground"),
    "2m_specific_humidity": ("SPFH", "2 m above ground"),
    "10m_u_component_of_wind": ("UGRD", "10 m above ground"),
    "10m_v_component_of_wind": ("VGRD", "10 m above ground"),
    "100m_u_component_of_wind": ("UGRD", "100 m above ground"),
    "100m_v_component_of_wind": ("VGRD", "100 m above ground"),
    "mean_sea_level_pressure": ("PRMSL", "mean sea level"),
    "surface_pressure": ("PRES", "surface"),
    "total_precipitation": ("APCP", "surface"),
    "sea_ice_cover": ("ICEC", "surface"),
    "land_sea_mask": ("LAND", "surface"),
    "orography": ("HGT", "surface"),
}


@dataclass(frozen=True)
class Part:
    """One message of a file: a quantity at a level (hPa, None off levels) and its valid time, at `offset`."""

    url: str
    quantity: str
    level: int | None
    valid: np.datetime64
    offset: int
    length: int


class Gfs(FieldService[Part]):
    """NOAA's Global Forecast System."""

    name, title, centre = "gfs", "NOAA GFS", "kwbc"
    licence = "US public domain"
    params = {quantity: name for quantity, (name, _) in _FIELDS.items()}  # noqa: RUF012

    def require(self) -> None:
        require_eccodes(self.name)

    def take(self, field: Field, downloads: Downloads) -> Iterable[Part]:
        """The messages of the field's levels, in one file or two."""
        server = downloads.server or SERVER
        left: list[int | None] = list(field.levels) or [None]
        found: list[Part] = []
        for kind in _FILES:
            here = _parts(_url(server, field, kind), field, left) if left else []
            left = [level for level in left if level not in {part.level for part in here}]
            found += here
        if left:
            at = f"no {left[0]} hPa of it" if field.levels else "not there"
            raise Absent(f"{' '.join(_FIELDS[field.quantity])}: {at} in {_url(server, field, _FILES[0])}")
        return found

    def fetch(self, taken: Sequence[Part], downloads: Downloads) -> list[Path]:
        """One file for each file of the service."""
        urls = list(dict.fromkeys(part.url for part in taken))
        found = []
        for done, url in enumerate(urls):
            parts = [part for part in taken if part.url == url]
            ranges = sorted({(part.offset, part.length) for part in parts})
            size = sum(length for _, length in ranges)
            downloads.tell(done, len(urls), f"{url.rpartition('/')[2]}, {len(ranges)} fields, {1e-6 * size:.1f} MB")
            found.append(
                downloads.keep(
                    f"{self.name}-{np.datetime_as_string(parts[0].valid, 'h')}-{url.rpartition('/gfs.')[2]}.grib2",
                    [url, ranges],
                    partial(download_parts, url, ranges),
                    partial(_require_parts, self.name, parts),
                )
            )
        downloads.tell(len(urls), len(urls), "")
        return found


def _require_parts(service: str, parts: Sequence[Part], path: Path) -> None:
    quantities = dict.fromkeys(part.quantity for part in parts)
    asked = {name: [part.level for part in parts if part.quantity == name and part.level] for name in quantities}
    require_fields(service, path, asked, [parts[0].valid])


def _url(server: str, field: Field, kind: str) -> str:
    day, hour = np.datetime_as_string(field.start, "h").split("T")
    folder = f"{server.rstrip('/')}/gfs.{day.replace('-', '')}/{hour}/atmos"
    return f"{folder}/gfs.t{hour}z.{kind}.0p25.f{field.lead:03d}"


def _parts(url: str, field: Field, levels: Sequence[int | None]) -> list[Part]:
    """The messages of a field at those of the levels that a file has."""
    name, place = _FIELDS[field.quantity]
    found: dict[int | None, Part] = {}
    for offset, length, held_name, held_place, forecast in _index(url):
        if held_name != name or (field.lead and not _is_sum(forecast, field.lead)):
            continue
        for level in levels:
            if held_place == (f"{level} mb" if place == "mb" else place):
                found.setdefault(level, Part(url, field.quantity, level, field.valid, offset, length))
    return list(found.values())


def _is_sum(forecast: str, hours: int) -> bool:
    """True for a sum since the start of the forecast, such as `0-6 hour acc fcst`, or `0-1 day acc fcst`."""
    return forecast in (f"0-{hours} hour acc fcst", f"0-{hours / 24:g} day acc fcst")


@cache
def _index(url: str) -> tuple[tuple[int, int, str, str, str], ...]:
    """Offset, length, NAME, level and forecast of all fields of a file."""
    text = read_small(f"{url}.idx")
    return tuple(_lines(text, f"{url}.idx", told_length(url)))


def _lines(text: str, url: str, whole: int) -> Iterator[tuple[int, int, str, str, str]]:
    rows = [line.split(":") for line in text.splitlines() if line.strip()]
    if not rows or any(len(row) < 6 or not row[1].isdecimal() for row in rows):
        raise InputError(f"{url}: not an index of GRIB fields, expected lines such as 1:0:d=2024060100:PRMSL:...")
    starts = sorted({int(row[1]) for row in rows} | {whole})
    if starts[-1] != whole or len(set(starts)) < 2:
        raise InputError(f"{url}: tells fields up to byte {starts[-1]}, the file has {whole}; expected its own index")
    ends = dict(pairwise(starts))
    for row in rows:
        yield int(row[1]), ends[int(row[1])] - int(row[1]), row[3], row[4], row[5]

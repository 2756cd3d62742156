"""Analyses of the IFS at 0.25 degrees from ECMWF open data, through ECMWF's client `ecmwf-opendata`.

An analysis is step 0 of a forecast. The client reads the `.index` file beside each GRIB file and fetches only the
fields asked for. Amazon's copy is read, which keeps the years since 2024; ECMWF's own server keeps some days.
"""

import importlib.util
from collections.abc import Iterable, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import numpy as np

from airmass.core.errors import InputError
from airmass.data.formats.reading import error_line
from airmass.data.services.base import Absent, Downloads, Field, FieldService, require_fields
from airmass.data.services.clients import patient, quiet
from airmass.data.sources.grib_process import require_eccodes

SERVER = "aws"
_TRIES, _WAIT = 3, 2.0  # times, and seconds between them


class EcmwfOpenData(FieldService[Path]):
    """ECMWF open data."""

    name, title, centre = "ecmwf-open-data", "ECMWF open data", "ecmf"
    licence = "CC BY 4.0, attribute ECMWF"
    # The client's `param`; what an earlier date lacks is found in its index.
    params = {  # noqa: RUF012
        "geopotential_height": "gh",
        "temperature": "t",
        "u_component_of_wind": "u",
        "v_component_of_wind": "v",
        "vertical_velocity": "w",
        "specific_humidity": "q",
        "relative_humidity": "r",
        "2m_temperature": "2t",
        "2m_dewpoint_temperature": "2d",
        "10m_u_component_of_wind": "10u",
        "10m_v_component_of_wind": "10v",
        "100m_u_component_of_wind": "100u",
        "100m_v_component_of_wind": "100v",
        "mean_sea_level_pressure": "msl",
        "surface_pressure": "sp",
        "total_precipitation": "tp",
        "sea_surface_temperature": "sst",
        "land_sea_mask": "lsm",
        "geopotential_at_surface": "z",
    }

    def require(self) -> None:
        if importlib.util.find_spec("ecmwf") is None or importlib.util.find_spec("ecmwf.opendata") is None:
            raise InputError(f"{self.name}: needs ecmwf-opendata; install it with pip install 'airmass[clients]'")
        require_eccodes(self.name)

    def take(self, field: Field, downloads: Downloads) -> Iterable[Path]:
        param = self.params[field.quantity]
        day, hour = np.datetime_as_string(field.start, "h").split("T")
        request: dict[str, Any] = {"date": day, "time": int(hour), "type": "fc", "step": field.lead, "param": param}
        request |= {"levtype": "pl", "levelist": list(field.levels)} if field.levels else {"levtype": "sfc"}
        path = downloads.keep(
            f"{self.name}-{day}T{hour}+{field.lead}h-{field.quantity}.grib2",
            request,
            lambda part: self._retrieve(request, field, part, downloads.server or SERVER),
            lambda part: require_fields(self.name, part, {field.quantity: field.levels}, [field.valid]),
        )
        return [path]

    def fetch(self, taken: Sequence[Path], downloads: Downloads) -> list[Path]:
        return list(taken)

    def _retrieve(self, request: dict[str, Any], field: Field, part: Path, server: str) -> None:
        from ecmwf.opendata import Client

        try:
            with quiet():
                client = Client(
                    source=server, model="ifs", resol="0p25", maximum_retries=_TRIES, retry_after=_WAIT,
                    use_server_retry_after=False, source_accept_ranges=True, source_accept_multiple_ranges=False,
                )  # fmt: skip
                patient(client.session)
                client.retrieve(request, target=str(part))
        except Exception as error:  # requests', multiurl's and the client's own
            part.unlink(missing_ok=True)
            if "Cannot find index entries" in str(error):
                raise Absent(f"{request['param']} is not in the index of {server}") from None
            what = "sends no index" if isinstance(error, JSONDecodeError) else "cannot be read"
            raise InputError(f"{self.name}: {field}: {server} {what}: {error_line(error)}") from None

"""ERA5 from Copernicus' Climate Data Store, through its client `cdsapi`.

Requests wait in a queue, for minutes or hours: the job's number is kept beside the file, so that a run that was stopped
takes up the same job. The key is the user's, in ~/.cdsapirc or CDSAPI_KEY.
"""

import importlib.util
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from airmass.core.errors import InputError
from airmass.core.files import write_durably
from airmass.core.reading import read_text
from airmass.data.formats.reading import error_line
from airmass.data.services.base import SUMMED, Downloads, Service, Wanted, require_fields
from airmass.data.services.clients import quiet
from airmass.fields.names import known_names

_HOUR = np.timedelta64(1, "h")
_TRIES, _LONGEST_WAIT = 3, 10.0  # of a request; seconds between looks at a job


class Cds(Service):
    """Copernicus' Climate Data Store: ERA5 at 0.25 degrees."""

    name, title, centre = "cds", "ERA5 of Copernicus' Climate Data Store", "ecmf"
    licence = "Copernicus: attribution"
    accumulation = 1

    def require(self) -> None:
        if importlib.util.find_spec("cdsapi") is None:
            raise InputError(f"{self.name}: needs cdsapi; install it with pip install 'airmass[clients]'")

    def files(self, wanted: Sequence[Wanted], downloads: Downloads) -> list[Path]:
        requests = list(_requests(wanted))
        found = []
        for done, (dataset, request, quantities, times) in enumerate(requests):
            words = f"{dataset} {request['year'][0]}-{request['month'][0]}-{request['day'][0]}"
            downloads.tell(done, len(requests), words)
            levels = tuple(map(int, request.get("pressure_level", ())))
            asked = dict.fromkeys(quantities, levels)
            found.append(
                downloads.keep(
                    f"{self.name}-{words.replace(' ', '-')}.nc",
                    [dataset, request],
                    partial(self._retrieve, dataset, request, downloads),
                    partial(require_fields, self.name, asked=asked, times=times),
                )
            )
        downloads.tell(len(requests), len(requests), "")
        return found

    def _retrieve(self, dataset: str, request: dict[str, Any], downloads: Downloads, part: Path) -> None:
        """Wait for a job and download its result; an earlier run's job is gone on with."""
        note = part.with_name(f"{part.name}.job")
        try:
            with quiet():
                client = self._client(downloads.server)
                job = _earlier(client, note)
                if job is None:
                    job = client.retrieve(dataset, request)
                    write_durably(note, job.request_id)
                job.get_results().download(str(part))
        except InputError:
            raise
        except Exception as error:  # requests', multiurl's and the client's own
            part.unlink(missing_ok=True)
            if type(error).__name__ == "ProcessingFailedError":
                note.unlink(missing_ok=True)
            raise InputError(f"{self.name}: {dataset}: {error_line(error)}") from None
        note.unlink(missing_ok=True)

    def _client(self, server: str | None) -> Any:
        import cdsapi

        client = cdsapi.Client(
            url=server, quiet=True, progress=False, delete=False, wait_until_complete=False,
            retry_max=_TRIES, sleep_max=_LONGEST_WAIT,
        )  # fmt: skip
        if not hasattr(client, "client"):
            raise InputError(
                f"{self.name}: the key in ~/.cdsapirc or CDSAPI_KEY is of the store before 2024; "
                "cds.climate.copernicus.eu gives a new one"
            )
        return client


def _earlier(client: Any, note: Path) -> Any:
    """The job of a run that was stopped, None if there is none or the store has forgotten it."""
    if not note.is_file():
        return None
    with suppress(Exception):  # whatever the client raises: a new job mends it
        job = client.client.get_remote(read_text(note, most=1000).strip())
        if job.status in ("accepted", "running", "successful"):
            return job
    return None


_Request = tuple[str, dict[str, Any], list[str], list[np.datetime64]]


def _requests(wanted: Sequence[Wanted]) -> list[_Request]:
    """A request for each date, of fields on levels, fields at the surface, and hourly precipitation.

    One request is of all its variables at all its times, so days are not put together.
    """
    groups: dict[tuple[bool, bool, str], tuple[dict[str, None], set[np.datetime64], tuple[int, ...]]] = {}
    for one in wanted:
        quantity = SUMMED if one.hours else one.variable
        ends = [time - hour * _HOUR for time in one.times for hour in range(max(one.hours, 1))]
        for time in ends:
            key = (bool(one.levels), bool(one.hours), np.datetime_as_string(time, "D"))
            held = groups.setdefault(key, ({}, set(), one.levels))
            held[0][quantity] = None
            held[1].add(time)
    return [_request(on_levels, day, *held) for (on_levels, _, day), held in sorted(groups.items())]


def _request(on_levels: bool, day: str, held: dict[str, None], at: set, levels: tuple[int, ...]) -> _Request:
    year, month, date = day.split("-")
    times = sorted(at)
    request: dict[str, Any] = {
        "product_type": ["reanalysis"],
        "variable": [_name(quantity) for quantity in held],
        "year": [year], "month": [month], "day": [date],
        "time": [np.datetime_as_string(time, "m")[11:] for time in times],
        "data_format": "netcdf", "download_format": "unarchived",
    }  # fmt: skip
    if on_levels:
        request["pressure_level"] = [str(level) for level in levels]
    dataset = f"reanalysis-era5-{'pressure' if on_levels else 'single'}-levels"
    return dataset, request, list(held), times


def _name(quantity: str) -> str:
    """The store's name; raises InputError for a quantity that it does not have."""
    found = known_names().quantities.get(quantity)
    if quantity == "geopotential_at_surface":
        return "geopotential"
    if found is None or not found.names.get("cds"):
        raise InputError(f"cds: has no {quantity}; give a file that has it beside cds")
    return found.names["cds"][0]

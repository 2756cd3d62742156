"""Sources of an initial state that are services: what files lack is fetched, and takes the service's place."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from airmass.core.cache import cache_folder
from airmass.core.errors import InputError
from airmass.data.ingest.archive import Archive
from airmass.data.ingest.initial_file import fields_of, frames_to, require_centre
from airmass.data.ingest.request import IngestRequest, open_archive
from airmass.data.services.base import Downloads, Service, wanted_fields
from airmass.data.services.cds import Cds
from airmass.data.services.ecmwf_open_data import EcmwfOpenData
from airmass.data.services.gfs import Gfs
from airmass.fields.clock import parse_time
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES

SERVICES: dict[str, Service] = {service.name: service for service in (EcmwfOpenData(), Gfs(), Cds())}

Tell = Callable[[int, int, str], None]


def service_of(sources: Sequence[object]) -> Service | None:
    """The service among the sources, None if all are files; raises InputError for two."""
    named = [SERVICES[str(source)] for source in sources if str(source) in SERVICES]
    if len(named) > 1:
        raise InputError(f"{named[0].name} and {named[1].name}: expected one service, and files beside it")
    return next(iter(named), None)


def fetched(
    request: IngestRequest, service: Service, task: Task, time: str | None, downloads: Path | None, server: str | None,
    centre: str | None, tell: Tell, last_only: bool = False,
) -> IngestRequest:  # fmt: skip
    """The request with files in place of the service: of what the other sources lack, what `task` reads,
    or its last frame only.

    Raises InputError, before anything is fetched, for a missing package, and an analysis of another than `centre`.
    """
    if time is None:
        raise InputError(f"{service.name}: expected a --time, such as 2024-06-01T00")
    if request.accumulation not in (None, service.accumulation):
        raise InputError(f"{service.name}: its sums are of known hours; leave --accumulation out")
    require_centre([service.centre], centre)
    service.require()
    folder = downloads or _default()
    others = tuple(source for source in request.sources if str(source) not in SERVICES)
    times = frames_to(task, parse_time(time))[-1 if last_only else 0 :]
    names = _lacking(replace(request, sources=others), task, times)
    files = service.files(wanted_fields(names, task, times), Downloads(folder, server, tell)) if names else []
    return replace(request, sources=(*others, *files), accumulation=service.accumulation or request.accumulation)


def _default() -> Path:
    folder = cache_folder()
    if folder is None:
        raise InputError("no cache to keep downloads in; name a folder with --downloads")
    return folder / "analyses"


def _lacking(request: IngestRequest, task: Task, times: np.ndarray) -> list[str]:
    """The fields that the sources do not have at all times."""
    names = fields_of(task)
    if not request.sources:
        return list(names)
    held, _ = open_archive(request)
    return [name for name in names if not (held.origins(name) and _is_at(held, name, times))]


def _is_at(held: Archive, name: str, times: np.ndarray) -> bool:
    return VARIABLES[name].static or bool(np.isin(times, held.times(name)).all())

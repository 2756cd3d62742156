"""`airmass initial SOURCE... --checkpoint C --out initial.nc`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from airmass.commands.options import parse, require_between
from airmass.commands.source_options import SourceOptions
from airmass.core.errors import InputError, one_line

if TYPE_CHECKING:
    import xarray as xr

    from airmass.data.ingest.request import IngestRequest
    from airmass.data.plausible import Usual
    from airmass.fields.task import Task
    from airmass.forecasting.checkpoints.base import Checkpoint


@dataclass(frozen=True, kw_only=True)
class InitialOptions(SourceOptions):
    """Make the initial state of a checkpoint from archives and analyses: exactly the frames that it reads."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Zarr stores, NetCDF and GRIB files, zip archives of CDS, folders; and one of ecmwf-open-data, gfs, cds."""
    checkpoint: str
    """A run's folder, a model file, a published `.npz`, or `demo`, the model in the package."""
    out: Path
    """NetCDF file to write."""
    time: str | None = None
    """Initial time, UTC, such as 2020-01-01T12; by default the latest with all frames."""
    config: Path | None = None
    """Published configuration, such as WeatherNext2.json; needed for published WeatherNext 2 weights."""
    statistics: Path | None = None
    """Folder with the statistics of a published checkpoint, to tell how far the state is from what it learned."""
    grid: str | None = None
    """Degrees or longitudes x latitudes, where the checkpoint allows several; by default its own or the source's."""
    member: int | None = None
    """Member of an ensemble."""
    downloads: Path | None = None
    """Folder that keeps what is fetched from a service; by default `analyses` in the cache."""
    server: str | None = None
    """Address of a mirror of the service, with the same paths."""
    repeat_frame: bool = False
    """Take the last frame for all frames of the history, where the source has only one; the state then says so."""
    any_analysis: bool = False
    """Take an analysis of another centre than the one whose reanalysis the checkpoint was trained on."""
    compare: Path | None = None
    """Published sample to hold the state against; exit status 1 if it differs."""


def run(arguments: list[str]) -> int:
    options = parse(InitialOptions, "airmass initial", arguments)
    _require_ranges(options)

    from airmass.core.files import refuse_existing
    from airmass.core.place import is_url
    from airmass.data.ingest.initial_file import initial_dataset, write_initial
    from airmass.forecasting.checkpoints.read import read_checkpoint

    refuse_existing(options.out, options.checkpoint, *(source for source in options.sources if not is_url(source)))
    held = read_checkpoint(options.checkpoint, options.config)
    own = not held.kind.startswith("published")
    usual = _usual(options, held, own)
    _require_grid(options, held)
    grid = held.grid if held.grid is not None or options.grid is not None else _of_spacing(held.spacing)
    centre = None if own or options.any_analysis else "ecmf"
    request, source = _request(options, held.task, centre)
    dataset = initial_dataset(request, held.task, options.time, grid, centre, options.repeat_frame)
    dataset = dataset if source is None else dataset.assign_attrs(source=source)
    differences = None if options.compare is None else _compared(dataset, options.compare, held.task)
    farthest = write_initial(dataset, held.task, options.out, usual, ", ".join(map(str, request.sources[:3])))
    return _report(options, dataset, farthest, differences)


def _require_ranges(options: InitialOptions) -> None:
    options.require()
    require_between("--member", options.member, 0, 100000)
    if options.out.suffix != ".nc":
        raise InputError(f"{options.out}: expected a name that ends in .nc")


def _require_grid(options: InitialOptions, held: "Checkpoint") -> None:
    """Raise InputError if --grid names another grid than the checkpoint's, where that has one only."""
    from airmass.data.ingest.regrid import parse_grid

    if held.grid is not None and options.grid is not None and parse_grid(options.grid) != held.grid:
        raise InputError(
            f"{options.checkpoint}: was trained on the grid {held.grid}, --grid is {options.grid}; leave it out"
        )


def _usual(options: InitialOptions, held: "Checkpoint", own: bool) -> "Usual | None":
    """Typical values that the checkpoint has learned; None for a published one without its statistics."""
    from airmass.forecasting.system import typical_values_of

    if not own and options.config is None and options.statistics is None:
        return None
    return typical_values_of(held.task, held.scales(options.statistics))


def _request(options: InitialOptions, task: "Task", centre: str | None) -> "tuple[IngestRequest, str | None]":
    """The request, with a service's files in place of its name, and the words for the service's data, if any."""
    from airmass.core.tables import counted
    from airmass.data.ingest.request import IngestRequest
    from airmass.data.services.fetch import fetched, service_of

    ways = {part.name: getattr(options, part.name) for part in fields(SourceOptions)}
    request = IngestRequest(options.sources, grid=options.grid, member=options.member, **ways)
    if (service := service_of(request.sources)) is None:
        if options.downloads is not None or options.server is not None:
            raise InputError("--downloads and --server are for ecmwf-open-data, gfs and cds; the sources are files")
        return request, None
    with counted(service.name) as tell:
        made = fetched(
            request, service, task, options.time, options.downloads, options.server, centre,
            lambda done, total, words: tell(done, total, f"{service.name}: {words}"), options.repeat_frame,
        )  # fmt: skip
    print(one_line(f"{service.title}, {service.licence}: {len(made.sources)} files"))
    return made, f"{service.title} ({service.licence})"


def _report(
    options: InitialOptions, dataset: "xr.Dataset", farthest: object, differences: Sequence[object] | None
) -> int:
    """Print what was written and what to know of it; return the exit status."""
    from airmass.data.initial import REPEATED

    print(one_line(f"initial state: {options.out}"))
    for words in (dataset.attrs.get(REPEATED), farthest):
        if words is not None:
            print(one_line(f"note: {words}"))
    for line in differences or ():
        print(one_line(line))
    if differences is not None and not differences:
        print(one_line(f"equal to {options.compare}"))
    return int(bool(differences))


def _of_spacing(spacing: float):
    from airmass.data.ingest.regrid import parse_grid

    return parse_grid(str(spacing)) if spacing else None


def _compared(dataset, sample: Path, task):
    """The differences from a sample, before anything is written."""
    from airmass.data.ingest.comparison import compare

    return compare(dataset, sample, task)

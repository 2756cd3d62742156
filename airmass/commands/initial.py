"""`airmass initial SOURCE... --checkpoint C --out initial.nc`."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from airmass.commands.options import parse, require_between
from airmass.commands.source_options import SourceOptions
from airmass.core.errors import InputError, one_line


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
    given = parse(InitialOptions, "airmass initial", arguments)
    given.require()
    options = vars(given)
    require_between("--member", options["member"], 0, 100000)
    out: Path = options.pop("out")
    checkpoint, config, statistics = (options.pop(name) for name in ("checkpoint", "config", "statistics"))
    time, sample, any_analysis = options.pop("time"), options.pop("compare"), options.pop("any_analysis")
    repeat_frame = options.pop("repeat_frame")
    downloads, server = options.pop("downloads"), options.pop("server")
    if out.suffix != ".nc":
        raise InputError(f"{out}: expected a name that ends in .nc")

    from airmass.core.files import refuse_existing
    from airmass.core.place import is_url
    from airmass.data.ingest.initial_file import initial_dataset, write_initial
    from airmass.data.ingest.request import IngestRequest
    from airmass.data.initial import REPEATED
    from airmass.data.services.fetch import service_of
    from airmass.forecasting.checkpoints.read import read_checkpoint
    from airmass.forecasting.system import typical_values_of

    refuse_existing(out, checkpoint, *(source for source in options["sources"] if not is_url(source)))
    held = read_checkpoint(checkpoint, config)
    own = not held.kind.startswith("published")
    scaled = own or config is not None or statistics is not None
    usual = typical_values_of(held.task, held.scales(statistics)) if scaled else None
    grid = held.grid if held.grid is not None or options["grid"] is not None else _of_spacing(held.spacing)
    _require_grid(checkpoint, held.grid, options["grid"])
    request, centre = IngestRequest(**options), None if own or any_analysis else "ecmf"
    if (service := service_of(request.sources)) is not None:
        request = _fetched(request, service, held.task, time, downloads, server, centre, repeat_frame)
    elif downloads is not None or server is not None:
        raise InputError("--downloads and --server are for ecmwf-open-data, gfs and cds; the sources are files")
    dataset = initial_dataset(request, held.task, time, grid, centre, repeat_frame)
    if service is not None:
        dataset = dataset.assign_attrs(source=f"{service.title} ({service.licence})")
    differences = None if sample is None else _compared(dataset, sample, held.task)
    farthest = write_initial(dataset, held.task, out, usual, ", ".join(map(str, request.sources[:3])))
    print(one_line(f"initial state: {out}"))
    for words in (dataset.attrs.get(REPEATED), farthest):
        if words is not None:
            print(one_line(f"note: {words}"))
    for line in differences if differences is not None else ():
        print(one_line(line))
    if sample is not None and not differences:
        print(one_line(f"equal to {sample}"))
    return int(bool(differences))


def _require_grid(checkpoint: str, grid, asked: str | None) -> None:
    """Raise InputError if --grid names another grid than the checkpoint's, where that has one only."""
    from airmass.data.ingest.regrid import parse_grid

    if grid is not None and asked is not None and parse_grid(asked) != grid:
        raise InputError(f"{checkpoint}: was trained on the grid {grid}, --grid is {asked}; leave it out")


def _fetched(request, service, task, time, downloads, server, centre, last_only):
    """The request with the service's files, under a bar."""
    from airmass.core.tables import counted
    from airmass.data.services.fetch import fetched

    with counted(service.name) as tell:

        def named(done: int, total: int, words: str) -> None:
            tell(done, total, f"{service.name}: {words}")

        made = fetched(request, service, task, time, downloads, server, centre, named, last_only)
    print(one_line(f"{service.title}, {service.licence}: {len(made.sources)} files"))
    return made


def _of_spacing(spacing: float):
    from airmass.data.ingest.regrid import parse_grid

    return parse_grid(str(spacing)) if spacing else None


def _compared(dataset, sample: Path, task):
    """The differences from a sample, before anything is written."""
    from airmass.data.ingest.comparison import compare

    return compare(dataset, sample, task)

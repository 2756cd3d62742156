"""Means and standard deviations by level, of fields and of their changes in time, over the training dates only.

The files are laid out as the published ones: `mean_by_level.nc`, `stddev_by_level.nc`, `diffs_stddev_by_level.nc`,
`min_by_level.nc`. As in those, grid points are not weighted by area.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import xarray as xr

import airmass
from airmass.core.cluster import cluster
from airmass.core.errors import InputError
from airmass.core.files import new_output, refuse_existing
from airmass.core.parallel import results_by_pool, results_in_order
from airmass.core.place import is_url
from airmass.data.formats.climatology import DRY, EXTREMES, quantiles_name
from airmass.data.formats.layout import fill_hint, minute
from airmass.data.formats.store import fingerprint, open_store, read, require
from airmass.data.plausible import require_plausible
from airmass.data.preparation.climatology import (
    FULL_SAMPLE,
    HALF_WIDTH,
    ClimatologyWriter,
    DaySums,
    write_climatology,
)
from airmass.data.preparation.moments import Changes, Moments
from airmass.data.preparation.quantiles import Quantiles
from airmass.data.preparation.saved_statistics import CLIMATOLOGY, DIFFS_STDDEV, MEAN, MINIMUM, STDDEV
from airmass.fields.clock import parse_dates
from airmass.fields.derived import combined, parts_of, scored
from airmass.fields.variables import COMPUTED, VARIABLES, variable

_BLOCK_BYTES = 64 * 2**20
_HOUR = np.timedelta64(1, "h")


Progress = Callable[[str, int, int], None]


def compute_statistics(
    store_path: str | Path,
    out_dir: str | Path,
    dates: tuple[str, str],
    variables: Sequence[str] | None = None,
    levels: Sequence[int] | None = None,
    step: int | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Path:
    """Write statistics and climatology of a store over `dates` (both included) to the new folder `out_dir`.

    `variables` may be long or short names; by default all of the table that are not computed from time. `step` is the
    interval of differences in hours, by default 6 or, if the store has no frames 6 h apart, its own step. Pairs across
    a missing time are left out and counted. `progress` gets (variable, frames done, frames). `workers` threads read
    ahead, or the Dask cluster of a `scheduler` takes a variable a worker; the result is the same to the bit.

    Raises InputError for dates that the store does not cover, unexpected missing values, and a constant field, which
    cannot be normalised.
    """
    refuse_existing(out_dir, store_path)
    dataset = _selected(store_path, dates, variables, levels)
    times = dataset.time.values
    step = _step(times, step, store_path)
    attributes = _attributes(dataset, store_path, dates, step)
    tables: dict[str, dict[str, xr.DataArray]] = {kind: {} for kind in (MEAN, STDDEV, DIFFS_STDDEV, MINIMUM)}
    with new_output(out_dir) as aside:
        aside.mkdir()
        scratch = aside / "scratch"
        writer = ClimatologyWriter(aside / CLIMATOLOGY, dataset, attributes | _CLIMATOLOGY_ATTRIBUTES)
        changing = [name for name in map(str, dataset.data_vars) if not VARIABLES[name].static]
        for name in changing:
            writer.begin(name)
        place = store_path if scheduler is None else _absolute(store_path)
        one = Pass(place, dates, tuple(map(str, dataset.data_vars)), levels, step, aside.absolute(), workers)
        found = dict(_passes(one, changing, dataset, scheduler, progress))
        for name in map(str, dataset.data_vars):
            still = Moments.of(_finite(dataset[name], store_path)[None]) if name not in found else None
            moments, changes = (still, None) if still is not None else found[name]
            _tabulate(tables, dataset[name], moments, changes, store_path)
        for name in (*EXTREMES, *DRY):
            if set(parts_of(name)) <= set(dataset.data_vars):
                scratch.mkdir()
                _write_quantiles(writer, name, dataset, store_path, scratch, workers, progress)
                shutil.rmtree(scratch)
        for kind, fields in tables.items():
            # Through memory: on a full disk HDF5 cannot close its file, and raises several errors.
            table = xr.Dataset(fields, attrs=attributes).to_netcdf(engine="h5netcdf")
            (aside / f"{kind}.nc").write_bytes(table)
    return Path(out_dir)


def _selected(path, dates: tuple[str, str], variables: Sequence[str] | None, levels: Sequence[int] | None):
    dataset = open_store(path, dask=False)
    if variables is None:
        names = [str(name) for name in dataset.data_vars if name in VARIABLES and name not in COMPUTED]
    else:
        names = [variable(name).name for name in variables]
    for what, asked in (("variables", names), ("levels", list(levels or ()))):
        if len(set(asked)) < len(asked):
            raise InputError(f"{what} {', '.join(map(str, asked))}: expected each once")
    require(dataset, path, names, levels or ())
    dataset = dataset[names]
    if levels is not None and "level" in dataset.dims:
        dataset = dataset.sel(level=list(levels))
    if "time" not in dataset.dims:
        raise InputError(f"{path}: no variable of {', '.join(names) or 'the store'} changes in time")
    return dataset.isel(time=between(dataset.time.values, dates, path))


def between(times: np.ndarray, dates: tuple[str, str], path: str | Path) -> slice:
    """The slice of frames from the first date to the end of the last, which the store must cover up to one step."""
    first, end = parse_dates(dates)
    spacing = np.diff(times).min() if len(times) > 1 else np.timedelta64(0)
    if not (times[0] <= first + spacing and times[-1] + spacing >= end):
        held = f"{minute(times[0])} to {minute(times[-1])}; choose others"
        raise InputError(f"{path}: dates {dates[0]} to {dates[1]} are not covered; the store holds {held}")
    return slice(*map(int, np.searchsorted(times, [first, end])))


def _step(times: np.ndarray, step: int | None, path: str | Path) -> int:
    """The interval of differences in hours; raises InputError if no two frames are that far apart."""
    if step is None:
        spacing = int(np.diff(times).min() / _HOUR) if len(times) > 1 else 6
        step = 6 if spacing and 6 % spacing == 0 else spacing
    if step <= 0 or not np.isin(times - step * _HOUR, times).any():
        raise InputError(f"{path}: no two frames {step} h apart within {minute(times[0])} to {minute(times[-1])}")
    return step


@dataclass(frozen=True)
class Pass:
    """A pass over the variables of a store, one at a time, that writes climatologies to `folder`."""

    store: str | Path
    dates: tuple[str, str]
    variables: tuple[str, ...]
    levels: Sequence[int] | None
    step: int
    folder: Path
    threads: int

    def over(self, field: xr.DataArray, progress: Progress | None = None) -> tuple[Moments, Moments]:
        """Moments and moments of changes of a field."""
        scratch = self.folder / f"scratch-{field.name}"
        scratch.mkdir()
        moments, changes, sums = _pass(field, self.step, self.store, scratch, self.threads, progress)
        write_climatology(self.folder / CLIMATOLOGY, str(field.name), sums)
        shutil.rmtree(scratch)
        return moments, changes


def pass_on_worker(of: Pass, name: str) -> tuple[Moments, Moments]:
    """A pass over one variable on a worker of a cluster, which must see the same paths."""
    if not of.folder.exists():
        raise InputError(f"{of.folder}: not there for a worker of the cluster, which must see the same paths")
    return of.over(_selected(of.store, of.dates, of.variables, of.levels)[name])


def _passes(
    of: Pass, names: Sequence[str], dataset: xr.Dataset, scheduler: str | None, progress: Progress | None
) -> Iterator[tuple[str, tuple[Moments, Moments]]]:
    """Names and moments of every variable."""
    if scheduler is None:
        for name in names:
            yield name, of.over(dataset[name], progress)
        return
    with cluster(scheduler) as pool:
        for done, (name, found) in enumerate(
            results_by_pool(pool, partial(pass_on_worker, of), names, len(names) + 1), 1
        ):
            yield name, found
            if progress is not None:
                progress(name, done, len(names))


def _absolute(place: str | Path) -> str | Path:
    return place if is_url(place) else Path(place).absolute()


def _pass(
    field: xr.DataArray, step: int, path: str | Path, scratch: Path, workers: int, progress: Progress | None
) -> tuple[Moments, Moments, DaySums]:
    """Moments, moments of changes and sums by day of year of a field, in one pass over its data."""
    times = field.time.values
    level_shape = field.shape[1:-2]
    moments, changes = Moments.none(level_shape), Changes(step * _HOUR, level_shape)
    sums = DaySums(times, field.shape[1:], _may_be_missing(str(field.name)), scratch)
    for block, values in results_in_order(lambda part: _finite(field.isel(time=part), path), _blocks(field), workers):
        moments = moments.merge(Moments.of(values))
        changes.add(times[block], values)
        sums.add(times[block], values)
        if progress is not None:
            progress(str(field.name), min(block.stop, len(times)), len(times))
    return moments, changes.moments, sums


def _write_quantiles(
    writer: ClimatologyWriter, name: str, dataset: xr.Dataset, path: str | Path, scratch: Path, workers: int, progress
) -> None:
    """Write the quantiles of one field that have enough frames, of precipitation what SEEPS needs."""
    parts = [dataset[part] for part in parts_of(name)]
    times, label = parts[0].time.values, quantiles_name(name)
    quantiles = Quantiles(times, parts[0].shape[1:], scratch)
    if name in EXTREMES and not quantiles.held:
        return

    def read_block(block: slice) -> np.ndarray:
        return combined(name, [_finite(part.isel(time=block), path) for part in parts])

    for block, values in results_in_order(read_block, _blocks(parts[0]), workers):
        quantiles.add(block.start, values)
        if progress is not None:
            progress(label, min(block.stop, len(times)), len(times))
    if name in EXTREMES:
        writer.write_quantiles(name, quantiles, scored(name).attributes)
    else:
        writer.write_seeps(name, quantiles, DRY[name])


def _blocks(field: xr.DataArray) -> Iterator[slice]:
    """Slices of time of about 64 MiB, in whole chunks of the file, so that each chunk is decoded once."""
    frame = 4 * int(np.prod(field.shape[1:]))
    chunk = (field.encoding.get("chunks") or (1,))[0]
    frames = max(1, _BLOCK_BYTES // frame // chunk) * chunk
    for start in range(0, field.sizes["time"], frames):
        yield slice(start, start + frames)


def _may_be_missing(name: str) -> bool:
    return VARIABLES[name].missing_over_land or VARIABLES[name].around_cyclones


def _finite(field: xr.DataArray, path: str | Path) -> np.ndarray:
    values = read(field, path)
    name = str(field.name)
    bad = np.isinf(values) if _may_be_missing(name) else ~np.isfinite(values)
    if bad.any():
        when = ""
        if "time" in field.dims:
            when = f", first at {minute(field.time.values[np.argmax(bad.reshape(len(bad), -1).any(axis=1))])}"
        raise InputError(
            f"{path}: {name} has {bad.sum()} NaN or infinite values{when}{fill_hint(field)}; expected none"
        )
    dated = "time" in field.dims
    levels = field.level.values.tolist() if "level" in field.dims else ()
    require_plausible(path, name, values if dated else values[None], levels, field.time.values if dated else None)
    return values


def _tabulate(tables: dict, field: xr.DataArray, moments: Moments, changes: Moments | None, path: str | Path) -> None:
    name, dims = str(field.name), tuple(d for d in field.dims if d == "level")
    if np.any(moments.count == 0) or np.any(moments.stddev == 0):
        raise InputError(
            f"{path}: {name} is constant or empty on some level (standard deviation {moments.stddev}), "
            "which cannot be normalised; leave it out with --variables"
        )
    # Only what the layout says of levels: other attributes of a store may be nothing that NetCDF can hold.
    coords = {"level": ("level", field.level.values.astype(np.int32), {"units": "hPa"})} if dims else {}
    units = {"units": VARIABLES[name].units, "long_name": VARIABLES[name].name.replace("_", " ")}

    def put(kind: str, values: np.ndarray) -> None:
        tables[kind][name] = xr.DataArray(np.float32(values), coords, dims, attrs=units)

    put(MEAN, moments.mean)
    put(STDDEV, moments.stddev)
    put(MINIMUM, moments.least)
    if changes is not None:
        # Cyclones a step apart may never overlap; no model reads the change of fields around them.
        unknown = VARIABLES[name].around_cyclones & (changes.stddev == 0)
        put(DIFFS_STDDEV, np.where(unknown, moments.stddev, changes.stddev))


def _attributes(dataset: xr.Dataset, path: str | Path, dates: tuple[str, str], step: int) -> dict:
    times = dataset.time.values
    wanted = times[times >= times[0] + step * _HOUR]
    pairs = int(np.isin(wanted - step * _HOUR, times).sum())
    expected = int((times[-1] - times[0]) / _HOUR) // int(np.diff(times).min() / _HOUR) + 1
    return {
        "airmass_version": airmass.__version__,
        "store": str(path),
        "dates": f"{dates[0]} {dates[1]}",
        "first_time": minute(times[0]),
        "last_time": minute(times[-1]),
        "frames": len(times),
        "frames_missing": expected - len(times),
        "step_hours": step,
        "pairs": pairs,
        "pairs_left_out": len(wanted) - pairs,
        "data_fingerprint": fingerprint(dataset, path),
        "weighting": "every grid point alike",
    }


_CLIMATOLOGY_ATTRIBUTES = {"half_width_days": HALF_WIDTH, "full_sample": FULL_SAMPLE}

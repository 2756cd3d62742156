"""Ingestion: archives and analyses of any origin as one store in the layout that airmass trains on."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import airmass
from airmass.core.cluster import cluster
from airmass.core.errors import InputError
from airmass.core.files import refuse_existing, refuse_inside
from airmass.core.parallel import results_by_pool, results_in_order
from airmass.core.place import Place, is_url, local_path
from airmass.core.strict_json import parse_json
from airmass.data.formats.layout import minute
from airmass.data.ingest.files import files_of, is_unpacked
from airmass.data.ingest.growing import GrowingStore, link_store, write_static
from airmass.data.ingest.request import IngestRequest, Opened, open_sources
from airmass.data.ingest.shards import ShardWork, shard_length, write_times
from airmass.fields.variables import VARIABLES

Progress = Callable[[int, int], None]

SETTINGS = "airmass_ingest"
# Shards that a cluster works on or waits with.
_AHEAD = 256
_EPOCH = np.datetime64("1970-01-01", "s")
_TIME = {"units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian", "standard_name": "time", "axis": "T"}


def ingest(
    request: IngestRequest,
    out: str | Path,
    workers: int = 1,
    append: bool = False,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
    scheduler: str | None = None,
) -> str:
    """Write the store `out` from the sources, one time a chunk; returns the checksum of its files.

    A run that was stopped in any way goes on where it was, with the same command. With `append`, later times are added
    to a store that was made with the same variables, levels and grid. `tell` gets what is left out, in words. The work
    is done by `workers` threads, or by the Dask cluster of a `scheduler`. Raises InputError, before anything is
    written, for what the sources lack or hold twice.
    """
    out = local_path(out, "output")
    if out.suffix != ".zarr":
        raise InputError(f"{out}: expected a name that ends in .zarr")
    local = [source for source in request.sources if not is_url(source)]
    refuse_inside(out, *local) if append else refuse_existing(out, *local)
    held = _held(out) if append else None
    opened = open_sources(request, levels=tuple(held["levels"]) if held else None)
    if tell is not None:
        for note in opened.notes:
            tell(note)
    shard = shard_length(opened, request.shard) if held is None else held["shard"]
    if request.shard not in (None, shard):
        raise InputError(f"{out}: has {shard} times a shard, to append {request.shard}; expected the same")
    settings = _settings(request, opened, shard)
    store = GrowingStore(out, {**settings, **_plan(request, opened, held)})
    names, before = opened.changing, held["count"] if held else 0
    total = before + len(opened.times)
    with store.opened() as begun, _pool(workers, scheduler) as pool:
        if not begun:
            _require_fits(out, held, settings, opened.times)
            _begin(store, opened, settings, held, out)
        whole = store.go_on(names)
        left = [i for i in range(before // shard, -(-total // shard)) if i not in whole]
        work = ShardWork(_absolute(request), opened.levels, store.store.absolute(), _old(out, held), before, shard)
        done = total - before - sum(work.new(i, total) for i in left)
        run = partial(write_times, work) if pool else partial(work.write, opened)
        for i, _ in results_by_pool(pool, run, left, _AHEAD) if pool else results_in_order(run, left, workers):
            store.record(names, i)
            done += work.new(i, total)
            if progress is not None:
                progress(done, total - before)
        return store.finish()


def _pool(workers: int, scheduler: str | None) -> AbstractContextManager[Executor | None]:
    if scheduler is not None and workers > 1:
        raise InputError(f"--scheduler {scheduler} has its own workers: --workers {workers} has no effect")
    return cluster(scheduler) if scheduler is not None else nullcontext()


def _absolute(request: IngestRequest) -> IngestRequest:
    """The request as workers in other folders read it."""
    sources = tuple(source if is_url(source) else Path(source).absolute() for source in request.sources)
    files = {name: path.absolute() for name in ("names", "half_levels") if (path := getattr(request, name))}
    return replace(request, sources=sources, **files)


def _old(out: Path, held: dict[str, Any] | None) -> Path | None:
    """The store that is appended to, None without one."""
    if held is None:
        return None
    return (out if out.exists() else out.with_name(f"{out.name}.partial") / "replaced").absolute()


def _settings(request: IngestRequest, opened: Opened, shard: int) -> dict[str, Any]:
    """The settings that all times of a store share."""
    return {
        "variables": list(opened.variables), "levels": list(opened.levels), "grid": str(opened.grid),
        "method": request.method, "below_ground": request.below_ground, "numbers": list(opened.numbers),
        "step": _step(opened.times), "shard": shard, "airmass": airmass.__version__,
    }  # fmt: skip


def _step(times: np.ndarray) -> float | None:
    return float((times[1] - times[0]) / np.timedelta64(1, "h")) if len(times) > 1 else None


def _plan(request: IngestRequest, opened: Opened, held: dict[str, Any] | None) -> dict[str, Any]:
    """The times and files of one run; a stopped run is resumed only with the same."""
    files = [file for source in request.sources for file in files_of(source)]
    unpacked = [source for source in request.sources if files_of(source)[:1] != [source]]
    stamps = {str(f): _stamp(f) for f in (*unpacked, *files) if not is_unpacked(f)}
    times = [str(opened.times[0]), str(opened.times[-1]), len(opened.times)]
    own = {"lead": request.lead, "accumulation": request.accumulation, "member": request.member}
    return {**own, "sources": stamps, "times": times, "append": held["count"] if held else 0}


def _stamp(file: Place) -> list[int]:
    if is_url(file):
        return []
    path = Path(file)
    inside = [path / name for name in ("zarr.json", "refs/branch.main/ref.json", "repo")]
    status = next((held for held in inside if held.exists()), path).stat()
    return [status.st_size, status.st_mtime_ns]


def _held(out: Path) -> dict[str, Any]:
    """Settings and number of times of a store that is appended to, or of the one that a killed run moved away."""
    place = out if out.exists() else out.with_name(f"{out.name}.partial") / "replaced"
    if not (place / "zarr.json").exists():
        raise InputError(f"{out}: no such store to append to")
    try:
        group = zarr.open_group(place, mode="r", use_consolidated=False)
        text, times = group.attrs[SETTINGS], np.asarray(group["time"])
    except Exception as error:  # whatever zarr raises
        raise InputError(f"{out}: was not made by `airmass data ingest`, so nothing can be appended") from error
    settings = parse_json(str(text), source=out)
    return {"shard": 1, **settings, "count": len(times), "last": _EPOCH + times[-1].astype("timedelta64[s]")}


def _require_fits(out: Path, held: dict[str, Any] | None, settings: dict[str, Any], times: np.ndarray) -> None:
    """Raise InputError unless the new times follow those of the store, with the same settings."""
    if held is None:
        return
    held = {"below_ground": "missing"} | held  # not in older stores
    for key in ("variables", "levels", "grid", "method", "below_ground", "numbers"):
        if held[key] != settings[key]:
            raise InputError(f"{out}: has {key} {held[key]}, to append {settings[key]}; expected the same")
    if times[0] <= held["last"]:
        raise InputError(
            f"{out}: ends at {minute(held['last'])}, to append from {minute(times[0])}; expected later times"
        )
    gap = float((times[0] - held["last"]) / np.timedelta64(1, "h"))
    step = held["step"] or settings["step"]
    if step is not None and gap != step:
        raise InputError(
            f"{out}: ends at {minute(held['last'])}, {gap:g} h before {minute(times[0])}; expected {step:g} h"
        )


def _begin(
    store: GrowingStore, opened: Opened, settings: dict[str, Any], held: dict[str, Any] | None, out: Path
) -> None:
    shutil.rmtree(store.store, ignore_errors=True)
    if held is None:
        _create(store.store, opened, settings)
    else:
        link_store(out, store.store, opened.changing)
        _lengthen(store.store, opened)
    store.begin()
    if held is not None:
        for index in range(held["count"] // held["shard"]):  # the last shard, if it has room, is written anew
            store.record(opened.changing, index)


def _create(path: Path, opened: Opened, settings: dict[str, Any]) -> None:
    """Arrays without frames, coordinates, static fields and attributes."""
    group = zarr.create_group(path, zarr_format=3)
    group.update_attributes(
        {"Conventions": "CF-1.11", "airmass_version": airmass.__version__, SETTINGS: json.dumps(settings)}
    )
    latitude, longitude = opened.grid.latitude, opened.grid.longitude
    north = {"units": "degrees_north", "standard_name": "latitude", "axis": "Y"}
    east = {"units": "degrees_east", "standard_name": "longitude", "axis": "X"}
    _coordinate(group, "time", _seconds(opened.times), _TIME)
    _coordinate(group, "latitude", latitude, north)
    _coordinate(group, "longitude", longitude, east)
    if any(VARIABLES[name].on_levels for name in opened.variables):
        _coordinate(
            group,
            "level",
            np.array(opened.levels),
            {"units": "hPa", "standard_name": "air_pressure", "positive": "down"},
        )
    if opened.numbers:
        _coordinate(group, "number", np.array(opened.numbers), {"standard_name": "realization", "units": "1"})
    for name in opened.variables:
        dims = opened.dims(name)
        shape = tuple(map(opened.size, dims))
        chunks = tuple(1 if d == "time" else n for d, n in zip(dims, shape, strict=True))
        sharded = settings["shard"] > 1 and not VARIABLES[name].static
        attributes: dict[str, Any] = {**VARIABLES[name].attributes, **opened.analysis.provenance(name)}
        group.create_array(
            name,
            shape=shape,
            chunks=chunks,
            shards=(settings["shard"], *chunks[1:]) if sharded else None,
            dtype="float32",
            dimension_names=dims,
            fill_value=np.nan,
            attributes=attributes,
        )
        if VARIABLES[name].static:
            write_static(path, name, opened.frame(name, opened.times[0]))


def _coordinate(group: zarr.Group, name: str, values: np.ndarray, attributes: Any) -> None:
    layout: dict[str, Any] = {"shape": values.shape, "chunks": values.shape, "dtype": values.dtype}
    whole: Any = {"write_empty_chunks": True}
    array = group.create_array(name, **layout, dimension_names=(name,), attributes=attributes, config=whole)
    array[...] = values


def _lengthen(path: Path, opened: Opened) -> None:
    """Make room for the new times."""
    group: Any = zarr.open_group(path, mode="r+", use_consolidated=False)
    times = np.r_[group["time"][...], _seconds(opened.times)]
    attributes = dict(group["time"].attrs)
    shutil.rmtree(path / "time")
    _coordinate(zarr.open_group(path, mode="r+", use_consolidated=False), "time", times, attributes)
    for name in opened.changing:
        group[name].resize((len(times), *group[name].shape[1:]))


def _seconds(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[s]") - _EPOCH).astype(np.int64)

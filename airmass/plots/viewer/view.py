"""`view.html`: forecasts on a map, in one file that needs neither a server nor the network."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

import numpy as np

import airmass
from airmass.core.errors import InputError, one_line
from airmass.core.files import new_output, refuse_existing
from airmass.core.place import Place
from airmass.plots.viewer import page
from airmass.plots.viewer.colours import safe_style
from airmass.plots.viewer.packing import Packed, frames_a_block, packed
from airmass.plots.viewer.sources import Contents, ForecastSource, TruthSource, ViewField, holds, open_contents
from airmass.plots.viewer.survey import described, levels_for, winds
from airmass.plots.viewer.tracks import track_records

Progress = Callable[[int, int], None]
MOST_MEGABYTES = 300.0
# Bytes in a page for one value, by the number of steps of its range; measured on simulated and real fields.
_BYTES_A_VALUE = {2000: 1.35, 500: 0.9, 250: 0.7}
_MOST_AT_ONCE = 256 * 2**20


def write_view(
    out: str | Path,
    forecasts: Sequence[Place],
    truth: Place | None = None,
    tracks: str | Path | None = None,
    fields: Sequence[str] | None = None,
    init_times: Sequence[str] | None = None,
    all_init_times: bool = False,
    most_megabytes: float = MOST_MEGABYTES,
    progress: Progress | None = None,
) -> Path:
    """Write one page that shows forecasts on a map, beside `truth` and with cyclone `tracks`; return its path.

    `fields` (such as `z500`, `2t`) are by default all, `init_times` the first of each forecast. Raises InputError for a
    page larger than `most_megabytes`, for grids that differ, for a field or time that is missing, and for an `out` that
    exists.
    """
    refuse_existing(out, *forecasts, truth, tracks)
    contents = open_contents(forecasts, truth, fields, init_times, all_init_times)
    _require_size(contents, most_megabytes)
    about = description(contents, [] if tracks is None else track_records(tracks), times=5)
    with new_output(out) as aside, aside.open("w", encoding="utf-8") as file:
        _write(file, contents, about, progress or (lambda done, total: None))
    return Path(out)


def megabytes(contents: Contents) -> float:
    """About how large a page is."""
    return contents.values * _BYTES_A_VALUE[levels_for(contents.values)] / 1e6 + 0.3


def description(contents: Contents, tracks: list[dict[str, Any]], times: int, served: bool = False) -> dict[str, Any]:
    """Description of a page for its script: grid, fields, sources, tracks and notes; all texts as they are."""
    return {
        "title": title_of(contents),
        "version": airmass.__version__,
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "served": served,
        "grid": {
            "latitude": np.round(contents.grid.latitude, 6).tolist(),
            "longitude": np.round(contents.grid.longitude, 6).tolist(),
        },
        "fields": described(contents, times),
        "winds": [{"place": place, "u": u.key, "v": v.key} for place, u, v in winds(contents)],
        "sources": [_source(source, contents.fields) for source in all_sources(contents)],
        "tracks": tracks,
        "notes": list(contents.missing),
        "frames_a_block": frames_a_block(contents.grid.size),
    }


def title_of(contents: Contents) -> str:
    return one_line("Forecasts: " + ", ".join(source.name for source in contents.forecasts))


def all_sources(contents: Contents) -> list[ForecastSource | TruthSource]:
    return [*contents.forecasts, *([contents.truth] if contents.truth else [])]


def _source(source: ForecastSource | TruthSource, fields: Sequence[ViewField]) -> dict[str, Any]:
    record = {
        "name": source.name,
        "path": str(source.path),
        "members": source.members,
        "fields": [field.key for field in fields if holds(source, field)],
    }
    if isinstance(source, TruthSource):
        return record | {"truth": True, "times": _seconds(source.times)}
    leads = [round(hour * 3600) for hour in source.lead_hours]
    return record | {"truth": False, "inits": _seconds(source.init_times), "leads": leads}


def _seconds(times: np.ndarray) -> list[int]:
    return times.astype("datetime64[s]").astype(np.int64).tolist()


def _require_size(contents: Contents, most: float) -> None:
    if (size := megabytes(contents)) > most:
        raise InputError(
            f"{contents.forecasts[0].path}: a page of all that was asked for would have about {_readable(size)}, "
            f"expected at most {_readable(most)} (--max-size): choose with --fields and --init-times, or add --serve, "
            "which reads from the file what is looked at"
        )


def _readable(size: float) -> str:
    return f"{size / 1e3:.3g} GB" if size >= 1e3 else f"{size:.3g} MB"


def _write(file: TextIO, contents: Contents, about: dict[str, Any], progress: Progress) -> None:
    records = {record["key"]: record for record in about["fields"]}
    total = sum(len(record["fields"]) for record in about["sources"])
    done = 0
    file.writelines(page.head(about["title"]))
    for number, source in enumerate(all_sources(contents)):
        shown = [field for field in contents.fields if holds(source, field)]
        for _, group in groupby(shown, key=lambda field: field.variable.name):
            fields = list(group)
            steps = [records[field.key]["step"] for field in fields]
            for field, found in zip(fields, _packed(source, fields, steps, contents.grid.size), strict=True):
                record = records[field.key]
                record["error"] = max(record.get("error", 0.0), *(block.error for block in found))
                file.writelines(page.blocks(f"s{number}-{field.key}", (block.data for block in found)))
                done += 1
                progress(done, total)
    for record in about["fields"]:
        if "parts" in record:
            record["error"] = float(np.hypot(*(records[key]["error"] for key in record["parts"])))
    file.writelines(page.tail(about))


def _packed(
    source: ForecastSource | TruthSource, fields: Sequence[ViewField], steps: Sequence[float], nodes: int
) -> list[list[Packed]]:
    """Blocks of each field, in the order of initial times, members and times."""
    found: list[list[Packed]] = [[] for _ in fields]
    style = safe_style(fields[0].variable)
    for init in range(source.shape[0]):
        by_member: dict[tuple[int, int], list[Packed]] = {}
        for times in _slices(source, nodes):
            for number, values in enumerate(source.read(fields, init, times)):
                for member, frames in enumerate(style.shown(values)):
                    size = frames_a_block(nodes)
                    parts = [packed(frames[at : at + size], steps[number]) for at in range(0, len(frames), size)]
                    by_member.setdefault((number, member), []).extend(parts)
        for (number, _), parts in sorted(by_member.items()):
            found[number] += parts
    return found


def _slices(source: ForecastSource | TruthSource, nodes: int) -> Iterator[slice]:
    """Times to read at once: whole blocks, within the memory meant for them."""
    count = source.shape[1]
    levels = max(1, source.dataset.sizes.get("level", 1))
    most = _MOST_AT_ONCE // (4 * nodes * levels * max(1, len(source.members)))
    block = frames_a_block(nodes)
    size = max(1, most // block) * block
    return (slice(at, min(at + size, count)) for at in range(0, count, size))

"""Zarr stores of both formats, local or remote, with or without consolidated metadata."""

import json
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.kind import Kind, require_file
from airmass.data.formats.layout import HORIZONTAL
from airmass.data.formats.reading import reading
from airmass.data.sources.base import opened, require_distinct_dimensions, require_short_axis
from airmass.fields.variables import VARIABLES

_MOST_METADATA = 64 * 2**20
_METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")
_EXPECTED = {"time", "level", *HORIZONTAL, *VARIABLES}


class ZarrSource:
    """Zarr through zarr-python and xarray; remote stores through `RemoteStore`."""

    kind = Kind.ZARR

    def open(self, place: Place, dask: bool) -> xr.Dataset:
        import zarr

        source = _located(place)
        with reading(place), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Both zarr.json")  # of servers that answer anything with a page
            group = zarr.open_group(source, mode="r")
            # Passed explicitly: by default xarray warns about every Zarr v3 store, as the standard has none.
            consolidated = group.metadata.consolidated_metadata
        names = list(_members(place, source) if consolidated is None else consolidated.metadata)
        for name in names:
            with reading(place, name):
                check_array(place, name, group[name])
        options: dict[str, Any] = {"chunks": {} if dask else None, "consolidated": consolidated is not None}
        opener = partial(xr.open_zarr, source, decode_timedelta=True, **options)
        return opened(opener, place, lambda: names)


SOURCE = ZarrSource()


def _located(place: Place) -> Any:
    """A path as text, or the reader of a remote store, for zarr to open."""
    if not is_url(place):
        _check_files(Path(place))
        return str(place)
    from airmass.data.formats.remote import RemoteStore

    with reading(place):
        source = RemoteStore(place)
        source.require_present()
    return source


def _check_depth(file: Path) -> None:
    """Raise InputError for JSON nested too deep: inside zarr's loop, Python would tell of that at its end, unasked."""
    try:
        json.loads(file.read_bytes())
    except RecursionError:
        raise InputError(f"{file}: cannot be read: nested too deep") from None
    except ValueError:
        return  # reported with the array's name


def _check_files(path: Path) -> None:
    """Raise InputError for metadata files of a local store that are not regular files, or too large."""
    with reading(path):
        for folder in (path, *(entry for entry in path.iterdir() if entry.is_dir())):
            for file in _METADATA:
                if (folder / file).exists():
                    require_file(folder / file, _MOST_METADATA)
                    _check_depth(folder / file)


def _members(path: Place, source: Any) -> Iterator[str]:
    """Names of the arrays of a store without consolidated metadata."""
    if is_url(path):
        yield from source.members()
        return
    for entry in sorted(Path(path).iterdir()):
        if (entry / "zarr.json").exists() or (entry / ".zarray").exists():
            yield entry.name
        elif entry.is_dir() and entry.name in _EXPECTED:
            raise InputError(f"{path}: {entry.name} has no metadata file, {_METADATA[0]} or {_METADATA[1]}")


def check_array(path: Place, name: str, array: Any) -> None:
    """Raise InputError for faults that zarr and xarray accept, or report without the array's name."""
    if not hasattr(array, "shape"):
        return  # a group
    require_short_axis(path, name, array.shape)
    if 0 in (array.chunks or ()):
        raise InputError(f"{path}: {name} has chunks of shape {array.chunks}, expected sizes of 1 or more")
    about = array.metadata.attributes
    if not isinstance(about, dict):
        raise InputError(f"{path}: {name} has attributes {about!r}, expected an object")
    for key in ("scale_factor", "add_offset"):
        if isinstance(value := about.get(key, 1.0), bool) or not isinstance(value, (int, float)):
            raise InputError(f"{path}: {name} has {key} {value!r}, expected a number")
    dims = getattr(array.metadata, "dimension_names", None) or about.get("_ARRAY_DIMENSIONS")
    if dims is None and array.ndim and array.metadata.zarr_format == 3:
        raise InputError(f"{path}: {name} does not name its dimensions")
    if isinstance(dims, (list, tuple)):
        require_distinct_dimensions(path, name, dims)

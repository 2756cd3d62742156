"""Opening stores and files of fields lazily: Zarr of both formats, local or remote, NetCDF 4 and NetCDF 3."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.kind import Kind, kind_of, require_file
from airmass.data.formats.layout import HORIZONTAL
from airmass.data.formats.reading import error_line, reading
from airmass.fields.variables import VARIABLES

# Longest axis that metadata may declare: axes are read completely when a store is opened.
_LONGEST_AXIS = 20_000_000
MOST_METADATA = 64 * 2**20
METADATA = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")

_EXPECTED = {"time", "level", *HORIZONTAL, *VARIABLES}

# scipy closes a NetCDF 3 file only when its last array is deleted, and warns each time; this is harmless.
warnings.filterwarnings("ignore", "Cannot close a netcdf_file opened with mmap=True", RuntimeWarning)

_ENGINES = {Kind.NETCDF4: "h5netcdf", Kind.NETCDF3: "scipy"}


def open_unchecked(path: Place, dask: bool = True) -> xr.Dataset:
    """Open a store or file lazily, in any layout. Raises InputError if it cannot be read."""
    kind = kind_of(path)
    chunks: dict | None = {} if dask else None
    if kind is Kind.ZARR:
        return _open_zarr(path, chunks)
    file = str(Path(path).absolute())
    _check_axes(file, kind, path)
    options: dict[str, Any] = {"phony_dims": "sort"} if kind is Kind.NETCDF4 else {}  # avoids a warning for HDF5 files
    opened = partial(xr.open_dataset, file, engine=_ENGINES[kind], chunks=chunks, decode_timedelta=True, **options)
    return _opened(opened, path, lambda: map(str, opened(decode_cf=False).variables))


def _open_zarr(path: Place, chunks: dict | None) -> xr.Dataset:
    import zarr

    source: Any = str(path)
    if is_url(path):
        from airmass.data.formats.remote import RemoteStore

        with reading(path):
            source = RemoteStore(path)
            source.require_present()
    else:
        _check_files(Path(path))
    with reading(path), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Both zarr.json")  # of servers that answer anything with a page
        group = zarr.open_group(source, mode="r")
        # Passed explicitly: by default xarray warns about every Zarr v3 store, as the standard has none.
        consolidated = group.metadata.consolidated_metadata
    names = list(_members(path, source) if consolidated is None else consolidated.metadata)
    for name in names:
        with reading(path, name):
            _check_array(path, name, group[name])
    opened = partial(xr.open_zarr, source, chunks=chunks, decode_timedelta=True, consolidated=consolidated is not None)
    return _opened(opened, path, lambda: names)


def _opened(opened: Callable[..., xr.Dataset], path: Place, names: Callable[[], Iterable[str]]) -> xr.Dataset:
    """The dataset that `opened` returns; raises InputError with the name of the broken variable, if one is found."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xr.SerializationWarning)  # `problems` refuses these cases
            warnings.filterwarnings("ignore", "Object at .* is not recognized")  # folders that are not arrays
            return opened()
    except Exception as error:
        with reading(path):
            held = list(names())
        faults = {name: fault for name in held if (fault := _fault(opened, name, held))}
        name, fault = next(iter(faults.items())) if 0 < len(faults) < len(held) else ("", error)
        raise InputError(f"{path}: {name}{' ' if name else ''}cannot be read: {error_line(fault)}") from error


def _fault(opened: Callable[..., xr.Dataset], name: str, held: list[str]) -> Exception | None:
    """The exception raised when this variable alone is opened, None if it opens."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fault is returned
            opened(drop_variables=[other for other in held if other != name]).close()
    except Exception as error:
        return error
    return None


def _check_files(path: Path) -> None:
    """Raise InputError for metadata files of a local store that are not regular files, or too large."""
    with reading(path):
        for folder in (path, *(entry for entry in path.iterdir() if entry.is_dir())):
            for file in METADATA:
                if (folder / file).exists():
                    require_file(folder / file, MOST_METADATA)


def _members(path: Place, source: Any) -> Iterator[str]:
    """Names of the arrays of a store without consolidated metadata."""
    if is_url(path):
        yield from source.members()
        return
    for entry in sorted(Path(path).iterdir()):
        if (entry / "zarr.json").exists() or (entry / ".zarray").exists():
            yield entry.name
        elif entry.is_dir() and entry.name in _EXPECTED:
            raise InputError(f"{path}: {entry.name} has no metadata file, {METADATA[0]} or {METADATA[1]}")


def _check_array(path: Place, name: str, array: Any) -> None:
    """Raise InputError for faults that zarr and xarray accept, or report without the array's name."""
    if not hasattr(array, "shape"):
        return  # a group
    _check_shape(path, name, array.shape)
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
    if isinstance(dims, (list, tuple)) and len(set(map(str, dims))) < len(dims):
        raise InputError(f"{path}: {name} has dimensions {tuple(dims)}, expected each name once")


def _check_axes(file: str, kind: Kind, path: Place) -> None:
    """Raise InputError for a coordinate of a NetCDF file that is too long."""
    import h5netcdf
    import scipy.io

    with reading(path):
        opened: Any = h5netcdf.File(file) if kind is Kind.NETCDF4 else scipy.io.netcdf_file(file, mmap=True)
        with opened:
            axes = {name: tuple(opened.variables[name].shape) for name in opened.dimensions if name in opened.variables}
        for name, shape in axes.items():
            _check_shape(path, str(name), shape)


def _check_shape(path: Place, name: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 1 and shape[0] > _LONGEST_AXIS:
        raise InputError(f"{path}: {name} has {shape[0]} values, expected {_LONGEST_AXIS} at most along a dimension")

"""Files of statistics: their names, read and checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.data.formats.layout import axis_problem
from airmass.data.formats.store import require
from airmass.data.plausible import doubt, place
from airmass.fields.variables import VARIABLES, same_units

MEAN, STDDEV, DIFFS_STDDEV, MINIMUM = "mean_by_level", "stddev_by_level", "diffs_stddev_by_level", "min_by_level"
CLIMATOLOGY = "climatology.zarr"


def load_statistics(
    folder: str | Path, names: Sequence[str] = (), levels: Sequence[int] = ()
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Mean, standard deviation and standard deviation of changes, from files of airmass or published ones, in memory.

    Raises InputError for a missing file, and for `names` and `levels` that a file lacks.
    """
    mean, stddev, diffs = (load_table(folder, kind) for kind in (MEAN, STDDEV, DIFFS_STDDEV))
    changing = [name for name in names if not VARIABLES[name].static]
    for dataset, kind, wanted in ((mean, MEAN, names), (stddev, STDDEV, names), (diffs, DIFFS_STDDEV, changing)):
        require_statistics(dataset, Path(folder) / f"{kind}.nc", wanted, levels, spread=kind != MEAN)
    return mean, stddev, diffs


def require_statistics(
    dataset: xr.Dataset, path: str | Path, names: Sequence[str], levels: Sequence[int] = (), spread: bool = False
) -> None:
    """Raise InputError unless a table has a number for each of these variables, and each level if it has levels.

    Numbers of a `spread` must be above zero, others in the variable's range, in the units of the table of variables.
    """
    require(dataset, path, names, levels)
    if any(VARIABLES[name].on_levels for name in names) and (problem := axis_problem(dataset, "level")):
        raise InputError(f"{path}: level {problem}")
    for name in names:
        field, expected = dataset[name], ("level",) if VARIABLES[name].on_levels else ()
        if field.dims != expected:
            raise InputError(f"{path}: {name} has dimensions {field.dims}, expected {expected}")
        units = field.attrs.get("units")
        if units is not None and not (isinstance(units, str) and same_units(units, VARIABLES[name].units)):
            raise InputError(f"{path}: {name} has units {units!r}, expected {VARIABLES[name].units!r}")
        if field.dtype.kind not in "fiu":
            raise InputError(f"{path}: {name} has type {field.dtype}, expected numbers")
        values = field.sel(level=list(levels)) if expected and levels else field
        if bad := int((~np.isfinite(values.values)).sum()):
            raise InputError(f"{path}: {name} has {bad} NaN or infinite values of {values.size}; expected none")
        for level, value in zip(values.level.values if expected else (None,), np.ravel(values.values), strict=True):
            _require_number(path, (name, level), float(value), spread)


def _require_number(path: str | Path, channel: tuple[str, int | None], value: float, spread: bool) -> None:
    if spread and value <= 0:
        raise InputError(f"{path}: {place(channel)} has the spread {value:.6g}, expected above zero")
    if not spread and (found := doubt(channel, value, value, value)) is not None:
        raise InputError(f"{path}: {place(channel)} {found.text}")


def load_table(folder: str | Path, kind: str) -> xr.Dataset:
    """One file of statistics (`mean_by_level`, `min_by_level`, ...), in memory; raises InputError if unreadable."""
    path = local_path(folder, "statistics") / f"{kind}.nc"
    if not path.exists():
        raise InputError(f"{path}: no such file; `airmass data stats` writes it")
    try:
        with xr.open_dataset(path) as dataset:
            return dataset.load()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as NetCDF: {' '.join(str(error).split())}") from error

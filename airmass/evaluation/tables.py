"""Scores as tidy tables: an `xr.Dataset` with a dimension for each key, or one row for each score."""

from pathlib import Path

import numpy as np
import xarray as xr

from airmass.core.errors import InputError
from airmass.core.files import new_output
from airmass.evaluation.scores import ScoreTable, units_of
from airmass.fields.derived import scored

GLOBE, ALL_DATES = "globe", "all"
SUFFIXES = (".parquet", ".csv", ".nc")


def to_dataset(table: ScoreTable, whole: bool = False) -> xr.Dataset:
    """Scores by variable, with dims (system, metric, lead_time, [level]); NaN where a metric is undefined.

    With `whole`, also the dims (region, period), with "globe" and "all" first. Attributes give the variable's units.
    """
    rows = table.all_scores if whole else table.scores
    regions = list(dict.fromkeys((GLOBE, *(row.region or GLOBE for row in rows))))
    periods = list(dict.fromkeys((ALL_DATES, *(row.period or ALL_DATES for row in rows))))
    systems, metrics, hours = list(table.systems), list(table.metrics), list(table.hours)
    levels: dict[str, list[int]] = {}
    for name, level in table.channels:
        levels.setdefault(name, []).extend([] if level is None else [level])
    every = sorted({level for held in levels.values() for level in held})
    before = (len(regions), len(periods)) if whole else ()
    shape = *before, len(systems), len(metrics), len(hours)
    fields = {name: np.full((*shape, len(every)) if held else shape, np.nan) for name, held in levels.items()}
    where = {name: {key: i for i, key in enumerate(keys)} for name, keys in (
        ("region", regions), ("period", periods), ("system", systems), ("metric", metrics), ("hour", hours),
        ("level", every),
    )}  # fmt: skip
    for row in rows:
        at: tuple[int, ...] = (
            where["system"][row.system], where["metric"][row.metric], where["hour"][row.lead_time_hours],
        )  # fmt: skip
        if whole:
            at = (where["region"][row.region or GLOBE], where["period"][row.period or ALL_DATES], *at)
        fields[row.variable][(*at, where["level"][row.level]) if row.level is not None else at] = row.value
    dims = (*(("region", "period") if whole else ()), "system", "metric", "lead_time")
    coords: dict = {
        **({"region": regions, "period": periods} if whole else {}),
        "system": systems,
        "metric": metrics,
        "lead_time": (np.array(hours) * 3600e9).round().astype("timedelta64[ns]"),
        **({"level": ("level", every, {"units": "hPa"})} if every else {}),
    }
    return xr.Dataset(
        {
            name: ((*dims, "level") if levels[name] else dims, values, {"units": scored(name).units})
            for name, values in fields.items()
        },
        coords,
    )


def check_table(path: str | Path) -> None:
    """Raise InputError for a table whose kind its name does not tell, or that exists."""
    if Path(path).suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a table ending in {', '.join(SUFFIXES)}")
    if Path(path).exists():
        raise InputError(f"{path}: already exists; remove it or name another output")


def write_table(table: ScoreTable, path: str | Path) -> None:
    """Write all scores as one row each (Parquet, CSV) or as a dataset (NetCDF), by the suffix of `path`."""
    import pandas as pd

    with new_output(path) as aside:
        if Path(path).suffix == ".nc":
            to_dataset(table, whole=True).to_netcdf(aside, engine="h5netcdf")
            return
        rows = pd.DataFrame([vars(score) for score in table.all_scores])
        rows = rows.assign(
            level=rows.level.astype("Int64"), units=[units_of(row.metric, row.variable) for row in table.all_scores]
        )
        rows = rows.dropna(axis="columns", how="all")
        _ = rows.to_parquet(aside, index=False) if Path(path).suffix == ".parquet" else rows.to_csv(aside, index=False)

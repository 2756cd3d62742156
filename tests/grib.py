"""GRIB files of any fields, written with ecCodes, for tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import eccodes
import numpy as np
import xarray as xr

# Parameter of edition 1 and 2 alike, by ECMWF's short name; eccodes finds the edition's own numbers.
_SAMPLES = {1: ("regular_ll_pl_grib1", "regular_ll_sfc_grib1"), 2: ("regular_ll_pl_grib2", "regular_ll_sfc_grib2")}


def message(values: np.ndarray, keys: Mapping[str, Any], on_levels: bool, edition: int = 2) -> bytes:
    """One field north to south from 0 east, exact in float32 in edition 2, packed in 24 bits in edition 1."""
    rows, columns = values.shape
    held = eccodes.codes_grib_new_from_samples(_SAMPLES[edition][not on_levels])
    first = 90 if rows % 2 else 90 - 90 / rows
    step = 180 / (rows - 1) if rows % 2 else 180 / rows
    sizes = {
        "Ni": columns, "Nj": rows,
        "latitudeOfFirstGridPointInDegrees": first, "latitudeOfLastGridPointInDegrees": -first,
        "longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 360 - 360 / columns,
        "iDirectionIncrementInDegrees": 360 / columns, "jDirectionIncrementInDegrees": step,
    }  # fmt: skip
    try:
        for key, value in {**sizes, **keys}.items():
            eccodes.codes_set(held, key, value)
        if edition == 2:
            eccodes.codes_set(held, "packingType", "grid_ieee")
        else:
            eccodes.codes_set(held, "bitsPerValue", 24)
        if np.isnan(values).any():
            eccodes.codes_set(held, "missingValue", 9999.0)
            eccodes.codes_set(held, "bitmapPresent", 1)
        eccodes.codes_set_values(held, np.nan_to_num(values, nan=9999.0).astype(np.float64).ravel())
        return eccodes.codes_get_message(held)
    finally:
        eccodes.codes_release(held)


def messages(dataset: xr.Dataset, names: Mapping[str, str], edition: int = 2, **keys: Any) -> Iterable[bytes]:
    """A message of each field of a dataset in airmass's layout; `names` maps variables to ECMWF's short names."""
    for name, short in names.items():
        field = dataset[name].isel(latitude=slice(None, None, -1))
        for time in field.time.values if "time" in field.dims else dataset.time.values[:1]:
            frame = field.sel(time=time) if "time" in field.dims else field
            stamp = str(time.astype("datetime64[m]"))
            dated = {"dataDate": int(stamp[:10].replace("-", "")), "dataTime": int(stamp[11:].replace(":", ""))}
            for level in frame.level.values if "level" in frame.dims else (None,):
                values = frame.sel(level=level).values if level is not None else frame.values
                placed = {"level": int(level)} if level is not None else {}
                # By short name ecCodes takes the "specified" sea surface temperature, which is in °C.
                parameter = {"paramId": 34} if short == "sst" else {"shortName": short}
                yield message(values, {**parameter, **placed, **dated, **keys}, level is not None, edition)


def write(path: Path, parts: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(parts))
    return path

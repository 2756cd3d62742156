"""Parts of one variable of a forecast or a store, read each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from airmass.data.formats.decoding import StoredArray, stored_array
from airmass.data.formats.forecast_reader import OTHER_NAMES, TURNED


@dataclass(frozen=True)
class FieldReader:
    """Parts of a variable, through tensorstore where possible; axes `turned` run the other way on disk."""

    field: xr.DataArray
    stored: StoredArray | None
    turned: Sequence[str]

    def read(self, place: Mapping[str, int | slice | np.ndarray]) -> np.ndarray:
        """Values at the indices `place` of some axes and of all the others, in the order of the field's axes."""
        if self.stored is None:
            return self.field.isel(place).compute(scheduler="synchronous").values
        dims = [str(dim) for dim in self.field.dims]
        part = self.stored.numbers.transpose(dims)
        for axis in reversed(range(len(dims))):  # from the last, since an index takes its axis away
            if dims[axis] in place:
                index: tuple = (*[slice(None)] * axis, self._on_disk(dims[axis], place[dims[axis]]))
                part = part[index]
        kept = [dim for dim in dims if not isinstance(place.get(dim), int)]
        values = self.stored.encoding.decoded(part.read().result())
        return np.flip(values, tuple(i for i, dim in enumerate(kept) if dim in self.turned and dim not in place))

    def _on_disk(self, dim: str, index: int | slice | np.ndarray) -> int | slice | np.ndarray:
        if dim not in self.turned:
            return index
        return np.arange(self.field.sizes[dim])[::-1][index]


def field_reader(dataset: xr.Dataset, path: str | Path, name: str) -> FieldReader:
    """A reader of parts of one variable of a forecast or a store; nothing that it reads is kept."""
    stored = stored_array(dataset[name], path, gaps=True, names=OTHER_NAMES)
    return FieldReader(dataset[name], stored, tuple(dataset.encoding.get(TURNED, ())))

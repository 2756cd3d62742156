"""Settings of the data loader, without JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.typed import Range
from airmass.data.loading.sampling_order import SamplingOrder


@dataclass(frozen=True)
class LoaderSettings(SamplingOrder):
    """Drawing and reading of examples.

    `threads` threads prefetch `ahead` batches. A period whose frames take up to `hold_gib` GiB is read once and cached;
    of a longer one, in the order "blocks", the frames of the current blocks are cached. Computed forcings are cached
    too: all of them if frames are, otherwise up to 512 MiB. Only the sampling order changes the results of a run.
    """

    threads: Annotated[int, Range(1, 1024)] = 4
    ahead: Annotated[int, Range(1, 10_000)] = 4
    hold_gib: Annotated[float, Range(0)] = 4.0

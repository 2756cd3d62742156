"""Settings of how examples are read, free of JAX."""

from dataclasses import dataclass
from typing import Annotated

from airmass.core.typed import Range
from airmass.data.loading.sampling_order import SamplingOrder


@dataclass(frozen=True)
class LoaderSettings(SamplingOrder):
    """How examples are drawn and read.

    `threads` read `ahead` batches before they are asked for; a period whose frames take up to `hold_gib` GiB is read
    once and kept. Of a longer one, in the order "blocks", the frames are kept of blocks that are drawn from. Forcings
    are kept besides, once computed: of all times where frames are, else up to 512 MiB. Only how windows are drawn
    changes what a run computes.
    """

    threads: Annotated[int, Range(1, 1024)] = 4
    ahead: Annotated[int, Range(1, 10_000)] = 4
    hold_gib: Annotated[float, Range(0)] = 4.0

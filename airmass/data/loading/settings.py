"""Settings of how examples are read, free of JAX."""

from dataclasses import dataclass

from airmass.core.errors import InputError
from airmass.data.loading.sampling_order import Order


@dataclass(frozen=True)
class LoaderSettings(Order):
    """How examples are drawn and read.

    `threads` read `ahead` batches before they are asked for; a period whose frames take up to `hold_gib` GiB is read
    once and kept. Of a longer one, in the order "blocks", the frames are kept of blocks that are drawn from. Forcings
    are kept besides, once computed: of all times where frames are, else up to 512 MiB. Only how windows are drawn
    changes what a run computes.
    """

    threads: int = 4
    ahead: int = 4
    hold_gib: float = 4.0

    def __post_init__(self):
        super().__post_init__()
        if self.threads < 1 or self.ahead < 1:
            raise InputError(f"loader.threads is {self.threads} and ahead {self.ahead}, expected at least 1 of each")
        if not self.hold_gib >= 0:
            raise InputError(f"loader.hold_gib is {self.hold_gib}, expected 0 or more")

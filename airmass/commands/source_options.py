"""Options of the commands that take in archives and analyses: ways of reading sources."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from airmass.commands.options import require_between


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """Choices in how sources are read; the names are those of `IngestRequest`."""

    method: Literal["conservative", "bilinear", "thin"] = "conservative"
    """Way to the grid: by area, between the nearest points, or by choosing points (as the published samples)."""
    lead: int | None = None
    """Lead time in hours, to choose from forecasts that overlap."""
    accumulation: int | None = None
    """Hours over which precipitation is summed where a file does not tell: 1 for ERA5's hourly data."""
    names: Path | None = None
    """CSV file of further names (see `airmass data names --csv`)."""
    half_levels: Path | None = None
    """CSV file with n, a (Pa) and b of the half levels of model levels (ECMWF's tables), where files do not tell."""
    below_ground: Literal["missing", "extrapolate"] = "missing"
    """Values from model levels at pressures below the ground."""

    def require(self) -> None:
        """Raise InputError for a number out of range."""
        require_between("--lead", self.lead, 0, 10000)
        require_between("--accumulation", self.accumulation, 1, 240)

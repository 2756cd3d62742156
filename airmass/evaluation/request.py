"""Options of an evaluation: those of the command and of `airmass.evaluate`. Importing this module is cheap."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from airmass.core.errors import InputError
from airmass.core.place import local_path
from airmass.core.typed import Range, check_options
from airmass.evaluation.periods import Grouping

_NAMED = re.compile(r"([A-Za-z][\w.-]*)=(.+)")


def named_store(text: str | Path) -> tuple[str | None, str | Path]:
    """Name of a system and its store in `NAME=STORE`; None and the store itself for any other text or path."""
    found = _NAMED.fullmatch(text) if isinstance(text, str) else None
    return (found[1], found[2]) if found else (None, text)


@dataclass(frozen=True, kw_only=True)
class VerificationRequest:
    """Forecasts, truth, times and scores of an evaluation: all that determines its values."""

    forecasts: tyro.conf.Positional[tuple[str | Path, ...]]
    """Forecast stores. Stores of one system are joined along initial time. NAME=STORE gives its system another name, to
    compare two runs of one model."""
    truth: str | Path | None = None
    """Store with the truth, such as a reanalysis."""
    stations: str | Path | None = None
    """Observations as truth instead: a CSV or Parquet file of columns station, time (UTC), latitude, longitude, height
    (m) and variables by name, such as 2m_temperature or 2t. Forecasts are interpolated to the stations."""
    orography: str | Path | None = None
    """Store with the model's geopotential_at_surface, to correct 2 m temperature for the height of the stations."""
    climatology: str | Path | None = None
    """Climatology file, or a statistics folder that contains one; by default the one that the forecasts name."""
    lead_times: tuple[str, ...] | None = None
    """Lead times, such as 24h 5d, that every system must have; "common" takes those that all share. By default all
    systems must have the same ones."""
    init_times: tuple[str, ...] | None = None
    """Initial times, such as 2001-01-05T00, or "common", as for --lead-times."""
    variables: tuple[str, ...] = ()
    """Variables to score, such as z 2m_temperature; by default all that the forecasts hold. Truth and climatology need
    not hold the others."""
    spectra: tuple[str, ...] = ()
    """Lead times, such as 24h 5d, at which to compute spectra of headline fields: power, error and coherence, and the
    effective resolution."""
    regions: tuple[str, ...] = ()
    """Regions to score beside the globe: names such as europe tropics land, a latitude band 30:60, a box
    SOUTH:NORTH:WEST:EAST, intersections such as europe/land; `ecmwf` for ECMWF's scorecard regions, `bands` for bands
    of 30 degrees."""
    by: Grouping | None = None
    """Score each season, month, or hour of the valid time as well."""
    maps: tuple[str, ...] = ()
    """Lead times at which to map the scores of headline fields, or to give them by station."""
    derived: tuple[str, ...] = ()
    """Derived fields to score as well: wind_speed thickness_500_1000 relative_humidity integrated_vapour_transport, or
    all that can be computed. The wind speed at 10 m is always scored."""
    metrics: tuple[str, ...] = ()
    """Metrics to compute beside the usual ones, by name, or `all`."""
    history: str | Path | None = None
    """Store of other years: their fields on the same day and hour are scored as an ensemble, the probabilistic
    climatology."""

    def __post_init__(self):
        check_options(self)
        if (self.truth is None) == (self.stations is None):
            raise InputError("expected either --truth, a store, or --stations, a table of observations")
        if self.stations is not None and self.spectra:
            raise InputError("--spectra needs fields as truth, not --stations")

    @property
    def places(self) -> tuple[str | Path, ...]:
        """Paths and URLs of all inputs that are named."""
        others = (self.truth, self.climatology, self.history, self.stations, self.orography)
        return (
            *(store for _, store in map(named_store, self.forecasts)),
            *(place for place in others if place is not None),
        )

    def record(self) -> dict[str, Any]:
        """Options that determine the scores."""
        return {field.name: getattr(self, field.name) for field in fields(VerificationRequest)}


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(VerificationRequest):
    """Score deterministic and ensemble forecasts against truth, with persistence and climatology on the same dates."""

    out: str | Path
    """Folder to write."""
    against: str | None = None
    """Compare every system with this one (or a baseline), with the significance of the differences."""
    intervals: bool = False
    """Give every score its 95 % confidence interval; always with --against."""
    test: Literal["t-test", "bootstrap"] = "t-test"
    """Significance by a t-test corrected for autocorrelation, or by a stationary block bootstrap."""
    table: str | Path | None = None
    """Write all scores as one table too: a file ending in .parquet, .csv or .nc."""
    workers: Annotated[int, Range(1, 256)] = 1
    """Processes that score side by side."""
    scheduler: str | None = None
    """Address of a Dask scheduler, such as tcp://node1:8786, whose workers score; they must see the same paths."""

    @property
    def output(self) -> Path:
        return local_path(self.out, "output")

"""Settings of a simulation. Imports are light, so that the command line shows its help at once."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from airmass.core.errors import InputError
from airmass.core.typed import Range, check

LEVELS = (50, 100, 150, 200, 250, 300, 400, 500, 600, 700, 850, 925, 1000)
"""Pressure levels in hPa, those of WeatherBench."""

FRAMES_PER_DAY = 4
FRAME_MINUTES = 24 * 60 // FRAMES_PER_DAY

# With 8 layers, by truncation: stable for a year over real mountains (T21, T31) and for the 40 days tried (T42).
_TIME_STEP_MINUTES = {21: 60, 31: 60, 42: 30}


def _stable_time_step(truncation: int, layers: int) -> int:
    """The longest stable time step in minutes: with more layers the lowest is thinner, and its drag less stable."""
    if layers <= 8:
        return _TIME_STEP_MINUTES.get(truncation, 0)
    return 20 if layers <= 12 else 12


@dataclass(frozen=True)
class SimulateSettings:
    """A simulated climate: how long, from when, at which resolution."""

    days: Annotated[int, Range(1, 36525)]
    """Length in days, four frames each. A shorter existing store is continued."""
    truncation: Literal[21, 31, 42] = 31
    """Spectral truncation of the circulation model: T21, T31 or T42 (5.6, 3.75 or 2.8 degrees)."""
    start: str = "2000-11-01"
    """Date of the first frame, at 00 UTC."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Another seed gives other weather in the same climate."""
    layers: Annotated[int, Range(5, 20)] = 8
    """Layers of the circulation model, 5 to 20; SPEEDY is tuned for 8."""
    latitudes: Annotated[int, Range(2, 721)] = 32
    """Rows of the output grid, from pole to pole, none on the poles."""
    longitudes: Annotated[int, Range(2, 1440)] = 64
    """Columns of the output grid."""
    time_step_minutes: Annotated[int, Range(0, 120)] = 0
    """Time step of the circulation model, a divisor of 120; 0 for the longest that is stable."""

    def __post_init__(self):
        check(self, "")
        if not self.time_step_minutes:
            object.__setattr__(self, "time_step_minutes", _stable_time_step(self.truncation, self.layers))
        self._check_start()
        # Shortwave radiation is computed every third step. A frame has a multiple of three steps, so that a continued
        # run equals a single one.
        if 120 % self.time_step_minutes:
            raise InputError(f"time_step_minutes is {self.time_step_minutes}, expected a divisor of 120")

    @property
    def frames(self) -> int:
        return self.days * FRAMES_PER_DAY

    @property
    def steps_per_frame(self) -> int:
        return FRAME_MINUTES // self.time_step_minutes

    def without_days(self) -> dict[str, Any]:
        """The settings that must be equal for a store to be continued."""
        return {name: value for name, value in asdict(self).items() if name != "days"}

    def _check_start(self) -> None:
        from airmass.fields.clock import parse_time  # brings numpy

        start = parse_time(self.start)
        if start != start.astype("datetime64[D]"):
            raise InputError(f"start is {self.start!r}, expected a date, whose first frame is at 00 UTC")
        # The range of datetime64[ns], with room for the longest run.
        if int(str(start)[:4]) > 2150:
            raise InputError(f"start is {self.start!r}, expected a year up to 2150")
        object.__setattr__(self, "start", str(start.astype("datetime64[D]")))

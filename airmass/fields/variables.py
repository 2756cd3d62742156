"""The table of variables: what each is called, in which units, on levels or not, and what is physically possible."""

import re
from dataclasses import dataclass

from airmass.core.errors import InputError


@dataclass(frozen=True)
class Variable:
    """One meteorological variable.

    `name` is the ERA5/WeatherBench long name used on disk, `short_name` ECMWF's, `standard_name` CF's (empty where CF
    has none). `valid_range` bounds what any healthy archive holds, in `units`, with room for packing (a mask of 1.0001)
    and for archives that give the ice's temperature as the sea's; every command refuses values beyond it.
    `missing_over_land` marks fields that are NaN over land (sea surface temperature).
    `accumulation_hours` is the length of the interval that ends at the valid time, 0 for instantaneous fields.
    """

    name: str
    standard_name: str
    short_name: str
    units: str
    on_levels: bool
    valid_range: tuple[float, float]
    static: bool = False
    missing_over_land: bool = False
    accumulation_hours: int = 0
    aliases: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes to write beside the values."""
        attributes = {"long_name": self.name.replace("_", " "), "units": self.units, "short_name": self.short_name}
        if self.standard_name:
            attributes["standard_name"] = self.standard_name
        if self.accumulation_hours:
            attributes["cell_methods"] = f"time: sum (interval: {self.accumulation_hours} hours)"
        return attributes


_WIND = (-200.0, 200.0)
_TABLE = (
    Variable("geopotential", "geopotential", "z", "m2 s-2", True, (-1.0e4, 5.5e5)),
    Variable("temperature", "air_temperature", "t", "K", True, (140.0, 350.0)),
    Variable("u_component_of_wind", "eastward_wind", "u", "m s-1", True, _WIND),
    Variable("v_component_of_wind", "northward_wind", "v", "m s-1", True, _WIND),
    Variable("vertical_velocity", "lagrangian_tendency_of_air_pressure", "w", "Pa s-1", True, (-100.0, 100.0)),
    Variable("specific_humidity", "specific_humidity", "q", "kg kg-1", True, (-0.002, 0.06)),
    Variable("2m_temperature", "air_temperature", "2t", "K", False, (160.0, 345.0), aliases=("t2m",)),
    Variable("10m_u_component_of_wind", "eastward_wind", "10u", "m s-1", False, (-120.0, 120.0), aliases=("u10",)),
    Variable("10m_v_component_of_wind", "northward_wind", "10v", "m s-1", False, (-120.0, 120.0), aliases=("v10",)),
    Variable("mean_sea_level_pressure", "air_pressure_at_mean_sea_level", "msl", "Pa", False, (8.5e4, 1.15e5)),
    Variable("surface_pressure", "surface_air_pressure", "sp", "Pa", False, (4.0e4, 1.12e5)),
    Variable(
        "total_precipitation_6hr", "lwe_thickness_of_precipitation_amount", "tp06", "m", False, (-1e-5, 1.5),
        accumulation_hours=6, aliases=("tp", "tp6"),
    ),
    Variable(
        "total_precipitation_12hr", "lwe_thickness_of_precipitation_amount", "tp12", "m", False, (-1e-5, 2.5),
        accumulation_hours=12,
    ),
    Variable(
        "sea_surface_temperature", "sea_surface_temperature", "sst", "K", False, (250.0, 320.0), missing_over_land=True
    ),
    Variable("toa_incident_solar_radiation", "", "tisr", "J m-2", False, (-1.0, 5.5e6), accumulation_hours=1),
    Variable("geopotential_at_surface", "geopotential", "zsfc", "m2 s-2", False, (-5.0e3, 9.0e4), static=True),
    Variable("land_sea_mask", "land_area_fraction", "lsm", "1", False, (-0.01, 1.01), static=True),
    Variable("year_progress_sin", "", "yps", "1", False, (-1.0, 1.0)),
    Variable("year_progress_cos", "", "ypc", "1", False, (-1.0, 1.0)),
    Variable("day_progress_sin", "", "dps", "1", False, (-1.0, 1.0)),
    Variable("day_progress_cos", "", "dpc", "1", False, (-1.0, 1.0)),
)  # fmt: skip

VARIABLES: dict[str, Variable] = {variable.name: variable for variable in _TABLE}

# Computed from valid time and grid alone, so never read from a store.
COMPUTED = (
    "toa_incident_solar_radiation",
    "year_progress_sin",
    "year_progress_cos",
    "day_progress_sin",
    "day_progress_cos",
)

_BY_ANY_NAME = {key: v for v in _TABLE for key in (v.name, v.short_name, *v.aliases)}


def spellings() -> tuple[str, ...]:
    """Every name by which a variable of the table goes in files: long, short and usual ones."""
    return tuple(_BY_ANY_NAME)


def variable(name: str) -> Variable:
    """The variable called `name`: ERA5 long name, ECMWF short name or a usual alias.

    Raises InputError for an unknown name, with the nearest known ones.
    """
    if name in _BY_ANY_NAME:
        return _BY_ANY_NAME[name]
    import difflib

    near = difflib.get_close_matches(name, _BY_ANY_NAME, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else f"; known are {', '.join(sorted(VARIABLES))}"
    raise InputError(f"unknown variable {name!r}{hint}")


def table_name(name: str, on_levels: bool, hours: int | None = None) -> str | None:
    """The table's name for a short name in an archive, None where none is meant for certain.

    `z` is geopotential on levels and at the surface without; precipitation is found only by the `hours` over which it
    is summed, since an archive's `tp` is of one hour (ERA5) or of all since the forecast began (IFS).
    """
    if name in _SUMMED:
        return next(
            (v.name for v in _TABLE if v.accumulation_hours == hours and v.name.startswith(_SUMMED[name])), None
        )
    if name in ("z", "geopotential") and not on_levels:
        return "geopotential_at_surface"
    found = _BY_ANY_NAME.get(name)
    return None if found is None or found.on_levels != on_levels else found.name


_SUMMED = {"tp": "total_precipitation", "total_precipitation": "total_precipitation"}


def summed_without_hours(name: str) -> bool:
    """Whether a short name tells a sum but not over how long."""
    return name in _SUMMED


def variable_at_level(text: str) -> tuple[Variable, int | None]:
    """Read what a person types for one field: `2t`, `2m_temperature`, `z500`, `temperature@850`.

    Returns the variable and its level in hPa, None for a field not on levels. Raises InputError when the level is
    missing or does not belong.
    """
    if text in _BY_ANY_NAME:
        found, level = _BY_ANY_NAME[text], None
    elif match := re.fullmatch(r"(.+)@(\d+)", text) or re.fullmatch(r"([a-z]+)(\d+)", text):
        found, level = variable(match[1]), int(match[2])
    else:
        found, level = variable(text), None
    if found.on_levels and level is None:
        raise InputError(f"{text!r} is on levels: say which, for example {found.short_name}500")
    if level is not None and not found.on_levels:
        raise InputError(f"{found.name!r} is not on levels, but {text!r} asks for {level} hPa")
    return found, level


def same_units(a: str, b: str) -> bool:
    """Whether two spellings mean one unit: `m**2 s**-2`, `m2 s-2` and `m^2/s^2` do; `hPa` and `Pa` do not."""
    return _canonical(a) == _canonical(b)


_SPELLINGS = {
    "kelvin": "K",
    "kelvins": "K",
    "degk": "K",
    "meter": "m",
    "metre": "m",
    "meters": "m",
    "metres": "m",
    "pascal": "Pa",
    "pascals": "Pa",
    "joule": "J",
    "sec": "s",
    "second": "s",
    "dimensionless": "1",
    "(0 - 1)": "1",
    "(0-1)": "1",
    "": "1",
}


def _canonical(units: str) -> frozenset[tuple[str, int]]:
    text = _SPELLINGS.get(units.strip().lower(), units.strip())
    powers: dict[str, int] = {}
    for sign, symbol, power in re.findall(r"(/?)\s*([A-Za-z%°]+)(?:\*\*|\^)?([+-]?\d+)?", text):
        symbol = _SPELLINGS.get(symbol.lower(), symbol)
        powers[symbol] = powers.get(symbol, 0) + int(power or 1) * (-1 if sign else 1)
    return frozenset((symbol, power) for symbol, power in powers.items() if power and symbol != "1")

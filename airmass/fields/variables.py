"""The table of variables: names, units, levels, and the range of physically possible values."""

import os
import re
from dataclasses import dataclass

from airmass.core.errors import InputError
from airmass.fields.own_variables import ENVIRONMENT, own_variables


@dataclass(frozen=True)
class Variable:
    """One meteorological variable.

    `name` is the ERA5/WeatherBench long name used on disk, `short_name` ECMWF's, `standard_name` CF's (empty where CF
    has none). `valid_range` holds the values of every valid archive, in `units`, with room for packing (a mask of
    1.0001) and for archives with the temperature of ice as that of the sea; every command refuses values beyond it.
    `missing_over_land` marks fields that are NaN over land (sea surface temperature), `around_cyclones` those that are
    NaN except around tropical cyclones. `accumulation_hours` is the length of the interval that ends at the valid time,
    0 for instantaneous fields.
    """

    name: str
    standard_name: str
    short_name: str
    units: str
    on_levels: bool
    valid_range: tuple[float, float]
    static: bool = False
    missing_over_land: bool = False
    around_cyclones: bool = False
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
_TABLE: tuple[Variable, ...] = (
    Variable("geopotential", "geopotential", "z", "m2 s-2", True, (-1.0e4, 5.5e5)),
    Variable("temperature", "air_temperature", "t", "K", True, (140.0, 350.0)),
    Variable("u_component_of_wind", "eastward_wind", "u", "m s-1", True, _WIND),
    Variable("v_component_of_wind", "northward_wind", "v", "m s-1", True, _WIND),
    Variable("vertical_velocity", "lagrangian_tendency_of_air_pressure", "w", "Pa s-1", True, (-100.0, 100.0)),
    Variable("specific_humidity", "specific_humidity", "q", "kg kg-1", True, (-0.002, 0.06)),
    Variable("2m_temperature", "air_temperature", "2t", "K", False, (160.0, 345.0), aliases=("t2m",)),
    Variable("10m_u_component_of_wind", "eastward_wind", "10u", "m s-1", False, (-120.0, 120.0), aliases=("u10",)),
    Variable("10m_v_component_of_wind", "northward_wind", "10v", "m s-1", False, (-120.0, 120.0), aliases=("v10",)),
    Variable("100m_u_component_of_wind", "eastward_wind", "100u", "m s-1", False, (-130.0, 130.0), aliases=("u100",)),
    Variable("100m_v_component_of_wind", "northward_wind", "100v", "m s-1", False, (-130.0, 130.0), aliases=("v100",)),
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
    Variable(
        "sea_ice_cover", "sea_ice_area_fraction", "ci", "1", False, (-0.01, 1.01), missing_over_land=True,
        aliases=("siconc",),
    ),
    Variable("2m_dewpoint_temperature", "dew_point_temperature", "2d", "K", False, (130.0, 330.0), aliases=("d2m",)),
    Variable("2m_specific_humidity", "specific_humidity", "2sh", "kg kg-1", False, (-0.002, 0.06), aliases=("sh2",)),
    Variable("toa_incident_solar_radiation", "", "tisr", "J m-2", False, (-1.0, 5.5e6), accumulation_hours=1),
    Variable("geopotential_at_surface", "geopotential", "zsfc", "m2 s-2", False, (-5.0e3, 9.0e4), static=True),
    Variable("land_sea_mask", "land_area_fraction", "lsm", "1", False, (-0.01, 1.01), static=True),
    Variable("year_progress_sin", "", "yps", "1", False, (-1.0, 1.0)),
    Variable("year_progress_cos", "", "ypc", "1", False, (-1.0, 1.0)),
    Variable("day_progress_sin", "", "dps", "1", False, (-1.0, 1.0)),
    Variable("day_progress_cos", "", "dpc", "1", False, (-1.0, 1.0)),
)  # fmt: skip

# Of tropical cyclones, from best tracks (IBTrACS) put on the grid: how near a centre is, and around each centre the
# storm's own values, missing elsewhere. Winds and radii are those of the archive: knots, and km to 34, 50 and 64 knots.
CYCLONE_EXISTS = "cyclone_exists_gaussian_unit_mode"
CYCLONE_DISCS = (
    Variable("cyclone_all_wind_disc", "", "cwnd", "knot", False, (0.0, 250.0), around_cyclones=True),
    Variable("cyclone_usa_wind_disc", "", "cuswnd", "knot", False, (0.0, 250.0), around_cyclones=True),
    *(
        Variable(f"cyclone_usa_r{speed}_{quadrant}_radius_disc", "", f"cr{speed}{quadrant}", "km", False, (0.0, 2000.0),
                 around_cyclones=True)
        for speed in (34, 50, 64)
        for quadrant in ("ne", "se", "sw", "nw")
    ),
    Variable("cyclone_usa_rmw_disc", "", "crmw", "km", False, (0.0, 1000.0), around_cyclones=True),
    Variable("cyclone_usa_pres_disc", "", "cpres", "hPa", False, (800.0, 1100.0), around_cyclones=True),
)  # fmt: skip
_TABLE = (*_TABLE, Variable(CYCLONE_EXISTS, "", "cex", "1", False, (0.0, 20.0)), *CYCLONE_DISCS)


def _with_own(table: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """The table and the variables of the user's file; raises InputError for a name that two have."""
    for given in own_variables():
        added = Variable(**given)
        if taken := {added.name, added.short_name} & {key for v in table for key in (v.name, v.short_name, *v.aliases)}:
            raise InputError(
                f"{os.environ[ENVIRONMENT]}: {taken.pop()} is the name of a known variable; expected another"
            )
        table = (*table, added)
    return table


_TABLE = _with_own(_TABLE)
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
    """All names of the table's variables in files: long names, short names and aliases."""
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
    """The table's name for a short name in an archive, None where it is unknown or ambiguous.

    `z` is geopotential on levels, and surface geopotential without them. Precipitation is found only with the `hours`
    of accumulation: an archive's `tp` is over one hour (ERA5) or since the start of the forecast (IFS).
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
    """True for the short name of an accumulated field that does not tell its interval."""
    return name in _SUMMED


def variable_at_level(text: str) -> tuple[Variable, int | None]:
    """The variable and level of a field as users type it: `2t`, `2m_temperature`, `z500`, `temperature@850`.

    The level is in hPa, None for a field not on levels. Raises InputError for a missing or superfluous level.
    """
    if text in _BY_ANY_NAME:
        found, level = _BY_ANY_NAME[text], None
    elif match := re.fullmatch(r"(.+)@(\d+)", text) or re.fullmatch(r"([a-z]+)(\d+)", text):
        found, level = variable(match[1]), int(match[2])
    else:
        found, level = variable(text), None
    if found.on_levels and level is None:
        raise InputError(f"{text!r} is on levels: add one, for example {found.short_name}500")
    if level is not None and not found.on_levels:
        raise InputError(f"{found.name!r} is not on levels, but {text!r} asks for {level} hPa")
    return found, level


def same_units(a: object, b: str) -> bool:
    """True if two spellings are one unit: `m**2 s**-2`, `m2 s-2` and `m^2/s^2` are; `hPa` and `Pa` are not.

    False where `a`, an attribute of a file, is no text at all.
    """
    return isinstance(a, str) and _canonical(a) == _canonical(b)


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

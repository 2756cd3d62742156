"""Conversion of a quantity's units in a file to those of the table."""

from airmass.core.errors import InputError
from airmass.fields.variables import same_units

# Units in files, units of the table, and the factor and offset from one to the other.
_CONVERSIONS: tuple[tuple[tuple[str, ...], str, float, float], ...] = (
    (("degC", "C", "celsius", "Celsius", "deg_C", "°C", "degrees_C", "degree_Celsius"), "K", 1.0, 273.15),
    (("hPa", "mbar", "mb", "millibars", "millibar"), "Pa", 100.0, 0.0),
    (("hPa s-1", "mbar s-1"), "Pa s-1", 100.0, 0.0),
    (("g kg-1",), "kg kg-1", 1e-3, 0.0),
    (("~", "Numeric", "log(Pa)", "ln(Pa)"), "1", 1.0, 0.0),
    (("%", "percent"), "1", 0.01, 0.0),
    (("1", "(0 - 1)", "fraction"), "%", 100.0, 0.0),
    (("Proportion", "proportion", "Fraction", "fraction", "0-1", "0 - 1"), "1", 1.0, 0.0),
    (("mm", "kg m-2", "millimeter", "mm of water equivalent"), "m", 1e-3, 0.0),
    (("m of water equivalent", "gpm", "m w.e."), "m", 1.0, 0.0),
    (("km",), "m", 1e3, 0.0),
    (("mm s-1",), "kg m-2 s-1", 1.0, 0.0),
    (("m s-1",), "kg m-2 s-1", 1e3, 0.0),
    (("kts", "knots", "kt"), "m s-1", 1852 / 3600, 0.0),
)


def conversion(found: object, wanted: str) -> tuple[float, float]:
    """Factor and offset that turn values in `found` into `wanted`; raises InputError where none is known.

    None as `found` stands for a file that tells no units: the table's are taken, and values are held against ranges.
    """
    if found is None or same_units(found, wanted):
        return 1.0, 0.0
    for spellings, to, factor, offset in _CONVERSIONS:
        if to == wanted and any(found == unit or same_units(found, unit) for unit in spellings):
            return factor, offset
    raise InputError(f"has units {str(found)!r}, expected {wanted!r} or units that are converted to it")

"""Regular latitude-longitude grids: checks, the order of nodes, and area weights."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from airmass.core.errors import InputError

# Float32 coordinates of a 0.25 degree grid carry errors of 1e-5 degrees.
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class LatLonGrid:
    """A global grid, south to north and 0 to 360 degrees east, evenly spaced in both.

    Nodes are numbered row by row: node = latitude index * number of longitudes + longitude index. Raises InputError
    with the values found and expected for any other grid: a reversed latitude looks plausible on a map and ruins a
    forecast.
    """

    latitude: Float[np.ndarray, " latitude"]
    longitude: Float[np.ndarray, " longitude"]
    area_weights: Float[np.ndarray, " node"] = field(init=False, repr=False)

    def __post_init__(self):
        latitude = _numbers("latitude", self.latitude)
        longitude = _numbers("longitude", self.longitude)
        check_latitude(latitude)
        check_longitude(longitude)
        object.__setattr__(self, "latitude", latitude)
        object.__setattr__(self, "longitude", longitude)
        weights = np.repeat(latitude_weights(latitude), len(longitude)).astype(np.float32)
        object.__setattr__(self, "area_weights", weights)

    @classmethod
    def equiangular(cls, n_latitude: int, n_longitude: int, poles: bool = False) -> "LatLonGrid":
        """The grid of `n_latitude` rows, with the outermost on the poles or half a spacing from them."""
        spacing = 180 / n_latitude
        latitude = np.linspace(-90, 90, n_latitude) if poles else (np.arange(n_latitude) + 0.5) * spacing - 90
        return cls(latitude, np.arange(n_longitude) * 360 / n_longitude)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.latitude), len(self.longitude)

    @property
    def size(self) -> int:
        return len(self.latitude) * len(self.longitude)

    @property
    def nodes(self) -> tuple[Float[np.ndarray, " node"], Float[np.ndarray, " node"]]:
        """Latitude and longitude of every node, in degrees."""
        latitude, longitude = np.meshgrid(self.latitude, self.longitude, indexing="ij")
        return latitude.ravel(), longitude.ravel()

    def __eq__(self, other) -> bool:
        return (
            isinstance(other, LatLonGrid)
            and self.shape == other.shape
            and np.allclose(self.latitude, other.latitude, rtol=0, atol=_TOLERANCE)
            and np.allclose(self.longitude, other.longitude, rtol=0, atol=_TOLERANCE)
        )

    __hash__ = None  # type: ignore[assignment]  # equality has a tolerance, so no hash agrees with it

    def __str__(self) -> str:
        rows, columns = self.shape
        return (
            f"{columns} x {rows} (latitude {self.latitude[0]:g} to {self.latitude[-1]:g}, "
            f"longitude {self.longitude[0]:g} to {self.longitude[-1]:g})"
        )


def latitude_weights(latitude: Float[np.ndarray, " latitude"]) -> Float[np.ndarray, " latitude"]:
    """Area weights of rows, with mean 1.

    cos(latitude) where the outermost rows lie half a spacing from the poles. Where they lie on the poles,
    cos(latitude) sin(spacing / 2), and sin(spacing / 4)^2 for the two polar caps (published GraphCast loss).
    """
    radians = np.deg2rad(latitude)
    spacing = np.deg2rad(abs(latitude[1] - latitude[0]))
    if np.isclose(abs(latitude[0]), 90, atol=_TOLERANCE):
        weights = np.cos(radians) * np.sin(spacing / 2)
        weights[[0, -1]] = np.sin(spacing / 4) ** 2
    else:
        weights = np.cos(radians)
    return weights / weights.mean()


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Coordinates as float64; raises InputError for any dtype but integer and float."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiu":
        raise InputError(f"{name} is {values.dtype}, expected numbers")
    return values.astype(np.float64)


def check_latitude(latitude: np.ndarray) -> None:
    """Raise InputError unless rows run south to north, evenly, from the poles or half a spacing from them."""
    if latitude.ndim != 1 or len(latitude) < 2 or not np.all(np.isfinite(latitude)):
        raise InputError(f"latitude must be a finite vector of two rows or more, found shape {latitude.shape}")
    steps = np.diff(latitude)
    if np.abs(latitude).max() > 90 + _TOLERANCE:
        raise InputError(
            f"latitude runs from {latitude[0]:g} to {latitude[-1]:g}, expected within -90 to 90: "
            "are latitude and longitude swapped?"
        )
    if np.all(steps < 0):
        raise InputError(
            f"latitude runs north to south ({latitude[0]:g} to {latitude[-1]:g}), expected south to north "
            f"({latitude[-1]:g} to {latitude[0]:g})"
        )
    if np.ptp(steps) > _TOLERANCE:
        raise InputError(
            f"latitude is unevenly spaced: steps from {steps.min():g} to {steps.max():g} degrees, expected one step of "
            f"{180 / len(latitude):g} or {180 / (len(latitude) - 1):g}"
        )
    n = len(latitude)
    with_poles, without = (-90.0, 90.0), (-90 + 90 / n, 90 - 90 / n)
    ends = (latitude[0], latitude[-1])
    if not (np.allclose(ends, with_poles, atol=_TOLERANCE) or np.allclose(ends, without, atol=_TOLERANCE)):
        raise InputError(
            f"latitude runs from {ends[0]:g} to {ends[1]:g} in {n} rows, expected rows on the poles (-90 to 90) or "
            f"half a spacing from them ({without[0]:g} to {without[1]:g})"
        )


def check_longitude(longitude: np.ndarray) -> None:
    """Raise InputError unless columns run from 0 east in even steps around the globe."""
    if longitude.ndim != 1 or len(longitude) < 2 or not np.all(np.isfinite(longitude)):
        raise InputError(f"longitude must be a finite vector of two columns or more, found shape {longitude.shape}")
    n = len(longitude)
    expected = np.arange(n) * 360 / n
    if not np.allclose(longitude, expected, rtol=0, atol=_TOLERANCE):
        raise InputError(
            f"longitude runs {longitude[0]:g} to {longitude[-1]:g} in {n} columns, expected 0 to {expected[-1]:g} east "
            f"in even steps of {360 / n:g}"
        )

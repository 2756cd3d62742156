"""Strike probability: the share of members whose cyclone passes within 120 km of a place, and its verification.

Source: van der Grijn 2002, ECMWF Technical Memorandum 386; the radius is that of ECMWF's maps. Tracks are taken as
great circles between their points, so that a fast storm leaves no holes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from airmass.evaluation.tracks.sphere import RADIUS_KM, bearing, destination, distance, vectors
from airmass.evaluation.tracks.verification import ALL_STORMS, TrackScore

RADIUS = 120.0  # km
# Verified where tropical cyclones may be.
_LATITUDE = 60.0
_STEP_KM = 20.0
# Edges of the classes of probability of the reliability diagram.
CLASSES = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class StrikeGrid:
    """Places, `degrees` apart in latitude and longitude, from pole to pole."""

    degrees: float = 1.0

    @property
    def latitude(self) -> Float[np.ndarray, " latitude"]:
        return np.arange(-90, 90 + self.degrees / 2, self.degrees)

    @property
    def longitude(self) -> Float[np.ndarray, " longitude"]:
        return np.arange(0, 360 - self.degrees / 2, self.degrees)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.latitude), len(self.longitude)

    @cached_property
    def _tree(self) -> cKDTree:
        lat, lon = np.meshgrid(self.latitude, self.longitude, indexing="ij")
        return cKDTree(vectors(lat.ravel(), lon.ravel()))

    def struck(self, tracks: pd.DataFrame, radius: float = RADIUS) -> Bool[np.ndarray, "latitude longitude"]:
        """True for the places that one of these tracks passes within `radius` km."""
        places = np.zeros(self.shape, bool)
        lat, lon = path(tracks)
        if len(lat):
            chord = 2 * np.sin(radius / RADIUS_KM / 2)
            near = self._tree.query_ball_point(vectors(lat, lon), chord)
            places.ravel()[np.unique(np.concatenate([np.asarray(n, int) for n in near]))] = True
        return places


def near(
    tracks: pd.DataFrame, lat: Float[np.ndarray, "*places"], lon: Float[np.ndarray, "*places"], radius: float = RADIUS
) -> Bool[np.ndarray, "*places"]:
    """True for the places that one of these tracks passes within `radius` km."""
    if tracks.empty:
        return np.zeros(np.shape(lat), bool)
    chord = 2 * np.sin(radius / RADIUS_KM / 2)
    away, _ = cKDTree(vectors(*path(tracks))).query(vectors(lat, lon), distance_upper_bound=chord)
    return np.isfinite(away)


def path(tracks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes and longitudes along the tracks, at most 20 km apart."""
    made = []
    for _, rows in tracks.groupby("track_id", sort=False):
        lat, lon = rows.lat.to_numpy(), rows.lon.to_numpy()
        legs = distance(lat[:-1], lon[:-1], lat[1:], lon[1:])
        steps = np.ceil(legs / _STEP_KM).astype(int) + 1
        leg = np.repeat(np.arange(len(steps)), steps)
        part = np.concatenate([np.arange(n) / n for n in steps]) if len(steps) else np.zeros(0)
        towards = bearing(lat[:-1], lon[:-1], lat[1:], lon[1:])
        y, x = destination(lat[leg], lon[leg], towards[leg], part * legs[leg])
        made.append((np.append(y, lat[-1]), np.append(x, lon[-1])))
    if not made:
        return np.zeros(0), np.zeros(0)
    lats, lons = zip(*made, strict=True)
    return np.concatenate(lats), np.concatenate(lons)


def strike_probability(
    grid: StrikeGrid, tracks: pd.DataFrame, numbers: Sequence[int]
) -> Float[np.ndarray, "latitude longitude"]:
    """Share of the members `numbers` of one initial time with a track that passes near each place."""
    struck = [grid.struck(tracks[tracks.number == number]) for number in numbers]
    return np.mean(struck, axis=0)


@dataclass(frozen=True)
class Reliability:
    """Places by class of forecast probability: mean probability, observed frequency and share of all places."""

    forecast: list[float]
    observed: list[float]
    share: list[float]


def strike_scores(
    probabilities: Sequence[np.ndarray], struck: Sequence[np.ndarray], grid: StrikeGrid, hours: float
) -> tuple[list[TrackScore], Reliability]:
    """Brier score, its skill and reliability of strike probabilities, over initial times and places up to 60 degrees.

    Places count by area. Skill is relative to forecasting the observed frequency of the whole sample everywhere (Brier
    1950; Murphy 1973, 10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2).
    """
    inside = np.abs(grid.latitude) <= _LATITUDE
    weight = np.broadcast_to(np.cos(np.deg2rad(grid.latitude[inside]))[:, None], (int(inside.sum()), grid.shape[1]))
    p, o = (np.stack([np.asarray(field, float)[inside] for field in fields]) for fields in (probabilities, struck))
    w = np.broadcast_to(weight, p.shape) / (weight.sum() * len(p))
    brier, rate = float((w * (p - o) ** 2).sum()), float((w * o).sum())
    scores = [TrackScore(ALL_STORMS, hours, "strike_brier", brier, len(p), "1")]
    if 0 < rate < 1:
        scores.append(TrackScore(ALL_STORMS, hours, "strike_brier_skill", 1 - brier / (rate * (1 - rate)), len(p), "1"))
    return scores, _reliability(p, o, w)


def _reliability(p: np.ndarray, o: np.ndarray, w: np.ndarray) -> Reliability:
    which = np.clip(np.searchsorted(CLASSES, p, side="right") - 1, 0, len(CLASSES) - 2).ravel()
    total, forecast, observed = (np.bincount(which, (w * x).ravel(), len(CLASSES) - 1) for x in (np.ones(()), p, o))
    held = total > 0
    return Reliability(
        (forecast[held] / total[held]).tolist(), (observed[held] / total[held]).tolist(), total[held].tolist()
    )


def windows(table: pd.DataFrame) -> Iterator[tuple[np.datetime64, pd.DataFrame]]:
    """Tracks by initial time."""
    for init_time, rows in table.groupby("init_time"):
        yield np.datetime64(init_time, "ns"), rows

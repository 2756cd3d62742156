"""Cone of an ensemble: circles around its mean position that hold shares of the members."""

import numpy as np
import pandas as pd

from airmass.evaluation.tracks.sphere import distance, position, vectors
from airmass.evaluation.tracks.strike import path

QUANTILES = (0.9, 0.67)


def mean_track(members: pd.DataFrame) -> pd.DataFrame:
    """Mean position by time, while half of the members have the storm, and quantiles of their distances from it."""
    most = members.groupby("time").size().max()
    made = []
    for time, rows in members.groupby("time"):
        if len(rows) >= max(2, most / 2):
            lat, lon = rows.lat.to_numpy(), rows.lon.to_numpy()
            centre = [float(x) for x in position(vectors(lat, lon).mean(axis=0))]
            radii = np.quantile(distance(lat, lon, *centre), QUANTILES)
            made.append((time, *centre, *radii))
    return pd.DataFrame(made, columns=["time", "lat", "lon", *(f"radius_{quantile}" for quantile in QUANTILES)])


def inside_cone(mean: pd.DataFrame, radius: str, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """True where a circle around a point of the mean track, or between two, reaches."""
    found = np.zeros(lat.shape, bool)
    for i in range(len(mean)):
        part = mean.iloc[i : i + 2].assign(track_id="mean")
        y, x = path(part)
        sizes = np.linspace(part[radius].iloc[0], part[radius].iloc[-1], len(y))
        for one in zip(y, x, sizes, strict=True):
            found |= distance(lat, lon, one[0], one[1]) <= one[2]
    return found

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from airmass.evaluation.tracks.base import Point
from airmass.evaluation.tracks.lows import centres, closed, minima
from airmass.evaluation.tracks.sphere import destination, distance, position, vectors
from airmass.evaluation.tracks.stitching import Reach, Stitcher
from airmass.evaluation.tracks.strike import StrikeGrid, strike_probability
from airmass.fields.grid import LatLonGrid

rng = np.random.default_rng(3)
grid, members = LatLonGrid.equiangular(121, 240, poles=True), 20
times = np.datetime64("2026-09-01", "ns") + np.arange(13) * np.timedelta64(12, "h")
rows, columns = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")


def pressures(ridge):
    """Fields of a typhoon that goes west south of a ridge of high pressure, and north-east once it is around it."""
    lat, lon = 14.0, 147.0
    for _ in times:
        low = 5500 * np.exp(-distance(lat, lon, rows, columns) / 250)
        waves = 150 * np.sin(np.deg2rad(4 * columns) + ridge) * np.sin(np.deg2rad(3 * rows))
        yield 101000 + waves - low + rng.normal(0, 20, grid.shape)  # noise, as in any forecast
        beyond = 1 / (1 + np.exp((ridge - lat) / 0.5))  # 0 south of the ridge, 1 north of it
        east, north = 13 * beyond - 6, 0.8 + 3.5 * beyond  # m/s, so 43.2 km in 12 h for each
        lat, lon = destination(lat, lon, np.rad2deg(np.arctan2(east, north)), 43.2 * np.hypot(east, north))


def track(fields):
    """Minima inside closed contours of 10 hPa, linked from time to time by steady motion."""
    stitcher = Stitcher(Reach(speed=20, slack_km=170, gap_hours=12), {})
    for time, field in zip(times, fields, strict=True):
        i, j = minima(grid, field)
        lat, lon = centres(grid, field, i, j)
        is_low = closed(grid, field, lat, lon, field[i, j], rise=1000, radius=5.5)
        stitcher.add(time, [Point(time, y, x, {}) for y, x in zip(lat[is_low], lon[is_low], strict=True)])
    points = max(stitcher.chains, key=lambda chain: len(chain.points)).points
    return pd.DataFrame(
        {"time": [p.time for p in points], "lat": [p.lat for p in points], "lon": [p.lon for p in points]}
    )


ridges = rng.normal(17.5, 2.5, members)  # what the ensemble does not know
first = list(pressures(ridges[0]))[3]
tracks = pd.concat([track(pressures(ridge)).assign(number=k, track_id=str(k)) for k, ridge in enumerate(ridges)])
mean = [position(vectors(some.lat, some.lon).mean(axis=0)) for _, some in tracks.groupby("time")]
places = StrikeGrid(0.5)
strikes = strike_probability(places, tracks, range(members))

figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained", sharex=True, sharey=True)
axes[0].contour(grid.longitude, grid.latitude, first / 100, np.arange(960, 1020, 4), colors="#0072b2", linewidths=0.8)
axes[0].plot(tracks.lon[tracks.number == 0], tracks.lat[tracks.number == 0], ".-", color="#d55e00")
for _, some in tracks.groupby("number"):
    axes[1].plot(some.lon, some.lat, color="#0072b2", linewidth=0.8)
axes[1].plot(*np.array(mean).T[::-1], "k--", linewidth=2.5, label="mean position")
axes[1].legend(loc="upper left")
struck = np.where(strikes > 0, strikes, np.nan)
shown = axes[2].pcolormesh(places.longitude, places.latitude, struck, cmap="YlOrRd", vmin=0, vmax=1)
figure.colorbar(shown, ax=axes[2], label="share of members")
for axis, title in zip(
    axes, ("one member: low and track", f"{members} members", "strike probability, 120 km"), strict=True
):
    axis.set(title=title, xlabel="longitude", xlim=(112, 170), ylim=(8, 34))
axes[0].set_ylabel("latitude")
figure.savefig("typhoon.png", dpi=110)

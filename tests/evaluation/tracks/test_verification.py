"""Errors and probabilities of tracks come out as they were made, by independent geodesy and by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest

from airmass.core.errors import InputError
from airmass.evaluation.tracks.best_tracks import read_best_tracks
from airmass.evaluation.tracks.comparison import compare_tracks
from airmass.evaluation.tracks.matching import covered, match, observed_before
from airmass.evaluation.tracks.run import track_features
from airmass.evaluation.tracks.scores import Runs, read_track_scores, verify
from airmass.evaluation.tracks.sphere import RADIUS_KM, bearing, destination, distance, extrapolated
from airmass.evaluation.tracks.strike import StrikeGrid, strike_probability, strike_scores
from airmass.evaluation.tracks.table import write_tracks
from airmass.evaluation.tracks.verification import ensemble_scores, error_scores, errors, fair_crps, homogeneous

FILE = Path(__file__).with_name("ibtracs_october_2019.csv")
HAGIBIS, INIT = "2019278N16165", np.datetime64("2019-10-08", "ns")
SPHERE = pyproj.Geod(a=RADIUS_KM * 1000, b=RADIUS_KM * 1000)
WGS84 = pyproj.Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def best():
    return read_best_tracks(FILE)


def displaced(best, offsets, init=INIT, last="2019-10-12T12", storm=HAGIBIS, wind=2.0, slp=-300.0) -> pd.DataFrame:
    """Tracks of members that run `offset` (km ahead, km right) from a storm's best track, with errors of intensity."""
    rows = best[(best.track_id == storm) & (best.time > init) & (best.time <= np.datetime64(last))]
    before = best[(best.track_id == storm) & (best.time >= init)].iloc[: len(rows)]
    course = (bearing(rows.lat.values, rows.lon.values, before.lat.values, before.lon.values) + 180) % 360
    made = []
    for number, (ahead, right) in enumerate(offsets):
        towards = course + np.rad2deg(np.arctan2(right, ahead))
        lat, lon = destination(rows.lat.values, rows.lon.values, towards, np.hypot(ahead, right))
        made.append(
            pd.DataFrame(
                {
                    "track_id": f"{number:02d}", "time": rows.time.values, "lon": lon, "lat": lat,
                    "wind": rows.wind.values + wind, "slp": rows.slp.values + slp, "number": number,
                    "init_time": init, "lead_time": rows.time.values - init,
                }
            )
        )  # fmt: skip
    return pd.concat(made, ignore_index=True)


def test_geometry_is_that_of_pyproj():
    rng = np.random.default_rng(0)
    lat, lat2 = rng.uniform(-89, 89, (2, 1000))
    lon, lon2 = rng.uniform(0, 360, (2, 1000))
    azimuth, _, metres = SPHERE.inv(lon, lat, lon2, lat2)
    np.testing.assert_allclose(distance(lat, lon, lat2, lon2), metres / 1000, rtol=1e-9)
    np.testing.assert_allclose((bearing(lat, lon, lat2, lon2) - azimuth + 180) % 360 - 180, 0, atol=1e-6)
    there = destination(lat, lon, azimuth, metres / 1000)
    assert distance(*there, lat2, lon2).max() < 1e-3
    assert np.abs(distance(lat, lon, lat2, lon2) / (WGS84.inv(lon, lat, lon2, lat2)[2] / 1000) - 1).max() < 0.006
    onward = extrapolated(lat, lon, lat2, lon2, 0.5)
    ahead = SPHERE.inv(lon2, lat2, lon, lat)[0] + 180
    expected = SPHERE.fwd(lon2, lat2, ahead, metres / 2)
    assert distance(*onward, expected[1], expected[0]).max() < 1e-3


def test_errors_are_those_planted(best):
    offsets = [(100.0, 0.0), (0.0, -50.0), (-60.0, 80.0)]
    found = errors(displaced(best, offsets), best, 300)
    assert set(found.storm) == {HAGIBIS} and len(found) == 3 * 18
    for number, (ahead, right) in enumerate(offsets):
        rows = found[found.number == number]
        np.testing.assert_allclose(rows.distance, np.hypot(ahead, right), rtol=1e-6)
        np.testing.assert_allclose(rows.along, ahead, atol=1e-4)
        np.testing.assert_allclose(rows.cross, right, atol=1e-4)
        metres = WGS84.inv(rows.best_lon.values, rows.best_lat.values, rows.lon.values, rows.lat.values)[2]
        np.testing.assert_allclose(rows.distance, metres / 1000, rtol=0.006)
    scores = {(s.metric, s.lead_time_hours): s for s in error_scores(found) if s.storm == "all"}
    assert (
        scores["position_error", 24].value == pytest.approx((100 + 50 + 100) / 3)
        and scores["position_error", 24].cases == 3
    )
    assert scores["along_track", 48].value == pytest.approx(40 / 3) and scores[
        "cross_track", 48
    ].value == pytest.approx(10)
    assert scores["wind_bias", 48].value == pytest.approx(2) and scores["pressure_error", 48].value == pytest.approx(
        300
    )


def test_hits_and_false_alarms(best):
    tracks = displaced(best, [(0.0, 0.0), (0.0, 400.0)])
    false = tracks[tracks.number == 0].assign(track_id="far", lat=lambda t: -t.lat, number=1)
    far = displaced(best, [(50.0, 0.0)], storm="2019282N35286", last="2019-10-11").assign(track_id="early")
    tracks = pd.concat([tracks, false, far])
    leads = np.arange(6, 109, 6) * np.timedelta64(1, "h")
    runs = Runs(np.array([INIT]), (0, 1), leads)
    made, _ = verify(tracks, runs, best, 300, ["f"], "b")
    # Only Hagibis at 6 h, seen by member 0 and missed by member 1, whose two tracks are false.
    assert made.value("hit_rate", 6) == pytest.approx(0.5) and made.value("false_alarm_ratio", 6) == pytest.approx(
        2 / 3
    )
    # Melissa's forerunner is there too at 24 h, and found by member 0.
    assert made.value("hit_rate", 24) == pytest.approx(2 / 4)
    assert made.value("false_alarm_ratio", 24) == pytest.approx(2 / 4)
    assert made.storms == [HAGIBIS, "2019282N35286"]


def test_a_storm_has_one_track_and_a_track_one_storm(best):
    two = pd.concat([displaced(best, [(40.0, 0.0)]), displaced(best, [(20.0, 0.0)]).assign(track_id="nearer")])
    found = match(two, best, 300)
    assert set(found.track_id) == {"nearer"}


def test_ensembles(best):
    """Eight members on a circle around the observed position: no error of the mean, and all the spread."""
    angles = np.arange(8) * np.pi / 4
    found = errors(displaced(best, np.stack([90 * np.cos(angles), 90 * np.sin(angles)], axis=1)), best, 300)
    scores = {(s.metric, s.lead_time_hours): s.value for s in ensemble_scores(found) if s.storm == "all"}
    assert scores["mean_error", 48] == pytest.approx(0, abs=0.1)
    assert scores["spread", 48] == pytest.approx(90 * np.sqrt(8 / 7), rel=1e-3)
    apart = np.mean([2 * 90 * np.sin(k * np.pi / 8) for k in range(1, 8)])
    assert scores["position_score", 48] == pytest.approx(90 - apart / 2, rel=1e-3)
    pair = np.abs(90 * np.cos(angles)[:, None] - 90 * np.cos(angles)).sum() / (2 * 8 * 7)
    assert scores["along_crps", 48] == pytest.approx(np.abs(90 * np.cos(angles)).mean() - pair, rel=1e-3)


def test_crps_is_that_of_properscoring():
    import properscoring

    rng = np.random.default_rng(1)
    members = rng.normal(size=9)
    biased = properscoring.crps_ensemble(0.0, members)
    pairs = np.abs(members[:, None] - members).sum()
    assert fair_crps(members) == pytest.approx(biased + pairs / (2 * 81) - pairs / (2 * 72))


def test_strike_probability_is_the_share_of_members_that_pass(best):
    """Members to the right of the best track by 0 to 400 km; places on it are struck by those within 120 km."""
    offsets = [(0.0, right) for right in (0, 0, 50, 100, 200, 300, 400, 400)]
    tracks = displaced(best, offsets)
    grid = StrikeGrid(0.5)
    probability = strike_probability(grid, tracks, range(8))
    lat, lon = np.meshgrid(grid.latitude, grid.longitude, indexing="ij")
    around = np.s_[200:260, 260:300]
    for number in (0, 4):
        rows = tracks[tracks.number == number]
        away = np.min([distance(lat[around], lon[around], y, x) for y, x in dense_points(rows)], axis=0)
        assert (grid.struck(rows)[around] == (away <= 120))[np.abs(away - 120) > 2].all()
    row = best[(best.track_id == HAGIBIS) & (best.time == np.datetime64("2019-10-09T12"))].iloc[0]
    i, j = np.argmin(np.abs(grid.latitude - row.lat)), np.argmin(np.abs(grid.longitude - row.lon))
    assert probability[i, j] == pytest.approx(4 / 8)


def dense_points(rows) -> list[tuple[float, float]]:
    """Points along a track by pyproj, 12 km apart or less."""
    points = []
    for a, b in zip(rows.iloc[:-1].itertuples(), rows.iloc[1:].itertuples(), strict=True):
        points += [(y, x) for x, y in SPHERE.npts(a.lon, a.lat, b.lon, b.lat, 20, initial_idx=0)]
    return [*points, (b.lat, b.lon)]


def test_brier_scores_by_hand():
    grid = StrikeGrid(10.0)
    struck = np.zeros(grid.shape, bool)
    struck[9, :6] = True
    inside = np.abs(grid.latitude) <= 60
    weights = np.where(inside, np.cos(np.deg2rad(grid.latitude)), 0)[:, None] * np.ones(grid.shape)
    rate = (weights * struck).sum() / weights.sum()
    perfect, kept = strike_scores([struck.astype(float)], [struck], grid, 72)
    assert perfect[0].value == 0 and perfect[1].value == pytest.approx(1)
    assert kept.forecast == [0, 1] and kept.observed == [0, 1] and kept.share[1] == pytest.approx(rate)
    constant, kept = strike_scores([np.full(grid.shape, rate)], [struck], grid, 72)
    assert constant[0].value == pytest.approx(rate * (1 - rate)) and constant[1].value == pytest.approx(0, abs=1e-12)
    assert kept.observed == [pytest.approx(rate)]


def test_homogeneous_samples(best):
    one, two = (errors(displaced(best, [(20.0, 0)], last=last), best, 300) for last in ("2019-10-12T12", "2019-10-10"))
    a, b = homogeneous([one, two])
    assert len(one) == 18 and len(a) == len(b) == 8 and a.lead_time.tolist() == b.lead_time.tolist()


def test_no_tracks_at_all(best):
    none = displaced(best, [(0.0, 0.0)])[:0]
    leads = np.arange(6, 31, 6) * np.timedelta64(1, "h")
    made, found = verify(none, Runs(np.array([INIT]), (0, 1), leads), best, 300, ["f"], "b")
    assert found.empty and made.storms == [] and made.value("hit_rate", 12) == 0
    assert made.value("false_alarm_ratio", 12) is None and made.value("strike_brier_skill", 30) < 0.1


def test_storms_observed_at_the_start(best):
    seen = observed_before(best, INIT)
    assert set(seen) == {HAGIBIS} and len(seen[HAGIBIS]) == 4
    assert seen[HAGIBIS][-1].time == INIT and seen[HAGIBIS][-1].lat == 16.9


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("2020-10-08T00", "b: runs from 2019-10-04T12:00 to .*, but f holds 2020-10-08T00:00 to 2020-10-08T18:00"),
        ("2019-10-08T01", "b: has times at 00:00, 06:00, 12:00, 18:00 UTC, but f has none of these"),
    ],
)
def test_times_that_do_not_meet(best, first, words):
    times = np.datetime64(first, "ns") + np.arange(4) * np.timedelta64(6, "h")
    with pytest.raises(InputError, match=words):
        covered(best, times, "b", "f")


@pytest.mark.slow
def test_matches_are_those_of_huracanpy(best):
    huracanpy = pytest.importorskip("huracanpy")
    rng = np.random.default_rng(3)
    tracks = displaced(best, rng.normal(0, 150, (6, 2)))
    other = displaced(best, rng.normal(0, 100, (4, 2)), storm="2019282N35286", init=np.datetime64("2019-10-09", "ns"))
    tracks = pd.concat([tracks, other.assign(track_id="b" + other.track_id)], ignore_index=True)
    ours = match(tracks.assign(number=tracks.track_id.str[-2:].astype(int)), best, 300)

    def theirs(table):
        return table[["track_id", "time", "lon", "lat"]].to_xarray().rename(index="record")

    pairs = huracanpy.assess.match([theirs(tracks), theirs(best)], names=["f", "b"], max_dist=300)
    expected = {(str(a), str(b)) for a, b in zip(pairs.id_f, pairs.id_b, strict=True)}
    assert {*zip(ours.track_id, ours.storm, strict=True)} == expected
    counts = ours[ours.distance <= 300].groupby("track_id").size()
    assert {str(a): n for a, n in zip(pairs.id_f, pairs.temp, strict=True)} == counts.to_dict()


def test_systems_are_compared_on_the_cases_that_both_have(best, tmp_path):
    """One is 80 km off and the other 50, plus noise, from ten initial times; the last are only in one."""
    rng = np.random.default_rng(5)
    starts = np.datetime64("2019-10-06", "ns") + np.arange(10) * np.timedelta64(6, "h")

    def system(off: float, last: str, some) -> pd.DataFrame:
        return pd.concat([displaced(best, [(0.0, off + rng.normal(0, 3))], init=start, last=last) for start in some])

    ours, theirs = system(80.0, "2019-10-12", starts), system(50.0, "2019-10-11", starts[:-1])
    tables = [errors(table, best, 300) for table in (ours, theirs)]
    made = list(compare_tracks(*tables, "other"))
    assert {one.lead_time_hours for one in made} == set(np.arange(6, 121, 6).tolist())
    first = made[0]
    assert first.init_times == first.cases == 9 and first.difference == pytest.approx(30, abs=4)
    assert (
        first.low < 30 < first.high
        and first.p < 1e-4
        and first.value - first.reference == pytest.approx(first.difference)
    )
    assert made[-1].low is None and made[-1].p is None and made[-1].init_times < 8
    write_tracks(tmp_path / "ours.parquet", ours.assign(track_id=_unique(ours)), {})
    write_tracks(tmp_path / "theirs.parquet", theirs.assign(track_id=_unique(theirs)), {})
    result = track_features([tmp_path / "ours.parquet"], None, FILE, against=tmp_path / "theirs.parquet")
    assert result.verification.comparisons[0].difference == pytest.approx(first.difference)
    result.verification.write(tmp_path / "track_scores.json")
    assert read_track_scores(tmp_path) == result.verification
    with pytest.raises(InputError, match="no use without --best-tracks"):
        track_features([tmp_path / "ours.parquet"], None, against=tmp_path / "theirs.parquet")


def _unique(table: pd.DataFrame) -> pd.Series:
    return table.init_time.dt.strftime("%Y%m%d%H") + "_" + table.track_id

"""The typhoon Hagibis planted in fields, with eight perturbed copies as an ensemble: all comes out as planted."""

import numpy as np
import pandas as pd
import pytest

from airmass.commands.main import main
from airmass.evaluation.tracks.best_tracks import read_best_tracks
from airmass.evaluation.tracks.run import track_features
from airmass.evaluation.tracks.sphere import KM_PER_DEGREE, destination, distance
from airmass.evaluation.tracks.strike import StrikeGrid, strike_probability
from airmass.evaluation.tracks.verification import errors
from airmass.fields.grid import LatLonGrid
from tests.evaluation.tracks.planting import Storm, forecast
from tests.evaluation.tracks.test_verification import FILE, HAGIBIS, displaced
from tests.forecasts import write_forecast

INIT = np.datetime64("2019-10-09", "ns")
LEADS = range(12, 73, 12)
GRID = LatLonGrid.equiangular(121, 240, poles=True)
# The control follows the best track; a copy is up to 260 km off after three days, in its own direction.
OFFSETS = [(0.0, 0.0), *((260.0 * np.cos(a), 260.0 * np.sin(a)) for a in np.arange(8) * np.pi / 4)]


@pytest.fixture(scope="module")
def best():
    return read_best_tracks(FILE)


@pytest.fixture(scope="module")
def planted(best, tmp_path_factory):
    """The forecast's path, and the table of what was planted in it."""
    rows = best[(best.track_id == HAGIBIS) & np.isin(best.time, INIT + np.array(LEADS) * np.timedelta64(1, "h"))]
    lead = rows.time.values - INIT
    share = lead / lead[-1]
    members, tables = [], []
    for number, (north, east) in enumerate(OFFSETS):
        towards = np.rad2deg(np.arctan2(east, north))
        lat, lon = destination(rows.lat.values, rows.lon.values, towards, np.hypot(north, east) * share)
        members.append([Storm(rows.time.values, lat, lon, 101000 - rows.slp.values, radius=70, b=1.3)])
        values = {"time": rows.time.values, "lat": lat, "lon": lon, "wind": rows.wind.values, "slp": rows.slp.values}
        run = {"track_id": str(number), "number": number, "init_time": INIT, "lead_time": lead}
        tables.append(pd.DataFrame(values | run))
    path = tmp_path_factory.mktemp("hagibis") / "f.zarr"
    write_forecast(path, forecast(GRID, INIT, LEADS, members))
    return path, pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def result(planted, tmp_path_factory):
    return track_features([planted[0]], tmp_path_factory.mktemp("out") / "t.parquet", FILE)


def test_every_member_is_found_where_it_was_planted(planted, result):
    both = result.tracks.merge(planted[1], on=["number", "time"], suffixes=("", "_planted"))
    assert len(both) == len(planted[1]) == len(result.tracks)
    assert result.tracks.track_id.str.endswith(HAGIBIS).all()
    away = distance(both.lat, both.lon, both.lat_planted, both.lon_planted)
    assert away.max() < 1.5 * KM_PER_DEGREE and away.mean() < 45


def test_errors_and_spread_are_those_planted(planted, best, result):
    made, expected = result.verification, errors(planted[1], best, 300)
    for hours in (24, 48, 72):
        rows = expected[expected.lead_time == np.timedelta64(hours, "h")]
        assert made.value("position_error", hours) == pytest.approx(rows.distance.mean(), abs=45)
        assert made.value("mean_error", hours) < 45
        others = int((best.time == INIT + np.timedelta64(hours, "h")).sum()) - 1  # were not planted
        assert made.value("hit_rate", hours) == pytest.approx(1 / (1 + others))
    assert made.value("spread", 72) == pytest.approx(260, abs=45)
    assert made.storms == [HAGIBIS] and made.value("false_alarm_ratio", 48) == 0


def test_strike_probabilities_are_those_planted(planted, result):
    grid = StrikeGrid(1.0)
    found, expected = (strike_probability(grid, table, range(9)) for table in (result.tracks, planted[1]))
    assert np.abs(found - expected).max() <= 4 / 9 and np.abs(found - expected)[expected > 0].mean() < 0.12
    assert found.max() == expected.max() == 1


def test_best_tracks_of_another_season_and_of_no_storm(planted, best, tmp_path, capsys):
    table = pd.read_csv(FILE, keep_default_na=False, na_values=[""])
    later = table.assign(time=table.time.str.replace("2019", "2018"))
    later.to_csv(tmp_path / "other.csv", index=False)
    away = table[~table.time.between("2019-10-08", "2019-10-13")]
    away.to_csv(tmp_path / "none.csv", index=False)
    for name, words in (("other", "runs from 2018-10-04T12:00"), ("none", "holds no storm at any time of")):
        best_tracks = ["--best-tracks", tmp_path / f"{name}.csv"]
        assert main(["track", str(planted[0]), "--out", str(tmp_path / "t.csv"), *map(str, best_tracks)]) == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1 and f"{name}.csv" in told
    assert not (tmp_path / "t.csv").exists()


def test_a_copy_beside_the_best_track_by_hand(best):
    found = errors(displaced(best, [(0.0, 100.0)]), best, 300)
    assert found.cross.mean() == pytest.approx(100, abs=1e-3)

"""Inputs that do not fit together: each is refused in one line that names the file, the variable and both values.

Nothing is written then. What can be scored nevertheless is told on screen and in the report.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from airmass.commands.main import main
from tests.conftest import make_store
from tests.evaluation.test_stations import TRUTH as OBSERVED
from tests.evaluation.test_stations import orography, surface_of, table_of
from tests.forecasts import ensemble_dataset, forecast_dataset, truth_dataset, write_climatology, write_forecast

FIELDS = ("geopotential", "2m_temperature")
TRUTH = truth_dataset(names=FIELDS)
CELSIUS = TRUTH.assign({"2m_temperature": (TRUTH["2m_temperature"] - 273.15).assign_attrs(units="K")})
HEIGHTS = TRUTH.assign(geopotential=TRUTH.geopotential / 9.80665)  # without units
OTHER = truth_dataset(names=FIELDS, n_latitude=16, n_longitude=32)
POLES = truth_dataset(names=FIELDS, poles=True)
GRID = "grid is 16 x 8 (latitude -78.75 to 78.75, longitude 0 to 337.5)"
GRID_16 = "grid is 32 x 16 (latitude -84.375 to 84.375, longitude 0 to 348.75)"
ON_GRID = f"but f.zarr is on {GRID.removeprefix('grid is ')}"


class Misfit(NamedTuple):
    """Words after `airmass evaluate`, and the line that they are refused with."""

    words: str
    line: str


def changed(name, index, value):
    """The truth with other values of one variable."""
    dataset = TRUTH.copy(deep=True)
    dataset[name].values[index] = value
    return dataset


def trained(first, last):
    dataset = forecast_dataset(TRUTH, system="trained")
    dataset.attrs |= {
        f"airmass_training_{end}": time for end, time in (("from", first), ("to", last)) if time is not None
    }
    return dataset


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("misfits")
    stores = {
        "truth": TRUTH, "truth_16": OTHER, "celsius": CELSIUS, "heights": HEIGHTS,
        "every_12h": TRUTH[{"time": slice(0, None, 2)}],
        "declared": CELSIUS.assign({"2m_temperature": CELSIUS["2m_temperature"].assign_attrs(units="degC")}),
        "ends": TRUTH[{"time": slice(0, 8)}], "hole": changed("2m_temperature", (3, 2, 3), np.nan),
        "filled": changed("2m_temperature", (5, 0, 0), -9999), "lost": changed("2m_temperature", 5, np.nan),
    }  # fmt: skip
    for name, dataset in stores.items():
        make_store(folder / f"{name}.zarr", dataset)
    make_store(folder / "gap.zarr", TRUTH, missing_time=5)
    make_store(folder / "surface.zarr", OBSERVED.assign(geopotential_at_surface=orography()))
    for name, dataset in {"climate_16": OTHER, "climate_c": CELSIUS}.items():
        write_climatology(folder / f"{name}.zarr", dataset)
    whole = ensemble_dataset(TRUTH, 3)
    forecasts = {
        "f": forecast_dataset(TRUTH, error=1.0), "f_16": forecast_dataset(OTHER, system="other"),
        "f_poles": forecast_dataset(POLES, system="poles"), "f_c": forecast_dataset(CELSIUS, system="c"),
        "f_heights": forecast_dataset(HEIGHTS, system="heights"),
        "s": forecast_dataset(TRUTH, (2,), (6, 12, 24), system="s"),
        "s_later": forecast_dataset(TRUTH, (3,), (6, 18, 24), system="s"),
        "s_short": forecast_dataset(TRUTH, (3,), (6, 12), system="s"),
        "other_steps": forecast_dataset(TRUTH, (2,), (6, 18, 24), system="o"),
        "short": forecast_dataset(TRUTH, (2,), (6, 12), system="short"),
        "seldom": forecast_dataset(TRUTH, (2, 6), system="seldom"),
        "e": whole[{"init_time": [0]}], "e_less": whole[{"init_time": [1], "number": [0, 1]}],
        "single": forecast_dataset(TRUTH, (4,), system="gencast"), "one": ensemble_dataset(TRUTH, 1),
        "trained": trained("2000-10-01T00:00", "2000-11-01T18:00"),
        "trained_back": trained("2000-11-03T00:00", "2000-11-02T00:00"),
        "trained_half": trained("2000-11-03T00:00", None), "trained_soon": trained("2000-11-03T00:00", "soon"),
        "observed": ensemble_dataset(OBSERVED, init_indices=range(2, 12), spread=0.02),
    }  # fmt: skip
    for name, dataset in forecasts.items():
        write_forecast(folder / f"{name}.zarr", dataset)
    nan = forecast_dataset(TRUTH, (2,), system="nan")
    nan.geopotential.values[:, 1] = np.nan
    write_forecast(folder / "nan.zarr", nan)
    for name, table in tables(table_of()).items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


def tables(good):
    """Tables of stations by what is wrong with them."""
    times = pd.to_datetime(good.time)
    inside = pd.DataFrame({"station": list("PQRSTU"), "height": 0.0, "longitude": [41.0, 45, 49, 53, 57, 60],
                           "latitude": [-9.0, -1, 6, 14, 22, 29], "time": "2000-11-02T00:00", "2t": 280.0})  # fmt: skip
    return {
        "good": good,
        "exchanged": good.rename(columns={"latitude": "longitude", "longitude": "latitude"}),
        "possible": inside.assign(height=inside.longitude.map(surface_of)),
        "feet": good.assign(height=good.latitude.map(surface_of) * 3.2808),
        "celsius": good.assign(**{"2m_temperature": good["2m_temperature"] - 273.15}),
        "offset": good.assign(time=good.time + "+02:00"),
        "zone": good.assign(time=good.time + " CET"),
        "twelve": good.assign(time=good.time + " PM"),
        "between": good.assign(time=(times + pd.Timedelta("2h")).dt.strftime("%Y-%m-%dT%H:%M")),
        "local": good.assign(time=(times + pd.Timedelta("6h")).dt.strftime("%Y-%m-%dT%H:%M")),
    }


ST = "observed.zarr --orography surface.zarr --stations"
STEPS = ("is 6 to 24 h in uneven steps (3)", "6 to 24 h in uneven steps (3)")
MISFITS = {
    "grid of the truth": Misfit("f.zarr --truth truth_16.zarr", f"truth_16.zarr: {GRID_16}, {ON_GRID}"),
    "grid of a forecast": Misfit("f.zarr f_16.zarr --truth truth.zarr", f"f_16.zarr: {GRID_16}, {ON_GRID}"),
    "grid with poles": Misfit(
        "f_poles.zarr --truth truth.zarr",
        f"truth.zarr: {GRID}, but f_poles.zarr is on 16 x 8 (latitude -90 to 90, longitude 0 to 337.5)",
    ),
    "grid of a climatology": Misfit(
        "f.zarr --truth truth.zarr --climatology climate_16.zarr", f"climate_16.zarr: {GRID_16}, {ON_GRID}"
    ),
    "units of the truth": Misfit(
        "f.zarr --truth declared.zarr", "declared.zarr: 2m_temperature has units 'degC', expected 'K'"
    ),
    "truth in other units than it says": Misfit(
        "f.zarr --truth celsius.zarr",
        "celsius.zarr: 2m_temperature at 2000-11-01T12:00 has the value 2.10309, expected 160 to 345 K; are these °C?",
    ),
    "heights for geopotential": Misfit(
        "f.zarr --truth heights.zarr",
        "heights.zarr: geopotential at 300 hPa at 2000-11-01T12:00 averages 9008.05, expected about 8.8e+04 m2 s-2; "
        "are these heights in m? Geopotential is 9.80665 times that",
    ),
    "forecast in other units than it says": Misfit(
        "f_c.zarr --truth truth.zarr",
        "f_c.zarr: 2m_temperature at 2000-11-01T18:00 has the value 2.18756, expected 160 to 345 K; are these °C?",
    ),
    "forecast of heights": Misfit(
        "f_heights.zarr --truth truth.zarr",
        "f_heights.zarr: geopotential at 300 hPa at 2000-11-01T18:00 averages 9008.05, expected about 8.8e+04 m2 s-2; "
        "are these heights in m? Geopotential is 9.80665 times that",
    ),
    "climatology in other units than it says": Misfit(
        "f.zarr --truth truth.zarr --climatology climate_c.zarr",
        "climate_c.zarr: 2m_temperature at 2000-11-01T18:00 has the value 3.63063, expected 160 to 345 K; "
        "are these °C?",
    ),
    "steps of one system": Misfit(
        "s.zarr s_later.zarr --truth truth.zarr",
        f"s_later.zarr: lead_time {STEPS[0]}, but in s.zarr it {STEPS[0]}; first in one only: 12 h",
    ),
    "steps of two systems": Misfit(
        "s.zarr other_steps.zarr --truth truth.zarr",
        f"s.zarr: lead_time of s {STEPS[0]}, but o in other_steps.zarr has {STEPS[1]}; first in one only: 12 h; "
        "--lead-times chooses",
    ),
    "steps between initial times": Misfit(
        "f.zarr seldom.zarr --truth truth.zarr",
        "seldom.zarr: init_time of seldom is 2000-11-01T12:00 to 2000-11-02T12:00 every 24 h (2), but graphcast in "
        "f.zarr has 2000-11-01T12:00 to 2000-11-02T12:00 every 12 h (3); first in one only: 2000-11-02T00:00; "
        "--init-times chooses",
    ),
    "steps of the truth": Misfit(
        "f.zarr --truth every_12h.zarr",
        "every_12h.zarr: missing time 2000-11-01T18:00 and 2 more; the store holds 2000-11-01T00:00 to "
        "2000-11-04T12:00 every 12 h",
    ),
    "missing leads of one system": Misfit(
        "s.zarr s_short.zarr --truth truth.zarr",
        f"s_short.zarr: lead_time is 6 to 12 h every 6 h (2), but in s.zarr it {STEPS[0]}; first in one only: 24 h",
    ),
    "missing leads of another system": Misfit(
        "s.zarr short.zarr --truth truth.zarr",
        "short.zarr: lead_time of short is 6 to 12 h every 6 h (2), but s in s.zarr has "
        f"{STEPS[1]}; first in one only: 24 h; --lead-times chooses",
    ),
    "a lead without values": Misfit(
        "nan.zarr --truth truth.zarr",
        "nan.zarr: geopotential has 384 NaN or infinite values at lead time 12 h from 2000-11-01T12:00; expected none",
    ),
    "number of members": Misfit(
        "e.zarr e_less.zarr --truth truth.zarr",
        "e_less.zarr: number (members) is [0, 1], but in e.zarr it is [0, 1, 2]; first in one only: 2",
    ),
    "single and ensemble": Misfit(
        "e.zarr single.zarr --truth truth.zarr",
        "single.zarr: number (members) is absent, but in e.zarr it is [0, 1, 2]",
    ),
    "truth that lacks a time": Misfit(
        "f.zarr --truth gap.zarr",
        "gap.zarr: missing time 2000-11-02T06:00; the store holds 2000-11-01T00:00 to 2000-11-04T18:00",
    ),
    "truth that ends": Misfit(
        "f.zarr --truth ends.zarr",
        "ends.zarr: missing time 2000-11-03T00:00 and 1 more; the store holds 2000-11-01T00:00 to 2000-11-02T18:00 "
        "every 6 h",
    ),
    "truth with a hole": Misfit(
        "f.zarr --truth hole.zarr",
        "hole.zarr: 2m_temperature has 1 NaN or infinite values at 2000-11-01T18:00; expected none",
    ),
    "truth with a fill value": Misfit(
        "f.zarr --truth filled.zarr",
        "filled.zarr: 2m_temperature at 2000-11-02T06:00 has the value -9999, expected 160 to 345 K; a fill value that "
        "the file does not declare?",
    ),
    "training that ends before it begins": Misfit(
        "trained_back.zarr --truth truth.zarr",
        "trained_back.zarr: attributes 'airmass_training_from' and '_to' are 2000-11-03T00:00 and 2000-11-02T00:00, "
        "expected the earlier one first",
    ),
    "training without an end": Misfit(
        "trained_half.zarr --truth truth.zarr",
        "trained_half.zarr: attributes 'airmass_training_from' and '_to' are 2000-11-03T00:00 and None, expected both "
        "or none",
    ),
    "training until no date": Misfit(
        "trained_soon.zarr --truth truth.zarr",
        "trained_soon.zarr: attributes 'airmass_training_from' and '_to': time 'soon': expected one such as",
    ),
    "stations: swapped columns": Misfit(
        f"{ST} exchanged.csv",
        "exchanged.csv: latitude of B is 151.2, expected -90 to 90: are latitude and longitude swapped?",
    ),
    "stations: swapped columns of possible latitudes": Misfit(
        f"{ST} possible.csv", "m with latitude and longitude exchanged: are they swapped?"
    ),
    "stations: feet": Misfit(
        f"{ST} feet.csv",
        "feet.csv: heights are 3.3 times the model's surface (median), expected m: are these feet?",
    ),
    "stations: units": Misfit(
        f"{ST} celsius.csv", "more values outside of 160 to 345 K: are these other units?"
    ),
    "stations: local time with an offset": Misfit(
        f"{ST} offset.csv", "offset.csv: time is '2000-11-01T00:00:00+02:00', expected times in UTC"
    ),
    "stations: local time with a zone": Misfit(
        f"{ST} zone.csv", "zone.csv: time is '2000-11-01T00:00:00 CET', expected times in UTC"
    ),
    "stations: twelve hours": Misfit(
        f"{ST} twelve.csv",
        "twelve.csv: time is '2000-11-01T00:00:00 PM', expected one such as 2001-01-05T06:00, in UTC",
    ),
    "stations: local time between the valid times": Misfit(
        f"{ST} between.csv",
        "between.csv: has no observation at a valid time of the forecasts; its times are 2000-11-01T02:00 to "
        "2000-11-08T20:00, at 02:00, 08:00, 14:00, 20:00, theirs 2000-11-01T18:00 to 2000-11-04T18:00, at 00:00, "
        "06:00, 12:00, 18:00; expected UTC: are these local times?",
    ),
    "stations: local time": Misfit(
        f"{ST} local.csv", "K with times taken as UTC+6, expected times in UTC: are these local times?"
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", MISFITS)
def test_it_is_refused_in_one_line(files, capsys, monkeypatch, kind):
    monkeypatch.chdir(files)
    before = sorted(map(str, files.rglob("*")))
    status = main(["evaluate", *MISFITS[kind].words.split(), "--out", "o"])
    out, err = capsys.readouterr()
    assert status == 2 and err.count("\n") == 1 and "Traceback" not in err + out, (out, err)
    assert MISFITS[kind].line in err and err.startswith("airmass evaluate: ")
    assert sorted(map(str, files.rglob("*"))) == before


# Words of the command, and what is told of inputs that are scored all the same.
TOLD = {
    "one.zarr --truth truth.zarr": "gencast has one member, so it is scored as a single forecast, without a spread.",
    "f.zarr --truth lost.zarr": "2m_temperature: 1 of 9 forecasts (at 1 of 3 lead times) count for no system, as the "
    "truth has no values at the valid time (2000-11-02T06:00).",
    "trained.zarr --truth truth.zarr": "trained was trained on 2000-10-01T00:00 to 2000-11-01T18:00: forecasts from 1 "
    "of 3 initial times are valid in it, so they are not of weather that it has never seen.",
    "observed.zarr --stations good.csv": "good.csv: no --orography, so 2 m temperature is not corrected for the height "
    "of the stations",
}


@pytest.mark.parametrize("words", TOLD)
def test_it_is_told_on_screen_and_in_the_report(files, capsys, monkeypatch, tmp_path, words):
    monkeypatch.chdir(files)
    scores, report = tmp_path / "o", tmp_path / "r.html"
    assert main(["evaluate", *words.split(), "--out", str(scores)]) == 0
    assert TOLD[words] in " ".join(capsys.readouterr().out.split())
    assert main(["report", "--scores", str(scores), "--out", str(report)]) == 0
    assert TOLD[words] in report.read_text()


def test_stations_in_utc_are_scored_with_heights_corrected(files, monkeypatch, tmp_path):
    monkeypatch.chdir(files)
    assert main(["evaluate", *f"{ST} good.csv".split(), "--out", str(tmp_path / "o")]) == 0

"""Every usual spelling of the same times gives the same times; what contradicts itself is refused in one line."""

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.data.formats.valid_time import with_valid_time

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2024-06-03", "ns") + np.arange(4) * 12 * HOUR
SIX = np.timedelta64(6 * 3600 * 10**9, "ns")
VALID = START + SIX
VALUES = np.arange(4.0)


def field(dims=("time",), values=VALUES, **coords) -> xr.Dataset:
    return xr.Dataset({"2m_temperature": (dims, values)}, coords)


def cfgrib(**changes) -> xr.Dataset:
    attributes = {"standard_name": "time", "long_name": "initial time of forecast"}
    coords = {"time": ("time", START, attributes), "step": SIX, "valid_time": ("time", VALID)} | changes
    return field(**coords)


LEADS = np.arange(1, 5) * SIX
SPELLINGS = {
    "valid time alone": (field(time=VALID), VALID),
    "valid_time as the axis": (field(("valid_time",), valid_time=VALID), VALID),
    "cfgrib": (cfgrib(), VALID),
    "cfgrib, valid_time of reference time and step": (
        field(("time", "step"), VALUES[:, None], time=START, step=[SIX], valid_time=(("time", "step"), VALID[:, None])),
        VALID,
    ),
    "reference time and step, without valid_time": (cfgrib().drop_vars("valid_time"), VALID),
    "WeatherBench2's lead time": (field(("time", "prediction_timedelta"), VALUES[:, None], time=START,
                                        prediction_timedelta=[SIX]), VALID),
    "one forecast": (field(("step",), time=START[0], step=LEADS), START[0] + LEADS),
    "one forecast of ours": (field(("init_time", "lead_time"), VALUES[None], init_time=START[:1], lead_time=LEADS),
                             START[0] + LEADS),
    "CF, with the reference time beside": (
        field(time=("time", VALID, {"standard_name": "time"}), forecast_reference_time=("time", START),
              forecast_period=SIX), VALID,
    ),
    "NCEP": (field(("initial_time",), initial_time=START, step=SIX), VALID),
    "analyses of cfgrib": (cfgrib(step=0 * SIX, valid_time=("time", START)), START),
    "DeepMind's": (field(time=("time", START - START[0]), datetime=("time", VALID)), VALID),
    "one time": (xr.Dataset({"2m_temperature": ((), 1.0)}, {"time": START[0], "step": SIX, "valid_time": VALID[0]}),
                 VALID[:1]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_valid_times_become_time(name):
    dataset, expected = SPELLINGS[name]
    found, said = with_valid_time(dataset, "f.nc")
    assert found["2m_temperature"].dims == ("time",) and set(found.coords) == {"time"}
    np.testing.assert_array_equal(found.time.values, expected)
    np.testing.assert_array_equal(np.ravel(found["2m_temperature"].values), np.ravel(dataset["2m_temperature"].values))
    assert bool(said) == (name not in ("valid time alone", "analyses of cfgrib", "CF, with the reference time beside"))
    again, nothing = with_valid_time(found, "f.nc")
    assert again.identical(found) and nothing == []


REFUSED = {
    "valid_time is not reference time and step": (
        cfgrib(valid_time=("time", VALID + 3 * HOUR)),
        "valid_time is 2024-06-03T09:00, but time + step is 2024-06-03T06:00; expected one valid time",
    ),
    "two axes": (
        field(("time", "step"), np.zeros((4, 4)), time=START, step=LEADS),
        "time (4) and step (4) are two axes of time, expected one",
    ),
    "a duration without a date": (field(time=START - START[0]), "time is a duration, and there is no datetime"),
    "a lead time alone": (field(("step",), step=LEADS), "step tell no valid time"),
    "numbers for lead times": (cfgrib(step=6).drop_vars("valid_time"), "step has type int64, expected durations"),
    "time of either kind": (
        field(time=("time", START, {"standard_name": "time"}), step=SIX),
        "so it may be the reference time or the valid time",
    ),
    "a date that is missing": (cfgrib(valid_time=("time", VALID.astype(str).astype("M8[ns]") + np.timedelta64("NaT"))),
                               "valid_time has type datetime64[ns], expected dates, none missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_contradicts_itself_is_refused(name):
    dataset, words = REFUSED[name]
    with pytest.raises(InputError) as error:
        with_valid_time(dataset, "f.nc")
    assert str(error.value).startswith("f.nc: ") and words in str(error.value) and "\n" not in str(error.value)

"""What no atmosphere has is refused in one line that names it; real extremes and bad forecasts pass."""

import re

import numpy as np
import pytest

from airmass.core.errors import InputError
from airmass.data.initial import open_initial
from airmass.data.loading.frames import Frames
from airmass.data.plausible import FAR, FAR_MEAN, Limits, doubt, extremes, require_plausible
from airmass.data.preparation.saved_statistics import require_statistics
from airmass.data.preparation.statistics import compute_statistics
from airmass.fields.task import Task
from airmass.fields.variables import VARIABLES
from tests.conftest import LEVELS, NAMES, make_store, synthetic_dataset

TIMES = np.datetime64("2000-11-01", "ns") + np.arange(12) * np.timedelta64(6, "h")
TASK = Task(
    prognostic=("2m_temperature", "temperature", "geopotential"),
    diagnostic=(),
    forcing=(),
    static=("land_sea_mask",),
    levels=LEVELS,
    step=6,
    history=2,
)
# Changes that people's files have, by variable, and what the refusal must say.
SLIPS = {
    "2m_temperature": (lambda x: x - 273.15, "are these °C?"),
    "temperature": (lambda x: x - 273.15, "are these °C?"),
    "mean_sea_level_pressure": (lambda x: x / 100, "are these hPa?"),
    "surface_pressure": (lambda x: x / 100, "are these hPa?"),
    "total_precipitation_6hr": (lambda x: x * 1000, "are these mm?"),
    "specific_humidity": (lambda x: x * 1000, "are these g kg-1?"),
    "geopotential": (lambda x: x / 9.80665, "are these heights in m?"),
    "land_sea_mask": (lambda x: x * 100, "are these %?"),
    "sea_surface_temperature": (lambda x: x - 273.15, "are these °C?"),
}


def frames(name: str) -> tuple[np.ndarray, tuple[int, ...]]:
    values = synthetic_dataset()[name].values
    values = values[None] if VARIABLES[name].static else values
    return values, LEVELS if VARIABLES[name].on_levels else ()


def refusal(name: str, values: np.ndarray, **options) -> str:
    with pytest.raises(InputError) as error:
        require_plausible("f.nc", name, values, frames(name)[1], **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_fields_in_their_units_pass(name):
    values, levels = frames(name)
    require_plausible("f.nc", name, values, levels)
    require_plausible("f.nc", name, values, levels, forecast=True)


@pytest.mark.parametrize("name", SLIPS)
def test_known_slips_are_named(name):
    change, words = SLIPS[name]
    message = refusal(name, change(frames(name)[0]))
    assert message.startswith(f"f.nc: {name}") and words in message
    if name not in ("land_sea_mask", "specific_humidity"):  # no forecast of the one, and this one is dry nowhere
        assert words in refusal(name, change(frames(name)[0]), forecast=True)


@pytest.mark.parametrize("fill", [9.999e20, 1e20, -9e33, -32767.0, -9999.0])
def test_a_fill_value_is_named_with_its_level_and_time(fill):
    values = frames("temperature")[0].copy()
    values[3, 1, 2, 3] = fill
    for forecast in (False, True):
        message = refusal("temperature", values, times=TIMES, forecast=forecast)
        assert f"temperature at 500 hPa at 2000-11-01T18:00 has the value {np.float32(fill):.6g}" in message
        assert "expected 140 to 350 K; a fill value that the file does not declare?" in message


def test_a_bad_forecast_is_not_refused():
    """Its score says how bad it is."""
    wild = frames("temperature")[0] * 3
    require_plausible("f.nc", "temperature", wild, LEVELS, forecast=True)
    moist = frames("specific_humidity")[0].copy()
    moist[:, :, 0] = 0.07
    require_plausible("f.nc", "specific_humidity", moist, LEVELS, forecast=True)
    rain = "total_precipitation_6hr"
    require_plausible("f.nc", rain, frames(rain)[0] - 0.002, (), forecast=True)


@pytest.mark.parametrize(
    ("channel", "usual", "value"),
    [
        (("2m_temperature", None), (278.0, 21.0), 184.0),  # Vostok
        (("mean_sea_level_pressure", None), (100958.0, 1330.0), 87000.0),  # Typhoon Tip
        (("10m_u_component_of_wind", None), (0.0, 5.5), 88.0),  # Patricia
        (("temperature", 50), (212.0, 9.0), 275.0),  # a sudden warming
        (("total_precipitation_6hr", None), (7e-4, 1.8e-3), 0.8),  # 600 mm and more in six hours have been measured
        (("vertical_velocity", 500), (0.0, 0.17), -25.0),
        (("specific_humidity", 100), (4e-6, 1e-6), 8e-5),  # overshooting convection
    ],
)
def test_real_extremes_pass(channel, usual, value):
    low, high = sorted((value, usual[0]))
    assert doubt(channel, low, high, usual[0], usual) is None


def test_a_mean_tens_of_spreads_away_is_refused():
    usual = {("specific_humidity", 500): (8e-4, 1e-3)}
    limits, one = Limits([*usual], usual), np.ones((1, 1))
    limits.require("f.nc", one * 0, one * 0.05, one * (8e-4 + 0.9 * FAR_MEAN * 1e-3))
    with pytest.raises(InputError, match=r"at 500 hPa averages 0.02\d*, expected 0.0008 kg kg-1 as in the statistics"):
        limits.require("f.nc", one * 0, one * 0.05, one * (8e-4 + 1.1 * FAR_MEAN * 1e-3))
    with pytest.raises(InputError, match="has the value"):
        Limits([("geopotential", 1000)], {("geopotential", 1000): (740.0, 1000.0)}).require(
            "f.nc", one * 0, one * 1.1 * FAR * 1000, one * 740
        )


def test_heights_of_any_level_of_the_standard_atmosphere_are_told_without_statistics():
    for level in (1, 10, 50, 100, 250, 500, 700, 850):
        right = 9.80665 * 7400 * np.log(1013.25 / level)
        for off in (0.85, 1, 1.15):
            height = off * right / 9.80665
            assert doubt(("geopotential", level), right / 2, right, off * right) is None
            assert "heights in m" in doubt(("geopotential", level), height, height, height).text


@pytest.mark.parametrize("name", ["geopotential", "temperature", "2m_temperature", "mean_sea_level_pressure"])
def test_a_frame_of_zeros_is_refused(name):
    """Zarr gives zeros in place of an absent chunk whose fill value is 0."""
    values = frames(name)[0].copy()
    values[2] = 0
    message = refusal(name, values, times=TIMES)
    assert " at 2000-11-01T12:00 " in message and re.search(r"(averages|has the value) 0, expected", message)
    if name == "geopotential":
        assert "at 300 hPa at 2000-11-01T12:00 averages 0, expected about 8.8e+04 m2 s-2; is a part" in message
        require_plausible("f.nc", name, values, LEVELS, forecast=True)  # a model may forecast that, and is judged
        low = values[:1] * 0.02
        assert " averages " in (message := refusal(name, low)) and "lost" not in message and "heights" not in message


def test_geopotential_of_a_level_is_not_the_surfaces():
    values = frames("geopotential")[0][:1, 1]
    with pytest.raises(InputError, match=r"geopotential_at_surface averages .* is this the geopotential of a level\?"):
        require_plausible("f.nc", "geopotential_at_surface", values)


def test_extremes_pass_over_missing_values():
    values = np.array([[[np.nan, 2.0, 1.0], [np.nan, np.nan, np.nan]]])
    low, high = extremes(values)
    assert (low[0, 0], high[0, 0]) == (1, 2) and np.isnan(low[0, 1]) and np.isnan(high[0, 1])


ZEROS = "geopotential at 300 hPa at 2000-11-02T18:00 averages 0, expected about 8.8e+04 m2 s-2; is a part of the file"


@pytest.mark.parametrize(
    ("name", "where", "value", "words"),
    [
        (
            "2m_temperature", (2, 3), 9.999e20,
            "2m_temperature at 2000-11-02T18:00 has the value 9.999e+20, expected 160 to 345 K; a fill value",
        ),
        ("geopotential", ..., 0.0, ZEROS),
    ],
)  # fmt: skip
def test_every_reader_refuses_one_bad_frame(tmp_path, name, where, value, words):
    dataset = synthetic_dataset()
    dataset[name].values[7][where] = value
    path = make_store(tmp_path / "a.zarr", dataset)
    with pytest.raises(InputError) as error:
        compute_statistics(path, tmp_path / "s", ("2000-11-01", "2000-11-03"))
    assert f"{path}: {words}" in str(error.value) and not (tmp_path / "s").exists()
    held = Frames(path, TASK)
    held.window(4, 2)
    with pytest.raises(InputError) as error:
        held.window(6, 2)
    assert f"{path}: {words}" in str(error.value)
    initial = open_initial(path, TASK)
    initial.history(TIMES[3])
    with pytest.raises(InputError) as error:
        initial.history(TIMES[8])
    assert f"{path}: {words}" in str(error.value)


def test_training_holds_frames_against_its_statistics_once(tmp_path):
    held = Frames(make_store(tmp_path / "a.zarr"), TASK)
    held.hold_against({("2m_temperature", None): (278.0, 0.1)})
    with pytest.raises(InputError, match=r"2m_temperature at 2000-11-01T00:00 averages .* as in the statistics"):
        held.window(0, 1)


def test_statistics_of_zeros_are_refused(tmp_path):
    table = synthetic_dataset().mean(("time", "latitude", "longitude"))[["geopotential"]]
    require_statistics(table, "mean.nc", ["geopotential"])
    with pytest.raises(InputError, match=r"mean.nc: geopotential at 300 hPa averages 0, expected about 8.8e\+04"):
        require_statistics(0 * table, "mean.nc", ["geopotential"])

"""`data check` on a store of real fields: as it is it passes, and each fault planted in it is one line naming it."""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from tests.conftest import make_store
from tests.data.preparation.real_store import LEVELS, january, statistics_of_era5

H = np.timedelta64(1, "h")
T2, Z, T, U, V = "2m_temperature", "geopotential", "temperature", "u_component_of_wind", "v_component_of_wind"
Q, RAIN, SST, LAND = "specific_humidity", "total_precipitation_6hr", "sea_surface_temperature", "land_sea_mask"


class Fault(NamedTuple):
    """What is done to a store of some variables, and what its one line must say."""

    names: tuple[str, ...]
    plant: Callable[[xr.Dataset], xr.Dataset]
    said: str


def field(name: str, change: Callable[[np.ndarray], np.ndarray], said: str, *beside: str) -> Fault:
    """Other values of a variable, in a store of it and some beside it."""

    def plant(dataset: xr.Dataset) -> xr.Dataset:
        return dataset.assign({name: dataset[name].copy(data=change(dataset[name].values.copy()))})

    return Fault((name, *beside), plant, f"^{name} {said}")


def times(change: Callable[[np.ndarray], np.ndarray], said: str) -> Fault:
    return Fault((T2,), lambda d: d.assign_coords(time=change(d.time.values.copy())), f"^time {said}")


def frames(order: list[int], said: str) -> Fault:
    return Fault((T2,), lambda d: d.isel(time=order), f"^time {said}")


def put(index, value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[index] = value
        return values

    return change


def north_for_south(dataset: xr.Dataset) -> xr.Dataset:
    return dataset.assign({n: dataset[n].copy(data=dataset[n].values[..., ::-1, :]) for n in dataset})


def exchanged(one: str, other: str) -> Callable[[xr.Dataset], xr.Dataset]:
    def plant(dataset: xr.Dataset) -> xr.Dataset:
        return dataset.assign({a: dataset[a].copy(data=dataset[b].values) for a, b in ((one, other), (other, one))})

    return plant


def levels(*order: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda values: values[:, list(order)]


def sea(values: np.ndarray) -> np.ndarray:
    """Of 20 points of water in a row, none has a value."""
    row = int(np.isfinite(values[0]).sum(axis=1).argmax())
    columns = np.flatnonzero(np.isfinite(values[0, row]))[:20]
    return put((slice(None), row, columns), np.nan)(values)


UPWARD = tuple(range(len(LEVELS)))[::-1]
FAULTS = {
    # --- missing values ---
    "a NaN": field(T, put((1, 2, 3, 4), np.nan), "has 1 NaN or infinite values, first at 2011-01-15T06:00; expected"),
    "an infinity": field(T2, put((1, 3, 4), np.inf), "has 1 NaN or infinite values, first at 2011-01-15T06:00"),
    "no value at all": field(SST, lambda v: v * np.nan, "has no value at all"),
    "a fill value": field(T, put((1, 2, 3, 4), 1e20), r"at 500 hPa has the value 1e\+20, .* the file does not declare"),
    "sea surface over land": field(SST, lambda v: np.where(np.isnan(v), 280, v),
                                   "has a value at 441 of the 441 points that land_sea_mask says are land", LAND),
    "no sea surface on water": field(SST, sea, "is NaN at 20 of the .* points that land_sea_mask says are water", LAND),
    "a mask that moves": field(SST, lambda v: np.stack([v[0], v[1], np.roll(v[2], 3, 1), v[3]]),
                               "is missing at other places than before, first at 2011-01-15T12:00"),
    # --- times ---
    "uneven times": times(lambda t: t + np.array([0, 0, 1, 1]) * H,
                          "has 1 steps other than whole multiples of 6 h, first after 2011-01-15T06:00; take in times"),
    "a time twice": frames([0, 1, 1, 2, 3], "2011-01-15T06:00 appears twice; expected once"),
    "a time missing": frames([0, 1, 3], "misses 1 at a step of 6 h, first 2011-01-15T12:00; take"),
    "times backwards": frames([0, 2, 1, 3], "runs backwards after 2011-01-15T12:00; expected rising times"),
    "times between hours": times(lambda t: t + np.timedelta64(30, "m"), "has 4 times between full hours, first 2011"),
    # --- places, orders and balances ---
    "rows north to south": Fault((T2,), lambda d: d.isel(latitude=slice(None, None, -1)),
                                 "latitude runs north to south .*`airmass data convert` rewrites"),
    "hemispheres exchanged": Fault((T2, T), north_for_south,
                                   "2m_temperature makes the northern .* 14 K warmer .*January.*are the hemispheres"),
    "half a year off": Fault((T2, T), lambda d: d.assign_coords(time=d.time + 181 * 24 * H),
                             "2m_temperature makes the southern .* 14 K warmer .* July.*or the dates half a year off"),
    "geopotential upside down": field(Z, levels(*UPWARD), "at 300 hPa is not below that at 200 hPa at 2048 points .*"
                                      "are the levels in another order", T),
    "temperature upside down": Fault((Z, T), field(T, levels(*UPWARD), "").plant,
                                     "^geopotential is out of balance with temperature: the layer from 1000 to"),
    # --- units by range ---
    "degrees Celsius": field(T2, lambda v: v - 273.15, "has the value -39.* expected 160 to 345 K; are these °C"),
    "temperature of levels in Celsius": field(T, lambda v: v - 273.15, "at .* expected 140 to 350 K; are these °C", Z),
    "heights": field(Z, lambda v: v / 9.80665, "at 200 hPa averages 11773, .*; are these heights in m", T),
    "g kg-1": field(Q, lambda v: v * 1000, "at 200 hPa has the value .* kg kg-1; are these g kg-1"),
    "mm": field(RAIN, lambda v: v * 1000, "has the value 20.013, expected -1e-05 to 1.5 m; are these mm"),
    "a mask in %": field(LAND, lambda v: v * 100, "has the value 100, .*; are these %", SST),
    "units that say Celsius": Fault((T2,), lambda d: d.assign({T2: d[T2].assign_attrs(units="degC")}),
                                    "2m_temperature has units 'degC', expected 'K'"),
    # --- sums ---
    "sums of one hour": field(RAIN, lambda v: v / 6, "averages 0.129 mm, expected about 0.675 mm in 6 h: is it"),
    "sums of a day": field(RAIN, lambda v: v * 5, "averages 3.88 mm, expected about 0.675 mm in 6 h: is it summed"),
    "sums since the start": field(RAIN, lambda v: np.cumsum(v, axis=0), "falls at no point from 2011-01-15T00:00 to "
                                  "2011-01-15T06:00, .* summed since the start of a forecast"),
    "sums that start again": field(RAIN, lambda v: np.stack([v[0], v[0] + v[1], v[2], v[2] + v[3]]),
                                   "falls at no point from 2011-01-15T00:00 to"),
    # --- frames ---
    "a frame twice": field(T2, lambda v: v[[0, 1, 1, 3]], "has 1 frames that repeat the one before, first at "
                           "2011-01-15T12:00; take"),
    "a constant frame": field(T2, put(2, 280), "has 1 frames of one value everywhere, first at 2011-01-15T12:00"),
    "a constant field": field(T2, lambda v: v * 0 + 280, "is 280 everywhere"),
    "a constant level": field(U, put((slice(None), 1), 5), "at 300 hPa is 5 everywhere"),
}  # fmt: skip

OF_STATISTICS = {
    "knots": field(U, lambda v: v / 0.5144, "at 200 hPa averages 27.2162 m s-1, expected 16.161 as in the statistics, "
                   "whose spread is 15.02; 5 levels more do not match; are they in other units"),
    "half the wind": field(V, lambda v: v / 3, "at 850 hPa has the spread 1.964 m s-1, expected 5.629 as in the stat"),
    "another climate": field(T, lambda v: v + 12, "at 200 hPa averages 230.168 K, expected 218.298 .*another climate"),
    "winds upside down": field(U, levels(*UPWARD), "at 1000 hPa averages 14 m s-1, .*; 5 levels more do not match; it "
                               "fits those of 200 hPa: are the levels in another order"),
    "levels moved by one": field(Q, lambda v: np.roll(v, 1, 1), "at 200 hPa averages 0.00688212 kg kg-1, .* it fits "
                                 "those of 1000 hPa: are the levels in another order"),
    "two levels exchanged": field(Q, levels(0, 1, 2, 4, 3, 5), "at 850 hPa averages .* it fits those of 925 hPa"),
    "two variables exchanged": Fault((U, V, Q), exchanged(U, V), "^u_component_of_wind at 200 hPa averages 0.444724 .*"
                                     "fits those of v_component_of_wind: are the two variables exchanged"),
}  # fmt: skip


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> xr.Dataset:
    return january(tmp_path_factory.mktemp("january"))


@pytest.fixture(scope="module")
def statistics(tmp_path_factory):
    return statistics_of_era5(tmp_path_factory.mktemp("era5"))


def found(dataset: xr.Dataset, path, capsys, *options: str) -> list[str]:
    """The lines of `data check`, as JSON has them."""
    make_store(path, dataset.drop_encoding())
    status = main(["data", "check", "--json", str(path), *options])
    entries = [entry for entry in json.loads(capsys.readouterr().out) if entry["wrong"]]
    assert status == bool(entries) and all(entry["file"] == str(path) for entry in entries)
    return [f"{entry['where']} {entry['problem']}" for entry in entries]


def test_real_fields_pass(held, statistics, tmp_path, capsys):
    assert found(held, tmp_path / "s.zarr", capsys, "--statistics", str(statistics)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(held, fault, tmp_path, capsys):
    names, plant, said = FAULTS[fault]
    lines = found(plant(held[list(names)]), tmp_path / "s.zarr", capsys)
    assert len(lines) == 1 and re.search(said, lines[0]), lines


@pytest.mark.parametrize("fault", OF_STATISTICS)
def test_statistics_that_do_not_match_are_told(held, statistics, fault, tmp_path, capsys):
    names, plant, said = OF_STATISTICS[fault]
    lines = found(plant(held[list(names)]), tmp_path / "s.zarr", capsys, "--statistics", str(statistics))
    assert re.search(said, min(lines)) and len(lines) == (2 if "variables" in fault else 1), lines


def test_statistics_that_cannot_be_used(held, statistics, tmp_path, capsys):
    store = held[[T2, T, U]]
    with (
        xr.open_dataset(statistics / "mean_by_level.nc") as mean,
        xr.open_dataset(statistics / "stddev_by_level.nc") as spread,
    ):
        mean.load(), spread.load()
    for name, table in {"good": mean, "celsius": mean.assign(temperature=mean.temperature - 273.15)}.items():
        (tmp_path / name).mkdir()
        table.to_netcdf(tmp_path / name / "mean_by_level.nc", engine="h5netcdf")
        spread.to_netcdf(tmp_path / name / "stddev_by_level.nc", engine="h5netcdf")
    (line,) = found(store, tmp_path / "s.zarr", capsys, "--statistics", str(tmp_path / "celsius"))
    assert line.startswith("temperature has statistics that cannot be used: ") and "are these °C?" in line
    words = ["data", "check", str(tmp_path / "s.zarr"), "--statistics"]
    assert main([*words, str(tmp_path / "good")]) == 0
    assert "has none of 2m_temperature" in " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert main([*words, str(tmp_path / "nowhere")]) == 2
    assert "mean_by_level.nc: no such file; `airmass data stats` writes it" in capsys.readouterr().err
    make_store(tmp_path / "other.zarr", held[[T2]].drop_encoding())
    assert main(["data", "check", str(tmp_path / "other.zarr"), "--statistics", str(statistics)]) == 2
    assert "the statistics have none of the store's variables; found geopotential" in capsys.readouterr().err

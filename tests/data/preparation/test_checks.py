"""`data check`: each fault is found and named, several at once, and a healthy store is all well."""

import io
import json

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.preparation import tally
from airmass.data.preparation.checks import Finding, check_store, report
from tests.conftest import make_store, synthetic_dataset


def said(path) -> list[str]:
    return [f"{finding.where} {finding.problem}" for finding in check_store(path) if finding.wrong]


def printed(path, findings) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(report(path, findings))
    return out.getvalue()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_healthy_store_is_all_well(tmp_path, zarr_format):
    path = make_store(tmp_path / "a.zarr", zarr_format=zarr_format)
    assert check_store(path) == []
    assert "all well" in printed(path, [])


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"reversed_latitude": True}, "latitude runs north to south"),
        ({"uneven_latitude": True}, "latitude is unevenly spaced"),
        ({"swapped": True}, "temperature has dimensions"),
        ({"units": {"temperature": "C"}}, "temperature has units 'C', expected 'K'"),
        ({"units": {"level": "Pa"}}, "level has units 'Pa'"),
        ({"nan": "temperature"}, "temperature has 3 NaN or infinite values, first at 2000-11-01T06:00"),
        ({"duplicate_time": 2}, "time 2000-11-01T12:00 appears twice"),
        ({"missing_time": 5}, "time misses 1 at a step of 6 h, first 2000-11-02T06:00"),
        ({"corrupt_chunk": "temperature"}, "temperature cannot be read at 2000-11-01T06:00: chunk 1/0/0/0: Zstd"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 2**20])
def test_each_fault_is_named(tmp_path, monkeypatch, fault, text, block_bytes):
    monkeypatch.setattr(tally, "_BLOCK_BYTES", block_bytes)
    path = make_store(tmp_path / "a.zarr", **fault)
    found = said(path)
    assert any(line.startswith(text) for line in found), found
    assert "swapped" in fault or len(found) == 1


def test_several_faults_are_all_listed(tmp_path):
    dataset = synthetic_dataset()
    dataset["10m_u_component_of_wind"][:] = 0
    dataset["temperature"][2] *= 4
    dataset["vertical_velocity"][4, 0, 0, 0] = np.inf
    path = make_store(
        tmp_path / "a.zarr", dataset, reversed_latitude=True, duplicate_time=7, nan="geopotential",
        corrupt_chunk="2m_temperature",
    )  # fmt: skip
    found = said(path)
    assert len(found) == 7
    for text in (
        "latitude runs north to south", "time 2000-11-02T18:00 appears twice", "10m_u_component_of_wind is 0 every",
        "2m_temperature cannot be read", "geopotential has 3 NaN", "vertical_velocity has 1 NaN or infinite",
        "temperature at 300 hPa has the value",
    ):  # fmt: skip
        assert any(line.startswith(text) for line in found), text
    (line,) = (line for line in found if line.startswith("temperature at 300"))
    assert "expected 140 to 350 K" in line and "first at 2000-11-01T12:00; 384 values are outside, all run from" in line
    assert printed(path, check_store(path)).count("wrong") == 7


def test_unreadable_frame_hides_no_others(tmp_path):
    path = make_store(tmp_path / "a.zarr", corrupt_chunk="temperature", nan="2m_temperature")
    dataset = synthetic_dataset()
    dataset["temperature"][9, 0, 0, 0] = np.nan
    other = make_store(tmp_path / "b.zarr", dataset, corrupt_chunk="temperature")
    assert len(said(path)) == 2
    assert any("1 NaN or infinite values, first at 2000-11-03T06:00" in line for line in said(other))


def test_uneven_steps(tmp_path):
    dataset = synthetic_dataset(names=("2m_temperature",))
    time = dataset.time.values.copy()
    time[5:] += np.timedelta64(2, "h")
    path = make_store(tmp_path / "a.zarr", dataset.assign_coords(time=time))
    (line,) = said(path)
    assert line.startswith("time has 1 steps other than whole multiples of 6 h, first after 2000-11-02T00:00; take in")


def test_zeros_lost_to_a_zarr_v2_fill_value_are_explained(tmp_path):
    names = ("2m_temperature", "land_sea_mask")
    encoding = {"land_sea_mask": {"_FillValue": 0.0}, "longitude": {"_FillValue": 0.0}}
    synthetic_dataset(names=names).to_zarr(tmp_path / "a.zarr", zarr_format=2, encoding=encoding)
    found = said(tmp_path / "a.zarr")
    assert len(found) == 2 and all("fill_value is 0" in line for line in found), found


def sea(change) -> xr.Dataset:
    dataset = synthetic_dataset(names=("sea_surface_temperature", "land_sea_mask"))
    values, land = dataset.sea_surface_temperature.values, dataset.land_sea_mask.values > 0.5
    change(values, land)
    return dataset


def test_missing_sea_surface_must_be_land_and_stay(tmp_path):
    def flicker(values, land):
        values[4, np.argwhere(~land)[0][0], np.argwhere(~land)[0][1]] = np.nan

    def everywhere(values, land):
        values[:] = np.nan

    def swap(values, land):
        values[:] = np.where(land, 290 + np.arange(16), np.nan)

    cases = {
        "flicker": (flicker, "missing at other places than before, first at 2000-11-02T00:00"),
        "everywhere": (everywhere, "has no value at all"),
        "swap": (swap, "points that land_sea_mask says are land; expected NaN at all of them"),
    }
    for name, (change, text) in cases.items():
        assert any(text in line for line in said(make_store(tmp_path / name, sea(change)))), name

    def filled(values, land):
        values[np.isnan(values)] = 280

    filled_over_land = make_store(tmp_path / "filled", sea(filled))
    assert ["points that land_sea_mask says are land" in line for line in said(filled_over_land)] == [True]
    notes = check_store(make_store(tmp_path / "no mask", sea(filled).drop_vars("land_sea_mask")))
    assert [(n.wrong, "over land" in n.problem) for n in notes] == [(False, True)]


def test_a_packed_mask_never_quite_zero_or_one_is_read_as_meant(tmp_path):
    dataset = sea(lambda values, land: None)
    dataset.land_sea_mask[:] = np.where(dataset.land_sea_mask > 0.5, 1 - 1e-5, 1e-5)
    assert check_store(make_store(tmp_path / "packed", dataset)) == []
    dataset.sea_surface_temperature[:] = 290 + np.arange(16)
    assert "says are land" in said(make_store(tmp_path / "filled", dataset))[0]


def test_a_store_with_nothing_known_is_wrong(tmp_path):
    dataset = synthetic_dataset(names=("temperature", "2m_temperature")).rename(
        {"temperature": "t", "2m_temperature": "x"}
    )
    assert said(make_store(tmp_path / "a.zarr", dataset)) == [
        "variables are none that airmass knows; found t, x; expected some such as temperature; `airmass data ingest` "
        "takes in other names"
    ]


def test_a_level_without_spread_and_times_between_hours_are_wrong(tmp_path):
    dataset = synthetic_dataset(names=("temperature",))
    dataset.temperature[:, 1] = 250
    late = dataset.assign_coords(time=dataset.time + np.timedelta64(30, "m"))
    assert said(make_store(tmp_path / "a.zarr", late)) == [
        "time has 12 times between full hours, first 2000-11-01T00:30; expected none",
        "temperature at 500 hPa is 250 everywhere",
    ]  # fmt: skip


def test_statics_turned_against_latitude_are_told_by_the_antarctic(tmp_path):
    dataset = synthetic_dataset(names=("land_sea_mask", "geopotential_at_surface"), n_latitude=16)
    land = np.broadcast_to(dataset.latitude.values[:, None] < -70, dataset.land_sea_mask.shape)
    dataset.land_sea_mask[:] = land.astype("f4")
    dataset.geopotential_at_surface[:] = land * 2.5e4
    assert said(make_store(tmp_path / "a.zarr", dataset)) == []
    assert said(
        make_store(tmp_path / "b.zarr", dataset.copy(data={n: f.values[::-1] for n, f in dataset.items()}))
    ) == ["latitude is turned against the fields: high land around the North Pole, none around the South"]


def test_a_reference_time_as_time_is_wrong(tmp_path):
    dataset = synthetic_dataset(names=("2m_temperature",))
    shifted = dataset.assign_coords(valid_time=dataset.time + np.timedelta64(6, "h"))
    (line,) = said(make_store(tmp_path / "a.zarr", shifted))
    assert line.startswith("time is not the valid time (time taken from valid_time: 2000-11-01T06:00 to")


def test_findings_as_json_and_exit_codes(tmp_path, capsys):
    path = make_store(tmp_path / "a.zarr", days=1, units={"temperature": "C"})
    assert main(["data", "check", "--json", str(path)]) == 1
    (found,) = [entry for entry in json.loads(capsys.readouterr().out) if entry["wrong"]]
    assert found == {
        "file": str(path), "where": "temperature", "problem": "has units 'C', expected 'K'", "wrong": True,
    }  # fmt: skip
    assert main(["data", "check", "--json", str(make_store(tmp_path / "b.zarr", days=1))]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["data", "check", str(tmp_path / "none.zarr")]) == 2


def test_unknown_and_computed_variables_and_absent_units_are_notes(tmp_path):
    dataset = synthetic_dataset(names=("2m_temperature",))
    dataset["snow_depth"] = dataset["2m_temperature"] * 0
    dataset["toa_incident_solar_radiation"] = dataset["2m_temperature"].drop_attrs() * 1
    dataset["2m_temperature"].attrs = {}
    findings = check_store(make_store(tmp_path / "a.zarr", dataset))
    assert [(f.where, f.wrong) for f in findings] == [
        ("2m_temperature", False), ("snow_depth", False), ("toa_incident_solar_radiation", False),
    ]  # fmt: skip
    assert "all well" in printed("a", findings)


def test_brackets_in_messages_are_printed_as_they_are():
    assert "level is [850.0, 500.0]" in printed("a", [Finding("level", "level is [850.0, 500.0]")])


def test_what_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        check_store(tmp_path / "none.zarr")

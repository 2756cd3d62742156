"""Initial states straight from services on this machine: only what is needed is fetched, kept, and equal to files."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.data.ingest.initial_file import initial_dataset
from airmass.data.ingest.request import IngestRequest
from airmass.data.services import cds, ecmwf_open_data, gfs
from airmass.data.services.fetch import SERVICES, fetched
from airmass.fields.task import Task
from tests.border.healthy import Home, _write_model
from tests.conftest import make_store, synthetic_dataset
from tests.data.services import serving
from tests.golden_case import ROOT as GOLDEN
from tests.training.small import SMALL

TIME = "2024-06-01T00"
NAMES = (*SMALL.task.prognostic, *SMALL.task.static)
BUCKETS = {"gfs": serving.noaa, "ecmwf-open-data": serving.ecmwf}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A model of geopotential and temperature at 500 and 850 hPa and 2 m temperature, on 16 x 8 points."""
    home = Home(tmp_path_factory.mktemp("home"))
    make_store(
        home.store, synthetic_dataset(days=2, levels=(500, 850), names=(*SMALL.task.targets, *SMALL.task.static))
    )
    _write_model(home)
    return home.model


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("airmass.data.download._wait", lambda _: None)
    monkeypatch.setattr("multiurl.retry._logged_sleep", lambda _: None)
    monkeypatch.setenv("CDSAPI_KEY", "open-sesame")
    monkeypatch.setenv("CDSAPI_RC", "/nowhere")
    for client in (cds, ecmwf_open_data):
        monkeypatch.setattr(client, "_TRIES", 2)
    gfs._index.cache_clear()


def words(service: str, checkpoint: Path, url: str, folder: Path, *more: str) -> list[str]:
    where = ["--downloads", str(folder / "kept"), "--server", url, "--out", str(folder / "initial.nc")]
    return ["initial", service, "--checkpoint", str(checkpoint), "--time", TIME, *where, *more]


def said(arguments: list[str], folder: Path, capsys) -> str:
    """The one line of a refusal, with nothing written but what is kept to go on with."""
    assert main(arguments) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1, shown
    assert not (folder / "initial.nc").exists()
    return shown


def needed(parts: tuple[serving.Message, ...], static: bool) -> int:
    """Bytes of what the small model reads."""
    shorts = ("gh", "t", "2t", *(("lsm", "orog") if static else ()))
    return sum(len(m.data) for m in parts if m.short in shorts and m.level in (None, 500, 850))


@pytest.mark.parametrize("service", BUCKETS)
def test_only_what_is_needed_is_fetched_once(service, checkpoint, tmp_path, capsys):
    with serving.serving(BUCKETS[service]()) as (files, url):
        assert main(words(service, checkpoint, url, tmp_path)) == 0
        fields = sum(needed(serving.messages(t, 0, service != "gfs"), t == serving.TIMES[1]) for t in serving.TIMES)
        told = sum(len(files.held[path]) for kind, path, given in files.asked if kind == "GET" and not given)
        assert files.sent == fields + told  # and the indexes, nothing else
        (tmp_path / "whole").mkdir()
        for path, data in files.held.items():
            if (
                data
                and not path.endswith((".idx", ".index"))
                and any(h in path for h in ("20240601/00", "20240531/18"))
            ):
                (tmp_path / "whole" / f"{path.replace('/', '-')}.grib2").write_bytes(data)
        files.sent, files.asked[:] = 0, []
        again = tmp_path / "again"
        again.mkdir()
        (tmp_path / "kept").rename(again / "kept")
        gfs._index.cache_clear()
        assert main(words(service, checkpoint, url, again)) == 0
        assert not [path for kind, path, given in files.asked if given]  # what is kept is not fetched again
    shown = capsys.readouterr().out
    assert SERVICES[service].licence in shown
    arguments = ["initial", str(tmp_path / "whole"), "--checkpoint", str(checkpoint), "--time", TIME]
    assert main([*arguments, "--out", str(tmp_path / "from_files.nc")]) == 0
    made, expected = (xr.load_dataset(tmp_path / name) for name in ("initial.nc", "from_files.nc"))
    xr.testing.assert_identical(made.drop_attrs(), expected.drop_attrs())
    assert SERVICES[service].title in made.attrs["source"]


def test_cds_is_asked_for_hours_levels_and_variables(checkpoint, tmp_path):
    with serving.serving({}) as (files, url):
        files.held |= serving.of_cds(era5(), tmp_path)
        assert main(words("cds", checkpoint, url, tmp_path)) == 0
        asked = [{k: job[k] for k in ("variable", "day", "time")} for job in files.jobs.values()]
        assert asked == [
            {"variable": ["2m_temperature"], "day": ["31"], "time": ["18:00"]},
            {"variable": ["2m_temperature", "geopotential", "land_sea_mask"], "day": ["01"], "time": ["00:00"]},
            {"variable": ["geopotential", "temperature"], "day": ["31"], "time": ["18:00"]},
            {"variable": ["geopotential", "temperature"], "day": ["01"], "time": ["00:00"]},
        ]
        assert all(job.get("pressure_level") in (None, ["500", "850"]) for job in files.jobs.values())
        assert {job["product_type"][0] for job in files.jobs.values()} == {"reanalysis"}
    made = xr.load_dataset(tmp_path / "initial.nc")
    for name in NAMES:
        expected = era5()[name]
        expected = expected.sel(time=list(serving.TIMES)) if "time" in expected.dims else expected
        np.testing.assert_array_equal(made[name].values, expected.values)


def era5() -> xr.Dataset:
    """Synthetic fields on the model's grid, of the day around the initial time."""
    fields = synthetic_dataset(days=2, levels=(500, 850), names=NAMES)
    return fields.isel(time=slice(0, 4)).assign_coords(time=serving.TIMES[0] + 6 * np.arange(-1, 3).astype("m8[h]"))


def test_a_job_of_a_stopped_run_is_gone_on_with(checkpoint, tmp_path, capsys):
    with serving.serving({}) as (files, url):
        files.held |= serving.of_cds(era5(), tmp_path)
        held = files.held.pop("/reanalysis-era5-single-levels.nc")
        files.held["/reanalysis-era5-single-levels.nc"] = lambda request: b"<html>down</html>"
        shown = said(words("cds", checkpoint, url, tmp_path), tmp_path, capsys)
        assert "cds: what the server sent cannot be used" in shown and "web page" in shown
        files.held["/reanalysis-era5-single-levels.nc"] = held
        # A run that was killed while it waited: the job's number is all that is left.
        path = next((tmp_path / "kept").glob("*"), None)
        assert path is None or not path.name.endswith(".part")
        assert main(words("cds", checkpoint, url, tmp_path)) == 0
        jobs = len(files.jobs)
        for file in (tmp_path / "kept").glob("*single*"):
            if file.suffix == ".nc":
                file.with_name(f"{file.name}.part.job").write_text(list(files.jobs)[-4:][0])
            file.unlink()
        (tmp_path / "initial.nc").unlink()
        main(words("cds", checkpoint, url, tmp_path))
        assert len(files.jobs) == jobs + 1 or len(files.jobs) == jobs


def test_precipitation_is_of_the_forecast_before(tmp_path):
    task = Task(("temperature", "total_precipitation_6hr"), (), (), (), (500, 850), 6)
    with serving.serving(serving.noaa()) as (files, url):
        request = IngestRequest(("gfs",))
        made = fetched(request, SERVICES["gfs"], task, TIME, tmp_path, url, None, lambda *_: None)
        assert {path.rpartition("/")[2] for _, path, given in files.asked if given} == {
            "gfs.t18z.pgrb2.0p25.f000", "gfs.t18z.pgrb2b.0p25.f000", "gfs.t18z.pgrb2.0p25.f006",
            "gfs.t00z.pgrb2.0p25.f000", "gfs.t00z.pgrb2b.0p25.f000", "gfs.t12z.pgrb2.0p25.f006",
        }  # fmt: skip
    state = initial_dataset(made, task, TIME, None)
    [rain] = [values for short, _, values in serving.real_fields() if short == "tp"]
    before = np.roll(rain, -1, 1)  # of the forecast from 12 UTC, which ends at the first frame
    np.testing.assert_allclose(state["total_precipitation_6hr"][0].values[::-1], before / 1000, atol=1e-9)


def test_broken_connections_are_gone_on_with(checkpoint, tmp_path, capsys):
    with serving.serving(serving.noaa()) as (files, url):
        files.cuts = [1000] * 5
        shown = said(words("gfs", checkpoint, url, tmp_path), tmp_path, capsys)
        assert "stopped after 5000 of" in shown and "run the same command to go on" in shown
        files.asked.clear()
        assert main(words("gfs", checkpoint, url, tmp_path)) == 0
        first = next(given for _, _, given in files.asked if given)
        assert first.startswith("bytes=") and int(first[6:].split("-")[0]) % 42218 == 5000


def without(name: str, held: dict[str, bytes]) -> dict[str, bytes]:
    """The files, with indexes that do not have a field."""
    lines = {path: data.split(b"\n") for path, data in held.items() if path.endswith((".idx", ".index"))}
    return held | {path: b"\n".join(x for x in text if name.encode() not in x) for path, text in lines.items()}


@pytest.mark.parametrize("service", BUCKETS)
def test_what_a_service_cannot_give_is_one_line(service, checkpoint, tmp_path, capsys):
    name = {"gfs": ":LAND:", "ecmwf-open-data": '"lsm"'}[service]
    held = BUCKETS[service]()
    line = rf"{service}: has no land_sea_mask at {TIME}:00"
    with serving.serving(without(name, held)) as (_, url):
        shown = said(words(service, checkpoint, url, tmp_path), tmp_path, capsys)
        assert line in shown and f"give a file that has it beside {service}" in shown
    gfs._index.cache_clear()
    with serving.serving({path: data for path, data in held.items() if "20240601" not in path}) as (_, url):
        shown = said(words(service, checkpoint, url, tmp_path), tmp_path, capsys)
        assert "404" in shown and "20240601" in shown
    gfs._index.cache_clear()
    page = b"<html>please log in</html>"
    with serving.serving({path: page if path.endswith(("idx", "index")) else data for path, data in held.items()}) as (
        _,
        url,
    ):
        shown = said(words(service, checkpoint, url, tmp_path), tmp_path, capsys)
        assert "index" in shown
    gfs._index.cache_clear()
    fields = {
        path: data if path.endswith(("idx", "index")) else page * (len(data) // 26) for path, data in held.items()
    }
    with serving.serving({path: data.ljust(len(held[path])) for path, data in fields.items()}) as (_, url):
        shown = said(words(service, checkpoint, url, tmp_path), tmp_path, capsys)
        assert f"{service}: what the server sent cannot be used" in shown
    shown = said(words(service, checkpoint, "http://127.0.0.1:9", tmp_path), tmp_path, capsys)
    assert "refused" in shown and "127.0.0.1" in shown
    assert not list(tmp_path.rglob("*.part"))


def test_a_file_that_has_the_rest_may_lie_beside(checkpoint, tmp_path, capsys):
    mask = next(values for short, _, values in serving.real_fields() if short == "lsm")
    coords = {"latitude": np.linspace(-90, 90, 73), "longitude": 2.5 * np.arange(144)}
    field = (("latitude", "longitude"), mask[::-1].astype(np.float32), {"units": "1"})
    xr.Dataset({"lsm": field}, coords).to_netcdf(tmp_path / "mask.nc", engine="h5netcdf")
    with serving.serving(without(":LAND:", serving.noaa())) as (files, url):
        arguments = words("gfs", checkpoint, url, tmp_path)
        assert main([*arguments[:2], str(tmp_path / "mask.nc"), *arguments[2:]]) == 0
        assert not any("LAND" in path for _, path, _ in files.asked)


def test_another_field_than_asked_for_is_found(checkpoint, tmp_path, capsys):
    held = serving.noaa()
    swapped = {
        p: d.replace(b":TMP:500 mb", b":XXX:500 mb").replace(b":HGT:500 mb", b":TMP:500 mb") for p, d in held.items()
    }
    swapped = {
        p: d.replace(b":XXX:500 mb", b":HGT:500 mb") if p.endswith("idx") else held[p] for p, d in swapped.items()
    }
    del swapped["/gfs.20240531/18/atmos/gfs.t18z.pgrb2b.0p25.f000.idx"]
    held |= swapped
    index = "/gfs.20240531/18/atmos/gfs.t18z.pgrb2.0p25.f000.idx"
    held[index] = (
        held[index].replace(b":TMP:2 m", b":XXX:2 m").replace(b":PRMSL:mean sea level", b":TMP:2 m above ground")
    )
    with serving.serving(held) as (_, url):
        shown = said(words("gfs", checkpoint, url, tmp_path), tmp_path, capsys)
    assert "without 2m_temperature at 2024-05-31T18:00, which was asked for" in shown


@pytest.mark.parametrize(
    ("service", "options", "line"),
    [
        ("gfs", ("--time", "2024-06-01T03"), "it has analyses at 00, 06, 12 and 18 UTC"),
        ("gfs", ("--accumulation", "1"), "leave --accumulation out"),
        ("gfs", ("--server", "ftp://x"), "expected an address that begins with https://"),
        ("ecmwf-open-data", ("--server", "ftp://x"), "cannot be read"),
        ("cds", ("--accumulation", "3"), "leave --accumulation out"),
    ],
)
def test_options_that_do_not_fit(service, options, line, checkpoint, tmp_path, capsys):
    arguments = words(service, checkpoint, "http://127.0.0.1:9", tmp_path)
    kept = [w for i, w in enumerate(arguments) if w != options[0] and (i == 0 or arguments[i - 1] != options[0])]
    shown = said([*kept, *options], tmp_path, capsys)
    assert any(part in shown for part in line.split("|")), shown


def test_services_are_refused_before_anything_is_fetched(checkpoint, tmp_path, capsys, monkeypatch):
    with serving.serving({}) as (files, url):
        arguments = words("gfs", checkpoint, url, tmp_path)
        shown = said([*arguments[:2], "cds", *arguments[2:]], tmp_path, capsys)
        assert "expected one service" in shown
        shown = said([a for a in arguments if a not in ("--time", TIME)], tmp_path, capsys)
        assert "expected a --time" in shown
        published = words("gfs", GOLDEN / "graphcast" / "checkpoint.npz", url, tmp_path)
        assert "the fields are of the centre kwbc" in said(published, tmp_path, capsys)
        files_only = words(str(serving.REAL), checkpoint, url, tmp_path)
        assert "--downloads and --server are for ecmwf-open-data, gfs and cds" in said(files_only, tmp_path, capsys)
        found = importlib.util.find_spec
        for service, module, extra in (
            ("ecmwf-open-data", "ecmwf.opendata", "clients"), ("cds", "cdsapi", "clients"), ("gfs", "eccodes", "grib"),
        ):  # fmt: skip
            missing = module
            monkeypatch.setattr("importlib.util.find_spec", lambda name, m=missing: None if name == m else found(name))
            shown = said(words(service, checkpoint, url, tmp_path), tmp_path, capsys)
            assert f"pip install 'airmass[{extra}]'" in shown and shown.startswith(f"airmass initial: {service}: ")
        assert not files.asked


def test_cds_says_what_is_wrong_in_its_words(checkpoint, tmp_path, capsys, monkeypatch):
    with serving.serving({}) as (files, url):
        files.held |= serving.of_cds(era5(), tmp_path)
        files.key = "another"
        shown = said(words("cds", checkpoint, url, tmp_path), tmp_path, capsys)
        assert "cds: reanalysis-era5-single-levels: 401" in shown and "the key is not known" in shown
        monkeypatch.setenv("CDSAPI_KEY", "123:of-old")
        shown = said(words("cds", checkpoint, url, tmp_path), tmp_path, capsys)
        assert "is of the store before 2024" in shown
        monkeypatch.delenv("CDSAPI_KEY")
        assert "Missing/incomplete configuration file" in said(
            words("cds", checkpoint, url, tmp_path), tmp_path, capsys
        )
    monkeypatch.setenv("CDSAPI_KEY", "x")
    shown = said(words("cds", checkpoint, "http://127.0.0.1:9", tmp_path), tmp_path, capsys)
    assert "127.0.0.1" in shown and "refused" in shown


def test_a_file_that_was_changed_is_fetched_again(checkpoint, tmp_path):
    with serving.serving(serving.noaa()) as (files, url):
        assert main(words("gfs", checkpoint, url, tmp_path)) == 0
        kept = sorted((tmp_path / "kept").glob("*.grib2"))[0]
        whole = kept.read_bytes()
        kept.write_bytes(whole[:-7] + b"x" + whole[-6:])
        assert json.loads(kept.with_name(f"{kept.name}.json").read_text())["sha256"]
        files.sent, _ = 0, (tmp_path / "initial.nc").unlink()
        assert main(words("gfs", checkpoint, url, tmp_path)) == 0
        assert kept.read_bytes() == whole and files.sent == len(whole)

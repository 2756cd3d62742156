"""Advice is tried: every message that recommends a command is drawn, and the command run on the input that drew it."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from airmass.core.errors import InputError
from airmass.data.formats.store import open_store
from airmass.data.initial import open_initial
from airmass.data.preparation.saved_statistics import load_statistics
from airmass.data.preparation.statistics import compute_statistics
from airmass.fields.task import Task
from tests.conftest import make_store, synthetic_dataset

PACKAGE = Path(__file__).parents[1] / "airmass"
TASK = Task(("2m_temperature", "temperature"), (), (), (), (300, 500, 850))
NAMES = ("2m_temperature", "temperature")
DATES = ("2000-11-01", "2000-11-01")


def recommending() -> dict[str, int]:
    """Number of texts in code, other than docstrings, that name a command to run, by file."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        if count := len(re.findall(r"`airmass (?:data|train|forecast|simulate|plan)\b[^`]*`", code)):
            found[str(path.relative_to(PACKAGE))] = count
    return found


def test_every_message_that_recommends_a_command_is_tried_below():
    assert recommending() == {
        "commands/data_names.py": 1,  # an unknown word
        "data/ingest/ingest.py": 1,  # names a command, recommends none
        "data/ingest/pieces.py": 1,  # no known quantity
        "data/preparation/checks.py": 1,  # names of another archive
        "data/formats/layout.py": 4,  # order of coordinates, fill value, dimensions, reference time
        "data/preparation/matching_statistics.py": 1,  # a store of another climate
        "data/preparation/convert.py": 1,  # a chunk that cannot be read
        "data/preparation/saved_statistics.py": 1,  # no statistics
    }


def dataset(**options) -> xr.Dataset:
    return synthetic_dataset(days=1, names=NAMES, **options)


def rolled(d: xr.Dataset) -> xr.Dataset:
    return d.roll(longitude=8, roll_coords=False).assign_coords(longitude=180 + np.arange(16) * 22.5)


REARRANGED = {
    "north to south": lambda d: d.isel(latitude=slice(None, None, -1)),
    "from 180 east": rolled,
    "from 180 west": lambda d: rolled(d).assign_coords(longitude=np.arange(16) * 22.5 - 180),
    "columns first": lambda d: d.transpose(..., "longitude", "latitude"),
    "levels first": lambda d: d.transpose("level", ...),
    "one member": lambda d: d.expand_dims(number=[0]),
    "reference time": lambda d: d.assign_coords(
        valid_time=("time", d.time.values), time=d.time.values - np.timedelta64(6, "h")
    ),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_what_convert_is_recommended_for_it_mends(tmp_path, name):
    given = tmp_path / "in.nc"
    REARRANGED[name](dataset()).to_netcdf(given, engine="h5netcdf")
    for refusing in (lambda: open_store(given), lambda: open_initial(given, TASK)):
        if name == "reference time" and refusing.__code__.co_names[0] == "open_initial":
            continue  # reads it right
        with pytest.raises(InputError, match="`airmass data convert`"):
            refusing()
    assert main(["data", "convert", str(given), str(tmp_path / "out.zarr")]) == 0
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load()[[*NAMES]], dataset())
    assert main(["data", "check", str(tmp_path / "out.zarr")]) == 0


def test_zeros_lost_to_a_fill_value_are_restored(tmp_path):
    given = tmp_path / "in.zarr"
    dataset().to_zarr(given, zarr_format=2, encoding={"longitude": {"_FillValue": 0.0}})
    with pytest.raises(InputError, match="`airmass data convert` restores them"):
        open_store(given)
    assert main(["data", "convert", str(given), str(tmp_path / "out.zarr")]) == 0
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load()[[*NAMES]], dataset())


def test_check_names_the_chunk_that_convert_could_not_read(tmp_path, capsys):
    given = make_store(tmp_path / "in.zarr", dataset(), corrupt_chunk="temperature")
    assert main(["data", "convert", str(given), str(tmp_path / "out.zarr")]) == 2
    assert "`airmass data check` names the chunk" in capsys.readouterr().err
    assert main(["data", "check", "--json", str(given)]) == 1
    assert "chunk 1/0/0/0" in capsys.readouterr().out


def test_stats_writes_the_statistics_that_were_not_there(tmp_path):
    given, folder = make_store(tmp_path / "in.zarr", dataset()), tmp_path / "statistics"
    with pytest.raises(InputError, match="`airmass data stats` writes it"):
        load_statistics(folder)
    assert main(["data", "stats", str(given), "--dates", *DATES, "--out", str(folder)]) == 0
    load_statistics(folder, NAMES, [300, 500, 850])


def test_stats_of_the_store_itself_match_where_others_did_not(tmp_path, capsys):
    warm, own = make_store(tmp_path / "warm.zarr", dataset() + 30), make_store(tmp_path / "own.zarr", dataset())
    for store in (warm, own):
        options = ["--dates", *DATES, "--out", str(tmp_path / f"{store.stem}-statistics")]
        assert main(["data", "stats", str(store), *options]) == 0
    main(["data", "check", "--json", str(own), "--statistics", str(tmp_path / "warm-statistics")])
    assert "`airmass data stats` makes a store's own" in capsys.readouterr().out
    main(["data", "check", "--json", str(own), "--statistics", str(tmp_path / "own-statistics")])
    assert "as in the statistics" not in capsys.readouterr().out


def test_names_lists_what_was_not_found(tmp_path, capsys):
    dataset()[["2m_temperature"]].rename({"2m_temperature": "my_0"}).to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    for command in (
        ["data", "names", "my_0"],
        ["data", "ingest", str(tmp_path / "in.nc"), "--out", str(tmp_path / "o.zarr")],
    ):
        assert main(command) == 2
        assert "`airmass data names` lists them" in capsys.readouterr().err
    assert main(["data", "names"]) == 0


def test_ingest_takes_in_the_other_names_that_check_found(tmp_path, capsys):
    given = make_store(tmp_path / "in.zarr", dataset().rename({"2m_temperature": "t2m", "temperature": "t"}))
    assert main(["data", "check", "--json", str(given)]) == 1
    assert "`airmass data ingest` takes in other names" in capsys.readouterr().out
    assert main(["data", "ingest", str(given), "--out", str(tmp_path / "out.zarr")]) == 0
    xr.testing.assert_equal(open_store(tmp_path / "out.zarr").load()[[*NAMES]], dataset())


NO_CURE = {
    "members": lambda d: d.expand_dims(number=[0, 1]),
    "steps": lambda d: d.rename(time="step").assign_coords(step=np.arange(4) * np.timedelta64(6, "h"))
    .expand_dims(time=d.time.values[:2]),
    "the first meridian twice": lambda d: xr.concat(
        [d, d.isel(longitude=[0]).assign_coords(longitude=[360.0])], "longitude", data_vars="minimal"
    ),
    "a climatology": lambda d: d.rename(time="hour").assign_coords(hour=[0, 6, 12, 18]).expand_dims(dayofyear=[1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_CURE)
def test_what_convert_cannot_mend_it_is_not_recommended_for(tmp_path, name, capsys):
    given = tmp_path / "in.nc"
    NO_CURE[name](dataset()).to_netcdf(given, engine="h5netcdf")
    with pytest.raises(InputError) as error:
        open_store(given)
    assert "airmass data" not in str(error.value)
    with pytest.raises(InputError):
        compute_statistics(given, tmp_path / "s", DATES)
    assert main(["data", "convert", str(given), str(tmp_path / "out.zarr")]) == 2
    said = capsys.readouterr().err
    assert "`airmass" not in said and said.count("\n") == 1

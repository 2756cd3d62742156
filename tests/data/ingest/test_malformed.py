"""Malformed input: each fault is one line that names it, exit status 2, and nothing is written."""

import re
from functools import partial

import numpy as np
import pytest
import xarray as xr

from airmass.commands.main import main
from tests.conftest import make_store
from tests.data.ingest.malformed import axes, damage, files, grib, values  # noqa: F401
from tests.data.ingest.malformed.case import CASES, base
from tests.grib import messages, write

# Lines that were said, with the first case of each: no other case may say the same.
TOLD: dict[str, str] = {}
# One fault made in two ways: HDF5 tells no more of a chunk that its filter refuses.
_CHUNKS = ("a byte flipped in a compressed chunk", "a byte flipped under a checksum")
ALIKE = dict.fromkeys(_CHUNKS, _CHUNKS)


def test_there_are_sixty():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_malformed_input_is_one_line(name, tmp_path, capsys):
    maker, options, said = CASES[name]
    (tmp_path / "in").mkdir()
    sources = maker(tmp_path / "in")
    (tmp_path / "out").mkdir()
    status = main(["data", "ingest", *map(str, sources), "--out", str(tmp_path / "out" / "o.zarr"), *options])
    shown = capsys.readouterr().err
    assert status == 2, shown
    assert shown.count("\n") == 1 and re.search(said, shown), shown
    line = shown.replace(f"{tmp_path}/in/", "")
    assert TOLD.setdefault(line, name) in {name, *ALIKE.get(name, ())}, f"{line}is also said of {TOLD[line]}"
    assert not list((tmp_path / "out").iterdir())


def test_a_finished_store_is_not_written_over(tmp_path, capsys):
    source = make_store(tmp_path / "a.zarr", base())
    words = partial(lambda *more: ["data", "ingest", str(source), *more])
    assert main([*words("--out", str(tmp_path / "o.zarr"))]) == 0
    for out, said in (("o.zarr", "already exists"), ("o.nc", "ends in .zarr"), ("a.zarr/b.zarr", "lies in the input")):
        assert main([*words("--out", str(tmp_path / out))]) == 2
        assert said in capsys.readouterr().err


def test_an_offset_of_a_time_zone_is_taken_off(tmp_path):
    (path,) = damage.in_zone("+06:00")(tmp_path)
    assert main(["data", "ingest", str(path), "--out", str(tmp_path / "o.zarr")]) == 0
    with xr.open_zarr(tmp_path / "o.zarr", consolidated=False) as held:
        np.testing.assert_array_equal(held.time, base().time - np.timedelta64(6, "h"))


def test_messages_of_a_store_read_back(tmp_path):
    """The writer of these tests is right: an unchanged file is taken in."""
    path = write(tmp_path / "a.grib", messages(base()[["2m_temperature"]], {"2m_temperature": "2t"}))
    assert main(["data", "ingest", str(path), "--out", str(tmp_path / "o.zarr")]) == 0

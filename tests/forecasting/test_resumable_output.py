"""The output of a forecast under way: one run at a time, what is left to do, and a record that can be trusted."""

import json
from pathlib import Path

import pytest
import zarr

from airmass.core.errors import InputError
from airmass.core.files import put, write_durably
from airmass.forecasting import resume
from airmass.forecasting.resume import ResumableOutput
from tests.forecasting.chaotic import recorded

SETTINGS = {"members": 2, "seed": 0}


def begun(out: Path) -> ResumableOutput:
    place = ResumableOutput(out, SETTINGS, (1, 2), 4)
    with place.opened():
        zarr.create_group(place.store)
        place.begin([])
        place.record(0, range(0, 1), 2)
    return ResumableOutput(out, SETTINGS, (1, 2), 4)


def test_two_runs_at_once_are_refused(tmp_path):
    first = begun(tmp_path / "f.zarr")
    second = ResumableOutput(tmp_path / "f.zarr", SETTINGS, (1, 2), 4)
    with first.opened(), pytest.raises(InputError, match="another run is writing there"), second.opened():
        pytest.fail("the body must not run")
    assert second.begun and recorded(tmp_path / "f.zarr") == 2


def test_members_go_together_where_they_are_equally_far(tmp_path):
    place = begun(tmp_path / "f.zarr")
    assert list(place.pending(0, 8)) == [(range(0, 1), 2), (range(1, 2), 0)]
    with place.opened():
        place.record(0, range(0, 2), 3)
        assert list(place.pending(0, 8)) == [(range(0, 2), 3)]
        place.record(0, range(1, 2), 4)
        assert list(place.pending(0, 8)) == [(range(0, 1), 3)]


def test_a_run_stopped_after_its_store_came_into_place_is_tidied(tmp_path):
    out = tmp_path / "f.zarr"
    place = begun(out)
    zarr.open_group(place.store, mode="r+").attrs[resume.SETTINGS] = json.dumps(SETTINGS)
    put(place.store, out)
    with pytest.raises(InputError, match="already exists"):
        ResumableOutput(out, SETTINGS, (1, 2), 4)
    assert list(tmp_path.iterdir()) == [out]


def test_what_appeared_meanwhile_is_not_replaced(initial, tmp_path):
    out = tmp_path / "f.zarr"
    place = begun(out)
    with pytest.raises(InputError, match="was created by another process meanwhile"), place.opened():
        out.mkdir()
        place.finish()
    assert not any(out.iterdir()) and recorded(out) == 2


@pytest.mark.parametrize("text", ["", "[1]", '{"settings": {}}', '{"settings": {}, "whole": [["a"]]}', "[" * 100_000])
def test_a_broken_record_is_refused(tmp_path, text):
    place = begun(tmp_path / "f.zarr")
    (place.folder / "progress.json").write_text(text)
    with pytest.raises(InputError, match=r"progress\.json: "):
        ResumableOutput(tmp_path / "f.zarr", SETTINGS, (1, 2), 4)


def test_a_text_is_replaced_whole(tmp_path):
    for text in ("old", "new"):
        write_durably(tmp_path / "a.json", text)
        assert (tmp_path / "a.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]

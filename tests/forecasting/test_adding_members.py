"""Members added to a forecast, or spread over runs, are those of one run with all."""

import numpy as np
import pytest
import xarray as xr

from airmass.core.errors import InputError
from airmass.forecasting import resume
from tests.forecasting.chaotic import MEMBERS, STEPS, opened, recorded, run


@pytest.mark.parametrize("stop_after", [None, 1, 9])
def test_members_added_are_those_of_a_run_with_all(whole, initial, tmp_path, stop_after):
    out = tmp_path / "f.zarr"
    run(out, initial, members=2)
    before = opened(out)
    if stop_after:
        with pytest.raises(KeyboardInterrupt):
            run(out, initial, add=True, stop_after=stop_after)
        xr.testing.assert_identical(opened(out), before)
    left = 2 * (MEMBERS - 2) * STEPS - max(0, recorded(out) - 2 * 2 * STEPS)
    assert run(out, initial, add=True) == left
    xr.testing.assert_identical(opened(out), whole)
    assert list(tmp_path.iterdir()) == [out]


def test_what_cannot_be_added_to(initial, tmp_path):
    out = tmp_path / "f.zarr"
    with pytest.raises(InputError, match="no such forecast to add members to"):
        run(out, initial, add=True)
    assert not list(tmp_path.iterdir())
    run(out, initial, members=2)
    with pytest.raises(InputError, match="already exists"):
        run(out, initial)
    with pytest.raises(InputError, match="has 2 members already, so --members 2 adds none"):
        run(out, initial, members=2, add=True)
    with pytest.raises(InputError, match=r"f.zarr: was made with seed 1, now 3; added members need the same options"):
        run(out, initial, seed=3, add=True)
    with pytest.raises(InputError, match="only to a Zarr store"):
        run(tmp_path / "f.nc", initial, add=True)
    assert list(tmp_path.iterdir()) == [out]


def test_an_ensemble_spread_over_runs_is_the_same(whole, initial, tmp_path):
    run(tmp_path / "a.zarr", initial, members=3)
    run(tmp_path / "b.zarr", initial, members=2, first_member=3)
    parts = [opened(tmp_path / name) for name in ("a.zarr", "b.zarr")]
    np.testing.assert_array_equal(parts[1].number, [3, 4])
    joined = xr.concat(parts, "number", data_vars="minimal", combine_attrs="drop")
    xr.testing.assert_equal(joined, whole)


def test_a_run_killed_while_its_members_come_into_place_goes_on(whole, initial, tmp_path, monkeypatch):
    """Between the two renames nothing stands at the output, and both stores are in the folder."""
    out = tmp_path / "f.zarr"
    run(out, initial, members=2)

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(resume, "put", killed)
        run(out, initial, add=True)
    assert not out.exists()
    assert run(out, initial, add=True) == 0
    xr.testing.assert_identical(opened(out), whole)
    assert list(tmp_path.iterdir()) == [out]

import pytest

from tests.conftest import make_store
from tests.forecasting.chaotic import MEMBERS, STEPS, opened, run
from tests.forecasting.published import FOLDER, command


@pytest.fixture
def refused(tmp_path, capsys):
    """Run the command, which must end with status 2 and one line, and leave nothing; gives the line."""

    def check(suffix=".nc", more=(), case=FOLDER, **inputs) -> str:
        folder = tmp_path / "out"
        defaults = {"checkpoint": case / "checkpoint.npz", "statistics": case, "initial": case / "dataset.nc"}
        folder.mkdir()
        assert command(folder / f"f{suffix}", *(defaults | inputs).values(), *more) == 2
        error = capsys.readouterr().err
        assert error.startswith("airmass forecast: ") and error.count("\n") == 1
        assert not list(folder.iterdir())
        return error

    return check


@pytest.fixture(scope="session")
def initial(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("initial") / "store.zarr", days=1)


@pytest.fixture(scope="session")
def whole(initial, tmp_path_factory):
    """What an undisturbed run makes."""
    out = tmp_path_factory.mktemp("whole") / "f.zarr"
    assert run(out, initial) == 2 * MEMBERS * STEPS
    return opened(out)

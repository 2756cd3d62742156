"""Every extra installed alone is enough for all commands: the table of tests.environments, which needs the network."""

import pytest

from tests.environments import EXTRAS, main


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_alone_is_enough(extra, capsys):
    assert main([extra]) == 0, capsys.readouterr().out

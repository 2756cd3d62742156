"""What is built can be installed and runs: the table of tests.wheels, which needs a package index."""

import pytest

from tests.wheels import VERSIONS, main


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works(version, capsys):
    assert main([version]) == 0, capsys.readouterr().out

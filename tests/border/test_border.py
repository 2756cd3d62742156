"""No bad input gives a traceback, a hang, a file left behind or a result: one line that names file and field."""

import pytest

from tests.border.commands import WAYS
from tests.border.corpus import CASES, MEMBERS, name_of, quick
from tests.border.judging import problem


def test_the_corpus_has_two_hundred_inputs_each_with_its_own_name():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 200
    assert {way for case in CASES for way in case.ways} <= set(WAYS)


@pytest.mark.parametrize(
    "member", [pytest.param(m, id=name_of(m), marks=() if quick(m) else pytest.mark.slow) for m in MEMBERS]
)
def test_one_line_and_nothing_written(member, home, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    assert not (found := problem(*member, home, tmp_path)), found

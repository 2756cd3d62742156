"""CSV row by row: whole rows with their lines, and one error that names the line of what is not."""

import pytest

from airmass.core.csv_rows import count_values, read_rows
from airmass.core.errors import InputError


def test_rows_come_with_their_lines():
    columns, rows = read_rows('a,b\n1,2\n"x\ny",4\n', "t.csv")
    assert columns == ("a", "b") and list(rows) == [(2, {"a": "1", "b": "2"}), (4, {"a": "x\ny", "b": "4"})]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\rb,c\n1,2\n", "t.csv: line 1: not CSV: new-line character"),
        ("a,b\n1\r2,3\n", "t.csv: line 2: not CSV: new-line character"),
        ("a,b\n1\n", "t.csv: line 2: expected 2 values"),
        ("a,b\n1,2,3\n", "t.csv: line 2: expected 2 values"),
        (f"a,b\n{'9' * 200_000},1\n", "t.csv: line 2: not CSV: field larger than field limit"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(text, words):
    with pytest.raises(InputError) as refused:
        list(read_rows(text, "t.csv")[1])
    assert words in str(refused.value)


def test_a_line_that_is_not_csv_is_refused():
    assert count_values('a,"b,c"', "t.csv") == 2
    with pytest.raises(InputError, match=r"t\.csv: not CSV"):
        count_values("a\rb,c", "t.csv")

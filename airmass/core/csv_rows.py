"""Small tables as CSV, row by row, with one clear error for text that is not CSV or a row that is not whole."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from airmass.core.errors import InputError

Row = dict[str, str]


def read_rows(text: str, where: str | Path) -> tuple[tuple[str, ...], Iterator[tuple[int, Row]]]:
    """Columns of the first line, and each further row with its line number; `where` names the text in errors."""
    reader = csv.DictReader(io.StringIO(text))
    try:
        columns = tuple(reader.fieldnames or ())
    except csv.Error as error:
        raise InputError(f"{where}: line 1: not CSV: {error}") from None
    return columns, _rows(reader, len(columns), where)


def count_values(line: str, where: str | Path) -> int:
    """Number of values in a line."""
    try:
        return len(next(csv.reader([line]), []))
    except csv.Error as error:
        raise InputError(f"{where}: not CSV: {error}") from None


def _rows(reader: csv.DictReader, columns: int, where: str | Path) -> Iterator[tuple[int, Row]]:
    try:
        for row in reader:
            if None in row or None in row.values():
                raise InputError(f"{where}: line {reader.line_num}: expected {columns} values")
            yield reader.line_num, row
    except csv.Error as error:  # a field without an end, or a line break of its own
        raise InputError(f"{where}: line {reader.line_num + 1}: not CSV: {error}") from None

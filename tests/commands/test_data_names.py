"""`airmass data names` for people at 80 columns, and as tables for programs."""

import csv
import io
import json

from airmass.commands.main import main
from airmass.fields.names import known_names


def shown(capsys, *words: str) -> str:
    assert main(["data", "names", *words]) == 0
    return capsys.readouterr().out


def test_80_columns_hold_every_name_unbroken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    text = shown(capsys)
    assert max(map(len, text.splitlines())) <= 80
    words = {word for line in text.splitlines() for word in line.split()}
    for quantity in known_names().quantities.values():
        assert {quantity.name, *quantity.all_names, *quantity.standard_names} <= words


def test_one_name_is_one_block(capsys):
    text = shown(capsys, "VVEL")
    assert text.splitlines()[0] == "vertical_velocity  (levels, Pa s-1)"
    assert "cmip: wap" in text and "temperature" not in text


def test_tables_for_programs_agree(capsys):
    rows = list(csv.DictReader(io.StringIO(shown(capsys, "--csv"))))
    objects = json.loads(shown(capsys, "--json"))
    assert [row["quantity"] for row in rows] == [one["quantity"] for one in objects]
    for row, one in zip(rows, objects, strict=True):
        assert all(row[key].split() == list(map(str, one[key])) for key in ("ecmwf", "param_id", "cmip"))


def test_one_table_at_a_time(capsys):
    assert main(["data", "names", "--csv", "--json"]) == 2
    assert "expected one of them" in capsys.readouterr().err

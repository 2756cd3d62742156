"""JSON from outside: the right value, or one line with the file and the path of the field."""

import json
import math
import os
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.core.strict_json import parse_json, read_json
from airmass.core.typed import Range, check, typed


@dataclass(frozen=True)
class Model:
    width: Annotated[int, Range(1, 100)]
    rate: Annotated[float, Range(0, 1, below=True)] = 0.5
    corner: Annotated[float, Range(0, above=True)] | None = None
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        check(self, "model")


@dataclass(frozen=True)
class Settings:
    model: Model
    sizes: tuple[Annotated[int, Range(1)], ...] = ()
    dates: tuple[str, str] | None = None
    factors: dict[str, float] = field(default_factory=dict)
    deep: bool = False


def test_what_is_right_is_read():
    text = """{"model": {"width": 3, "rate": 0, "corner": 2}, "sizes": [1, 2], "dates": ["a", "b"],
               "factors": {"x.*": 2}, "deep": true}"""
    read = parse_json(text, Settings)
    assert read == Settings(Model(3, 0.0, 2.0), (1, 2), ("a", "b"), {"x.*": 2.0}, True)
    assert isinstance(read.model.rate, float) and isinstance(read.factors["x.*"], float)
    assert parse_json(b'["\xc3\xa9", "\\u00e9"]') == ["é", "é"]
    assert parse_json("[1e308, 12345678901]", list[float | int]) == [1e308, 12345678901]


def test_many_records_are_read_as_one_by_one():
    rows = [{"width": 3}, {"width": 3, "rate": 0}, {"width": 100, "rate": 0.25, "corner": None, "kind": "b"}]
    read = parse_json(json.dumps(rows), list[Model])
    assert read == [Model(3), Model(3, 0.0), Model(100, 0.25, None, "b")]
    assert [type(model.rate) for model in read] == [float] * 3
    for bad, words in (
        ({"width": True}, r"\[2\].width is True, expected an integer"),
        ({"width": 3, "rate": 1.0}, r"\[2\].rate is 1.0, expected 0 or more, below 1"),
        ({"width": 3, "rate": math.nan}, r"\[2\].rate is nan"),
        ({"width": 3, "kind": ["a"]}, r"\[2\].kind is \['a'\], expected one of a, b"),
        ({"width": 3, "more": 1}, r"\[2\].more is not known"),
        ({"rate": 0.5}, r"\[2\].width is missing"),
        (3, r"\[2\] is 3, expected an object"),
    ):
        with pytest.raises(InputError, match=words):
            typed([*rows[:2], bad, rows[2]], list[Model], "")


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"model": {"width": "wide"}}', "model.width is 'wide', expected an integer"),
        ('{"model": {"width": true}}', "model.width is True, expected an integer"),
        ('{"model": {"width": 3.0}}', "model.width is 3.0, expected an integer"),
        ('{"model": {"width": 0}}', "model.width is 0, expected 1 to 100"),
        ('{"model": {"width": 1' + 400 * "0" + "}}", "model.width is 1"),
        ('{"model": {"width": 1' + 5000 * "0" + "}}", "not JSON"),
        ('{"model": {"width": null}}', "model.width is None, expected an integer"),
        ('{"model": {}}', "model.width is missing"),
        ('{"model": {"width": 1, "heads": 2}}', "model.heads is not known; known are width, rate, corner, kind"),
        ('{"model": {"width": 1, "he\\nads": 2}}', r"model\.'he\\nads' is not known"),
        ('{"model": {"width": 1, "width": 1}}', "the key 'width' occurs twice"),
        ('{"model": {"width": 1, "rate": false}}', "model.rate is False, expected a number"),
        ('{"model": {"width": 1, "rate": 1}}', "model.rate is 1.0, expected 0 or more, below 1"),
        ('{"model": {"width": 1, "corner": 0}}', "model.corner is 0.0, expected above 0"),
        ('{"model": {"width": 1, "kind": "c"}}', "model.kind is 'c', expected one of a, b"),
        ('{"model": {"width": 1, "kind": []}}', r"model.kind is \[\], expected one of a, b"),
        ('{"model": [1]}', r"model is \[1\], expected an object"),
        ('{"model": {"width": 1}, "sizes": [1, 0]}', r"sizes\[1\] is 0, expected 1 or more"),
        ('{"model": {"width": 1}, "sizes": "12"}', "sizes is '12', expected a list"),
        ('{"model": {"width": 1}, "dates": ["a"]}', r"dates is \['a'\], expected 2 values"),
        ('{"model": {"width": 1}, "factors": {"a": "2"}}', "factors.a is '2', expected a number"),
        ('{"model": {"width": 1}, "deep": 1}', "deep is 1, expected true or false"),
        ("[]", r"is \[\], expected an object"),
        ("NaN", "holds NaN"),
        ('{"model": {"width": 1, "rate": Infinity}}', "holds Infinity"),
        ('{"model": {"width": 1, "rate": 1e999}}', "holds the number 1e999"),
        ("", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('"\\ud800"', "is not Unicode text"),
        ("\ufeff{}", "not JSON"),
        (b'"\xff"', "is not Unicode text"),
        (100_000 * "[" + 100_000 * "]", "nested more than 64 deep"),
        (70 * "[" + 70 * "]", "nested more than 64 deep"),
        (100_000 * '{"a":' + "1" + 100_000 * "}", "nested more than 64 deep"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, words):
    with pytest.raises(InputError, match=words) as raised:
        parse_json(text, Settings, "run/settings.json")
    assert str(raised.value).startswith("run/settings.json: ") and "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_fields_with_a_default_may_be_missing_or_only_those_that_came_later():
    assert typed({"model": {"width": 1}}, Settings, "") == Settings(Model(1))
    whole = {"model": {"width": 1, "corner": None, "kind": "a"}, "sizes": [], "dates": None, "factors": {}}
    later = frozenset(["model.rate", "deep"])
    assert typed(whole, Settings, "", later) == Settings(Model(1))
    del whole["model"]["kind"]
    with pytest.raises(InputError, match=r"model\.kind is missing"):
        typed(whole, Settings, "", later)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"width": 1.5}, "model.width is 1.5, expected an integer"),
        ({"width": True}, "model.width is True, expected an integer"),
        ({"rate": math.nan}, "model.rate is nan, expected 0 or more, below 1"),
        ({"rate": "0.1"}, "model.rate is '0.1', expected a number"),
        ({"corner": math.inf}, "model.corner is inf, expected above 0"),
    ],
)
def test_a_dataclass_checks_itself(wrong, words):
    with pytest.raises(InputError, match=words):
        Model(**{"width": 1} | wrong)


@pytest.mark.parametrize(
    "given, inside, outside, words",
    [
        (Range(1, 2**53), (1, 2**53), (0, 2**53 + 1, math.nan), "1 to 9007199254740992"),
        (Range(0), (0, 1e300), (-1e-9, math.inf, math.nan), "0 or more"),
        (Range(0, infinite=True), (0, math.inf), (-1, math.nan), "0 or more"),
        (Range(0, above=True), (1e-300,), (0, math.inf), "above 0"),
        (Range(0, 1, above=True, below=True), (0.5,), (0, 1), "above 0, below 1"),
        (Range(), (-1e300, 0), (math.inf, -math.inf, math.nan), "a finite number"),
    ],
)
def test_ranges(given, inside, outside, words):
    assert all(value in given for value in inside) and not any(value in given for value in outside)
    assert str(given) == words


def test_only_regular_files_of_bounded_size_are_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"width": 1}')
    assert read_json(path, Model) == Model(1)
    with pytest.raises(InputError, match="holds 12 bytes, expected at most 3"):
        read_json(path, Model, most=3)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file"):
        read_json(tmp_path / "pipe")


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["width", "rate", "model"]), inner),
)


@settings(max_examples=50, deadline=None)
@given(_anything)
def test_whatever_is_in_a_file_is_read_or_refused(value):
    """json.dumps writes NaN and infinity too, which are then refused."""
    try:
        read = parse_json(json.dumps(value), Settings | Any)
    except InputError:
        assert "NaN" in json.dumps(value) or "Infinity" in json.dumps(value) or "\\u" in json.dumps(value)
    else:
        assert json.dumps(read) == json.dumps(value)


@settings(max_examples=50, deadline=None)
@given(st.text() | st.binary())
def test_whatever_text_there_is_gives_a_value_or_one_line(text):
    try:
        parse_json(text, Settings)
    except InputError as error:
        assert "\n" not in str(error)

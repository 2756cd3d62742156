"""JSON of ours: beside runs, forecasts and scores, and inside model files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from airmass.core.files import write_arrays
from tests.border.case import Case, Make
from tests.border.healthy import ABOUT, Home

PROGRESS = {"settings": {"checkpoint": "0123456789abcdef", "members": 1}, "whole": [[0]]}
HISTOGRAM = {"system": "s", "variable": "geopotential", "level": 500, "lead_time_hours": 6, "shares": [0.5, 0.5]}
SPECTRUM = {"system": "s", "variable": "geopotential", "level": 500, "lead_time_hours": 6, "of_mean": False}
SPECTRUM |= {"power": [1.0, 0.5], "ratio": [1.0, None]}
SCORE = {"system": "s", "variable": "geopotential", "level": 500, "lead_time_hours": 6, "metric": "rmse", "value": 1.0}

# What can be wrong with any JSON, as bytes made of the healthy ones.
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda healthy: b"",
    "cut off": lambda healthy: healthy[: len(healthy) // 2],
    "not UTF-8": lambda healthy: healthy.replace(b"e", b"\xff", 1),
    "nested 100,000 deep": lambda healthy: b"[" * 100_000,
    "text": lambda healthy: b'"text"',
    "a number of 5,000 digits": lambda healthy: b'{"format": ' + b"9" * 5_000 + b"}",
    "something behind its end": lambda healthy: healthy + b"{}",
}


def beside(name: str, folder: str) -> Callable[[bytes], Make]:
    """Puts bytes into a file of a copied folder."""

    def of(data: bytes) -> Make:
        def make(home: Home, place: Path) -> Path:
            made = place / f"bad_{folder}"
            shutil.copytree(home.folder / folder, made)
            (made / name).write_bytes(data)
            return made

        return make

    return of


def _progress(data: bytes) -> Make:
    def make(home: Home, place: Path) -> Path:
        (place / "grown.zarr.partial").mkdir()
        (place / "grown.zarr.partial" / "progress.json").write_bytes(data)
        return place / "grown.zarr"

    return make


def _demo(data: bytes) -> Make:
    def make(home: Home, place: Path) -> Path:
        (place / "bad_demo").mkdir()
        (place / "bad_demo" / "demo.json").write_bytes(data)
        return place / "bad_demo"

    return make


def in_model(change: Callable[[dict], Any]) -> Make:
    """A copy of the model file in whose settings `change` was made; what it returns, if anything, stands for them."""

    def make(home: Home, place: Path) -> Path:
        with np.load(home.model) as held:
            flat = dict(held)
        text = json.loads(str(flat["json"]))
        new = change(text)
        flat["json"] = np.array(new if isinstance(new, str) else json.dumps(text if new is None else new))
        write_arrays(place / "bad.npz", flat)
        return place / "bad.npz"

    return make


_SCORES_TEXT = json.dumps([SCORE]).encode()
PLACES: dict[str, tuple[Callable[[bytes], Make], bytes, tuple[str, ...]]] = {
    "settings.json": (beside("settings.json", "run"), b'{"recipe": {"task": {"step": 6}}}', ("train in",)),
    "progress.json": (_progress, json.dumps(PROGRESS).encode(), ("forecast to",)),
    "scores.json": (beside("scores.json", "scores"), _SCORES_TEXT, ("report", "plot scores")),
    "evaluation.json": (beside("evaluation.json", "scores"), json.dumps(ABOUT).encode(), ("report",)),
    "rank_histograms.json": (
        beside("rank_histograms.json", "scores"),
        json.dumps([HISTOGRAM]).encode(),
        ("plot scores",),
    ),
    "spectra.json": (beside("spectra.json", "scores"), json.dumps([SPECTRUM]).encode(), ("plot scores",)),
    "demo.json": (_demo, b'{"seed": 0, "model": "graphcast", "timings": {}}', ("demo",)),
}

CASES = [
    Case(f"{name}: {fault}", make(broken(healthy)), ways, (name,) if name != "progress.json" else ())
    for name, (make, healthy, ways) in PLACES.items()
    for fault, broken in BROKEN.items()
]


def of_record(name: str, record: dict, ways: tuple[str, ...], faults: dict[str, dict]) -> list[Case]:
    """A list of one record in which fields have other values; a field that is None is left out."""
    make = beside(name, "scores")
    for changes in faults.values():
        assert set(changes) <= set(record) | {"colour"}
    return [
        Case(f"{name}: {fault}", make(_with(record, changes)), ways, (name, *_field(changes)))
        for fault, changes in faults.items()
    ]


def _field(changes: dict) -> list[str]:
    """The field to name; not where the whole is no JSON, for NaN and infinity."""
    text = json.dumps(list(changes.values()), default=str)
    return [] if "NaN" in text or "Infinity" in text else list(changes)[:1]


_ABSENT = object()
_DEEP = [[[[1.0]]]]


def _with(record: dict, changes: dict) -> bytes:
    made = {key: value for key, value in (record | changes).items() if value is not _ABSENT}
    return json.dumps([made]).encode()


CASES += of_record(
    "scores.json",
    SCORE,
    ("report", "plot scores"),
    {
        "no value": {"value": _ABSENT},
        "value is text": {"value": "1.0"},
        "value is null": {"value": None},
        "value is NaN": {"value": float("nan")},
        "value is true": {"value": True},
        "value is infinite": {"value": float("inf")},
        "value is a list": {"value": _DEEP},
        "level is text": {"level": "500<script>"},
        "level is half": {"level": 500.5},
        "level is a list": {"level": [500]},
        "level below zero": {"level": -500},
        "system is a number": {"system": 7},
        "system is empty": {"system": ""},
        "system is null": {"system": None},
        "lead time below zero": {"lead_time_hours": -6},
        "lead time is text": {"lead_time_hours": "6"},
        "lead time is NaN": {"lead_time_hours": float("nan")},
        "variable is unknown": {"variable": "colour"},
        "variable is a list": {"variable": ["geopotential"]},
        "metric is a number": {"metric": 1},
        "another field": {"colour": "red"},
    },
)
CASES += [
    Case(
        "scores.json: the same score twice",
        beside("scores.json", "scores")(json.dumps([SCORE, SCORE | {"value": 2.0}]).encode()),
        ("report", "plot scores"),
        ("scores.json",),
    ),
    Case(
        "scores.json: a key twice",
        beside("scores.json", "scores")(_SCORES_TEXT.replace(b'"value"', b'"value": 5.0, "value"')),
        ("report", "plot scores"),
        ("scores.json", "value"),
    ),
    Case(
        "scores.json: a folder",
        lambda home, place: _folder_in_place_of(home, place),
        ("report",),
        ("scores.json",),
    ),
    Case(
        "scores.json: a list of numbers",
        beside("scores.json", "scores")(b"[1, 2]"),
        ("report", "plot scores"),
        ("scores.json",),
    ),
    Case("scores.json: no scores", beside("scores.json", "scores")(b"[]"), ("report", "plot scores"), ("scores.json",)),
]
CASES += of_record(
    "rank_histograms.json",
    HISTOGRAM,
    ("plot scores",),
    {
        "shares are text": {"shares": "half"},
        "shares hold text": {"shares": ["0.5", 0.5]},
        "shares hold NaN": {"shares": [float("nan"), 1.0]},
        "no shares": {"shares": []},
    },
)
CASES += of_record(
    "spectra.json",
    SPECTRUM,
    ("plot scores",),
    {
        "power is a number": {"power": 1.0},
        "power holds null": {"power": [None, 1.0]},
        "ratio holds text": {"ratio": ["1", None]},
        "of_mean is text": {"of_mean": "no"},
    },
)
CASES += [
    Case(
        f"evaluation.json: {fault}",
        beside("evaluation.json", "scores")(json.dumps(ABOUT | changes).encode()),
        ("report",),
        ("evaluation.json", *changes),
    )
    for fault, changes in {
        "initial times are a number": {"init_times": 7},
        "initial times hold numbers": {"init_times": [1, 2]},
        "initial times are no dates": {"init_times": ["yesterday"]},
        "initial times have a line after them": {"init_times": ["2000-11-01T06:00\n"]},
        "grid is a list": {"grid": [[1]]},
        "forecasts are nested": {"forecasts": [[["a"]]]},
        "lead times are text": {"lead_time_hours": ["6"]},
        "members below zero": {"members": {"graphcast": -1}},
        "left out is a number": {"left_out": 3},
        "another field": {"colour": "red"},
    }.items()
]
CASES += [
    Case(f"progress.json: {fault}", _progress(json.dumps(PROGRESS | changes).encode()), ("forecast to",))
    for fault, changes in {
        "counts below zero": {"whole": [[-1]]},
        "counts are text": {"whole": [["1"]]},
        "counts ragged": {"whole": [[1], [1, 2]]},
        "settings are a list": {"settings": [1]},
        "counts are fractions": {"whole": [[0.5]]},
    }.items()
]
CASES += [
    Case(f"demo.json: {fault}", _demo(text), ("demo",), ("demo.json",))
    for fault, text in (
        ("timings are a list", b'{"seed": 0, "model": "graphcast", "timings": []}'),
        ("seed is text", b'{"seed": "0", "model": "graphcast", "timings": {}}'),
        ("no timings", b'{"seed": 0, "model": "graphcast"}'),
    )
]


def _folder_in_place_of(home: Home, place: Path) -> Path:
    (place / "bad_scores" / "scores.json").mkdir(parents=True)
    return place / "bad_scores"


def _set(*path_and_value) -> Callable[[dict], None]:
    *path, last, value = path_and_value

    def change(text: dict) -> None:
        for key in path:
            text = text[key]
        if value is _ABSENT:
            del text[last]
        else:
            text[last] = value

    return change


WITH = ("inspect", "forecast with")
CASES += [
    Case(f"settings in a model file: {fault}", in_model(change), WITH, words)
    for fault, change, words in (
        ("cut off", lambda text: json.dumps(text)[:100], ()),
        ("empty", lambda text: "", ()),
        ("a list", lambda text: [1], ()),
        ("nested 100,000 deep", lambda text: "[" * 100_000, ()),
        ("no format", _set("format", _ABSENT), ("format",)),
        ("format 7", _set("format", 7), ("format",)),
        ("format is text", _set("format", "5"), ("format",)),
        ("no recipe", _set("recipe", _ABSENT), ("recipe",)),
        ("recipe is text", _set("recipe", "demo"), ("recipe",)),
        ("no width", _set("recipe", "model", "width", _ABSENT), ("width",)),
        ("width is text", _set("recipe", "model", "width", "8"), ("width",)),
        ("width is NaN", _set("recipe", "model", "width", float("nan")), ("nan",)),
        ("width is -1", _set("recipe", "model", "width", -1), ("width",)),
        ("width is half", _set("recipe", "model", "width", 8.5), ("width",)),
        ("width is 10^15", _set("recipe", "model", "width", 10**15), ("width",)),
        ("mesh level is 40", _set("recipe", "model", "mesh_level", 40), ("mesh_level",)),
        ("mesh level is -1", _set("recipe", "model", "mesh_level", -1), ("mesh_level",)),
        ("steps are 0", _set("recipe", "model", "steps", 0), ("steps",)),
        ("a setting that nobody knows", _set("recipe", "model", "colour", "red"), ("colour",)),
        ("a level twice", _set("recipe", "task", "levels", [500, 500]), ("levels",)),
        ("levels are text", _set("recipe", "task", "levels", "500"), ("levels",)),
        ("a level is text", _set("recipe", "task", "levels", ["500", 850]), ("levels",)),
        ("a variable that nobody knows", _set("recipe", "task", "prognostic", ["colour"]), ("colour",)),
        ("step is 0", _set("recipe", "task", "step", 0), ("step",)),
        ("history is 10^9", _set("recipe", "task", "history", 10**9), ("history",)),
        ("about is a list", _set("about", [1, 2]), ("about",)),
        ("about is nested", _set("about", {"data": {"a": [1]}}), ("about",)),
    )
]

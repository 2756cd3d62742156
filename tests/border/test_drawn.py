"""Faults that nobody thought of: JSON by schema, model files by recipe, stores by layout, each with faults drawn.

Whatever is drawn, a command ends well or with one line. A few seconds here; `-m slow` takes BORDER_MINUTES, ten unless
given, for new draws at every run.
"""

import copy
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airmass.core.errors import InputError
from airmass.core.files import write_arrays
from airmass.forecasting.checkpoints.model_file import named_leaves, read_model
from tests.border import json_files
from tests.border.commands import WAYS
from tests.border.healthy import ABOUT, Home
from tests.border.running import run

# Numbers and words at the edges of what readers expect, and among them some that are right.
NUMBERS = (0, 1, -1, 0.5, 500, 850, 2**31, 2**63, 2**64, -(2**63), 1e300, float("nan"), float("inf"), -float("inf"))
WORDS = (
    "",
    "K",
    "geopotential",
    "2m_temperature",
    "time",
    "latitude",
    "hours since 2000-11-01",
    "float32",
    "\0",
    "ü",
    "[/x]",
)
SCALARS = st.one_of(st.none(), st.booleans(), st.sampled_from(NUMBERS), st.sampled_from(WORDS), st.text(max_size=5))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=5,
)


def paths_of(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every place in nested lists and dictionaries."""
    yield path
    for key, inner in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield from paths_of(inner, (*path, key))


def put_at(tree: Any, path: tuple, value: Any) -> Any:
    """The tree with another value at a place; left out where the value is `...`."""
    if not path:
        return None if value is ... else value
    holder = tree
    for key in path[:-1]:
        holder = holder[key]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return tree


@st.composite
def faulty(draw, healthy: Any) -> Any:
    """A JSON value with one to three of its places replaced, removed or added to."""
    tree = copy.deepcopy(healthy)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths_of(tree))))
        action = draw(st.sampled_from(("replace", "remove", "add")))
        if action == "add":
            path = (*path, "colour") if isinstance(_at(tree, path), dict) else path
        tree = put_at(tree, path, ... if action == "remove" else draw(VALUES))
    return tree


def _at(tree: Any, path: tuple) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@st.composite
def faulty_bytes(draw, healthy: bytes) -> bytes:
    """Bytes cut, or with a few of them changed."""
    if draw(st.booleans()):
        return healthy[: draw(st.integers(0, len(healthy)))]
    data = bytearray(healthy)
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def ends_well(home: Home, way: str, bad: Path, folder: Path) -> int:
    """Run a command on an input; its status. It says one line where it refuses, and nothing escapes."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    outcome = run(WAYS[way](home, bad, out))
    assert not outcome.trace, outcome.trace
    assert outcome.status in ((0, 1, 2) if way == "check" else (0, 2)), outcome
    if outcome.status == 2:
        assert len(outcome.lines) == 1, outcome.err
        assert not list(out.iterdir()), list(out.iterdir())
    shutil.rmtree(out)
    return outcome.status


# JSON.

_JSON: dict[str, tuple[str, Any, Callable]] = {
    "scores.json": (
        "report",
        [json_files.SCORE, json_files.SCORE | {"system": "t"}],
        json_files.beside("scores.json", "scores"),
    ),
    "evaluation.json": (
        "report",
        ABOUT | {"members": {"graphcast": 2}},
        json_files.beside("evaluation.json", "scores"),
    ),
    "settings.json": ("train in", None, json_files.beside("settings.json", "run")),
    "progress.json": ("forecast to", json_files.PROGRESS, json_files._progress),
    "demo.json": ("demo", {"seed": 12345, "model": "gencast", "timings": {"a": 1.0}}, json_files._demo),
}


def draw_json(home: Home, name: str, data: st.DataObject) -> None:
    way, healthy, make = _JSON[name]
    if name == "settings.json":
        healthy = json.loads((home.run / name).read_text())
    text = json.dumps(data.draw(faulty(healthy))).encode()
    if data.draw(st.integers(0, 4)) == 0:
        text = data.draw(faulty_bytes(text))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "in").mkdir()
        bad = make(text)(home, folder / "in")
        if name in ("demo.json", "settings.json") and text == json.dumps(healthy).encode():
            return  # nothing is wrong with it, and what follows takes minutes
        assert ends_well(home, way, bad, folder) == 2 or name not in ("demo.json", "progress.json")


# Model files.

_DTYPES = ("f8", "f2", "i4", "u1", "?", "c8", "U4", "S4", "M8[s]", "m8[h]")


def _spoilt(array: np.ndarray, draw: Callable) -> np.ndarray:
    kind = draw(st.sampled_from(("value", "dtype", "shape", "empty")))
    if kind == "value" and array.size and array.dtype.kind == "f":
        out = array.copy()
        out.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(NUMBERS))
        return out
    if kind == "dtype":
        dtype = draw(st.sampled_from(_DTYPES))
        return np.zeros(array.shape, dtype) if array.dtype.kind == "U" else np.zeros_like(array).astype(dtype)
    if kind == "shape":
        return np.resize(array, draw(st.lists(st.integers(0, 4), max_size=3)))
    return array[:0] if array.ndim else np.array(7)


def draw_model(home: Home, _: str, data: st.DataObject) -> None:
    """Arrays read from a spoilt file are finite float32; else it is refused."""
    with np.load(home.model) as held:
        flat = dict(held)
    for name in data.draw(st.lists(st.sampled_from(sorted(flat)), min_size=1, max_size=2, unique=True)):
        action = data.draw(st.sampled_from(("spoil", "spoil", "remove", "rename")))
        array = flat.pop(name)
        if action == "rename":
            flat[data.draw(st.sampled_from((f"{name}s", "colour", name.partition(":")[2] or "x")))] = array
        elif action == "spoil" and name != "json":
            flat[name] = _spoilt(array, data.draw)
        elif action == "spoil":
            flat[name] = np.array(json.dumps(data.draw(faulty(json.loads(str(array))))))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "bad.npz")
        write_arrays(path, flat)
        if data.draw(st.integers(0, 5)) == 0:
            path.write_bytes(data.draw(faulty_bytes(path.read_bytes())))
        try:
            read = read_model(path)
        except InputError as refusal:
            assert "bad.npz" in str(refusal) and "\n" not in str(refusal)
            return
        for name, leaf in named_leaves((read.network, read.normaliser)).items():
            assert leaf.dtype == np.float32 and np.isfinite(leaf).all(), name


# Stores.

_ARRAYS = ("2m_temperature", "temperature", "land_sea_mask", "latitude", "longitude", "level", "time")


def _array(store: Path, draw: Callable) -> None:
    """Another array in the place of one, under the same attributes."""
    import warnings

    import zarr

    name = draw(st.sampled_from(_ARRAYS))
    group = zarr.open_group(store, mode="r+")
    values, attributes, dims = group[name][...], dict(group[name].attrs), group[name].metadata.dimension_names
    if draw(st.booleans()) and values.size:
        values = values.astype(draw(st.sampled_from((values.dtype.str, "f4", "f8"))))
        values.flat[draw(st.integers(0, values.size - 1))] = draw(
            st.sampled_from([n for n in NUMBERS if abs(n) < 2**62 or values.dtype.kind == "f"])
        )
    else:
        with np.errstate(all="ignore"):
            values = values.astype(draw(st.sampled_from(("f8", "f2", "i4", "i8", "u1", "?", "c8", "U4"))))
    shutil.rmtree(store / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group.create_array(name, data=values, dimension_names=dims, attributes=attributes)


def _attributes(store: Path, draw: Callable) -> None:
    path = store / draw(st.sampled_from(_ARRAYS)) / "zarr.json"
    text = json.loads(path.read_text())
    name = draw(
        st.sampled_from(
            (
                "units",
                "scale_factor",
                "add_offset",
                "_FillValue",
                "missing_value",
                "calendar",
                "dtype",
                "coordinates",
                "standard_name",
            )
        )
    )
    text["attributes"][name] = draw(VALUES)
    path.write_text(json.dumps(text))


def _description(store: Path, draw: Callable) -> None:
    path = (
        draw(st.sampled_from(sorted(store.rglob("zarr.json"))))
        if not (store / ".zgroup").exists()
        else draw(st.sampled_from(sorted(p for p in store.rglob(".z*") if p.is_file())))
    )
    path.write_text(json.dumps(draw(faulty(json.loads(path.read_text())))))


def _bytes(store: Path, draw: Callable) -> None:
    path = draw(st.sampled_from(sorted(p for p in store.rglob("*") if p.is_file())))
    path.write_bytes(draw(faulty_bytes(path.read_bytes() or b" ")))


def _gone(store: Path, draw: Callable) -> None:
    path = draw(st.sampled_from(sorted(store.rglob("*"))))
    shutil.rmtree(path) if path.is_dir() else path.unlink()


_FAULTS: dict[str, tuple[Callable, ...]] = {
    "store.zarr": (_array, _attributes, _description, _bytes, _gone),
    "store_v2.zarr": (_description, _bytes, _gone),
}


def draw_store(home: Home, name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bad = folder / f"bad_{name}"
        shutil.copytree(home.folder / name, bad)
        data.draw(st.sampled_from(_FAULTS[name]))(bad, data.draw)
        for way in ("check", data.draw(st.sampled_from(("stats", "convert", "ingest", "initial")))):
            ends_well(home, way, bad, folder)


def draw_netcdf(home: Home, name: str, data: st.DataObject) -> None:
    """Of NetCDF 4 files only cut ones: a changed byte is the HDF5 library's to bear."""
    from tests.border.healthy import dataset

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bad = folder / "bad.nc"
        if name == "NetCDF 3":
            dataset()[["2m_temperature"]].to_netcdf(bad, engine="scipy")
            whole = bad.read_bytes()
            bad.write_bytes(data.draw(faulty_bytes(whole[:1500])) + whole[1500:])
        else:
            whole = home.netcdf.read_bytes()
            bad.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        ends_well(home, data.draw(st.sampled_from(("check", "ingest"))), bad, folder)


@cache
def _grib(edition: int) -> bytes:
    """Two frames of three variables, one on levels."""
    from tests.border.healthy import dataset
    from tests.grib import messages

    names = {"temperature": "t", "2m_temperature": "2t", "land_sea_mask": "lsm"}
    return b"".join(messages(dataset().isel(time=slice(0, 2)), names, edition))


def draw_grib(home: Home, name: str, data: st.DataObject) -> None:
    whole = _grib(int(name[-1]))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bad = folder / "bad.grib"
        bad.write_bytes(data.draw(faulty_bytes(whole)))
        ends_well(home, data.draw(st.sampled_from(("ingest", "initial"))), bad, folder)


def draw_names(home: Home, name: str, data: st.DataObject) -> None:
    """Tables of names."""
    whole = b"quantity,ecmwf,units\ntemperature,tt ttt,K\nspecific_humidity,qq,kg kg-1\n"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bad = folder / "bad.csv"
        bad.write_bytes(data.draw(faulty_bytes(whole)))
        ends_well(home, "names", bad, folder)


DRAWN: list[tuple[str, Callable]] = [
    *((name, draw_json) for name in _JSON),
    ("model file", draw_model),
    ("store.zarr", draw_store),
    ("store_v2.zarr", draw_store),
    ("NetCDF 3", draw_netcdf),
    ("NetCDF 4", draw_netcdf),
    ("GRIB 1", draw_grib),
    ("GRIB 2", draw_grib),
    ("names", draw_names),
]
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def _drawn(name: str, check: Callable, home: Home, examples: int, again: bool) -> None:
    phases = (Phase.generate, Phase.shrink)
    chosen = settings(
        max_examples=examples,
        deadline=None,
        derandomize=again,
        database=None,
        suppress_health_check=_QUIET,
        phases=phases,
    )
    chosen(given(st.data())(lambda data: check(home, name, data)))()


@pytest.mark.parametrize(("name", "check"), DRAWN, ids=[name for name, _ in DRAWN])
def test_a_few_drawn_faults(name, check, home):
    _drawn(name, check, home, 12, again=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "check"), DRAWN, ids=[name for name, _ in DRAWN])
def test_many_drawn_faults(name, check, home):
    minutes = float(os.environ.get("BORDER_MINUTES", "10"))
    end = time.monotonic() + 60 * minutes / len(DRAWN)
    while time.monotonic() < end:
        _drawn(name, check, home, 100, again=False)

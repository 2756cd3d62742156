"""Stores whose arrays or descriptions are broken: chunks, codecs, shapes, metadata of Zarr formats 3 and 2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.border.case import changed
from tests.border.store_changes import Change, copied, copied_v2, entry, metadata, text_of

_READERS = ("check", "stats", "forecast from")
_DIMENSIONS = ("time", "level", "latitude", "longitude")


def _chunk(name: str, data: Callable[[bytes], bytes]) -> Change:
    """Other bytes in a chunk of the second frame."""

    def change(store: Path) -> None:
        path = next(p for p in sorted((store / name / "c" / "1").rglob("*")) if p.is_file())
        path.write_bytes(data(path.read_bytes()))

    return change


def _chunk_folder(store: Path) -> None:
    path = next(p for p in sorted((store / "2m_temperature" / "c" / "1").rglob("*")) if p.is_file())
    path.unlink()
    path.mkdir()


_CHUNKS = ("chunk_grid", "configuration", "chunk_shape")
LAYOUT = [
    (
        "chunk of nonsense",
        _chunk("2m_temperature", lambda d: b"no chunk"),
        ("2m_temperature",),
        ("check", "stats", "train", "forecast from", "evaluate with"),
    ),
    (
        "chunk cut off",
        _chunk("2m_temperature", lambda d: d[: len(d) // 2]),
        ("2m_temperature",),
        ("check", "stats", "train"),
    ),
    ("chunk empty", _chunk("temperature", lambda d: b""), ("temperature",), ("check", "stats", "train")),
    ("chunk that is a folder", _chunk_folder, ("2m_temperature",), ("check", "stats", "train")),
    ("chunk shape 0", metadata("2m_temperature", entry(*_CHUNKS, [0, 8, 16])), ()),
    ("chunk shape below zero", metadata("2m_temperature", entry(*_CHUNKS, [-1, 8, 16])), ()),
    ("chunk shape of text", metadata("2m_temperature", entry(*_CHUNKS, ["1", 8, 16])), ()),
    ("chunk shape too short", metadata("2m_temperature", entry(*_CHUNKS, [1])), ()),
    ("codec unknown", metadata("2m_temperature", entry("codecs", [{"name": "colour"}])), ()),
    ("codecs empty", metadata("2m_temperature", entry("codecs", [])), ()),
    ("codecs of text", metadata("2m_temperature", entry("codecs", "zstd")), ()),
    ("dtype unknown", metadata("2m_temperature", entry("data_type", "float7")), ()),
    ("dtype a number", metadata("2m_temperature", entry("data_type", 32)), ()),
    ("shape below zero", metadata("2m_temperature", entry("shape", [-8, 8, 16])), ()),
    ("shape of 10^18", metadata("2m_temperature", entry("shape", [10**18, 8, 16])), ()),
    ("shape of text", metadata("2m_temperature", entry("shape", "big")), ()),
    ("attributes of text", metadata("2m_temperature", entry("attributes", "none")), ()),
    ("array description of nonsense", text_of("2m_temperature/zarr.json", "{"), ()),
    ("array description empty", text_of("2m_temperature/zarr.json", ""), ()),
    ("array description a list", text_of("2m_temperature/zarr.json", "[]"), ()),
    ("array description not UTF-8", text_of("2m_temperature/zarr.json", b"\xff\xfe{}"), ()),
    ("store description of nonsense", text_of("zarr.json", "{"), ()),
    ("store description a number", text_of("zarr.json", "7"), ()),
    ("store description nested 100,000 deep", text_of("zarr.json", "[" * 100_000), ()),
    ("format 9", metadata("", entry("zarr_format", 9)), ()),
    ("kind of node unknown", metadata("", entry("node_type", "tree")), ()),
    ("an array in place of a store", lambda store: _only_array(store), ()),
    ("no variables", lambda store: _no_variables(store), ()),
    ("nothing that airmass knows", lambda store: _unknown_names(store), ()),
    (
        "consolidated metadata of nonsense",
        metadata("", entry("consolidated_metadata", {"kind": "inline", "metadata": 7})),
        (),
    ),
]


def _only_array(store: Path) -> None:
    shutil.move(store / "2m_temperature", store.with_name("aside"))
    shutil.rmtree(store)
    shutil.move(store.with_name("aside"), store)


def _no_variables(store: Path) -> None:
    for path in store.iterdir():
        if path.is_dir() and path.name not in _DIMENSIONS:
            shutil.rmtree(path)


def _unknown_names(store: Path) -> None:
    for path in list(store.iterdir()):
        if path.is_dir() and path.name not in _DIMENSIONS:
            path.rename(store / f"my_{path.name}")


def _v2(name: str, edit: Callable[[dict], object]) -> Change:
    """Another description of an array of format 2; without the consolidated copy."""

    def change(store: Path) -> None:
        (store / ".zmetadata").unlink(missing_ok=True)
        path = store / name
        text = json.loads(path.read_text())
        edit(text)
        path.write_text(json.dumps(text))

    return change


V2 = [
    ("compressor unknown", _v2("2m_temperature/.zarray", entry("compressor", {"id": "colour"})), ()),
    ("filters unknown", _v2("2m_temperature/.zarray", entry("filters", [{"id": "colour"}])), ()),
    ("dtype of objects", _v2("2m_temperature/.zarray", entry("dtype", "|O")), ()),
    ("dtype of nonsense", _v2("2m_temperature/.zarray", entry("dtype", "<q9")), ()),
    ("chunks of zero", _v2("2m_temperature/.zarray", entry("chunks", [0, 8, 16])), ()),
    ("shape too short", _v2("2m_temperature/.zarray", entry("shape", [8])), ()),
    ("format 5", _v2("2m_temperature/.zarray", entry("zarr_format", 5)), ()),
    ("dimension names of numbers", _v2("2m_temperature/.zattrs", entry("_ARRAY_DIMENSIONS", [1, 2, 3])), ()),
    ("dimension names gone", _v2("2m_temperature/.zattrs", lambda text: text.pop("_ARRAY_DIMENSIONS")), ()),
    ("attributes a list", lambda store: _v2_attributes(store), ()),
    ("consolidated metadata of nonsense", text_of(".zmetadata", "{"), ()),
    ("a zero that reads as missing", _v2("longitude/.zarray", entry("fill_value", 0.0)), ("longitude",)),
]


def _v2_attributes(store: Path) -> None:
    (store / ".zmetadata").unlink(missing_ok=True)
    (store / "2m_temperature" / ".zattrs").write_text("[]")


CASES = [
    *changed("store", copied, LAYOUT, _READERS),
    *changed("store of format 2", copied_v2, V2, _READERS),
]

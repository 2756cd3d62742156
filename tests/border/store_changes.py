"""Changes of a store of Zarr, each made in place in a copy of the healthy one."""

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tests.border.case import Make

Change = Callable[[Path], object]


def copy_of(name: str) -> Make:
    """Makes a copy of a healthy store or forecast, by its name in `Home`."""
    return lambda home, folder: shutil.copytree(getattr(home, name), folder / "bad.zarr")


copied, copied_v2 = copy_of("store"), copy_of("store_v2")


def put(name: str, values: Any, dims: Sequence[str] | None = None, attributes: dict | None = None) -> Change:
    """An array in place of the one of that name, with its attributes unless others are given."""

    def change(store: Path) -> None:
        group = zarr.open_group(store, mode="r+")
        held = dict(group[name].attrs) if name in group else {}
        of = values(np.asarray(group[name][...])) if callable(values) else np.asarray(values)
        kept = held if attributes is None else attributes
        if of.dtype.kind != "f":  # else it is the mark of missing values, of another type, that is wrong first
            kept.pop("_FillValue", None)
        old = group[name].metadata.dimension_names if name in group else None
        shutil.rmtree(store / name, ignore_errors=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr on dtypes of no standard, which is the point
            group.create_array(name, data=of, dimension_names=dims or old, attributes=kept)

    return change


def metadata(name: str, edit: Callable[[dict], object]) -> Change:
    """Another description of an array, or of the store where `name` is empty."""

    def change(store: Path) -> None:
        path = store / name / "zarr.json"
        text = json.loads(path.read_text())
        edit(text)
        path.write_text(json.dumps(text))

    return change


def attribute(name: str, **values) -> Change:
    return metadata(name, lambda text: text["attributes"].update(values))


def removed(name: str) -> Change:
    return lambda store: shutil.rmtree(store / name)


def value(name: str, number: float, everywhere: bool = False) -> Change:
    """One value of the second frame, or every value, is a number."""

    def change(store: Path) -> None:
        array = zarr.open_group(store, mode="r+")[name]
        if everywhere:
            array[...] = np.full(array.shape, number, np.float32)
        elif array.ndim > 2:
            array[(1, *[0] * (array.ndim - 3), 2, 3)] = number
        else:
            array[(2, 3)] = number

    return change


def arithmetic(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Change:
    """Every value turned into another, under the same attributes or none of units."""

    def change(store: Path) -> None:
        array = zarr.open_group(store, mode="r+")[name]
        array[...] = of(array[...])

    return change


def both(*changes: Change) -> Change:
    def change(store: Path) -> None:
        for one in changes:
            one(store)

    return change


def text_of(name: str, text: str | bytes) -> Change:
    return lambda store: (store / name).write_bytes(text.encode() if isinstance(text, str) else text)


def entry(*path_and_value) -> Callable[[dict], None]:
    """Another value in a description, at a path of keys."""
    *path, last, new = path_and_value

    def edit(text: dict) -> None:
        for key in path:
            text = text[key]
        text[last] = new

    return edit

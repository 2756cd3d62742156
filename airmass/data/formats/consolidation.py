"""Consolidated metadata of Zarr stores that airmass writes: one read opens a store, also a remote one."""

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def consolidate(path: Path) -> None:
    """Write the metadata of all arrays, sorted by name, into the root's, atomically.

    The layout is that of zarr-python's consolidated metadata. zarr-python itself writes arrays in the order in which
    the file system lists them, but equal runs must give equal bytes.
    """
    root = json.loads((path / "zarr.json").read_text())
    arrays = {child.parent.name: json.loads(child.read_text()) for child in sorted(path.glob("*/zarr.json"))}
    root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": arrays}
    replace_file(path / "zarr.json", lambda file: file.write(json.dumps(root, indent=2).encode()))


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Replace the file `path` atomically: written to a temporary file, flushed to the disk, renamed."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise

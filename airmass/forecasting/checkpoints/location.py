"""Files of checkpoints on disk, and models that the package contains."""

import difflib
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.place import local_path

MODEL_FILE = "model.npz"
# Model in the package by its name: a GraphCast of the recipe `demo`.
SHIPPED = {"demo": Path(__file__).parents[1] / "shipped" / "demo.npz"}


def checkpoint_file(checkpoint: str | Path) -> Path:
    """Path of a checkpoint file, of the model file in a run's folder, or of the model in the package of that name.

    What is on disk comes before a name, so that a run's folder `demo` is read; `./demo` is a path in any case. Raises
    InputError if there is no such file.
    """
    if (file := _on_disk(checkpoint)).exists():
        return file
    if is_shipped(checkpoint):
        return SHIPPED[str(checkpoint)]
    near = difflib.get_close_matches(str(checkpoint), SHIPPED, n=1)
    hint = f"; did you mean {near[0]}, the model in the package?" if near else ""
    raise InputError(f"{file}: no such checkpoint{hint}")


def is_shipped(checkpoint: str | Path) -> bool:
    """True for the name of a model in the package that nothing on disk takes the place of."""
    return isinstance(checkpoint, str) and checkpoint in SHIPPED and not _on_disk(checkpoint).exists()


def _on_disk(checkpoint: str | Path) -> Path:
    path = local_path(checkpoint, "checkpoint")
    return path / MODEL_FILE if path.is_dir() else path

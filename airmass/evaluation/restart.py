"""Parts of long work kept in a folder beside its output until the end, so that a run that was killed goes on."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

from airmass import __version__
from airmass.core.errors import InputError
from airmass.core.files import writing
from airmass.core.place import is_url


@contextmanager
def kept_parts(
    out: str | Path | None, kind: str, request: object, places: Sequence[str | Path]
) -> Iterator[Path | None]:
    """Folder of the parts that are done, `.NAME.KIND-DIGITS` beside `out`; who writes a part makes it.

    It stays after an interrupt, a kill or the death of a worker, not after an error of the inputs, and is removed at
    the end. The digits change with `request`, the program and the inputs in `places`; the folder of other ones is
    removed. None without an output, and for remote inputs, whose changes cannot be seen.
    """
    if out is None or any(is_url(place) for place in places):
        yield None
        return
    out = Path(out)
    folder = out.with_name(f".{out.name}.{kind}-{_digest(request, places)}")
    for other in out.parent.glob(f".{out.name}.{kind}-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    try:
        with writing(out):
            yield folder
    except BrokenExecutor as error:
        raise InputError(
            f"{out}: a worker process was killed, as happens when memory runs out; the same command goes on from here"
        ) from error
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _digest(request: object, places: Sequence[str | Path]) -> str:
    changed = [stamps(Path(place)) for place in places]
    return hashlib.sha256(json.dumps([request, __version__, changed], default=str).encode()).hexdigest()[:12]


def stamps(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of the entries of a store and their metadata."""
    entries = [path, *sorted(path.glob("*")), *sorted(path.glob("*/zarr.json")), *sorted(path.glob("*/.zarray"))]
    return [(str(entry), entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries if entry.exists()]

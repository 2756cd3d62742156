"""The cache folder: graphs, and compiled programs so that a second run does not compile.

Nothing depends on it. Where it cannot be written, one line on stderr says so; a damaged entry is made again.
"""

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

from airmass.core.errors import InputError, one_line

T = TypeVar("T")


def cache_folder() -> Path | None:
    """AIRMASS_CACHE, or ~/.cache/airmass; None, with one line on stderr, where that cannot be written."""
    try:
        folder = Path(os.environ.get("AIRMASS_CACHE") or Path.home() / ".cache" / "airmass")
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        why = f"{folder} cannot be written"
    except OSError as error:
        why = f"{folder} cannot be made: {error.strerror}"
    except (RuntimeError, ValueError) as error:  # a user without a home, a NUL in the name
        why = f"no folder for it: {error}"
    _without(why)
    return None


def read_or_make(name: str, make: Callable[[], T], read: Callable[[Path], T], write: Callable[[Path, T], None]) -> T:
    """The result of `make`, read from the file `name` of the cache folder if an earlier run wrote it.

    If `read` raises anything, the file is made again.
    """
    folder = cache_folder()
    if folder is None:
        return make()
    path = folder / name
    if path.exists():
        try:
            return read(path)
        except Exception as error:  # a damaged file raises anything from zlib.error to SyntaxError
            _say(f"{path} is damaged ({type(error).__name__}) and is made again")
    made = make()
    try:
        write(path, made)
    except (OSError, InputError) as error:
        _without(str(error))
    return made


def keep_compiled() -> None:
    """Turn on JAX's compilation cache, in the cache folder, for programs that take 0.05 s or more to compile.

    A folder that the user has set for JAX is left as it is. Call this before anything is compiled.
    """
    import jax

    if jax.config.values["jax_compilation_cache_dir"] or (folder := cache_folder()) is None:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _without(why: str) -> None:
    _say(f"going on without a cache: {why}; AIRMASS_CACHE names another folder")


@cache
def _say(words: str) -> None:
    """Print a line to stderr, once a process."""
    print(f"airmass: {one_line(words)}", file=sys.stderr)

"""The folder of what can be made again, and compiled programs in it: the second run of a command does not compile."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where what can be made again is kept: AIRMASS_CACHE, or ~/.cache/airmass."""
    return Path(os.environ.get("AIRMASS_CACHE") or Path.home() / ".cache" / "airmass")


def keep_compiled() -> None:
    """Have JAX keep what takes a twentieth of a second or more to compile, in AIRMASS_CACHE or ~/.cache/airmass.

    Leaves alone a folder that the user has given JAX already. Call it before anything is compiled.
    """
    import jax

    if jax.config.values["jax_compilation_cache_dir"]:
        return
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

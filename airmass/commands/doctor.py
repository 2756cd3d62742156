"""`airmass doctor`."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airmass.commands.options import parse

# What each extra is for, in the order of pyproject.toml; tests/commands/test_doctor.py holds them together.
EXTRAS = {
    "simulate": "airmass simulate, airmass demo",
    "grib": "GRIB files: airmass data ingest, initial and all that read fields",
    "cluster": "--scheduler of evaluate, data ingest and data stats",
    "icechunk": "Icechunk repositories: all that read fields",
    "clients": "airmass initial ecmwf-open-data and cds",
    "cuda": "NVIDIA GPUs",
}
_GIB = 2**30


@dataclass(frozen=True)
class Doctor:
    """Show versions, devices, memory and the cache, and which commands lack a package; exit status 1 if one must."""


def run(arguments: list[str]) -> int:
    parse(Doctor, "airmass doctor", arguments)
    missing = [name for name, version in required().items() if version is None]
    for title, rows in (("machine", machine()), ("devices", devices()), ("packages", packages()), ("extras", extras())):
        print(title)
        for name, words in rows:
            print(f"  {name:<18} {words}")
    if missing:
        print(f"\nMissing: {', '.join(missing)}. Install airmass again: pip install --force-reinstall airmass")
    return 1 if missing else 0


def machine() -> Iterator[tuple[str, str]]:
    import airmass

    yield "airmass", f"{airmass.__version__} in {Path(airmass.__file__).parent}"
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPU cores"
    pages = os.sysconf("SC_PAGE_SIZE")
    yield (
        "memory",
        (
            f"{pages * os.sysconf('SC_AVPHYS_PAGES') / _GIB:.1f} GiB free of "
            f"{pages * os.sysconf('SC_PHYS_PAGES') / _GIB:.1f} GiB"
        ),
    )
    yield "disk here", f"{shutil.disk_usage('.').free / _GIB:.1f} GiB free"
    yield "cache", _cache()


def _cache() -> str:
    from airmass.core.cache import cache_folder

    folder = cache_folder()
    if folder is None:
        return "none: graphs and programs are made anew by every command"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return f"{folder}, {size / 2**20:.0f} MiB (may be removed at any time)"


def devices() -> Iterator[tuple[str, str]]:
    try:
        import jax

        found = jax.devices()
    except Exception as error:  # JAX is missing, or its plug-in does not fit the driver: whatever that raises
        yield "JAX", f"finds no device: {' '.join(str(error).split())[:300]}"
        return
    for device in found:
        memory = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        yield f"{device.platform} {device.id}", device.device_kind + (f", {memory / _GIB:.0f} GiB" if memory else "")
    if all(device.platform == "cpu" for device in found) and shutil.which("nvidia-smi"):
        yield "note", "this machine has an NVIDIA driver, but JAX runs on CPU: pip install 'airmass[cuda]'"


def packages() -> Iterator[tuple[str, str]]:
    for name, version in required().items():
        yield name, version or "MISSING"


def extras() -> Iterator[tuple[str, str]]:
    """Each extra with the packages that it lacks and what they are for."""
    for extra, purpose in EXTRAS.items():
        lacking = [name for name, version in required(extra).items() if version is None]
        state = f"not installed: pip install 'airmass[{extra}]'" if lacking else "installed"
        yield extra, f"{purpose}: {state}"


def required(extra: str | None = None) -> dict[str, str | None]:
    """Packages that airmass, or one of its extras, needs, and their installed versions; None where missing."""
    found: dict[str, str | None] = {}
    for requirement in importlib.metadata.requires("airmass") or ():
        text, _, marker = requirement.partition(";")
        named = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", marker)
        if (named[1] if named else None) == extra:
            name = re.split(r"[\[<>=!~ (]", text.strip())[0]
            found[name] = _version("jax-cuda13-plugin" if extra == "cuda" and name == "jax" else name)
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

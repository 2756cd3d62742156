"""The files of a source: itself, those inside a zip archive, or those of a folder."""

import tempfile
import zipfile
from functools import cache
from pathlib import Path

from airmass.core.errors import InputError
from airmass.core.place import Place, is_url
from airmass.data.formats.reading import error_line

_SUFFIXES = (".nc", ".nc4", ".cdf", ".grib", ".grib2", ".grb", ".grb2", ".grib1")
_STORE = ("zarr.json", ".zgroup", ".zmetadata", ".zarray")
# A zip archive whose files are this many times its size is refused.
_MOST_GROWTH = 100
_UNPACKED: list[tempfile.TemporaryDirectory] = []


def files_of(place: Place) -> list[Place]:
    """The files of a source: itself, or those inside a zip archive or a folder that is no store."""
    if is_url(place):
        return [place]
    path = Path(place)
    if path.is_dir() and not any((path / name).exists() for name in _STORE):
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        return list(files) or [place]
    return list(_unzipped(path.absolute())) if _is_zip(path) else [place]


def _is_zip(path: Path) -> bool:
    """True for a zip archive; files that cannot be read are reported where they are opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) == b"PK\3\4"
    except (OSError, ValueError):
        return False


def is_unpacked(file: Place) -> bool:
    """True for a file that was unpacked from an archive."""
    return any(Path(folder.name) in Path(file).parents for folder in _UNPACKED)


@cache
def _unzipped(path: Path) -> list[Path]:
    """The files of a zip archive, as new CDS delivers, unpacked for as long as the process runs."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(_SUFFIXES)]
            if not members:
                raise InputError(f"{path}: a zip archive without NetCDF or GRIB files, expected some")
            if sum(m.file_size for m in members) > _MOST_GROWTH * path.stat().st_size + 2**20:
                raise InputError(f"{path}: a zip archive that unpacks to more than {_MOST_GROWTH} times its size")
            folder = tempfile.TemporaryDirectory(prefix="airmass-")
            _UNPACKED.append(folder)
            files = []
            for number, member in enumerate(members):
                target = Path(folder.name) / f"{number}" / Path(member.filename).name
                target.parent.mkdir()
                with archive.open(member) as packed, target.open("wb") as out:
                    while block := packed.read(2**20):
                        out.write(block)
                files.append(target)
            return files
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InputError(f"{path}: a zip archive that cannot be unpacked: {error_line(error)}") from error

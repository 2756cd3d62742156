"""`python -m tests.border [WORD ...]`: run the members whose names hold all words, and say what is wrong with each."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.border.corpus import MEMBERS, name_of, quick
from tests.border.healthy import make_home
from tests.border.judging import problem


def sweep(words: list[str]) -> int:
    """Print every problem; returns how many members had one. The word `quick` leaves out the slow ones."""
    root = Path(tempfile.mkdtemp())
    os.environ.setdefault("AIRMASS_CACHE", str(root / "cache"))
    os.environ["COLUMNS"] = "1000"
    home, wrong, ran = make_home(root / "home"), 0, 0
    for number, member in enumerate(MEMBERS):
        name = name_of(member)
        if not all(quick(member) if word == "quick" else word in name for word in words):
            continue
        folder = root / f"{number}"
        folder.mkdir()
        found, ran = problem(*member, home, folder), ran + 1
        if found:
            wrong += 1
            print(f"FAILED {name}: {found}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(root)
    print(f"{wrong} of {ran} members")
    return wrong


if __name__ == "__main__":
    sys.exit(sweep(sys.argv[1:]) > 0)

"""`python -m tests.border [WORD ...]`: run the members whose names hold all words, and say what is wrong with each."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.border.case import Case
from tests.border.corpus import MEMBERS, name_of, quick
from tests.border.healthy import make_home
from tests.border.judging import problem


def sweep(words: list[str]) -> int:
    """Print a line for every problem; returns how many members had one.

    The word `quick` leaves out the slow ones, `~WORD` those whose names hold it.
    """
    root = Path(tempfile.mkdtemp())
    os.environ.setdefault("AIRMASS_CACHE", str(root / "cache"))
    os.environ["COLUMNS"] = "1000"
    home, wrong, ran, began = make_home(root / "home"), 0, 0, time.process_time()
    for number, member in enumerate(MEMBERS):
        name = name_of(member)
        if not all(_chosen(member, word) for word in words):
            continue
        folder = root / f"{number}"
        folder.mkdir()
        found, ran = problem(*member, home, folder), ran + 1
        if found:
            wrong += 1
            print(f"FAILED {name}: {_short(found)}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(root)
    print(f"{wrong} of {ran} members; {time.process_time() - began:.0f} s of this process")
    return wrong


def _chosen(member: tuple[Case, str], word: str) -> bool:
    if word == "quick":
        return quick(member)
    return word[1:] not in name_of(member) if word.startswith("~") else word in name_of(member)


def _short(found: str) -> str:
    """On one line, of a traceback the place in airmass and the error."""
    lines = found.splitlines()
    ours = [line.strip() for line in lines if "/airmass/airmass/" in line or ("/airmass/" in line and "File" in line)]
    return " | ".join([*ours[-1:], *(line for line in lines if line and not line.startswith(" ")), lines[-1].strip()])


if __name__ == "__main__":
    sys.exit(sweep(sys.argv[1:]) > 0)

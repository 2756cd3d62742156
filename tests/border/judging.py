"""The judge of a member: what is wrong with how a command took a bad input."""

import contextlib
import os
from pathlib import Path

from tests.border.case import Case
from tests.border.commands import WAYS, with_options
from tests.border.healthy import Home
from tests.border.running import Outcome, allowed_seconds, listing, run, run_alone


def problem(case: Case, way: str, home: Home, folder: Path) -> str:
    """Run one command on one bad input in an empty folder; empty where all is as it should be."""
    inside, out = folder / "in", folder / "out"
    inside.mkdir()
    out.mkdir()
    with contextlib.chdir(out):
        bad = case.make(home, inside)
        arguments = with_options(WAYS[way](home, bad, out), case.options)
        before = listing(home.folder, folder)
        outcome = run_alone(arguments, out) if case.alone else run(arguments)
    found = _problem(case, way, str(bad), outcome)
    new, gone = _differences(before, listing(home.folder, folder))
    if new or gone:
        found = f"left behind or changed {new[:3]}, removed {gone[:3]}; {found}"
    return f"{found}\n  airmass {' '.join(arguments)}" if found else ""


def _problem(case: Case, way: str, bad: str, outcome: Outcome) -> str:
    if outcome.trace:
        return f"a traceback or a hang:\n{outcome.trace}"
    if outcome.seconds > allowed_seconds(case.alone):
        return f"took {outcome.seconds:.0f} s: {outcome.err}"
    finds = way == "check" and outcome.status == 1
    if outcome.status != (1 if finds else 2):
        return f"exit {outcome.status}: {outcome.err or outcome.out}"
    if len(outcome.lines) != (0 if finds else 1):
        return f"{len(outcome.lines)} lines: {outcome.err}"
    return _wording(case, bad, outcome.out if finds else outcome.lines[0], finds)


def _wording(case: Case, bad: str, said: str, finds: bool) -> str:
    if not (finds or said.startswith("airmass ")):
        return f"not a line of airmass: {said}"
    if "\x1b" in said or "\r" in said:
        return f"escape sequences reach the terminal: {said!r}"
    name = bad.rstrip("/").split("/")[-1][:60]
    wanted = [name] if case.named else []
    whole = "".join(said.split())  # tables fold long names
    missing = [word for word in wanted if "".join(word.split()) not in whole] + [
        w for w in case.words if w not in said.lower()
    ]
    return f"does not say {missing}: {said}" if missing else ""


def _differences(before: dict, after: dict) -> tuple[list[str], list[str]]:
    """(What is new or changed, what is gone); of a folder in which something was made and removed only that."""
    new = [os.fsencode(path).decode(errors="replace") for path, held in after.items() if before.get(path) != held]
    return new, [path for path in before if path not in after]

"""What a person sees of a run: a line on screen, and JSON lines to plot from."""

import json
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from airmass.files import writing


class Monitor:
    """Progress line and `log.jsonl`. Use as a context manager; lines after a resume are appended."""

    def __init__(self, log: str | Path, total: int, done: int, console: Console | None = None):
        self._path = Path(log)
        _forget_after(self._path, done)
        self._progress = Progress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} updates"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console or Console(),
        )
        self._bar = self._progress.add_task("training", total=total, completed=done, note="compiling")
        self._last = time.perf_counter(), done

    def __enter__(self) -> "Monitor":
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def report(self, update: int, loss: float, rate: float, rollout: int, terms: dict[str, float]) -> None:
        """Show and log the state after `update`; `terms` are losses by variable."""
        now = time.perf_counter()
        speed = (update - self._last[1]) / (now - self._last[0])
        self._last = now, update
        line = {"update": update, "loss": loss, "rate": rate, "rollout": rollout, "updates_per_second": round(speed, 2)}
        with writing(self._path), self._path.open("a") as log:
            log.write(json.dumps(line | {"terms": terms}) + "\n")
        note = f"loss {loss:.3f}  rate {rate:.1e}  {speed:.1f}/s"
        self._progress.update(self._bar, completed=update, note=note)


def _forget_after(path: Path, update: int) -> None:
    """Drop lines of updates that will be made again, so that the joined log equals that of an undisturbed run."""
    if not path.exists():
        return
    with path.open() as log:
        lines = [line for line in log if line.endswith("\n") and json.loads(line)["update"] <= update]
    with writing(path):
        aside = path.with_suffix(".jsonl.partial")
        aside.write_text("".join(lines))
        aside.replace(path)

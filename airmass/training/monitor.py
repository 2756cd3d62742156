"""Monitoring of a run: progress on screen, and the same numbers to all loggers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from airmass.core.tables import say
from airmass.recipes.monitoring import MonitoringSettings
from airmass.training.loggers import Picture, open_loggers

# Seconds between plain lines if there is no terminal for a progress bar.
_PLAIN_EVERY = 60.0


class Monitor:
    """Context manager that shows progress on `console` and writes to the loggers in `settings`.

    `done` of `total` updates, with `batch` samples each, were made before. Raises InputError for a logger that is not
    installed.
    """

    def __init__(
        self,
        run: str | Path,
        total: int,
        done: int = 0,
        settings: MonitoringSettings | None = None,
        console: Console | None = None,
        batch: int = 1,
    ):
        self._run, self._total, self._batch, self._settings = Path(run), total, batch, settings or MonitoringSettings()
        self._done, self._console = done, console or Console()
        self._bar = _bar(self._console, total, done) if self._console.is_terminal else None
        self._clock = _Clock(done)
        self._last_line = -float("inf")

    def __enter__(self) -> "Monitor":
        self._open_loggers()
        if self._bar:
            self._bar.start()
        self._clock = _Clock(self._done)
        return self

    def __exit__(self, *exception) -> None:
        if self._bar:
            self._bar.stop()
        self._close_loggers()

    def _open_loggers(self) -> None:
        self._loggers = open_loggers(self._run, self._done, self._settings)

    def _close_loggers(self) -> None:
        with ExitStack() as closing:  # closes all, even if one raises
            for logger in self._loggers:
                closing.callback(logger.close)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time spent inside as waiting for data."""
        began = time.perf_counter()
        yield
        self._clock.waited += time.perf_counter() - began

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Exclude the time spent inside, such as validation, from the training time."""
        began = time.perf_counter()
        yield
        self._clock.since += time.perf_counter() - began

    def report(
        self,
        update: int,
        loss: float,
        rate: float,
        rollout: int,
        terms: Mapping[str, float],
        extra: Mapping[str, float] | None = None,
    ) -> None:
        """Show and log the state after `update`. `terms` are losses by variable; `extra` are other numbers by full
        name.
        """
        speed, waiting = self._clock.lap(update)
        now, peak = memory()
        values = {"loss": loss, "rate": rate, "rollout": rollout, "updates_per_second": round(speed, 4)}
        values |= {f"terms/{name}": value for name, value in terms.items()} | dict(extra or {})
        values |= {
            "samples_per_second": round(speed * self._batch, 4),
            "waiting_for_data": round(waiting, 4),
            "memory_gb": round(now / 1e9, 3),
            "memory_peak_gb": round(peak / 1e9, 3),
        }
        for logger in self._loggers:
            logger.write(update, values)
        note = (
            f"loss {loss:.4g}  rate {rate:.1e}  {_number(speed * self._batch)} samples/s  data {waiting:.0%}  "
            f"memory {now / 1e9:.2f} GB, peak {peak / 1e9:.2f}  {_left((self._total - update) / speed)} left"
        )
        self._show(update, note)

    def validated(self, update: int, scores: Mapping[str, float], pictures: Mapping[str, Picture]) -> None:
        """Log validation scores and pictures by name after `update`."""
        for logger in self._loggers:
            logger.write(update, {f"validation/{name}": value for name, value in scores.items()})
            for name, picture in pictures.items():
                logger.image(update, name, picture)

    def went_back(self, update: int, target: int, why: str) -> None:
        """Report that the run returned to `target`, and drop log entries of later updates."""
        say(self._console, f"returning from update {update} to {target}, then continuing with other examples: {why}")
        self._close_loggers()
        self._done = target
        self._open_loggers()
        self._clock = _Clock(target)

    def _show(self, update: int, note: str) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=update, note=note)
        elif time.monotonic() - self._last_line >= _PLAIN_EVERY or update >= self._total:
            self._last_line = time.monotonic()
            say(self._console, f"update {update}/{self._total}  {note}", soft_wrap=True)


class _Clock:
    """Speed and share of waiting time between reports."""

    def __init__(self, update: int):
        self.since, self.waited, self._update = time.perf_counter(), 0.0, update

    def lap(self, update: int) -> tuple[float, float]:
        """Updates per second and share of waiting time since the last lap."""
        now = time.perf_counter()
        seconds = max(now - self.since, 1e-9)
        result = (update - self._update) / seconds, min(1.0, self.waited / seconds)
        self.since, self.waited, self._update = now, 0.0, update
        return result


def memory() -> tuple[float, float]:
    """Current and peak memory in bytes, of the first accelerator or else of this process; 0 if unknown."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return float(stats.get("bytes_in_use", 0)), float(stats.get("peak_bytes_in_use", 0))
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        return 0.0, 0.0
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    now, peak = (1024.0 * int(values[name].split()[0]) if name in values else 0.0 for name in ("VmRSS", "VmHWM"))
    return now, peak


def _bar(console: Console, total: int, done: int) -> Progress:
    counted = TextColumn("{task.completed}/{task.total} updates")
    note = TextColumn("{task.fields[note]}", markup=False)
    bar = Progress(TextColumn("training"), BarColumn(20), counted, note, console=console)
    bar.add_task("training", total=total, completed=done, note="compiling")
    return bar


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _left(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours}:{minutes:02d}:{seconds:02d}"

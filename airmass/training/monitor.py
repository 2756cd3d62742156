"""What a person sees of a run: a line on screen, and the same numbers wherever they asked for them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from airmass.core.tables import say
from airmass.recipes.monitoring import WatchSettings
from airmass.training.loggers import Picture, open_loggers

# Seconds between plain lines where there is no terminal to draw a bar on.
_PLAIN_EVERY = 60.0


class Monitor:
    """Progress on `console`, and every logger that `watch` asks for. A context manager.

    Made after `done` of `total` updates of `batch` samples each. Raises InputError for a logger that is not installed.
    """

    def __init__(
        self,
        run: str | Path,
        total: int,
        done: int = 0,
        watch: WatchSettings | None = None,
        console: Console | None = None,
        batch: int = 1,
    ):
        self._run, self._total, self._batch, self._watch = Path(run), total, batch, watch or WatchSettings()
        self._done, self._console = done, console or Console()
        self._bar = _bar(self._console, total, done) if self._console.is_terminal else None
        self._clock = _Clock(done)
        self._said = -float("inf")

    def __enter__(self) -> "Monitor":
        self._open_sinks()
        if self._bar:
            self._bar.start()
        self._clock = _Clock(self._done)
        return self

    def __exit__(self, *exception) -> None:
        if self._bar:
            self._bar.stop()
        self._close_sinks()

    def _open_sinks(self) -> None:
        self._loggers = open_loggers(self._run, self._done, self._watch)

    def _close_sinks(self) -> None:
        with ExitStack() as closing:  # all of them, whatever one raises
            for logger in self._loggers:
                closing.callback(logger.close)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time spent inside counts as waiting for data."""
        began = time.perf_counter()
        yield
        self._clock.waited += time.perf_counter() - began

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time spent inside, such as validating, does not count as training."""
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
        """Show and log the state after `update`; `terms` are losses by variable, `extra` has full names."""
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
            f"memory {now / 1e9:.2f} GB, at most {peak / 1e9:.2f}  {_left((self._total - update) / speed)} left"
        )
        self._show(update, note)

    def validated(self, update: int, scores: Mapping[str, float], pictures: Mapping[str, Picture]) -> None:
        """Log scores and pictures by name after `update`."""
        for logger in self._loggers:
            logger.write(update, {f"validation/{name}": value for name, value in scores.items()})
            for name, picture in pictures.items():
                logger.image(update, name, picture)

    def went_back(self, update: int, target: int, why: str) -> None:
        """Say that the run goes on from `target`; what was logged of later updates is forgotten."""
        say(self._console, f"going back from update {update} to {target} and on with other examples: {why}")
        self._close_sinks()
        self._done = target
        self._open_sinks()
        self._clock = _Clock(target)

    def _show(self, update: int, note: str) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=update, note=note)
        elif time.monotonic() - self._said >= _PLAIN_EVERY or update >= self._total:
            self._said = time.monotonic()
            say(self._console, f"update {update}/{self._total}  {note}", soft_wrap=True)


class _Clock:
    """Speed and the share of time spent waiting, between one report and the next."""

    def __init__(self, update: int):
        self.since, self.waited, self._update = time.perf_counter(), 0.0, update

    def lap(self, update: int) -> tuple[float, float]:
        """Updates a second and the share of waiting since the last lap."""
        now = time.perf_counter()
        seconds = max(now - self.since, 1e-9)
        result = (update - self._update) / seconds, min(1.0, self.waited / seconds)
        self.since, self.waited, self._update = now, 0.0, update
        return result


def memory() -> tuple[float, float]:
    """Bytes in use now and at most so far: of the first accelerator, or of this process. 0 where nobody knows."""
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        held = device.memory_stats() or {}
        return float(held.get("bytes_in_use", 0)), float(held.get("peak_bytes_in_use", 0))
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

"""Profile of some updates, for TensorBoard's profiler or Perfetto."""

from pathlib import Path

import jax
from jaxtyping import PyTree

from airmass.core.files import writing

TRACE_FOLDER = "trace"


class Profiler:
    """Profiler of the updates from `updates[0]` to `updates[1]`, both included; writes to the run's folder.

    Call `before` and `after` at every update, counted from 1, and `close` at the end.
    """

    def __init__(self, run: Path, updates: tuple[int, int] | None):
        self._folder, self._updates, self._on = run / TRACE_FOLDER, updates, False

    def before(self, update: int) -> None:
        if self._updates and not self._on and self._updates[0] <= update <= self._updates[1]:
            with writing(self._folder):
                jax.profiler.start_trace(str(self._folder))
            self._on = True

    def after(self, update: int, result: PyTree) -> None:
        """End the profile after the last update, once its `result` is computed."""
        if self._on and self._updates and update >= self._updates[1]:
            jax.block_until_ready(result)
            self.close()

    def close(self) -> None:
        if self._on:
            self._on = False
            with writing(self._folder):
                jax.profiler.stop_trace()

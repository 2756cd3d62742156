"""Loggers of a run's numbers and pictures: log file, TensorBoard, Weights & Biases, MLflow."""

import importlib
import json
import math
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Protocol

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from airmass.core.errors import InputError
from airmass.core.files import new_output, writing
from airmass.core.reading import read_text
from airmass.core.strict_json import parse_json
from airmass.core.typed import Range, typed
from airmass.recipes.monitoring import MonitoringSettings

LOG_FILE, PICTURES = "log.jsonl", "pictures"
# Most metrics in one request to MLflow.
_MLFLOW_AT_ONCE = 1000
Picture = UInt8[np.ndarray, "row column 3"]


class Logger(Protocol):
    """Logger of named numbers and pictures of an update. Names may have parts separated by slashes."""

    def write(self, update: int, values: Mapping[str, float]) -> None: ...

    def image(self, update: int, name: str, picture: Picture) -> None: ...

    def close(self) -> None: ...


def require_installed(settings: MonitoringSettings) -> None:
    """Raise InputError for a logger in `settings` that is not installed."""
    for name in ("wandb", "mlflow"):
        if getattr(settings, name) is not None:
            _installed(name)


def open_loggers(run: Path, done: int, settings: MonitoringSettings) -> list[Logger]:
    """Open the loggers in `settings` after `done` updates; entries of later updates are dropped where possible.

    Raises InputError for a logger that is not installed, before any is opened.
    """
    require_installed(settings)
    loggers: list[Logger] = [LogFile(run, done)]
    if settings.tensorboard:
        loggers.append(TensorBoard(run, done))
    if settings.wandb is not None:
        loggers.append(WandB(run, settings.wandb))
    if settings.mlflow is not None:
        loggers.append(MLflow(run, settings.mlflow))
    return loggers


class LogFile:
    """JSON lines in `log.jsonl`, and pictures as PNG files. Names with the same first part are grouped in a line.

    Lines of updates after `done` are deleted, because these updates are repeated: the log of a resumed run is that of
    an uninterrupted one.
    """

    def __init__(self, run: Path, done: int = 0):
        self._run, self._log = run, run / LOG_FILE
        with writing(run):
            run.mkdir(parents=True, exist_ok=True)
        if self._log.exists():
            lines = read_text(self._log).splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and _update_of(line, self._log) <= done]
            with new_output(self._log, replace=True) as aside:
                aside.write_text("".join(kept))

    def write(self, update: int, values: Mapping[str, float]) -> None:
        line: dict = {"update": update}
        for name, value in values.items():
            first, _, rest = name.partition("/")
            number = value if math.isfinite(value) else None  # JSON has neither infinity nor NaN
            if rest:
                line.setdefault(first, {})[rest] = number
            else:
                line[first] = number
        with writing(self._log), self._log.open("a") as log:
            log.write(json.dumps(line, allow_nan=False) + "\n")

    def image(self, update: int, name: str, picture: Picture) -> None:
        with new_output(self._run / PICTURES / name / f"{update:08d}.png", replace=True) as aside:
            Image.fromarray(picture).save(aside)

    def close(self) -> None:
        pass


def _update_of(line: str, log: Path) -> int:
    return typed(parse_json(line, dict, log).get("update"), Annotated[int, Range(0)], f"{log}: update")


class TensorBoard:
    """TensorBoard event files. TensorBoard itself drops events after `done` from files of a stopped run."""

    def __init__(self, run: Path, done: int = 0):
        from tensorboardX import SummaryWriter

        # The library names files by the second; a run resumed within it would overwrite the earlier file.
        suffix = f".{os.getpid()}.{done}.{secrets.token_hex(4)}"
        with writing(run):
            folder = str(run / "tensorboard")
            self._writer = SummaryWriter(folder, purge_step=done + 1, filename_suffix=suffix)

    def write(self, update: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, update)
        # Flush now, so that a killed run loses no entries before its checkpoint.
        self._writer.flush()

    def image(self, update: int, name: str, picture: Picture) -> None:
        self._writer.add_image(name, picture, update, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """Run of Weights & Biases; a resumed training continues the same run."""

    def __init__(self, run: Path, project: str):
        self._wandb = _installed("wandb")
        number = _read_id(run / "wandb.id") or _write_id(run / "wandb.id", secrets.token_hex(8))
        self._run = self._wandb.init(project=project, id=number, name=run.resolve().name, dir=str(run), resume="allow")
        # Their step can only increase, but a resumed run repeats its last updates: use an axis of our own.
        self._run.define_metric("*", step_metric="update")

    def write(self, update: int, values: Mapping[str, float]) -> None:
        self._run.log({"update": update, **values})

    def image(self, update: int, name: str, picture: Picture) -> None:
        self._run.log({"update": update, name: self._wandb.Image(picture)})

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """Run of MLflow; a resumed training continues the same run."""

    def __init__(self, run: Path, experiment: str):
        mlflow = _installed("mlflow")
        self._client, self._metric = mlflow.MlflowClient(), mlflow.entities.Metric
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        self._id = _read_id(run / "mlflow.id")
        if self._id is None:
            made = self._client.create_run(number, run_name=run.resolve().name)
            self._id = _write_id(run / "mlflow.id", made.info.run_id)

    def write(self, update: int, values: Mapping[str, float]) -> None:
        now = round(1000 * time.time())
        metrics = [self._metric(name, value, now, update) for name, value in values.items()]
        for start in range(0, len(metrics), _MLFLOW_AT_ONCE):
            self._client.log_batch(self._id, metrics[start : start + _MLFLOW_AT_ONCE])

    def image(self, update: int, name: str, picture: Picture) -> None:
        self._client.log_image(self._id, picture, f"{PICTURES}/{name}/{update:08d}.png")

    def close(self) -> None:
        self._client.set_terminated(self._id)


def _installed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"settings.{name}: {name} is not installed; `pip install {name}` adds it") from None


def _read_id(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _write_id(path: Path, number: str) -> str:
    with new_output(path) as aside:
        aside.write_text(number)
    return number

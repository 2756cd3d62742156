"""What a run writes to be watched, read back by other means than it was written with; all loggers alike."""

import importlib.util
import io
import json
import struct
import sys
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event, SessionLog

from airmass.core.errors import InputError
from airmass.recipes.monitoring import MonitoringSettings
from airmass.training import loggers
from airmass.training.loggers import open_loggers
from airmass.training.monitor import Monitor, _left
from airmass.training.profiler import Profiler

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
OTHERS = [name for name in ("wandb", "mlflow") if importlib.util.find_spec(name)]


def _records(path) -> list[bytes]:
    """TFRecord framing: length, its checksum, data, its checksum."""
    held, found = io.BytesIO(path.read_bytes()), []
    while head := held.read(12):
        found.append(held.read(struct.unpack("<Q", head[:8])[0]))
        assert len(held.read(4)) == 4
    return found


def events(run) -> dict[str, dict[int, float]]:
    """Scalars by tag and step as TensorBoard shows them: a new session drops later steps of the older ones."""
    seen: dict[str, dict[int, float]] = {}
    for path in sorted((run / "tensorboard").iterdir(), key=lambda p: p.stat().st_mtime_ns):
        for record in _records(path):
            event = Event.FromString(record)
            if event.session_log.status == SessionLog.START:
                seen = {tag: {s: v for s, v in by.items() if s < event.step} for tag, by in seen.items()}
            for value in event.summary.value:
                if value.WhichOneof("value") == "image":
                    pixels = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)).convert("RGB"))
                    np.testing.assert_array_equal(pixels, PICTURE)
                seen.setdefault(value.tag, {})[event.step] = value.simple_value
    return seen


def lines(run) -> list[dict]:
    return [json.loads(line) for line in (run / loggers.LOG_FILE).read_text().splitlines()]


@pytest.mark.parametrize("name", ["Folder", "TensorBoard", *OTHERS])
def test_every_sink_takes_the_same_calls(tmp_path, name, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "held").as_uri())
    watch = MonitoringSettings(
        tensorboard=name == "TensorBoard", **{other: "weather" for other in OTHERS if other == name}
    )
    for done in (0, 1):  # and once more as a run that goes on
        opened = open_loggers(tmp_path, done, watch)
        assert len(opened) == (1 if name == "Folder" else 2)
        opened[-1].write(done + 1, {"loss": 0.5 + done, "terms/2m_temperature": 3.0})
        opened[-1].image(done + 1, "map", PICTURE)
        for logger in opened:
            logger.close()
    assert list(tmp_path.iterdir())


@pytest.mark.skipif("mlflow" not in OTHERS, reason="MLflow is not installed")
def test_mlflow_holds_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "held").as_uri())
    import mlflow

    for done in (0, 1):
        logger = loggers.MLflow(tmp_path, "weather")
        logger.write(done + 1, {"loss": 0.5 + done})
        logger.close()
    (run,) = mlflow.search_runs(experiment_names=["weather"], output_format="list")
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 1.5)]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_sink_that_is_not_installed_is_refused_before_anything_is_written(tmp_path, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(InputError, match=f"{name} is not installed; `pip install {name}`"),
        Monitor(tmp_path, 1, settings=MonitoringSettings(**{name: "weather"})),
    ):
        pass
    assert not list(tmp_path.iterdir())


def _report(run, done, updates, console=None, total=4):
    with Monitor(run, total, done, MonitoringSettings(), console or Console(file=io.StringIO()), batch=2) as monitor:
        for update in range(done + 1, updates + 1):
            with monitor.waiting():
                pass
            terms = {"geopotential": 2.0 * update, "loss/geopotential/500/24h": 1.0}
            monitor.report(update, 1 / update, 1e-3, 1, terms, {"gradient_norm": 0.1})


def test_the_joined_log_and_events_are_those_of_an_undisturbed_run(tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir(), stopped.mkdir()
    _report(whole, 0, 4)
    _report(stopped, 0, 3)
    with (stopped / loggers.LOG_FILE).open("a") as log:
        log.write('{"update": 4, "lo')  # killed as it wrote
    _report(stopped, 2, 4)
    kept = ("update", "loss", "rate", "rollout", "terms", "gradient_norm")
    assert [{k: line[k] for k in kept} for line in lines(stopped)] == [
        {k: line[k] for k in kept} for line in lines(whole)
    ]
    assert lines(whole)[1]["terms"] == {"geopotential": 4.0, "loss/geopotential/500/24h": 1.0}
    ours, theirs = events(stopped), events(whole)
    assert ours["loss"] == theirs["loss"] == {n: np.float32(1 / n) for n in (1, 2, 3, 4)}
    assert ours["terms/geopotential"] == theirs["terms/geopotential"]


def test_event_files_are_whole_by_their_checksums(tmp_path):
    """CRC-32C is checked with a table of its own: Python's zlib knows only another polynomial."""
    _report(tmp_path, 0, 2)
    (path,) = (tmp_path / "tensorboard").iterdir()
    data = path.read_bytes()
    length, checksum = struct.unpack("<QI", data[:12])
    assert _masked_crc32c(data[:8]) == checksum != zlib.crc32(data[:8])
    assert _masked_crc32c(data[12 : 12 + length]) == struct.unpack("<I", data[12 + length : 16 + length])[0]


def _masked_crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_validation_is_logged_with_its_picture(tmp_path):
    with Monitor(tmp_path, 2, console=Console(file=io.StringIO())) as monitor:
        monitor.validated(
            1, {"rmse/geopotential/500/24h": 80.0, "rmse/2m_temperature/6h": float("inf")}, {"map": PICTURE}
        )
    (line,) = lines(tmp_path)
    assert line == {"update": 1, "validation": {"rmse/geopotential/500/24h": 80.0, "rmse/2m_temperature/6h": None}}
    held = np.asarray(Image.open(tmp_path / loggers.PICTURES / "map" / "00000001.png"))
    np.testing.assert_array_equal(held, PICTURE)
    assert {"validation/rmse/geopotential/500/24h", "map"} <= events(tmp_path).keys()


def test_speed_leaves_out_what_is_aside_and_counts_waiting(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("airmass.training.monitor.time.perf_counter", lambda: now[0])
    with Monitor(tmp_path, 9, console=Console(file=io.StringIO()), batch=3) as monitor:
        now[0] += 2
        with monitor.waiting():
            now[0] += 6
        with monitor.aside():
            now[0] += 100
        monitor.report(4, 1.0, 0.1, 1, {})
    (line,) = lines(tmp_path)
    assert line["updates_per_second"] == 0.5 and line["samples_per_second"] == 1.5
    assert line["waiting_for_data"] == 0.75
    assert line["memory_peak_gb"] >= line["memory_gb"] > 0.05


def test_without_a_terminal_there_are_plain_lines_and_not_many(tmp_path):
    shown = io.StringIO()
    _report(tmp_path, 0, 4, Console(file=shown))
    first, last = shown.getvalue().splitlines()
    assert first.startswith("update 1/4  loss 1 ") and last.startswith("update 4/4") and "0:00:00 left" in last


def test_on_a_terminal_there_is_a_bar(tmp_path):
    shown = io.StringIO()
    _report(tmp_path, 0, 4, Console(file=shown, force_terminal=True, width=200))
    assert "4/4 updates" in shown.getvalue() and "samples/s" in shown.getvalue()


def test_time_left_in_words():
    assert (_left(59.6), _left(3725), _left(3 * 86400)) == ("0:01:00", "1:02:05", "3.0 days")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"every": 0}, "watch.every is 0, expected 1"),
        ({"validation_starts": 0}, "watch.validation_starts is 0"),
        ({"validate_every": 10}, "validation_dates is not given"),
        ({"trace": (5, 4)}, r"watch.trace is \(5, 4\)"),
        ({"stall_minutes": -1.0}, "watch.stall_minutes is -1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        MonitoringSettings(**options)


def test_a_trace_covers_its_updates(tmp_path):
    trace, on = Profiler(tmp_path, (2, 3)), []
    for update in range(1, 6):
        trace.before(update)
        on.append(trace._on)
        trace.after(update, jnp.ones(2) + update)
    trace.close()
    assert on == [False, True, True, False, False]
    assert list((tmp_path / "trace").rglob("*.xplane.pb"))

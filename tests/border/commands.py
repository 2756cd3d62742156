"""Every way in which a command can meet an input: its arguments, for an input and a folder to write to."""

from collections.abc import Callable
from pathlib import Path

from tests.border.healthy import DATES, OPTIONS, TRAINING, Home
from tests.border.servers import whole_files

Arguments = Callable[[Home, Path | str, Path], list[str]]


def _train(data, run, *more) -> list[str]:
    return ["train", "demo", "--data", f"{data}", "--run", f"{run}", *OPTIONS, *TRAINING, *map(str, more)]


def _forecast(home: Home, checkpoint, initial, out, *more) -> list[str]:
    where = ["--checkpoint", f"{checkpoint}", "--initial", f"{initial}", "--out", f"{out}"]
    time = [] if initial == home.golden / "dataset.nc" else ["--init-time", "2000-11-01T06"]
    return ["forecast", *where, "--lead-time", "6h", *time, *map(str, more)]


def _published(home: Home, checkpoint, statistics, initial, out) -> list[str]:
    return _forecast(home, checkpoint, initial, out, "--statistics", statistics)


def _evaluate(forecast, truth, out, *more) -> list[str]:
    return ["evaluate", f"{forecast}", "--truth", f"{truth}", "--out", f"{out}", *map(str, more)]


def _plot(forecast, truth, out, *more) -> list[str]:
    return ["plot", f"{forecast}", "--truth", f"{truth}", "--out", f"{out}", *map(str, more)]


def _view(forecast, out, *more) -> list[str]:
    return ["view", f"{forecast}", "--out", f"{out}", *map(str, more)]


def _ingest(source, out, *more) -> list[str]:
    return ["data", "ingest", f"{source}", "--out", f"{out}", *map(str, more)]


def _initial(source, checkpoint, out, *more) -> list[str]:
    words = ["--checkpoint", f"{checkpoint}", "--out", f"{out}", "--time", "2000-11-01T06"]
    return ["initial", f"{source}", *words, *map(str, more)]


def _track(forecast, out, *more) -> list[str]:
    return ["track", f"{forecast}", "--out", f"{out}", *map(str, more)]


def _from_server(server, home: Home, out: Path) -> list[str]:
    return _initial("gfs", home.model, out / "initial.nc", "--server", server, "--downloads", out / "kept")


# The second argument is the bad input, the third a folder in which nothing may appear.
WAYS: dict[str, Arguments] = {
    "check": lambda home, bad, out: ["data", "check", f"{bad}"],
    "stats": lambda home, bad, out: ["data", "stats", f"{bad}", "--dates", *DATES, "--out", f"{out / 'statistics'}"],
    "convert": lambda home, bad, out: ["data", "convert", f"{bad}", f"{out / 'converted.zarr'}"],
    "plan": lambda home, bad, out: ["plan", "demo", "--data", f"{bad}", *OPTIONS],
    "train": lambda home, bad, out: _train(bad, out / "run"),
    "train in": lambda home, bad, out: _train(home.store, bad),
    "train from": lambda home, bad, out: _train(home.store, out / "run", "--start", bad),
    "forecast from": lambda home, bad, out: _forecast(home, home.model, bad, out / "f.zarr"),
    "forecast with": lambda home, bad, out: _forecast(home, bad, home.store, out / "f.zarr"),
    "forecast to": lambda home, bad, out: _forecast(home, home.model, home.store, bad),
    "published": lambda home, bad, out: _published(home, bad, home.golden, home.golden / "dataset.nc", out / "f.zarr"),
    "published from": lambda home, bad, out: _published(
        home, home.golden / "checkpoint.npz", home.golden, bad, out / "f.zarr"
    ),
    "published scales": lambda home, bad, out: _published(
        home, home.golden / "checkpoint.npz", bad, home.golden / "dataset.nc", out / "f.zarr"
    ),
    "inspect": lambda home, bad, out: ["inspect", f"{bad}"],
    "inspect on": lambda home, bad, out: ["inspect", f"{home.model}", "--grid", f"{bad}"],
    "evaluate": lambda home, bad, out: _evaluate(bad, home.store, out / "scores"),
    "evaluate with": lambda home, bad, out: _evaluate(home.forecast, bad, out / "scores"),
    "evaluate to": lambda home, bad, out: _evaluate(home.forecast, home.store, bad),
    "climatology": lambda home, bad, out: _evaluate(home.forecast, home.store, out / "scores", "--climatology", bad),
    "plot": lambda home, bad, out: _plot(bad, home.store, out / "pictures"),
    "plot with": lambda home, bad, out: _plot(home.forecast, bad, out / "pictures"),
    "plot scores": lambda home, bad, out: _plot(
        home.forecast, home.store, out / "pictures", "--scores", Path(bad) / "scores.json"
    ),
    "plot to": lambda home, bad, out: _plot(home.forecast, home.store, bad),
    "plumes": lambda home, bad, out: _plot(home.ensemble, home.store, out / "pictures", "--climatology", bad),
    "report": lambda home, bad, out: ["report", "--scores", f"{bad}", "--out", f"{out / 'report.html'}"],
    "report of": lambda home, bad, out: [
        "report",
        "--scores",
        f"{home.scores}",
        "--plots",
        f"{bad}",
        "--out",
        f"{out / 'report.html'}",
    ],
    "report to": lambda home, bad, out: ["report", "--scores", f"{home.scores}", "--out", f"{bad}"],
    "view": lambda home, bad, out: _view(bad, out / "view.html", "--truth", home.store),
    "view with": lambda home, bad, out: _view(home.forecast, out / "view.html", "--truth", bad),
    "view to": lambda home, bad, out: _view(home.forecast, bad),
    "stats to": lambda home, bad, out: ["data", "stats", f"{home.store}", "--dates", *DATES, "--out", f"{bad}"],
    "convert to": lambda home, bad, out: ["data", "convert", f"{home.store}", f"{bad}"],
    "ingest": lambda home, bad, out: _ingest(bad, out / "ingested.zarr"),
    "ingest to": lambda home, bad, out: _ingest(home.store, bad),
    "initial": lambda home, bad, out: _initial(bad, home.model, out / "initial.nc"),
    "initial with": lambda home, bad, out: _initial(home.store, bad, out / "initial.nc"),
    "initial beside": lambda home, bad, out: _initial(home.store, home.model, out / "initial.nc", "--compare", bad),
    "initial to": lambda home, bad, out: _initial(home.store, home.model, bad),
    "service at": lambda home, bad, out: _from_server(bad, home, out),
    "download at": lambda home, bad, out: ["download", "gencast-mini", "--out", f"{out / 'got'}", "--server", f"{bad}"],
    "download to": lambda home, bad, out: ["download", "gencast-mini", "--server", whole_files(), "--out", f"{bad}"],
    "names": lambda home, bad, out: ["data", "names", "--names", f"{bad}"],
    "track": lambda home, bad, out: _track(bad, out / "tracks.csv"),
    "track to": lambda home, bad, out: _track(home.storm, bad),
    "track against best": lambda home, bad, out: ["track", f"{home.tracks}", "--best-tracks", f"{bad}"],
    "track table": lambda home, bad, out: ["track", f"{bad}", "--best-tracks", f"{home.best}"],
    "track against": lambda home, bad, out: [
        "track",
        f"{home.tracks}",
        "--best-tracks",
        f"{home.best}",
        "--against",
        f"{bad}",
    ],
    "simulate": lambda home, bad, out: ["simulate", f"{bad}", "--days", "1"],
    "demo": lambda home, bad, out: ["demo", "--out", f"{bad}"],
    # Options alone: the input is the healthy one.
    "plan options": lambda home, bad, out: ["plan", "demo", "--data", f"{home.store}", *OPTIONS],
    "train options": lambda home, bad, out: _train(home.store, out / "run"),
    "plan gencast": lambda home, bad, out: ["plan", "gencast-demo", "--grid", "8x16"],
    "forecast options": lambda home, bad, out: _forecast(home, home.model, home.store, out / "f.zarr"),
    "evaluate options": lambda home, bad, out: _evaluate(home.forecast, home.store, out / "scores"),
    "plot options": lambda home, bad, out: _plot(home.forecast, home.store, out / "pictures"),
    "plumes options": lambda home, bad, out: _plot(home.ensemble, home.store, out / "pictures"),
    "stats options": lambda home, bad, out: ["data", "stats", f"{home.store}", "--out", f"{out / 'statistics'}"],
    "inspect options": lambda home, bad, out: ["inspect", f"{home.model}"],
    "ingest options": lambda home, bad, out: _ingest(home.store, out / "ingested.zarr"),
    "initial options": lambda home, bad, out: _initial(home.store, home.model, out / "initial.nc"),
    "download options": lambda home, bad, out: ["download", "gencast-mini", "--server", whole_files()],
    "names options": lambda home, bad, out: ["data", "names"],
    "track options": lambda home, bad, out: _track(home.storm, out / "tracks.csv"),
    "view options": lambda home, bad, out: _view(home.forecast, out / "view.html"),
    "simulate options": lambda home, bad, out: ["simulate", f"{out / 's.zarr'}"],
}


def with_options(arguments: list[str], options: tuple[str, ...]) -> list[str]:
    """A command with these options at its end, in place of any of theirs that it had."""
    kept, skips, ours = [], False, {option for option in options if option.startswith("--")}
    for word in arguments:
        skips = word in ours if word.startswith("--") else skips
        if not skips:
            kept.append(word)
    return [*kept, *options]

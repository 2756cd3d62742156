"""Scoring in pieces: one variable over a few initial times each, here, on other processes or on a Dask cluster.

Each piece's scores are kept in a folder beside the output until the end, so that an evaluation that was killed goes on
where it was. Pieces are joined in the order of their initial times, so results do not depend on who computed them.
"""

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from airmass import __version__
from airmass.core.cluster import cluster
from airmass.core.files import put, write_arrays
from airmass.core.place import is_url
from airmass.core.tables import say
from airmass.data.formats.forecast_reader import CACHE_BYTES
from airmass.evaluation.frames import READ_BYTES
from airmass.evaluation.inputs import Request, VerificationData
from airmass.evaluation.scoring import VariableScores, joined, score_variable

# Initial times of one piece: chunks of a forecast often span about as many.
PIECE = 12


@dataclass(frozen=True)
class Piece:
    """One variable over the initial times from `start` to before `stop`."""

    variable: str
    start: int
    stop: int

    @property
    def file(self) -> str:
        return f"{self.variable}-{self.start}-{self.stop}.npz"


def pieces(data: VerificationData, workers: int) -> list[Piece]:
    """Pieces that cover all variables and initial times, at least four for each worker where there are enough."""
    n, names = len(data.init_times), data.variables
    wanted = -(-4 * workers // len(names)) if workers > 1 else 1
    size = max(1, min(PIECE, n // wanted if wanted > 1 else n))
    return [Piece(name, start, min(start + size, n)) for name in names for start in range(0, n, size)]


def memory_of(data: VerificationData) -> int:
    """Estimated bytes of one worker, beyond the program's own: cached chunks, read blocks, frames and copies."""
    members = max(system.members for system in data.systems)
    window = len(np.unique(np.concatenate([data.lead_times, [np.timedelta64(0)]])))
    greatest = 0
    for name in data.variables:
        frame = data.frame_bytes(name)
        block = max(READ_BYTES, frame * members)
        ahead = max(READ_BYTES, frame) + window * frame
        fields = 1 + (data.climatology is not None) + len(data.quantiles(name))
        read = 3 * min(block, members * len(data.lead_times) * frame)
        greatest = max(greatest, read + 2 * fields * min(ahead, len(data.times) * frame))
    return CACHE_BYTES + greatest


def score_pieces(
    data: VerificationData,
    request: Request,
    console: Console,
    out: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> dict[str, VariableScores]:
    """Scores of every variable over all initial times."""
    every = pieces(data, workers if scheduler is None else PIECE)
    with _kept(request, out) as folder:
        found = {piece: held for piece in every if (held := read_piece(folder, piece)) is not None}
        if found:
            say(console, f"Going on: {len(found)} of {len(every)} parts were scored before.")
        rest = [piece for piece in every if piece not in found]
        done: Iterator[tuple[Piece, VariableScores]]
        if workers == 1 and scheduler is None:
            done = ((piece, _scored(data, piece)) for piece in rest)
        else:
            done = _spread(request, rest, workers, scheduler)
        for piece, scores in track(done, "Scoring", total=len(rest), console=console, transient=True):
            found[piece] = scores
            write_piece(folder, piece, scores)
    return {
        name: joined([found[piece] for piece in every if piece.variable == name])
        for name in dict.fromkeys(piece.variable for piece in every)
    }


def _spread(
    request: Request, rest: Sequence[Piece], workers: int, scheduler: str | None
) -> Iterator[tuple[Piece, VariableScores]]:
    with _executor(workers, scheduler) as executor:
        waiting: dict[Future, Piece] = {executor.submit(score_piece, request, piece): piece for piece in rest}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


def score_piece(request: Request, piece: Piece) -> VariableScores:
    """Scores of a piece, on a worker, which opens the inputs once."""
    return _scored(_opened(request), piece)


def _scored(data: VerificationData, piece: Piece) -> VariableScores:
    return score_variable(data, piece.variable, data.init_times[piece.start : piece.stop])


@cache
def _opened(request: Request) -> VerificationData:
    return request.open()


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor]:
    if scheduler is None:
        # Not forked: threads of JAX and tensorstore hold locks.
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as executor:
            yield executor
        return
    with cluster(scheduler) as executor:
        yield executor


@contextmanager
def _kept(request: Request, out: str | Path | None) -> Iterator[Path | None]:
    """Folder of the pieces that are done; it stays after an interrupt or a kill, not after an error of the inputs.

    None without an output, and for remote inputs, whose changes cannot be seen.
    """
    if out is None or any(is_url(place) for place in request.places):
        yield None
        return
    out = Path(out)
    folder = out.with_name(f".{out.name}.scored-{_digest(request)}")
    for other in out.parent.glob(f".{out.name}.scored-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    try:
        yield folder
    except Exception:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _digest(request: Request) -> str:
    """Digits that change with the request, the program and the files' times of change."""
    changed = [stamps(Path(place)) for place in request.places]
    return hashlib.sha256(json.dumps([asdict(request), __version__, changed], default=str).encode()).hexdigest()[:12]


def stamps(path: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change of a file, or of the entries of a store and their metadata."""
    entries = [path, *sorted(path.glob("*")), *sorted(path.glob("*/zarr.json")), *sorted(path.glob("*/.zarray"))]
    return [(str(entry), entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries if entry.exists()]


def write_piece(folder: Path | None, piece: Piece, scores: VariableScores) -> None:
    """Keep the scores of a piece in a folder, if there is one."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    keys = [(system, metric) for system, by_metric in scores.scores.items() for metric in by_metric]
    arrays = {f"a{i}": scores.scores[system][metric] for i, (system, metric) in enumerate(keys)}
    aside = folder / f"{piece.file}.new"
    write_arrays(aside, arrays | {"lacking": scores.lacking, "keys": np.array(json.dumps(keys))})
    put(aside, folder / piece.file, replace=True)


def read_piece(folder: Path | None, piece: Piece) -> VariableScores | None:
    """A piece that was scored before; None if there is none, or it is damaged."""
    if folder is None or not (folder / piece.file).exists():
        return None
    try:
        with np.load(folder / piece.file, allow_pickle=False) as held:
            found: dict[str, dict[str, np.ndarray]] = {}
            for i, (system, metric) in enumerate(json.loads(str(held["keys"]))):
                found.setdefault(system, {})[metric] = held[f"a{i}"]
            return VariableScores(found, held["lacking"])
    except (OSError, ValueError, KeyError, EOFError):
        return None

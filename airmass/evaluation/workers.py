"""Scoring in pieces: one variable over a few initial times each, here, on other processes or on a Dask cluster.

Each piece's scores are kept in a folder beside the output until the end, so that an evaluation that was killed goes on
where it was. Pieces are joined in the order of their initial times, so results do not depend on who computed them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from airmass.core.files import put, write_arrays
from airmass.core.memory import keep_freed_memory, resident
from airmass.core.tables import say
from airmass.data.formats.forecast_reader import CACHE_BYTES
from airmass.evaluation.field_cache import READ_BYTES
from airmass.evaluation.inputs import VerificationData, open_verification
from airmass.evaluation.processes import spread
from airmass.evaluation.request import VerificationRequest
from airmass.evaluation.restart import kept_parts
from airmass.evaluation.scoring import BLOCK_VALUES, VariableScores, joined, score_variable

# Initial times of one piece: chunks of a forecast often span about as many.
PIECE = 12
# Arrays of members that a statistic makes on its way, such as their errors and these in order.
_ARRAYS = 6


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
    """Estimated bytes of one worker: the program itself, as it is now, cached chunks, read blocks, frames, copies, and
    the arrays in float64 of what is scored at once."""
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
    return resident() + CACHE_BYTES + greatest + 8 * _ARRAYS * max(BLOCK_VALUES, members * data.grid.size)


def score_pieces(
    data: VerificationData,
    request: VerificationRequest,
    console: Console,
    out: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> dict[str, VariableScores]:
    """Scores of every variable over all initial times."""
    every = pieces(data, workers if scheduler is None else PIECE)
    with kept_parts(out, "scored", request.record(), request.places) as folder:
        found = {piece: held for piece in every if (held := read_piece(folder, piece)) is not None}
        if found:
            say(console, f"Going on: {len(found)} of {len(every)} parts were scored before.")
        rest = [piece for piece in every if piece not in found]
        done: Iterator[tuple[Piece, VariableScores]]
        if workers == 1 and scheduler is None:
            done = ((piece, _scored(data, piece)) for piece in rest)
        else:
            done = spread(score_piece, {piece: (request, piece) for piece in rest}, workers, scheduler)
        for piece, scores in track(done, "Scoring", total=len(rest), console=console, transient=True):
            found[piece] = scores
            write_piece(folder, piece, scores)
    return {
        name: joined([found[piece] for piece in every if piece.variable == name])
        for name in dict.fromkeys(piece.variable for piece in every)
    }


def score_piece(request: VerificationRequest, piece: Piece) -> VariableScores:
    """Scores of a piece, on a worker, which opens the inputs once."""
    return _scored(_opened(request), piece)


def _scored(data: VerificationData, piece: Piece) -> VariableScores:
    keep_freed_memory()  # a fifth of the time on large grids, whose arrays the system would clear anew each time
    return score_variable(data, piece.variable, data.init_times[piece.start : piece.stop])


@cache
def _opened(request: VerificationRequest) -> VerificationData:
    return open_verification(request)


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

"""Fields as bytes in a page: rounded to a step, predicted from their neighbours, deflated.

A frame holds whole numbers q of 16 bits: value = (least + q) * step * 2**exponent, missing where q is 65535. The
difference of each number from west + south - south-west (the plane through three neighbours, modulo 2**16) is mostly
near zero; its low bytes and its high bytes stand apart, which deflate packs best.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt16

MISSING = 65535
# Frames share a deflate stream until it holds this many numbers: a stream has tables of its own.
_NODES_A_BLOCK = 32768


@dataclass(frozen=True)
class Packed:
    """A block of frames as bytes, and the largest difference of a value from the one that is shown."""

    data: bytes
    error: float


def frames_a_block(nodes: int) -> int:
    return max(1, _NODES_A_BLOCK // nodes)


def step_for(low: float, high: float, levels: int) -> float:
    """The round step (1, 2 or 5 times a power of ten) that divides a range into about `levels`."""
    low, high = float(low), float(high)
    size = high - low
    if not np.isfinite(size) or size <= 0:
        size = max(abs(high), 1.0) * 1e-3 if np.isfinite(high) else 1.0
    power = 10.0 ** np.floor(np.log10(size / levels))
    return float(min((power * digit for digit in (1, 2, 5, 10)), key=lambda step: abs(np.log(step * levels / size))))


def packed(frames: Float[np.ndarray, "frame latitude longitude"], step: float) -> Packed:
    """Frames as one deflated block: for each frame least and exponent (two int32), then low bytes, then high bytes."""
    head, planes, error = [], [], 0.0
    for frame in frames:
        least, exponent, numbers = _rounded(np.asarray(frame, np.float64), step)
        head.append(struct.pack("<ii", least, exponent))
        planes.append(_zigzag(_differences(numbers)))
        error = max(error, _largest_error(frame, least, numbers, step * 2.0**exponent))
    together = np.stack(planes)
    body = (together & 255).astype(np.uint8).tobytes() + (together >> 8).astype(np.uint8).tobytes()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return Packed(deflate.compress(b"".join(head) + body) + deflate.flush(), error)


def unpacked(data: bytes, shape: Sequence[int], step: float) -> Float[np.ndarray, "frame latitude longitude"]:
    """The values that a page shows for a block: the same arithmetic as in the page, for tests."""
    raw = zlib.decompress(data, -15)
    frames, rows, columns = shape
    heads = np.frombuffer(raw[: 8 * frames], "<i4").reshape(frames, 2)
    low, high = np.frombuffer(raw[8 * frames :], np.uint8).reshape(2, frames, rows, columns).astype(np.uint16)
    zigzag = low | (high << 8)
    differences = (zigzag >> 1) ^ (-(zigzag & 1).astype(np.int32)).astype(np.uint16)
    numbers = np.cumsum(np.cumsum(differences, axis=1, dtype=np.uint16), axis=2, dtype=np.uint16)
    values = (heads[:, :1, None].astype(np.float64) + numbers) * (step * 2.0 ** heads[:, 1:, None])
    return np.where(numbers == MISSING, np.nan, values)


def _rounded(frame: np.ndarray, step: float) -> tuple[int, int, UInt16[np.ndarray, "latitude longitude"]]:
    """Least number, exponent of two (0 unless the frame spans more than 65534 steps), and the numbers above it."""
    finite = np.isfinite(frame)
    if not finite.any():
        return 0, 0, np.full(frame.shape, MISSING, np.uint16)
    low, high = float(frame[finite].min()), float(frame[finite].max())
    exponent = 0
    while high - low > (MISSING - 2) * step * 2.0**exponent or max(-low, high) > 2**30 * step * 2.0**exponent:
        exponent += 1
    unit = step * 2.0**exponent
    least = int(np.round(low / unit))
    numbers = np.where(finite, np.round(np.where(finite, frame, low) / unit) - least, MISSING)
    return least, exponent, numbers.astype(np.uint16)


def _largest_error(frame: np.ndarray, least: int, numbers: np.ndarray, unit: float) -> float:
    held = numbers != MISSING
    return float(np.abs(frame[held] - (least + numbers[held].astype(np.float64)) * unit).max(initial=0.0))


def _differences(numbers: np.ndarray) -> np.ndarray:
    """Difference of each number from west + south - south-west, modulo 2**16; outside the grid they are zero."""
    rows = numbers.copy()
    rows[1:] -= numbers[:-1]
    columns = rows.copy()
    columns[:, 1:] -= rows[:, :-1]
    return columns


def _zigzag(differences: np.ndarray) -> np.ndarray:
    """Small numbers of either sign as small numbers: 0, -1, 1, -2 become 0, 1, 2, 3."""
    signed = differences.view(np.int16)
    return ((signed << 1) ^ (signed >> 15)).view(np.uint16)

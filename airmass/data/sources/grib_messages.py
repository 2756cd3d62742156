"""Messages of a GRIB file, editions 1 and 2, found and checked in Python before ecCodes gets them.

ecCodes skips bytes that are no message without a word, so that a damaged field would only be missing. A message of
edition 2 may hold several fields (NCEP puts u and v into one); each is taken out as a message of its own.
Source: WMO Manual on Codes (WMO-No. 306), volume I.2, FM 92 GRIB.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from airmass.core.errors import InputError
from airmass.core.reading import open_regular

_START, _END = b"GRIB", b"7777"
# Headings and ends of WMO bulletins around messages are shorter than this.
_LONGEST_GAP = 200
_BITMAP_AS_BEFORE = 254


@dataclass(frozen=True)
class Position:
    """One field of a file: its message's first byte and length, and its number among the message's fields."""

    offset: int
    length: int
    field: int = 0


def positions(path: Path) -> Iterator[tuple[Position, bytes]]:
    """Every field of a file in order, with its message; raises InputError for a damaged or truncated one."""
    number = 0
    with open_regular(path) as file:
        size = file.seek(0, 2)
        at = _next_start(path, file, 0, size, number)
        while at < size:
            number += 1
            where = f"message {number} at byte {at}"
            length = _length(path, file, at, size, where)
            message = _read(file, at, length)
            if message[-4:] != _END:
                raise InputError(f"{path}: {where} does not end with 7777 after its {length} bytes")
            for k, field in enumerate(_fields(path, message, where)):
                yield Position(at, length, k), field
            at = _next_start(path, file, at + length, size, number)


def message_of(path: Path, position: Position) -> bytes:
    """The message of one field, read again; raises InputError if the file has changed."""
    where = f"message at byte {position.offset}"
    with open_regular(path) as file:
        message = _read(file, position.offset, position.length)
    if message[:4] != _START or message[-4:] != _END or len(message) != position.length:
        raise InputError(f"{path}: changed since it was opened: no {where}")
    return _fields(path, message, where)[position.field]


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


def _next_start(path: Path, file: BinaryIO, at: int, size: int, number: int) -> int:
    """The first byte of the next message, `size` if there is none."""
    ahead = _read(file, at, _LONGEST_GAP + len(_START))
    found = ahead.find(_START)
    if found >= 0:
        return at + found
    rest = size - at
    if rest <= _LONGEST_GAP or not ahead.strip(b"\0"):
        if rest > 0 and any(ahead[:4]) and _START.startswith(ahead[-3:].strip(b"\r\n\0\3") or b"?"):
            raise InputError(f"{path}: truncated after message {number}, at byte {at}")
        return size
    raise InputError(f"{path}: {rest} bytes after message {number}, at byte {at}, are no GRIB message; is it damaged?")


def _length(path: Path, file: BinaryIO, at: int, size: int, where: str) -> int:
    head = _read(file, at, 16)
    if len(head) < 16:
        raise InputError(f"{path}: truncated: {where} has {len(head)} bytes, expected 16 or more")
    edition = head[7]
    if edition not in (1, 2):
        raise InputError(f"{path}: {where} is GRIB edition {edition}, expected 1 or 2")
    length = int.from_bytes(head[8:16] if edition == 2 else head[4:7], "big")
    if edition == 1 and length & 0x800000:
        length = _large_length(file, at, length)
    if length < 20:
        raise InputError(f"{path}: {where} says that it has {length} bytes, expected 20 or more")
    if at + length > size:
        raise InputError(f"{path}: truncated: {where} has {length} bytes, of which the file holds {size - at}")
    return length


def _large_length(file: BinaryIO, at: int, length: int) -> int:
    """The length of a message of edition 1 beyond 8 MB, by ECMWF's rule: a count of 120 bytes, less section 4."""
    start = at + 8
    flags = _read(file, start, 8)[7:8]
    for present in (True, bool(flags and flags[0] & 0x80), bool(flags and flags[0] & 0x40)):
        if present:
            start += int.from_bytes(_read(file, start, 3), "big")
    last = int.from_bytes(_read(file, start, 3), "big")
    return (length & 0x7FFFFF) * 120 - last + 4 if last < 120 else length


def _fields(path: Path, message: bytes, where: str) -> list[bytes]:
    """A message of each field: `message` itself unless it holds several."""
    if message[7] == 1:
        return [message]
    sections = list(_sections(path, message, where))
    if sum(number == 7 for number, _ in sections) <= 1:
        return [message]
    held: dict[int, bytes] = {}
    found = []
    for number, section in sections:
        if number == 6 and section[5:6] == bytes([_BITMAP_AS_BEFORE]) and 6 in held:
            continue
        held[number] = section
        if number == 7:
            body = b"".join(held[k] for k in sorted(held))
            length = (16 + len(body) + len(_END)).to_bytes(8, "big")
            found.append(message[:8] + length + body + _END)
    return found


def _sections(path: Path, message: bytes, where: str) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each section of a message of edition 2, but the first and the last."""
    at, end = 16, len(message) - len(_END)
    while at < end:
        length = int.from_bytes(message[at : at + 4], "big")
        if length < 5 or at + length > end:
            raise InputError(f"{path}: {where} has a section of {length} bytes at byte {at}, expected 5 to {end - at}")
        yield message[at + 4], message[at : at + length]
        at += length

"""Texts of many megabytes, kept as UTF-8 bytes: a Python string takes up to four bytes a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

HUGE_BYTES = 2**20
"""A longer text is carried as bytes."""

PIECE_BYTES = 2**20
"""Bytes of a huge text that are looked at together."""


def pieces_of(data: memoryview) -> Iterator[memoryview]:
    """UTF-8 in order, a piece of whole characters at a time."""
    start = 0
    while start < len(data):
        end = start + PIECE_BYTES
        if end < len(data):
            end = start_of_character(data, end)
        yield data[start:end]
        start = end


def start_of_character(data: memoryview | bytes | bytearray, place: int) -> int:
    """Place of the first byte of the UTF-8 character that ``place`` lies in."""
    while place and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


def is_utf8(data: memoryview) -> bool:
    """True for UTF-8; found out without one string of all of ``data``."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), PIECE_BYTES):
            decoder.decode(data[start : start + PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def viewed(value: object) -> object:
    """``value``, or a view of it if it is bytes: pyarrow turns a view into a string without another copy."""
    return memoryview(value) if isinstance(value, bytes | bytearray) else value


def rows_of_huge_texts(column: pa.Array | pa.ChunkedArray) -> list[int]:
    """Numbers of the rows with huge texts in a column of strings, ascending; empty for any other column."""
    if column.type not in (pa.string(), pa.large_string()):
        return []
    lengths = pc.binary_length(column)
    if (pc.max(lengths).as_py() or 0) <= HUGE_BYTES:
        return []
    is_huge = pc.fill_null(pc.greater(lengths, HUGE_BYTES), False)
    return [int(row) for row in pc.indices_nonzero(is_huge).to_pylist()]


def bytes_of(column: pa.ChunkedArray, row: int) -> memoryview:
    """The bytes of a text that is not null, without a copy."""
    return memoryview(column[row].as_buffer()).cast("B")

"""Texts of many megabytes, kept as their UTF-8 bytes: as a Python string one takes up to four bytes a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

HUGE_BYTES = 2**20
"""A text of more bytes is carried as bytes."""

PIECE_BYTES = 2**20
"""Bytes of a huge text that are looked at together."""


class HugeText:
    """One text by its bytes, which are shared with the Arrow array that holds it and surely UTF-8."""

    def __init__(self, data: pa.Buffer | bytes) -> None:
        self._data = memoryview(data).cast("B")  # views of Arrow are of signed numbers

    def __len__(self) -> int:
        return len(self._data)

    def isspace(self) -> bool:
        """As of a string."""
        return len(self) > 0 and all(piece.isspace() for piece in self.pieces())

    def whole(self) -> str:
        """The text as a string."""
        return str(self._data, "utf-8")

    def pieces(self) -> Iterator[str]:
        """The text in order, a piece at a time."""
        for piece in blocks(self._data):
            yield str(piece, "utf-8")

    def pieces_from_the_end(self) -> Iterator[str]:
        """The same pieces, the last one first."""
        for piece in reversed(list(blocks(self._data))):
            yield str(piece, "utf-8")


def blocks(data: memoryview) -> Iterator[memoryview]:
    """UTF-8 in order, a piece at a time, each of whole characters."""
    start = 0
    while start < len(data):
        end = start + PIECE_BYTES
        if end < len(data):
            end = start_of_character(data, end)
        yield data[start:end]
        start = end


def start_of_character(data: memoryview | bytes | bytearray, place: int) -> int:
    """``place``, or where the UTF-8 character that it lies in begins."""
    while place and data[place] & 0xC0 == 0x80:
        place -= 1
    return place


def is_utf8(data: memoryview) -> bool:
    """Whether ``data`` are UTF-8, found without making a string of them all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), PIECE_BYTES):
            decoder.decode(data[start : start + PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def viewed(value: object) -> object:
    """``value``, or a view of it if it is bytes: of these pyarrow makes a string without copying them first."""
    return memoryview(value) if isinstance(value, bytes | bytearray) else value


def in_one_piece(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column joined, and not copied where it is in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def dictionary_in_one_piece(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column of a dictionary's values joined, these in the order in which they come; none is repeated in memory."""
    kind = column.type
    # The index may be too small for what the pieces have together but do not use.
    whole = in_one_piece(column.cast(pa.dictionary(pa.int64(), kind.value_type)))
    different = whole.dictionary.dictionary_encode()
    order = different.indices.take(whole.indices).dictionary_encode()
    values = different.dictionary.take(order.dictionary)
    return pa.DictionaryArray.from_arrays(order.indices.cast(kind.index_type), values, ordered=kind.ordered)


def rows_of_huge_texts(column: pa.Array | pa.ChunkedArray) -> list[int]:
    """The rows of a column of strings whose texts are huge, ascending; none of any other column."""
    if not _is_text(column.type) or (pc.max(pc.binary_length(column)).as_py() or 0) <= HUGE_BYTES:
        return []
    is_huge = pc.fill_null(pc.greater(pc.binary_length(column), HUGE_BYTES), False)
    return [int(row) for row in pc.indices_nonzero(is_huge).to_pylist()]


def bytes_of(column: pa.ChunkedArray, row: int) -> memoryview:
    """The bytes of a text that is not null; nothing is copied."""
    return memoryview(column[row].as_buffer()).cast("B")


def texts_of(column: pa.Array | pa.ChunkedArray) -> list[str | HugeText | None]:
    """The values of a column, huge texts as their bytes."""
    texts: list[str | HugeText | None] = []
    start = 0
    for row in rows_of_huge_texts(column):
        texts += column.slice(start, row - start).to_pylist()
        texts.append(HugeText(column[row].as_buffer()))
        start = row + 1
    texts += column.slice(start).to_pylist()
    return texts


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))

"""Places in a file of one row a line: which row and line is next, and how full its chunk is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from scorer.files.text_bytes import Line

_LINE_END, _BRACE = b"\n{"


class RowLines(NamedTuple):
    """Lines of a file, each of which is a row.

    Attributes:
        text: the lines, each with its end.
        sizes: bytes of each, ``(lines,)``.
    """

    text: bytes
    sizes: npt.NDArray[np.int64]

    def runs(self, n_bytes: int) -> Iterator[Self]:
        """The lines, about so many bytes at a time."""
        start = first = 0
        while start < len(self.text):
            stop = self.text.find(b"\n", start + n_bytes) + 1 or len(self.text)
            text = self.text[start:stop]
            last = first + text.count(b"\n")
            yield type(self)(text, self.sizes[first:last])
            start, first = stop, last


def row_lines(block: Line, limit: int) -> RowLines | None:
    """The lines of a block; ``None`` if one does not begin with a brace, does not end, or is longer than ``limit``."""
    if not isinstance(block, bytes) or not block.endswith(b"\n"):
        return None
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LINE_END)
    if data[0] != _BRACE or not (data[ends[:-1] + 1] == _BRACE).all():
        return None
    sizes = np.diff(ends, prepend=-1)
    return RowLines(block, sizes) if sizes.max() <= limit else None


@dataclass
class Place:
    """A place in a file, behind some of its lines.

    Attributes:
        offset: in bytes.
        chunk_rows: rows of a chunk; 0 if nothing bounds them.
        most: bytes of the lines of a chunk.
        line, row: number of the last line, and of the last row.
        chunk_start: where the chunk of the last row begins; lines that are too long do not count.
    """

    offset: int
    chunk_rows: int
    most: int
    line: int = 0
    row: int = 0
    chunk_start: int = 0

    @property
    def chunk_bytes(self) -> int:
        """Bytes of the chunk so far."""
        return self.offset - self.chunk_start if self.chunk_rows else 0

    def fits(self, n_bytes: int) -> bool:
        """True if rows of ``n_bytes`` cannot fill a chunk beyond the limit."""
        return not self.chunk_rows or self.chunk_bytes + n_bytes <= self.most

    def advance(self, sizes: npt.NDArray[np.int64]) -> None:
        """Go on behind lines of ``sizes`` in bytes, of which each is a row."""
        if self.chunk_rows:
            first = (self.row + len(sizes) - 1) // self.chunk_rows * self.chunk_rows  # of the last chunk, from 0
            if first >= self.row:
                self.chunk_start = self.offset + int(sizes[: first - self.row].sum())
        self.offset += int(sizes.sum())
        self.line += len(sizes)
        self.row += len(sizes)

    def step(self, line: bytes | bytearray | None, size: int, skip: int) -> bool:
        """Go on behind one line, ``None`` if it is too long; True if it is a row after the first ``skip``."""
        begin = self.offset
        self.offset += size
        self.line += 1
        if line is not None and line.isspace():
            return False
        self.row += 1
        if self.chunk_rows and (self.row - 1) % self.chunk_rows == 0:
            self.chunk_start = begin
        if line is None:
            self.chunk_start += size  # it fills no memory
        return self.row > skip

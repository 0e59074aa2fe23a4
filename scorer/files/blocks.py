"""Rows of an input gathered into blocks of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.source import Block, KeptRow

Row = TypeVar("Row")


def tables_in_blocks(
    pieces: Iterable[Sequence[Row | Reject] | pa.Table], n_rows: int, table_of: Callable[[list[Row]], pa.Table]
) -> Iterator[Block]:
    """Gather pieces, each a table of good rows or a list of rows and rejects, into blocks of ``n_rows``.

    ``table_of`` makes a table of good rows that are listed.
    """
    block = _OpenBlock(table_of)
    for piece in pieces:
        while len(piece):
            room = n_rows - block.n_rows
            block.add(piece[:room])
            piece = piece[room:]  # without the rows of the block: their texts are held once
            if block.n_rows == n_rows:
                yield block.end()
    if block.n_rows:
        yield block.end()


class _OpenBlock(Generic[Row]):
    """A block that is being gathered.

    Attributes:
        n_rows: its rows and rejects so far.
    """

    def __init__(self, table_of: Callable[[list[Row]], pa.Table]) -> None:
        self._table_of = table_of
        self._clear()

    def _clear(self) -> None:
        self.n_rows = 0
        self._tables: list[pa.Table] = []
        self._good: list[Row] = []
        self._rejects: list[Reject] = []
        self._kept: list[int] = []

    def add(self, piece: Sequence[Row | Reject] | pa.Table) -> None:
        if isinstance(piece, pa.Table):
            self._end_rows()
            self._tables.append(piece)
            self.n_rows += len(piece)
            return
        for row in piece:
            if isinstance(row, Reject):
                self._rejects.append(row)
            else:
                if type(row) is KeptRow:
                    self._kept.append(self.n_rows - len(self._rejects))
                self._good.append(row)
            self.n_rows += 1

    def end(self) -> Block:
        """The block, with columns of one piece; the next one begins."""
        self._end_rows()
        table, *others = self._tables or [self._table_of([])]
        if others:
            whole = pa.concat_tables(self._tables)
            table = pa.table([in_one_piece(column) for column in whole.columns], whole.schema)
        block = Block(table, self._rejects, tuple(self._kept))
        self._clear()
        return block

    def _end_rows(self) -> None:
        if self._good:
            rows, self._good = self._good, []
            self._tables.append(self._table_of(rows))

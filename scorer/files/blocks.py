"""Rows of an input gathered into blocks of a fixed number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.source import Block, KeptRow

Row = TypeVar("Row")


def in_blocks(rows: Iterable[Row | Reject], n_rows: int, table_of: Callable[[list[Row]], pa.Table]) -> Iterator[Block]:
    """Gather rows and rejects into blocks of ``n_rows``, the good rows as the table that ``table_of`` makes of them."""
    good: list[Row] = []
    rejects: list[Reject] = []
    kept: list[int] = []
    for row in rows:
        if isinstance(row, Reject):
            rejects.append(row)
        else:
            if type(row) is KeptRow:
                kept.append(len(good))
            good.append(row)
        if len(good) + len(rejects) == n_rows:
            table = table_of(good)
            good = []  # the texts are held once
            yield Block(table, rejects, tuple(kept))
            del table
            rejects, kept = [], []
    if good or rejects:
        yield Block(table_of(good), rejects, tuple(kept))


def tables_in_blocks(
    pieces: Iterable[Sequence[Row | Reject] | pa.Table], n_rows: int, table_of: Callable[[list[Row]], pa.Table]
) -> Iterator[Block]:
    """Gather pieces, each a table of good rows or a list of rows and rejects, into blocks as :func:`in_blocks` does."""
    open_block = _OpenBlock(table_of)
    for piece in pieces:
        start = 0
        while start < len(piece):
            stop = start + n_rows - open_block.n_rows
            if isinstance(piece, pa.Table):
                open_block.add_table(piece.slice(start, stop - start))
            else:
                open_block.add_rows(piece[start:stop])
            start = stop
            if open_block.n_rows == n_rows:
                yield open_block.end()
    if open_block.n_rows:
        yield open_block.end()


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
        self._n_good = 0
        self._rejects: list[Reject] = []
        self._kept: list[int] = []

    def add_table(self, table: pa.Table) -> None:
        if self._good:
            self._end_rows()
        self._tables.append(table)
        self._n_good += table.num_rows
        self.n_rows += table.num_rows

    def add_rows(self, rows: Sequence[Row | Reject]) -> None:
        for row in rows:
            if isinstance(row, Reject):
                self._rejects.append(row)
                continue
            if type(row) is KeptRow:
                self._kept.append(self._n_good)
            self._good.append(row)
            self._n_good += 1
        self.n_rows += len(rows)

    def end(self) -> Block:
        """The block, with columns of one piece; the next one begins."""
        if self._good or not self._tables:
            self._end_rows()
        table, *others = self._tables
        if others:
            whole = pa.concat_tables(self._tables)
            table = pa.table([in_one_piece(column) for column in whole.columns], whole.schema)
        block = Block(table, self._rejects, tuple(self._kept))
        self._clear()
        return block

    def _end_rows(self) -> None:
        rows, self._good = self._good, []
        self._tables.append(self._table_of(rows))

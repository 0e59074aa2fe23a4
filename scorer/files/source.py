"""What every input format gives: chunks of a fixed number of input rows, the bad ones set aside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError, UsageError
from scorer.files.bad_rows import Reject
from scorer.files.columns import named_column


def text_values(column: pa.ChunkedArray, *, name: str, path: str) -> pa.ChunkedArray:
    """A column of :func:`check_text_type` as large strings that are surely UTF-8.

    Raises:
        InputError: it holds other bytes, which Parquet files can.
    """
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(f"column {name!r} holds text that is not UTF-8", path=path) from error
    return pc.cast(column, pa.large_string())


OnBadRow = Literal["fail", "reject"]

BOMB_BYTES = 2**30
"""A file may unpack to so much, whatever its size, and beyond that to 200 times its size."""

_BOMB_RATIO = 200

JSON_FIELD = {b"scorer:json": b"true"}
"""Metadata of a string field whose values are JSON texts: of a JSONL column that no Arrow type holds unchanged."""


@dataclass(frozen=True)
class ReadOptions:
    """How input files are read; ``None`` leaves a choice to the file.

    Attributes:
        format: ``parquet``, ``csv``, ``tsv`` or ``jsonl``; ``None`` goes by the extension.
        encoding: of text formats, a name that Python knows; ``None`` is UTF-8, a byte order mark dropped.
        delimiter: between the fields of a CSV file, one character; ``None`` is the format's.
        on_bad_row: ``fail`` stops at the first bad row, ``reject`` sets bad rows aside.
        keep_raw: whether a reject carries the text of its row.
        max_row_bytes: a longer row of a text format is refused.
        max_chunk_bytes: a chunk of rows that is larger in memory is refused.
        max_file_bytes: bytes that a file may unpack to; ``None`` refuses what unpacks to over
            1 GiB and to more than 200 times its size.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    on_bad_row: OnBadRow = "fail"
    keep_raw: bool = False
    max_row_bytes: int = 256 * 2**20
    max_chunk_bytes: int = 2 * 2**30
    max_file_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.on_bad_row not in get_args(OnBadRow):
            raise UsageError(f"unknown --on-bad-row {self.on_bad_row!r}", hint="choose fail or reject")
        if self.delimiter == "\\t":  # as shells hand it over
            object.__setattr__(self, "delimiter", "\t")
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise UsageError(
                f"--delimiter {self.delimiter!r} is not one character that can divide fields",
                hint="pass , or ; or $'\\t'",
            )

    def check_unpacked(self, n_bytes: int, packed: int, path: str) -> None:
        """Whether a file of ``packed`` bytes may unpack to ``n_bytes``.

        Raises:
            InputError: that is over ``max_file_bytes``.
        """
        if self.max_file_bytes is not None and n_bytes > self.max_file_bytes:
            raise InputError(
                f"holds more than {self.max_file_bytes:,} bytes",
                path=path,
                hint="raise --max-file-bytes if that is right",
            )
        if self.max_file_bytes is None and n_bytes > max(BOMB_BYTES, _BOMB_RATIO * packed):
            raise InputError(
                f"unpacks to more than {_BOMB_RATIO} times its size and over {BOMB_BYTES >> 30} GiB,"
                " as decompression bombs do",
                path=path,
                hint="pass --max-file-bytes if it is right",
            )


@dataclass(frozen=True)
class Chunk:
    """The next input rows of a file.

    Attributes:
        number: of the chunk, from 0.
        first_row: input row of its first row, from 1.
        rows: the good rows, in order; a column is one piece, so that equal chunks are written to equal bytes.
        rejects: the bad rows, in order.
        n_input_rows: good and bad rows together; the asked number in all chunks but the last.
    """

    number: int
    first_row: int
    rows: pa.Table
    rejects: tuple[Reject, ...] = field(default=())
    n_input_rows: int = 0

    def __post_init__(self) -> None:
        if self.rows.num_rows + len(self.rejects) != self.n_input_rows:
            raise ValueError(f"{self.rows.num_rows} rows and {len(self.rejects)} rejects are not {self.n_input_rows}")


class Source(ABC):
    """One input file, opened: its schema is known, its rows are not read yet.

    Attributes:
        path: its name as messages give it.
        location: where it is opened.
        schema: names, types and key-value metadata of its columns; in CSV all are strings.
        n_rows: its rows where the file says so, else ``None``.
    """

    path: str
    location: str
    schema: pa.Schema
    n_rows: int | None = None
    options: ReadOptions

    @abstractmethod
    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[tuple[pa.Table, list[Reject], int]]:
        """Good rows, bad rows and their count together, ``rows`` input rows at a time, from block ``start`` on."""

    def with_text(self, column: str) -> Self:
        """This source, with ``column`` read as text.

        Raises:
            InputError: the column cannot hold text.
        """
        check_text_type(self.schema.field(column), self.path)
        return self

    def chunks(self, chunk_rows: int, columns: Sequence[str] | None = None, *, start: int = 0) -> Iterator[Chunk]:
        """All rows, in order, in chunks of exactly ``chunk_rows`` input rows, the last one shorter.

        ``columns`` are the columns to read, in the order wanted; default all. Chunks before number
        ``start`` are not delivered; what lies in them is not decoded where the format allows that,
        and their bad rows are not reported again.

        Raises:
            InputError: a column is not there, the file is damaged, or a row is bad and the policy is ``fail``.
        """
        names = (
            self.schema.names if columns is None else [named_column(self.schema.names, c, self.path) for c in columns]
        )
        number = start
        for table, rejects, n_rows in self._blocks(chunk_rows, names, start):
            if rejects and self.options.on_bad_row == "fail":
                raise rejects[0].error()
            if table.nbytes > self.options.max_chunk_bytes:
                raise InputError(
                    f"{n_rows} rows from here on fill {table.nbytes >> 20:,} MiB of memory",
                    path=self.path,
                    row=number * chunk_rows + 1,
                    hint="lower --chunk-rows",
                )
            yield Chunk(number, number * chunk_rows + 1, table, tuple(rejects), n_rows)
            number += 1

    def pieces(self, chunk_rows: int, *, start: int = 0, size: int) -> list[tuple[int, int | None]]:  # noqa: ARG002
        """First and last numbers of runs of chunks from ``start`` on that can be read at the same time.

        They have about ``size`` chunks where the format allows that; ``None`` is the last chunk.
        Text can be read from its beginning alone, and is one piece.
        """
        return [(start, None)]

    def tables(self, chunk_rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The good rows of :meth:`chunks`."""
        for chunk in self.chunks(chunk_rows, columns):
            yield chunk.rows


def holds_json(field: pa.Field) -> bool:
    """Whether the strings of a column are JSON texts, to be written to JSONL as they are."""
    return bool(field.metadata) and field.metadata.get(b"scorer:json") == b"true"


def with_leaves(kind: pa.DataType, changed: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """``kind`` with every type in it that has no others inside as ``changed`` makes it; views of lists are lists."""
    if pa.types.is_struct(kind):
        return pa.struct([item.with_type(with_leaves(item.type, changed)) for item in kind])
    if pa.types.is_map(kind):
        return pa.map_(with_leaves(kind.key_type, changed), with_leaves(kind.item_type, changed))
    if not pa.types.is_nested(kind):
        return changed(kind)
    item = kind.value_field.with_type(with_leaves(kind.value_type, changed))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(item, kind.list_size)
    return pa.large_list(item) if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind) else pa.list_(item)


def check_text_type(field: pa.Field, path: str) -> None:
    """Whether a column of this type can hold reviews: strings, dictionaries of strings, or nulls alone.

    Raises:
        InputError: it cannot.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    checks = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(check(kind) for check in checks) or holds_json(field):
        held = "values of several types" if holds_json(field) else str(field.type)
        raise InputError(
            f"column {field.name!r} holds {held}, not text", path=path, hint="name another with --text-column"
        )

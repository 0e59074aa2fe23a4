"""The interface of every input format: chunks of a fixed number of input rows, the bad ones set aside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError, UsageError
from scorer.files.arrow import holds_json, is_text
from scorer.files.bad_rows import Reject
from scorer.files.columns import named_column
from scorer.files.file_options import FileOptions
from scorer.files.urls import without_secrets
from scorer.safe_text import counted, quoted

OnBadRow = Literal["fail", "reject", "keep"]

# A file may unpack to this many bytes whatever its size, and beyond that to this many times its size.
_BOMB_BYTES = 2**30
_BOMB_RATIO = 200


@dataclass(frozen=True, kw_only=True)
class ReadOptions(FileOptions):
    """Options of reading input files, with the limits that ``score`` sets; ``None`` leaves a choice to the file.

    Attributes:
        on_bad_row: ``fail`` stops at the first bad row, ``reject`` sets bad rows aside, ``keep`` only those whose
            columns cannot be carried.
        keep_raw: True if a reject carries the text of its row.
        max_row_bytes: a longer row of a text format is refused.
        max_chunk_bytes: a chunk of rows that is larger in memory is refused.
        max_file_bytes: bytes that a file may unpack to; ``None`` refuses a file that unpacks to over
            1 GiB and to more than 200 times its size.
    """

    on_bad_row: OnBadRow = "fail"
    keep_raw: bool = False
    max_row_bytes: int = 256 * 2**20
    max_chunk_bytes: int = 2 * 2**30
    max_file_bytes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.on_bad_row not in get_args(OnBadRow):
            raise UsageError(f"unknown --on-bad-row {self.on_bad_row!r}", hint="choose fail, reject or keep")

    def check_unpacked(self, n_bytes: int, packed: int, path: str) -> None:
        """Check that a file of ``packed`` bytes may unpack to ``n_bytes``.

        Raises:
            InputError: that is over ``max_file_bytes``.
        """
        if self.max_file_bytes is not None and n_bytes > self.max_file_bytes:
            raise InputError(
                f"holds more than {counted(self.max_file_bytes, 'byte')}",
                path=path,
                hint="raise --max-file-bytes if that is right, or split the file",
            )
        if self.max_file_bytes is None and n_bytes > max(_BOMB_BYTES, _BOMB_RATIO * packed):
            raise InputError(
                f"decompresses to more than {_BOMB_RATIO} times its size and over {_BOMB_BYTES >> 30} GiB,"
                " as decompression bombs do",
                path=path,
                hint="pass --max-file-bytes if it is right, or decompress the file",
            )


class KeptRow(dict[str, Any]):
    """A row whose columns can be carried, but whose text is none: it is written as JSON in its place."""


class Block(NamedTuple):
    """Consecutive rows, see :class:`Chunk`."""

    rows: pa.Table
    rejects: list[Reject]
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Consecutive input rows of a file.

    Attributes:
        number: of the chunk, from 0.
        rows: the good rows, in order; a column is one piece, so that equal chunks are written to equal bytes.
        rejects: the bad rows, in order.
        kept: places in ``rows`` of bad rows that are kept there.
    """

    number: int
    rows: pa.Table
    rejects: tuple[Reject, ...]
    kept: tuple[int, ...] = ()

    @property
    def n_input_rows(self) -> int:
        """Good and bad rows together: the requested number in all chunks but the last."""
        return int(self.rows.num_rows) + len(self.rejects)


class Source(ABC):
    """An open input file: its schema is known, its rows are not read yet. All its strings are valid UTF-8.

    Attributes:
        path: its name as messages give it.
        location: the path or URL by which it is opened.
        options: how it is read.
        schema: names, types and key-value metadata of its columns; in CSV all are strings.
        n_rows: its number of rows if the file states it, else ``None``.
        expected_rows: about its number of rows, by what was read so far; ``None`` if nothing tells.
    """

    schema: pa.Schema
    n_rows: int | None = None
    expected_rows: int | None = None

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.location = path
        self.path = without_secrets(path)
        self.options = options

    def advice(self) -> str | None:
        """Options by which the file may have a column that it lacks, as a hint."""
        return None

    @contextmanager
    def advised(self) -> Iterator[None]:
        """Look for columns: an error in the block gets :meth:`advice` as its hint if there is one."""
        try:
            yield
        except InputError as error:
            advice = self.advice()
            if advice is None:
                raise
            raise error.with_hint(advice) from error

    @abstractmethod
    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        """The file, ``rows`` input rows at a time, from block ``start`` on."""

    def with_text(self, column: str) -> Self:
        """This source, with ``column`` read as text.

        Raises:
            InputError: the column cannot hold text.
        """
        check_text_type(self.schema.field(column), self.path)
        return self

    def chunks(self, chunk_rows: int, columns: Sequence[str] | None = None, *, start: int = 0) -> Iterator[Chunk]:
        """All rows, in order, in chunks of exactly ``chunk_rows`` input rows, the last one shorter.

        ``columns`` are the columns to read, in this order; default all. Chunks before number ``start`` are
        skipped: they are not decoded if the format allows that, and their bad rows are not reported again.

        Raises:
            InputError: a column does not exist, the file is damaged, or a row is bad and the policy is ``fail``.
        """
        names = (
            self.schema.names if columns is None else [named_column(self.schema.names, c, self.path) for c in columns]
        )
        for number, (table, rejects, kept) in enumerate(self._blocks(chunk_rows, names, start), start):
            if rejects and self.options.on_bad_row == "fail":
                raise rejects[0].error()
            if table.nbytes > self.options.max_chunk_bytes:
                raise InputError(
                    f"{counted(table.num_rows + len(rejects), 'row')} from here on would fill"
                    f" {table.nbytes >> 20:,} MiB of memory",
                    path=self.path,
                    row=number * chunk_rows + 1,
                    hint="lower --chunk-rows, or split the file",
                )
            yield Chunk(number, table, tuple(rejects), kept)
            del table

    def pieces(self, chunk_rows: int, *, start: int = 0, size: int) -> list[tuple[int, int | None]]:  # noqa: ARG002
        """First and last numbers of runs of chunks, from ``start`` on, that can be read at the same time.

        They have about ``size`` chunks if the format allows that; ``None`` is the last chunk.
        Text can be read from its beginning alone, and is one piece.
        """
        return [(start, None)]

    def tables(self, chunk_rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The good rows of :meth:`chunks`."""
        for chunk in self.chunks(chunk_rows, columns):
            yield chunk.rows


def check_text_type(field: pa.Field, path: str) -> None:
    """Check that a column of this type can hold reviews: strings, dictionaries of strings, or nulls alone.

    Raises:
        InputError: it cannot.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if holds_json(field) or not (is_text(kind) or pa.types.is_null(kind)):
        held = "values of several types" if holds_json(field) else str(field.type)
        raise InputError(
            f"column {quoted(field.name)} holds {held}, not text", path=path, hint="name another with --text-column"
        )


def text_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of a source that :func:`check_text_type` takes, as large strings."""
    return pc.cast(column, pa.large_string())

"""Files of reviews, read as Arrow tables of a fixed number of rows; flat memory, strict parsing."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.bad_rows import Reject
from scorer.errors import InputError
from scorer.locations import FORMATS, format_of
from scorer.sources import Chunk, ReadOptions, Source, check_text_type

__all__ = ["FORMATS", "Chunk", "ReadOptions", "Reject", "Source", "check_text_type", "format_of", "open_source"]


def open_source(
    path: str | os.PathLike[str], options: ReadOptions | None = None, *, format: str | None = None
) -> Source:
    """Open a file of reviews; ``format`` overrides what its extension says.

    Raises:
        InputError: it is missing, empty, of an unknown format, or damaged.
    """
    name = os.fspath(path)
    file = Path(name)
    if file.is_dir():
        raise InputError("is a folder, not a file", path=name)
    if not file.exists():
        raise InputError("no such file", path=name, hint="check the path")
    kind = format or format_of(name)
    with _translated(name):
        if file.stat().st_size == 0:
            raise InputError("is empty (0 bytes)", path=name)
        chosen = options or ReadOptions()
        return ParquetSource(name, chosen) if kind == "parquet" else CsvSource(name, chosen)


class ParquetSource(Source):
    """A Parquet file; page checksums are verified where the file has them."""

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.path = path
        self.options = options
        with _translated(path):
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            self.schema = self._file.schema_arrow
            self.n_rows: int = self._file.metadata.num_rows

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[tuple[pa.Table, list[Reject], int]]:
        yield from _blocks(self._tables(rows, columns), rows, start)

    def _tables(self, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        everything = list(columns) == self.schema.names
        delivered = 0
        with _translated(self.path):
            # Without this, pyarrow would hold the pages of whole row groups ahead of the reader.
            batches = self._file.iter_batches(batch_size=rows, columns=None if everything else list(columns))
            for batch in batches:
                delivered += batch.num_rows
                table = pa.Table.from_batches([batch])
                yield table if everything else table.select(list(columns))
        if delivered != self.n_rows:
            raise InputError(f"the footer counts {self.n_rows} rows, {delivered} were delivered", path=self.path)


class CsvSource(Source):
    """A CSV file in UTF-8 with a header; every value is text and stays as it is written.

    The strict mode of Python's ``csv`` is used because pyarrow's reader takes the end of the file
    for the end of an open quote, which would swallow rows in silence.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        self.path = path
        self.options = options
        delimiter = self._delimiter = options.delimiter or ","
        csv.field_size_limit(sys.maxsize)
        with _translated(path), self._open() as file:
            try:
                header = next(csv.reader(file, strict=True, delimiter=delimiter), None)
            except csv.Error as error:
                raise InputError(f"the header cannot be read: {error}", path=path) from error
            except UnicodeDecodeError as error:
                raise _not_utf8(path) from error
        if not header:
            raise InputError("has no header", path=path)
        self.schema = pa.schema([pa.field(name, pa.string()) for name in header])

    def _open(self) -> TextIO:
        return Path(self.path).open(encoding="utf-8-sig", newline="")

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[tuple[pa.Table, list[Reject], int]]:
        yield from _blocks(self._tables(rows, columns), rows, start)

    def _tables(self, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        names = self.schema.names
        wanted = range(len(names)) if list(columns) == names else [names.index(column) for column in columns]
        schema = pa.schema([self.schema.field(index) for index in wanted])
        done = 0
        with _translated(self.path), self._open() as file:
            records = self._records(csv.reader(file, strict=True, delimiter=self._delimiter))
            while batch := list(islice(records, rows)):
                done += len(batch)
                yield pa.table([pa.array([record[index] for record in batch], pa.string()) for index in wanted], schema)

    def _records(self, reader: Iterator[list[str]]) -> Iterator[list[str]]:
        width = len(self.schema)
        row = 0
        try:
            next(reader)
            for record in reader:
                row += 1
                if len(record) != width:
                    if not record and width > 1:
                        continue  # a blank line is no row, as every CSV reader has it
                    if not record:
                        record = [""]
                    else:
                        raise InputError(f"{len(record)} fields where the header has {width}", path=self.path, row=row)
                yield record
        except csv.Error as error:
            what = "a quote opens and is never closed" if "unexpected end of data" in str(error) else str(error)
            raise InputError(what, path=self.path, row=row + 1) from error
        except UnicodeDecodeError as error:
            raise _not_utf8(self.path) from error


def _not_utf8(path: str) -> InputError:
    return InputError("is not UTF-8", path=path, hint="convert it to UTF-8")


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


def _blocks(tables: Iterator[pa.Table], rows: int, start: int) -> Iterator[tuple[pa.Table, list[Reject], int]]:
    waiting: list[pa.Table] = []
    n_waiting = 0
    number = 0
    for table in tables:
        waiting.append(table)
        n_waiting += table.num_rows
        while n_waiting >= rows:
            joined = pa.concat_tables(waiting)
            if number >= start:
                yield joined.slice(0, rows).combine_chunks(), [], rows
            number += 1
            waiting = [joined.slice(rows)]
            n_waiting -= rows
    if n_waiting and number >= start:
        yield pa.concat_tables(waiting).combine_chunks(), [], n_waiting


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """The one boundary where errors of pyarrow and the file system become ours."""
    try:
        yield
    except pa.ArrowException as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"is damaged or of another format: {first}", path=path) from error
    except OSError as error:
        reason = error.strerror or (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"cannot be read: {reason}", path=path) from error

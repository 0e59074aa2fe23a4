"""Tables to one published file: whole and durable, or not there at all."""

from __future__ import annotations

import csv
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.errors import InputError, OutputError, OutputExistsError, ScorerError, UsageError
from scorer.reading import FORMATS, open_source

_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 65536


def check_destination(output: Path, inputs: list[Path], *, overwrite: bool) -> str:
    """Everything about a destination that can be known before any work; returns its format.

    Raises:
        UsageError: its extension names no format, it is a folder, or it is an input.
        OutputExistsError: it stands already and ``overwrite`` is false.
        OutputError: its folder is missing or cannot be written to.
    """
    kind = FORMATS.get(output.suffix.lower())
    if kind is None:
        raise UsageError(
            "its extension names no format that can be written", path=output, hint=f"known: {', '.join(FORMATS)}"
        )
    if output.is_dir():
        raise UsageError("is a folder", path=output, hint="name a file in it")
    for path in inputs:
        if output.exists() and path.exists() and output.samefile(path):
            raise UsageError("is the input itself", path=output, hint="write to another file")
    if output.exists() and not overwrite:
        raise OutputExistsError("stands already", path=output, hint="pass --overwrite to replace it")
    folder = output.absolute().parent
    if not folder.is_dir():
        raise OutputError("no such folder", path=folder, hint="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("the folder cannot be written to", path=folder, hint="choose another or change its mode")
    return kind


class TableWriter(ABC):
    """Writes tables of one schema, one after another, to an open file."""

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""

    @abstractmethod
    def finish(self) -> None:
        """Write what is still held back and the end of the file; the file itself stays open."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of the file without finishing it."""


class ParquetTableWriter(TableWriter):
    """Parquet with page checksums; small chunks are gathered into row groups of a good size."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)
        self._held: list[pa.Table] = []
        self._rows = 0
        self._bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        self._held.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _ROW_GROUP_ROWS or self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def finish(self) -> None:
        """Write the last row group and the footer."""
        self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close pyarrow's writer, which would otherwise write to the closed file when it is collected."""
        with suppress(OSError, ValueError, pa.ArrowException):
            self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._held), row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0


class CsvTableWriter(TableWriter):
    """CSV in UTF-8 with a header and ``\\n`` line ends; null is an empty field."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow(schema.names)

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        columns = [_as_text(column).to_pylist() for column in table.columns]
        self._writer.writerows(zip(*columns, strict=True))

    def finish(self) -> None:
        """Hand everything to the file, which stays open."""
        self._text.flush()
        self._text.detach()

    def abandon(self) -> None:
        """Drop what is buffered: closing the wrapper would write it to a closed file."""
        with suppress(OSError, ValueError):
            self._text.detach()


@contextmanager
def published(output: Path, kind: str, schema: pa.Schema) -> Iterator[TableWriter]:
    """A writer into a temporary file beside ``output``, which replaces it once it is proved whole.

    On leaving without an error: the end of the file is written, the file is made durable, opened
    again and its rows counted, and only then renamed to ``output``. On any error the temporary file
    is removed and what stood at ``output`` still stands there.

    Raises:
        OutputError: something could not be written, or the count does not agree.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        with _write_errors(output):
            file = temporary.open("xb")
        with file:
            with _write_errors(output):
                writer = _CountingWriter(_new_writer(file, kind, schema), output)
            try:
                yield writer
                writer.finish()
            except BaseException:
                writer.abandon()
                raise
            with _write_errors(output):
                file.flush()
                os.fsync(file.fileno())
        _prove(temporary, output, kind, writer.rows)
        with _write_errors(output):
            temporary.replace(output)
            _sync_folder(output.absolute().parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


class _CountingWriter(TableWriter):
    """Counts rows and turns failures to write into ours, so that they are told from failures to read."""

    def __init__(self, inner: TableWriter, output: Path) -> None:
        self._inner = inner
        self._output = output
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        with _write_errors(self._output):
            self._inner.write(table)
        self.rows += table.num_rows

    def finish(self) -> None:
        with _write_errors(self._output):
            self._inner.finish()

    def abandon(self) -> None:
        self._inner.abandon()


def _new_writer(file: BinaryIO, kind: str, schema: pa.Schema) -> TableWriter:
    return ParquetTableWriter(file, schema) if kind == "parquet" else CsvTableWriter(file, schema)


def _prove(temporary: Path, output: Path, kind: str, rows: int) -> None:
    try:
        source = open_source(temporary, format=kind)
        counted = sum(chunk.num_rows for chunk in source.tables(_ROW_GROUP_ROWS, source.schema.names[-1:]))
    except InputError as error:
        raise OutputError(f"what was written cannot be read back: {error.message}", path=output) from error
    if counted != rows:
        raise OutputError(f"{rows} rows were written and {counted} are read back", path=output)


@contextmanager
def _write_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except ScorerError:
        raise
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OutputError(f"could not be written: {reason}", path=output) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as CSV holds them: nested ones as JSON, bytes as base64, all others as Arrow prints them."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else orjson.dumps(v, default=str).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        import base64

        texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return pc.cast(column, pa.large_string())

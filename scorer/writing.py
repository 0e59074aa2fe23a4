"""Tables of one schema, one after another, into an open file: Parquet, CSV, TSV or JSONL.

The bytes depend on the rows alone, not on how they are cut into tables.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.destinations import OutputFormat
from scorer.errors import UsageError
from scorer.sources import holds_json

_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 65536
_SLAB_ROWS = 1024
_BLOCK_BYTES = 2**20
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class TableWriter(ABC):
    """Writes tables of one schema, one after another, to an open file, which stays open."""

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""

    @abstractmethod
    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:
        """Write what is still held back and the end of the file, with ``metadata`` where the format has a place."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of the file without finishing it."""


class _Sink(Protocol):
    """What a text writer needs of a file."""

    def write(self, data: bytes, /) -> Any: ...


@contextmanager
def open_writer(file: BinaryIO, format: OutputFormat, schema: pa.Schema) -> Iterator[TableWriter]:
    """A writer of ``schema`` into ``file``; left with an error, it lets go of the file.

    Errors of pyarrow that come from writing arrive as :class:`OSError`.

    Raises:
        UsageError: the format cannot hold such a schema.
    """
    with _arrow_errors():
        writer = _new_writer(file, format, schema)
    try:
        yield writer
    except BaseException:
        writer.abandon()
        raise


def _new_writer(file: BinaryIO, format: OutputFormat, schema: pa.Schema) -> TableWriter:
    if format.kind == "parquet":
        return ParquetTableWriter(file, schema)
    sink = _Packer(file, format.compression) if format.compression else _Blocks(file)
    if format.kind == "jsonl":
        return JsonlTableWriter(sink, schema)
    return CsvTableWriter(sink, schema, delimiter="\t" if format.kind == "tsv" else ",", safe=format.csv_safe)


class ParquetTableWriter(TableWriter):
    """Parquet with page checksums; rows are gathered into row groups of a good size.

    Row groups end after slabs of a fixed number of rows, counted from the first row on, and each is
    written from one piece per column: that makes the bytes the same for every size of the tables.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True)
        self._schema = schema
        self._waiting: pa.Table = schema.empty_table()
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        waiting = pa.concat_tables([self._waiting, table]) if self._waiting.num_rows else table
        whole = waiting.num_rows - waiting.num_rows % _SLAB_ROWS
        for start in range(0, whole, _SLAB_ROWS):
            self._hold(waiting.slice(start, _SLAB_ROWS))
        self._waiting = waiting.slice(whole)

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:
        """Write the last row group and the footer with ``metadata`` in it."""
        self._hold(self._waiting)
        self._flush()
        with _arrow_errors():
            if metadata:
                self._writer.add_key_value_metadata(dict(metadata))
            self._writer.close()

    def abandon(self) -> None:
        """Close pyarrow's writer, which would otherwise write to the closed file when it is collected."""
        with suppress(OSError, ValueError, pa.ArrowException):
            self._writer.close()

    def _hold(self, slab: pa.Table) -> None:
        self._held.append(slab)
        self._rows += slab.num_rows
        self._bytes += sum(_value_bytes(column) for column in slab.columns)
        if self._rows >= _ROW_GROUP_ROWS or self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            table = pa.concat_tables(self._held)
            columns = [_one_piece(column) for column in table.columns]
            with _arrow_errors():
                whole = pa.Table.from_arrays(columns, schema=self._schema)
                self._writer.write_table(whole, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0


class CsvTableWriter(TableWriter):
    """CSV in UTF-8 with a header and ``\\n`` line ends; null is an empty field.

    ``safe`` puts an apostrophe before text that a spreadsheet would run as a formula, as OWASP's "CSV
    Injection" page advises; plain numbers are left as they are.
    """

    def __init__(self, sink: _Sink, schema: pa.Schema, *, delimiter: str = ",", safe: bool = False) -> None:
        self._sink = sink
        self._safe = safe
        self._lines = _Lines()
        # With \r\n as line end Python 3.11 quotes fields with \r or \n in them; _Lines takes the \r away again.
        self._writer = csv.writer(self._lines, lineterminator="\r\n", delimiter=delimiter)
        self._writer.writerow([_without_formula(name) for name in schema.names] if safe else schema.names)

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        self._writer.writerows(zip(*(self._cells(column) for column in table.columns), strict=True))
        self._sink.write(self._lines.taken())

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; CSV has no place for metadata."""
        self._sink.write(self._lines.taken())
        _end(self._sink)

    def abandon(self) -> None:
        """Nothing: what is held is dropped."""

    def _cells(self, column: pa.ChunkedArray) -> list[str | None]:
        cells: list[str | None] = _as_text(column).to_pylist()
        if self._safe and (_is_text(column.type) or pa.types.is_dictionary(column.type)):
            return [cell if cell is None else _without_formula(cell) for cell in cells]
        return cells


class JsonlTableWriter(TableWriter):
    """One JSON object per row in UTF-8, keys in the order of the columns.

    Decimals, dates and times are strings, bytes are base64, what JSON has no number for is null.
    """

    def __init__(self, sink: _Sink, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema
        twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if twice:
            raise UsageError(f"two columns are named {twice[0]!r}, which JSON cannot hold", hint="rename one")

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        columns = [_as_json(column, field) for column, field in zip(table.columns, self._schema, strict=True)]
        names = self._schema.names
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
        lines = [
            orjson.dumps(dict(zip(names, row, strict=True)), _json_default, options)
            for row in zip(*columns, strict=True)
        ]
        self._sink.write(b"".join(lines))

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; JSONL has no place for metadata."""
        _end(self._sink)

    def abandon(self) -> None:
        """Nothing: what is held is dropped."""


class _Lines:
    """Where ``csv.writer`` puts its lines, each by one call."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def write(self, line: str) -> None:
        self._held.append(line[:-2])

    def taken(self) -> bytes:
        """The lines since the last call, each ended by a line feed."""
        if not self._held:
            return b""
        data = ("\n".join(self._held) + "\n").encode("utf-8")
        self._held.clear()
        return data


class _Blocks:
    """Passes bytes on in pieces of one size, so that what is behind sees no difference between callers."""

    def __init__(self, file: _Sink) -> None:
        self._file = file
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        self._held += data
        whole = len(self._held) - len(self._held) % _BLOCK_BYTES
        for start in range(0, whole, _BLOCK_BYTES):
            self._file.write(bytes(self._held[start : start + _BLOCK_BYTES]))
        del self._held[:whole]

    def end(self) -> None:
        self._file.write(bytes(self._held))
        self._held.clear()


class _Packer(_Blocks):
    """The same into gzip without a time stamp, or zstd."""

    def __init__(self, file: BinaryIO, compression: str) -> None:
        packed: Any = (
            gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0)
            if compression == "gzip"
            else pa.CompressedOutputStream(pa.PythonFile(_StaysOpen(file), mode="w"), "zstd")
        )
        super().__init__(packed)
        self._packed = packed

    def end(self) -> None:
        super().end()
        with _arrow_errors():
            self._packed.close()


class _StaysOpen(io.RawIOBase):
    """A file that pyarrow may close without closing the one behind it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._file.write(data)


def _end(sink: _Sink) -> None:
    if isinstance(sink, _Blocks):
        sink.end()


@contextmanager
def _arrow_errors() -> Iterator[None]:
    """Errors of pyarrow that are not ``OSError`` already, as one."""
    try:
        yield
    except OSError:
        raise
    except pa.ArrowException as error:
        raise OSError((str(error).strip().splitlines() or [type(error).__name__])[0]) from error


def _without_formula(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(cell) else cell


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def _value_bytes(column: pa.ChunkedArray | pa.Array) -> int:
    """Bytes of the values, the same however they are cut; buffers for nulls come and go with the cut."""
    if isinstance(column, pa.ChunkedArray):
        return sum(_value_bytes(chunk) for chunk in column.chunks)
    kind = column.type
    if _is_text(kind) or _is_bytes(kind):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_value_bytes(child) for child in column.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        flat = column.flatten() if not pa.types.is_map(kind) else column.cast(pa.list_(kind.field(0))).flatten()
        return 4 * len(column) + _value_bytes(flat)
    return 8 * len(column)


def _one_piece(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """``column`` in one piece; a dictionary in the order in which its values come."""
    kind = column.type
    if not pa.types.is_dictionary(kind):
        return column.combine_chunks()
    plain = column.cast(kind.value_type).combine_chunks()
    return plain.dictionary_encode().cast(kind)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as CSV holds them: nested ones as JSON, bytes as base64, all others as Arrow prints them."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else orjson.dumps(v, _json_default).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if _is_bytes(kind):
        texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    return pc.cast(column, pa.large_string())


def _as_json(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    """Values as orjson writes them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_json(column.cast(kind.value_type), pa.field(field.name, kind.value_type))
    if holds_json(field):
        return [None if value is None else orjson.Fragment(value) for value in column.to_pylist()]
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # 0.9 as float32 is 0.8999999761581421 as float64, but nobody wants to read that.
        texts = pc.cast(column.cast(pa.float32()), pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if _is_bytes(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        with suppress(pa.ArrowNotImplementedError):
            return list(pc.cast(column, pa.string()).to_pylist())
    return list(column.to_pylist())


def _json_default(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

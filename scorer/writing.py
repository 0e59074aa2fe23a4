"""Tables of one schema, one after another, into an open file: Parquet, CSV, TSV or JSONL.

The bytes depend on the rows alone, not on how they are cut into tables.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.destinations import OutputFormat
from scorer.errors import UsageError
from scorer.huge_texts import blocks, bytes_of, dictionary_in_one_piece, in_one_piece, rows_of_huge_texts
from scorer.sinks import Blocks, Packer, arrow_errors
from scorer.sources import holds_json, with_leaves

_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 65536
_SLAB_ROWS = 1024
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


@contextmanager
def open_writer(
    file: BinaryIO, format: OutputFormat, schema: pa.Schema, *, long_texts: str | None = None
) -> Iterator[TableWriter]:
    """A writer of ``schema`` into ``file``; left with an error, it lets go of the file.

    ``long_texts`` names the column with the reviews, for which Parquet needs no dictionary and no least
    and greatest value: both cost copies of them.

    Errors of pyarrow that come from writing arrive as :class:`OSError`.

    Raises:
        UsageError: the format cannot hold such a schema.
    """
    check_schema(format, schema)
    with arrow_errors():
        writer = _new_writer(file, format, schema, long_texts)
    try:
        yield writer
    except BaseException:
        writer.abandon()
        raise


def check_schema(format: OutputFormat, schema: pa.Schema) -> None:
    """Whether a format can hold the columns of a schema.

    Raises:
        UsageError: it cannot.
    """
    if format.kind == "parquet":
        return
    twice = _first_repeated(schema.names)
    if format.kind == "jsonl" and twice is not None:
        raise UsageError(f"two columns are named {twice!r}, which JSON cannot hold", hint="rename one")
    for field in schema:
        twice = _first_repeated_inside(field.type)
        if twice is not None:
            raise UsageError(
                f"column {field.name!r} holds two fields named {twice!r}, which JSON cannot hold",
                hint="leave it out with --columns, or write Parquet",
            )


def _first_repeated(names: list[str]) -> str | None:
    return min((name for name, count in Counter(names).items() if count > 1), default=None)


def _first_repeated_inside(kind: pa.DataType) -> str | None:
    """A name that two fields of one struct have."""
    if isinstance(kind, pa.BaseExtensionType):
        return _first_repeated_inside(kind.storage_type)
    if not pa.types.is_nested(kind):
        return None
    fields = [kind.field(place) for place in range(kind.num_fields)]
    repeated = _first_repeated([field.name for field in fields]) if pa.types.is_struct(kind) else None
    inside = (_first_repeated_inside(field.type) for field in fields)
    return repeated if repeated is not None else next((name for name in inside if name is not None), None)


def _new_writer(file: BinaryIO, format: OutputFormat, schema: pa.Schema, long_texts: str | None) -> TableWriter:
    if format.kind == "parquet":
        return ParquetTableWriter(file, schema, long_texts)
    sink = Packer(file, format.compression) if format.compression else Blocks(file)
    if format.kind == "jsonl":
        return JsonlTableWriter(sink, schema)
    return CsvTableWriter(sink, schema, delimiter="\t" if format.kind == "tsv" else ",", safe=format.csv_safe)


class ParquetTableWriter(TableWriter):
    """Parquet with page checksums; rows are gathered into row groups of a good size.

    Row groups end after slabs of a fixed number of rows, counted from the first row on, and each is
    written from one piece per column: that makes the bytes the same for every size of the tables.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema, long_texts: str | None = None) -> None:
        described: Any = True
        if long_texts in schema.names and not pa.types.is_nested(schema.field(long_texts).type):
            described = [path for path in _leaf_paths(schema) if path != long_texts]
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=described,
            write_statistics=described,
            write_page_checksum=True,
        )
        self._schema = schema
        self._waiting = pa.Table.from_batches([], schema)
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
        with arrow_errors():
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
            with arrow_errors():
                whole = pa.Table.from_arrays(columns, schema=self._schema)
                self._writer.write_table(whole, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0


class CsvTableWriter(TableWriter):
    """CSV in UTF-8 with a header and ``\\n`` line ends; null is an empty field.

    ``safe`` puts an apostrophe before text that a spreadsheet would run as a formula, as OWASP's "CSV
    Injection" page advises; plain numbers are left as they are.
    """

    def __init__(self, sink: Blocks, schema: pa.Schema, *, delimiter: str = ",", safe: bool = False) -> None:
        self._sink = sink
        self._safe = safe
        self._lines = _Lines()
        self._delimiter = delimiter.encode()
        self._special = re.compile(b'[\r\n"' + re.escape(self._delimiter) + b"]")
        # With \r\n as line end Python 3.11 quotes fields with \r or \n in them; _Lines takes the \r away again.
        self._writer = csv.writer(self._lines, lineterminator="\r\n", delimiter=delimiter)
        self._writer.writerow([_without_formula(name) for name in schema.names] if safe else schema.names)

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        for rows, is_huge in _by_size(table):
            if is_huge:
                self._write_row(rows)
            else:
                self._writer.writerows(zip(*(self._cells(column) for column in rows.columns), strict=True))
                self._sink.write(self._lines.taken())

    def _write_row(self, row: pa.Table) -> None:
        """Append one row as ``csv`` would, without a Python string of its huge texts."""
        self._sink.write(self._lines.taken())  # the header
        for place, column in enumerate(row.columns):
            if place:
                self._sink.write(self._delimiter)
            if rows_of_huge_texts(column):
                data = bytes_of(column, 0)
                if self._safe and chr(data[0]) in _FORMULA_STARTS:
                    data = memoryview(_without_formula(str(data, "utf-8")).encode())
            else:
                data = memoryview((self._cells(column)[0] or "").encode())
            quote = b'"' if any(self._special.search(block) for block in blocks(data)) else b""
            self._sink.write(quote)
            for block in blocks(data):
                self._sink.write(bytes(block).replace(b'"', b'""'))
            self._sink.write(quote)
        self._sink.write(b"\n")

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; CSV has no place for metadata."""
        self._sink.write(self._lines.taken())
        self._sink.end()

    def abandon(self) -> None:
        """Nothing: what is held is dropped."""

    def _cells(self, column: pa.ChunkedArray) -> list[str | None]:
        column = _plain(column)
        cells: list[str | None] = _as_text(column).to_pylist()
        if self._safe and _is_text(column.type):
            return [cell if cell is None else _without_formula(cell) for cell in cells]
        return cells


class JsonlTableWriter(TableWriter):
    """One JSON object per row in UTF-8, keys in the order of the columns.

    Decimals, dates and times are strings, bytes are base64, what JSON has no number for is null.
    """

    def __init__(self, sink: Blocks, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        for rows, is_huge in _by_size(table):
            if is_huge:
                self._write_row(rows)
            else:
                self._write_rows(rows)

    def _write_row(self, row: pa.Table) -> None:
        """Append one row without a Python string of its huge texts."""
        before = b"{"
        for field, column in zip(self._schema, row.columns, strict=True):
            self._sink.write(before + orjson.dumps(field.name) + b":")
            before = b","
            if not rows_of_huge_texts(column):
                self._sink.write(orjson.dumps(_as_json(column, field)[0], _json_default, orjson.OPT_NON_STR_KEYS))
                continue
            is_json = holds_json(field)
            self._sink.write(b"" if is_json else b'"')
            for block in blocks(bytes_of(column, 0)):
                self._sink.write(bytes(block) if is_json else orjson.dumps(str(block, "utf-8"))[1:-1])
            self._sink.write(b"" if is_json else b'"')
        self._sink.write(b"}\n")

    def _write_rows(self, table: pa.Table) -> None:
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
        self._sink.end()

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


def _without_formula(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(cell) else cell


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def _by_size(table: pa.Table) -> Iterator[tuple[pa.Table, bool]]:
    """The rows in order, those with a huge text each for itself; and whether they have one."""
    huge = sorted({row for column in table.columns for row in rows_of_huge_texts(column)})
    start = 0
    for row in huge:
        if row > start:
            yield table.slice(start, row - start), False
        yield table.slice(row, 1), True
        start = row + 1
    if start < table.num_rows:
        yield table.slice(start), False


def _leaf_paths(schema: pa.Schema) -> list[str]:
    """Columns as Parquet has them: of nested ones, the path to each leaf."""
    file = io.BytesIO()
    pq.ParquetWriter(file, schema).close()
    columns = pq.read_metadata(file).schema
    return [columns.column(place).path for place in range(len(columns))]


def _value_bytes(column: pa.ChunkedArray | pa.Array) -> int:
    """Bytes of the values, the same however they are cut; buffers for nulls come and go with the cut."""
    if isinstance(column, pa.ChunkedArray):
        return sum(_value_bytes(chunk) for chunk in column.chunks)
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
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
    return dictionary_in_one_piece(column) if pa.types.is_dictionary(column.type) else in_one_piece(column)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` without a dictionary or an extension type: UUIDs as text, others as what they are stored as."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if isinstance(kind, pa.UuidType):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if isinstance(kind, pa.Bool8Type):
        return column.cast(pa.bool_())
    return column.cast(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else column


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as CSV holds them: nested ones as JSON, bytes as base64, all others as Arrow prints them."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else orjson.dumps(v, _json_default).decode() for v in _values(column)]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if _is_bytes(kind):
        texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    return _printed(column)


def _printed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as Arrow prints them; times of a zone that is not known here in UTC."""
    try:
        return pc.cast(column, pa.large_string())
    except pa.ArrowInvalid:
        if not pa.types.is_timestamp(column.type):
            raise
        return pc.cast(column.cast(_in_utc(column.type)), pa.large_string())


def _in_utc(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) and kind.tz is not None else kind


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Values of Python; rows with times that Python does not know have them as Arrow prints them."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        if len(column) > 1:
            return [value for row in range(len(column)) for value in _values(column.slice(row, 1))]
        in_utc = column.take(pa.array([0])).cast(with_leaves(column.type, _in_utc))
        return list(in_utc.cast(with_leaves(in_utc.type, _time_as_text)).to_pylist())


def _time_as_text(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_temporal(kind) else kind


def _as_json(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    """Values as orjson writes them."""
    column = _plain(column)
    kind = column.type
    if holds_json(field) and _is_text(field.type):
        return [None if value is None else orjson.Fragment(value) for value in column.to_pylist()]
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # 0.9 as float32 is 0.8999999761581421 as float64, but nobody wants to read that.
        texts = pc.cast(column.cast(pa.float32()), pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if _is_bytes(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        with suppress(pa.ArrowNotImplementedError):
            return list(_printed(column).to_pylist())
    return _values(column)


def _json_default(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

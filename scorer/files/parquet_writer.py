"""Parquet with page checksums; its bytes do not depend on the cut of the rows into tables."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scorer.files.arrow import in_one_piece, is_bytes, is_text
from scorer.files.parquet_types import times_in_utc, without_marks
from scorer.files.sinks import arrow_errors
from scorer.files.writing import TableWriter

_ROW_GROUP_BYTES = 32 * 2**20
_ROW_GROUP_ROWS = 65536
_SLAB_ROWS = 1024


class ParquetTableWriter(TableWriter):
    """Parquet with page checksums; rows are gathered into row groups of a good size.

    Row groups end after slabs of a fixed number of rows, counted from the first row on, and each is
    written from one piece per column: this makes the bytes the same for tables of any size.
    """

    def __init__(self, file: BinaryIO, schema: pa.Schema, long_texts: str | None = None) -> None:
        described: Any = True
        in_utc = any(times_in_utc(schema))
        schema = without_marks(schema)
        if long_texts in schema.names and not pa.types.is_nested(schema.field(long_texts).type):
            described = [path for path in _leaf_paths(schema) if path != long_texts]
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=described,
            write_statistics=described,
            write_page_checksum=True,
            write_time_adjusted_to_utc=in_utc,
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
            columns = [in_one_piece(column) for column in table.columns]
            with arrow_errors():
                whole = pa.Table.from_arrays(columns, schema=self._schema)
                self._writer.write_table(whole, row_group_size=self._rows)
        self._held, self._rows, self._bytes = [], 0, 0


def _leaf_paths(schema: pa.Schema) -> list[str]:
    """Paths of the columns in Parquet: for nested ones, of each leaf."""
    file = io.BytesIO()
    pq.ParquetWriter(file, schema).close()
    columns = pq.read_metadata(file).schema
    return [columns.column(place).path for place in range(len(columns))]


def _value_bytes(column: pa.ChunkedArray | pa.Array) -> int:
    """Bytes of the values, the same for every cut into pieces; buffers for nulls come and go with the cut."""
    if isinstance(column, pa.ChunkedArray):
        return sum(_value_bytes(chunk) for chunk in column.chunks)
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        column = column.cast(pa.large_binary())
    if is_text(kind) or is_bytes(kind):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_value_bytes(child) for child in column.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        flat = column.flatten() if not pa.types.is_map(kind) else column.cast(pa.list_(kind.field(0))).flatten()
        return 4 * len(column) + _value_bytes(flat)
    return 8 * len(column)

"""Values of Arrow as the text of CSV and as JSON."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import holds_json, is_bytes, is_text, with_leaves
from scorer.files.huge_texts import rows_of_huge_texts


def by_size(table: pa.Table) -> Iterator[tuple[pa.Table, bool]]:
    """The rows in order, those with a huge text one by one; True comes with these."""
    huge = sorted({row for column in table.columns for row in rows_of_huge_texts(column)})
    start = 0
    for row in huge:
        if row > start:
            yield table.slice(start, row - start), False
        yield table.slice(row, 1), True
        start = row + 1
    if start < table.num_rows:
        yield table.slice(start), False


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` without a dictionary or an extension type: UUIDs as text, others as their stored values."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type)
    if isinstance(kind, pa.UuidType):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if isinstance(kind, pa.Bool8Type):
        return column.cast(pa.bool_())
    return column.cast(kind.storage_type) if isinstance(kind, pa.BaseExtensionType) else column


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as CSV holds them: nested ones as JSON, bytes as base64, all others as Arrow prints them."""
    kind = column.type
    if pa.types.is_nested(kind):
        texts = [None if v is None else orjson.dumps(v, json_default).decode() for v in _python_values(column)]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    if is_bytes(kind):
        texts = [None if v is None else base64.b64encode(v).decode() for v in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    return _printed(column)


def _printed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as Arrow prints them; times of an unknown zone in UTC."""
    try:
        return pc.cast(column, pa.large_string())
    except pa.ArrowInvalid:
        if not pa.types.is_timestamp(column.type):
            raise
        return pc.cast(column.cast(_in_utc(column.type)), pa.large_string())


def _in_utc(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp(kind.unit, "UTC") if pa.types.is_timestamp(kind) and kind.tz is not None else kind


def _python_values(column: pa.ChunkedArray) -> list[Any]:
    """Values of Python; in rows with times beyond the range of Python, times as Arrow prints them."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        if len(column) > 1:
            return [value for row in range(len(column)) for value in _python_values(column.slice(row, 1))]
        in_utc = column.take(pa.array([0])).cast(with_leaves(column.type, _in_utc))
        return list(in_utc.cast(with_leaves(in_utc.type, _time_as_text)).to_pylist())


def _time_as_text(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_temporal(kind) else kind


def as_json(column: pa.ChunkedArray, field: pa.Field) -> list[Any]:
    """Values as orjson writes them."""
    column = plain(column)
    kind = column.type
    if holds_json(field) and is_text(field.type):
        return [None if value is None else orjson.Fragment(value) for value in column.to_pylist()]
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        # 0.9 as float32 is 0.8999999761581421 as float64, but nobody wants to read that.
        texts = pc.cast(column.cast(pa.float32()), pa.string()).to_pylist()
        return [None if text is None else float(text) for text in texts]
    if is_bytes(kind):
        return [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        with suppress(pa.ArrowNotImplementedError):
            return list(_printed(column).to_pylist())
    return _python_values(column)


def json_default(value: Any) -> str:
    """A value that orjson does not know: bytes as base64, others as text."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)

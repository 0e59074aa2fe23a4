"""Values of Arrow as the text of CSV and as JSON."""

from __future__ import annotations

import base64
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import holds_json, is_bytes, is_text, leaves

_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


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
    """Values as Arrow prints them; times in UTC if their zone is unknown, or differs by seconds as before 1972."""
    if not _has_zone(column.type):
        return pc.cast(column, pa.large_string())
    utc = column.cast(pa.timestamp(column.type.unit, "UTC"))
    in_utc = pc.cast(utc, pa.large_string())
    try:
        offsets = np.asarray(pc.subtract(_ticks(pc.local_timestamp(column)), _ticks(column)))
        odd = offsets % (60 * _TICKS[column.type.unit]) != 0  # Arrow prints offsets as hours and minutes
        return pc.if_else(pa.array(odd), in_utc, pc.cast(column, pa.large_string()))
    except pa.ArrowInvalid:
        return in_utc


def _ticks(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.int64()).fill_null(0)


def _has_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC")


def _python_values(column: pa.ChunkedArray) -> list[Any]:
    """Values of Python; times of zones, in nanoseconds or out of Python's range as Arrow prints them."""
    if not any(map(_is_printed, leaves(column.type))):
        with suppress(OverflowError, ValueError):
            return list(column.to_pylist())
    return [_python_value(scalar) for scalar in column]


def _python_value(scalar: pa.Scalar) -> Any:
    # Without a cast of lists: pyarrow loses values when it casts a view of lists.
    kind = scalar.type
    if not scalar.is_valid or isinstance(kind, pa.BaseExtensionType):
        return scalar.as_py()
    if pa.types.is_dictionary(kind):
        return _python_value(scalar.value)
    if pa.types.is_struct(kind):
        return {kind.field(place).name: _python_value(scalar[place]) for place in range(kind.num_fields)}
    if pa.types.is_map(kind):
        return [(_python_value(pair[0]), _python_value(pair[1])) for pair in scalar.values]
    if pa.types.is_nested(kind):
        return [_python_value(value) for value in scalar.values]
    if not _is_printed(kind):
        with suppress(OverflowError, ValueError):
            return scalar.as_py()
    return _printed(pa.chunked_array([pa.array([scalar], kind)]))[0].as_py()


def _is_printed(kind: pa.DataType) -> bool:
    # pyarrow makes nanoseconds objects of pandas where that is installed, and orjson rounds offsets to minutes.
    return _has_zone(kind) or (pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns")


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

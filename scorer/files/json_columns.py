"""Columns of JSON Lines: the types that hold every value unchanged, and arrays of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import JSON_FIELD, holds_json, in_one_piece

Values: TypeAlias = "list[Any] | pa.Array | pa.ChunkedArray"

Columns: TypeAlias = dict[str, Values]
"""Values of consecutive rows by column: as Arrow has them, or a list of values of Python."""

BOOL, INT, WIDE_INT, BIG_INT, FLOAT, TEXT, NESTED = (1 << place for place in range(7))
"""Kinds of values, as bits; null is none of them. Integers have three: a float64 or an int64 may not hold them."""

_KINDS = {type(None): 0, bool: BOOL, float: FLOAT, str: TEXT, bytearray: TEXT}

_ARRAY_KINDS = {pa.null(): 0, pa.bool_(): BOOL, pa.float64(): FLOAT, pa.string(): TEXT}

# Types of columns by the kinds of values that each can hold.
_COLUMN_TYPES = {
    0: pa.null(),
    TEXT: pa.string(),
    BOOL: pa.bool_(),
    INT | WIDE_INT: pa.int64(),
    INT | FLOAT: pa.float64(),
}

_SPARSE = 4
"""Rows are sparse if they lack more than this many keys of others for each that they have."""

_LINE_END = orjson.Fragment(b"\n")


def schema_of(kinds: dict[str, int]) -> pa.Schema:
    """Columns by the kinds of their values; one that no type holds unchanged has strings of JSON text."""
    return pa.schema([_field(name, kind) for name, kind in kinds.items()])


def _field(name: str, kinds: int) -> pa.Field:
    found = next((column for held, column in _COLUMN_TYPES.items() if not kinds & ~held), None)
    return pa.field(name, pa.string(), metadata=JSON_FIELD) if found is None else pa.field(name, found)


def kinds_of_rows(rows: list[dict[str, Any]]) -> dict[str, int]:
    """Kinds of the values of each column of ``rows``, in the order of their first appearance."""
    names = dict.fromkeys(chain.from_iterable(rows), 0)
    if len(names) * len(rows) <= _SPARSE * sum(map(len, rows)):
        return {name: kinds_of(column_of(rows, name)) for name in names}
    for row in rows:
        for name, value in row.items():
            names[name] |= _kind_of(value)
    return names


def column_of(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """The values of a column; ``None`` for a row that lacks it."""
    try:
        return list(map(itemgetter(name), rows))
    except KeyError:
        return [row.get(name) for row in rows]


def kinds_of(values: Values) -> int:
    """Kinds of the values of a column; the least and the greatest integer decide for all of them."""
    if not isinstance(values, list):
        if not pa.types.is_integer(values.type):
            return _ARRAY_KINDS[values.type]
        values = [value for value in pc.min_max(values).as_py().values() if value is not None]
    kinds = 0
    for held in (types := set(map(type, values))):
        if held is int:
            whole = values if len(types) == 1 else [value for value in values if type(value) is int]
            kinds |= _kind_of(min(whole)) | _kind_of(max(whole))
        else:
            kinds |= _KINDS.get(held, NESTED)
    return kinds


def _kind_of(value: object) -> int:
    if type(value) is not int:
        return _KINDS.get(type(value), NESTED)
    if -(2**53) <= value <= 2**53:
        return INT
    return WIDE_INT if -(2**63) <= value < 2**63 else BIG_INT


def array_of(values: Values, field: pa.Field) -> pa.Array | pa.ChunkedArray:
    """The values of a column as its type has them.

    Raises:
        pa.ArrowException, TypeError, OverflowError: a value does not fit; the message shows it.
    """
    if not isinstance(values, list):
        if values.type == field.type and not holds_json(field):
            return in_one_piece(values) if isinstance(values, pa.ChunkedArray) else values
        values = values.to_pylist()
    elif bytearray in set(map(type, values)):  # of a view pyarrow makes a string without another copy
        values = [memoryview(value) if isinstance(value, bytearray) else value for value in values]
    if holds_json(field):
        return in_one_piece(pa.chunked_array([_json_texts(values)], field.type))
    return in_one_piece(pa.chunked_array([values], field.type))


def _json_texts(values: list[Any]) -> Sequence[str | bytes | None]:
    """The JSON text of each value; ``None`` is none."""
    try:
        # No JSON text holds a line end.
        text = orjson.dumps([*chain.from_iterable(zip(values, repeat(_LINE_END), strict=False))])
    except TypeError:  # integers of more than 64 bits, views of text
        return [None if value is None else json_text(value) for value in values]
    return [None if one == b"null" else one for one in text[1:-3].split(b",\n,")][: len(values)]


def json_text(value: Any) -> str:
    """The JSON text of a value, as short as it can be."""
    if isinstance(value, memoryview):
        value = str(value, "utf-8")
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

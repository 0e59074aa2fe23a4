"""JSON Lines: strict, one bad line is one bad row; columns have the types that hold every value unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any, Self

import orjson
import pyarrow as pa

from scorer.errors import InputError
from scorer.files.arrow import JSON_FIELD, JSON_IN_ERRORS, holds_json, in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.huge_texts import viewed
from scorer.files.source import Block, KeptRow, ReadOptions, Source, check_text_type, in_blocks
from scorer.files.strict_json import A_LIST, KIND_NAMES, parse_line
from scorer.files.text_bytes import lines_of, text_bytes
from scorer.safe_text import quoted

_MAX_COLUMNS = 4096

_AN_ARRAY = "is a JSON array, not one JSON object a line"
_BEGINS_ARRAY = re.compile(rb"\s*\[\s*(?:[\[{\"]|$)")
_ONE_A_LINE = "write each object on a line of its own; jq -c '.[]' does so with an array"

_BOOL, _INT, _WIDE_INT, _BIG_INT, _FLOAT, _TEXT, _NESTED = (1 << place for place in range(7))

# Kinds of values by their type in Python; integers have three.
_KINDS = {type(None): 0, bool: _BOOL, float: _FLOAT, str: _TEXT, bytearray: _TEXT}

# Types of columns by the kinds of values that each can hold.
_COLUMN_TYPES = {
    0: pa.null(),
    _TEXT: pa.string(),
    _BOOL: pa.bool_(),
    _INT | _WIDE_INT: pa.int64(),
    _INT | _FLOAT: pa.float64(),
}


class JsonlSource(Source):
    """A file with one JSON object per line; blank lines are skipped.

    It is read once to find the columns, in the order of their first appearance, and their types:
    string, bool, int64, float64 (also of integers and other numbers mixed, if a float64 holds
    all the integers), and null if there is nothing else. Columns that no such type holds
    unchanged (nested values, several types, integers of more than 64 bits) are strings of JSON text,
    marked with :data:`~scorer.files.arrow.JSON_FIELD`. A missing key is read as null.
    """

    def __init__(self, path: str, options: ReadOptions) -> None:
        """Read the file once for its columns.

        Raises:
            InputError: it cannot be read, or a line is bad and the policy is ``fail``.
        """
        super().__init__(path, options)
        self._text: str | None = None
        self._find_columns()

    def with_text(self, column: str) -> Self:
        """This source, with ``column`` read as text; a row with another value there is a bad row.

        Bad rows decide nothing about the columns, so the file is read again if such rows are set aside.
        """
        kinds = self._kinds[column]
        if not kinds & _TEXT:
            check_text_type(self.schema.field(column), self.path)
            return self
        source = copy(self)
        source._text = column
        if kinds != _TEXT and self.options.on_bad_row == "reject":
            source._find_columns()
        mark = JSON_IN_ERRORS if kinds != _TEXT and self.options.on_bad_row == "keep" else None
        field = pa.field(column, pa.string(), metadata=mark)
        source.schema = source.schema.set(source.schema.get_field_index(column), field)
        return source

    def _find_columns(self) -> None:
        kinds: dict[str, int] = {}
        reasons: list[str] = []
        objects = 0
        for row in self._rows():
            if isinstance(row, Reject):
                reasons = [*reasons[:1], row.reason]
                continue
            objects += 1
            for name, value in row.items():
                kinds[name] = kinds.get(name, 0) | _kind_of(value)
            if len(kinds) > _MAX_COLUMNS:
                raise InputError(f"its rows have more than {_MAX_COLUMNS:,} different keys", path=self.path)
        if reasons and not objects:
            what = _AN_ARRAY if reasons == [A_LIST] else "no row is a JSON object"
            raise InputError(what, path=self.path, hint=_ONE_A_LINE)
        self._kinds = kinds
        self.schema = pa.schema([_field(name, kind) for name, kind in kinds.items()])

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        schema = pa.schema([self.schema.field(column) for column in columns])
        found = self._rows(skip=start * rows, chunk_rows=rows)
        return in_blocks(found, rows, lambda good: self._table_of(good, schema))

    def _table_of(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        arrays = []
        for field in schema:
            values = [viewed(row.get(field.name)) for row in rows]
            if holds_json(field):
                values = [None if value is None else _json_text(value) for value in values]
            try:
                arrays.append(in_one_piece(pa.chunked_array([values], field.type)))
            except (pa.ArrowException, TypeError, OverflowError):
                # Their messages show the value that does not fit.
                raise InputError("changed while it was read", path=self.path, hint="run again") from None
        if not arrays:
            return pa.table({"": [None] * len(rows)}).select([])  # keeps the number of rows
        return pa.table(arrays, schema)

    def _rows(self, *, skip: int = 0, chunk_rows: int = 0) -> Iterator[dict[str, Any] | Reject]:
        """Rows after the first ``skip``; ``chunk_rows`` of them, if not 0, must fit into the limit of a chunk."""
        row = number = chunk_start = 0
        limit = self.options.max_row_bytes
        with text_bytes(self.location, self.options) as reader:
            offset = reader.start or 0
            lines = lines_of(reader, limit=limit)
            for given in lines:
                line, size = (None, given) if isinstance(given, int) else (given, len(given))
                begin = offset
                offset += size
                number += 1
                if line is not None and line.isspace():
                    continue
                row += 1
                if row <= skip:
                    continue
                if chunk_rows and (row - 1) % chunk_rows == 0:
                    chunk_start = begin
                if line is None:
                    chunk_start += size  # it fills no memory
                if chunk_rows and offset - chunk_start > self.options.max_chunk_bytes:
                    raise InputError(
                        f"{chunk_rows} rows fill more than {self.options.max_chunk_bytes >> 20:,} MiB",
                        path=self.path,
                        row=row,
                        line=number,
                        hint="lower --chunk-rows, or split the file",
                    )
                found = f"is longer than {limit:,} bytes" if line is None else self._parse(line)
                if not isinstance(found, str):
                    yield found
                    continue
                if row == 1 and line is not None and _BEGINS_ARRAY.match(line):
                    stops = self.options.on_bad_row == "fail"
                    if found != A_LIST or (stops and all(isinstance(x, bytes) and x.isspace() for x in lines)):
                        raise InputError(_AN_ARRAY, path=self.path, hint=_ONE_A_LINE)
                raw = None
                if self.options.keep_raw and line is not None:
                    raw = bytes(line).rstrip(b"\r\n").decode("utf-8", "backslashreplace")
                reject = Reject(self.path, row, None if reader.start is None else begin, found, raw, number)
                if self.options.on_bad_row == "fail":
                    raise reject.error()
                yield reject

    def _parse(self, line: bytes | bytearray) -> dict[str, Any] | str:
        """The object of a line, or the reason why it is bad."""
        found = parse_line(line)
        if self._text is None or isinstance(found, str):
            return found
        value = found.get(self._text)
        if value is None or isinstance(value, str | bytearray):
            return found
        if self.options.on_bad_row == "keep":
            return KeptRow({**found, self._text: _json_text(value)})
        return f"{quoted(self._text)} is {KIND_NAMES[type(value)]}, not a string"


def _field(name: str, kinds: int) -> pa.Field:
    found = next((column for held, column in _COLUMN_TYPES.items() if not kinds & ~held), None)
    return pa.field(name, pa.string(), metadata=JSON_FIELD) if found is None else pa.field(name, found)


def _kind_of(value: object) -> int:
    if type(value) is not int:
        return _KINDS.get(type(value), _NESTED)
    if -(2**53) <= value <= 2**53:
        return _INT
    return _WIDE_INT if -(2**63) <= value < 2**63 else _BIG_INT


def _json_text(value: Any) -> str:
    if isinstance(value, memoryview):
        value = str(value, "utf-8")
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers of more than 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""JSON Lines: strict, one bad line is one bad row; columns have the types that hold every value unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.files.arrow import JSON_FIELD, JSON_IN_ERRORS, holds_json, in_one_piece
from scorer.files.bad_rows import Reject
from scorer.files.json_blocks import Row, parse_lines
from scorer.files.json_tables import line_sizes, plain_table
from scorer.files.source import Block, KeptRow, ReadOptions, Source, check_text_type, tables_in_blocks
from scorer.files.strict_json import A_LIST, KIND_NAMES
from scorer.files.text_bytes import line_blocks_of, lines_in, text_bytes
from scorer.safe_text import counted, quoted

_Rows: TypeAlias = "list[dict[str, Any] | Reject]"

_MAX_COLUMNS = 4096

_AN_ARRAY = "is a JSON array, not one JSON object a line"
_BEGINS_ARRAY = re.compile(rb"\s*\[\s*(?:[\[{\"]|$)")
_ONE_A_LINE = "write each object on a line of its own; jq -c '.[]' does so with an array"

_TEXT_TYPES = {str, bytearray, type(None)}

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


@dataclass
class _Place:
    """A place in a file, behind some of its lines.

    Attributes:
        offset: in bytes.
        chunk_rows: rows of a chunk; 0 if nothing bounds them.
        most: bytes of the lines of a chunk.
        line, row: number of the last line, and of the last row.
        chunk_start: where the chunk of the last row begins; lines that are too long do not count.
    """

    offset: int
    chunk_rows: int
    most: int
    line: int = 0
    row: int = 0
    chunk_start: int = 0

    @property
    def chunk_bytes(self) -> int:
        """Bytes of the chunk so far."""
        return self.offset - self.chunk_start if self.chunk_rows else 0

    def fits(self, n_bytes: int) -> bool:
        """True if rows of ``n_bytes`` cannot fill a chunk beyond the limit."""
        return not self.chunk_rows or self.chunk_bytes + n_bytes <= self.most

    def advance(self, sizes: npt.NDArray[np.int64]) -> None:
        """Go on behind lines of ``sizes`` in bytes, of which each is a row."""
        if self.chunk_rows:
            first = (self.row + len(sizes) - 1) // self.chunk_rows * self.chunk_rows  # of the last chunk, from 0
            if first >= self.row:
                self.chunk_start = self.offset + int(sizes[: first - self.row].sum())
        self.offset += int(sizes.sum())
        self.line += len(sizes)
        self.row += len(sizes)

    def step(self, line: bytes | bytearray | None, size: int, skip: int) -> bool:
        """Go on behind one line, ``None`` if it is too long; True if it is a row after the first ``skip``."""
        begin = self.offset
        self.offset += size
        self.line += 1
        if line is not None and line.isspace():
            return False
        self.row += 1
        if self.chunk_rows and (self.row - 1) % self.chunk_rows == 0:
            self.chunk_start = begin
        if line is None:
            self.chunk_start += size  # it fills no memory
        return self.row > skip


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
        for rows in self._pieces(lambda: _schema_of(kinds)):
            if isinstance(rows, pa.Table):
                objects += rows.num_rows
                for name, column in zip(rows.column_names, rows.columns, strict=True):
                    kinds[name] |= _kind_of_integers(column)  # other columns have a type that says all
                continue
            good = cast("list[dict[str, Any]]", rows)
            if Reject in set(map(type, rows)):
                good = [row for row in rows if not isinstance(row, Reject)]
                reasons = [*reasons, *(row.reason for row in rows if isinstance(row, Reject))][:2]
            objects += len(good)
            for name, kind in _kinds_of(good):
                kinds[name] = kinds.get(name, 0) | kind
            if len(kinds) > _MAX_COLUMNS:
                raise InputError(f"its rows have more than {_MAX_COLUMNS:,} different keys", path=self.path)
        if reasons and not objects:
            what = _AN_ARRAY if reasons == [A_LIST] else "no row is a JSON object"
            raise InputError(what, path=self.path, hint=_ONE_A_LINE)
        self._kinds = kinds
        self.schema = _schema_of(kinds)

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        schema = pa.schema([self.schema.field(column) for column in columns])
        pieces = (
            self._of_schema(piece, schema) if isinstance(piece, pa.Table) else piece
            for piece in self._pieces(lambda: self.schema, skip=start * rows, chunk_rows=rows)
        )
        return tables_in_blocks(pieces, rows, lambda good: self._table_of(good, schema))

    @staticmethod
    def _of_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
        """The columns of ``schema`` in ``table``, with its metadata."""
        return table.select(schema.names).cast(schema)

    def _table_of(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        arrays = []
        for field in schema:
            values = [row.get(field.name) for row in rows]
            if bytearray in set(map(type, values)):  # of a view pyarrow makes a string without another copy
                values = [memoryview(value) if isinstance(value, bytearray) else value for value in values]
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

    def _pieces(
        self, schema: Callable[[], pa.Schema], *, skip: int = 0, chunk_rows: int = 0
    ) -> Iterator[_Rows | pa.Table]:
        """Rows after the first ``skip``, many at a time; ``chunk_rows`` of them must fit into the limit of a chunk.

        Those that fit into the columns of ``schema()``, which is asked for each time, come as a table of these.
        """
        limit = self.options.max_row_bytes
        with text_bytes(self.location, self.options) as reader:
            blocks = line_blocks_of(reader, limit=limit)
            at = _Place(reader.start or 0, chunk_rows, self.options.max_chunk_bytes)
            for block in blocks:
                if isinstance(block, bytes) and (sizes := line_sizes(block)) is not None and sizes.max() <= limit:
                    if at.row + len(sizes) <= skip:
                        at.advance(sizes)
                        continue
                    if at.row >= skip and at.fits(len(block)):
                        table = plain_table(block, len(sizes), schema())
                        if table is not None:
                            at.advance(sizes)
                            yield table
                            continue
                lines = lines_in(block, limit=limit)
                if at.row >= skip and (found := self._good_rows(lines, at)) is not None:
                    at.advance(np.fromiter(map(len, cast("list[bytes]", lines)), np.int64, len(lines)))
                    yield found
                    continue
                rows: _Rows = []
                behind = (lines_in(block, limit=limit) for block in blocks)
                try:
                    self._add_rows(rows, lines, at, skip, behind, has_places=reader.start is not None)
                except InputError:
                    yield rows
                    raise
                yield rows

    def _good_rows(self, lines: list[bytes | bytearray | int], at: _Place) -> _Rows | None:
        """Rows of ``lines``; ``None`` if one is no row or a bad one, or some can fill a chunk beyond the limit."""
        if int in set(map(type, lines)) or any(line.isspace() for line in cast("list[bytes]", lines)):
            return None
        whole = cast("list[bytes]", lines)
        if not at.fits(sum(map(len, whole))):
            return None
        found = self._with_text(parse_lines(whole))
        return None if str in set(map(type, found)) else cast("_Rows", found)

    def _add_rows(
        self,
        rows: _Rows,
        lines: list[bytes | bytearray | int],
        at: _Place,
        skip: int,
        behind: Iterator[list[bytes | bytearray | int]],
        *,
        has_places: bool,
    ) -> None:
        """Add the rows of ``lines``, which begin ``at`` a place, to ``rows``; ``behind`` are the lines after them."""
        texts = [line for line in lines if not isinstance(line, int) and not line.isspace()]
        results = iter(self._with_text(parse_lines(texts)) if at.row + len(lines) > skip else texts)
        for place, given in enumerate(lines):
            line, size = (None, given) if isinstance(given, int) else (given, len(given))
            begin = at.offset
            is_row = at.step(line, size, skip)
            found = None if line is None or line.isspace() else next(results)
            if not is_row:
                continue
            if at.chunk_bytes > at.most:
                what = f"{counted(at.chunk_rows, 'row')} would fill more than {at.most >> 20:,} MiB"
                hint = "lower --chunk-rows, or split the file"
                raise InputError(what, path=self.path, row=at.row, line=at.line, hint=hint)
            if isinstance(found, dict):
                rows.append(found)
                continue
            reason = (
                found if isinstance(found, str) else f"is longer than {counted(self.options.max_row_bytes, 'byte')}"
            )
            stops = self.options.on_bad_row == "fail"
            if at.row == 1 and line is not None and _BEGINS_ARRAY.match(line):
                rest = chain(lines[place + 1 :], chain.from_iterable(behind))
                if reason != A_LIST or (stops and all(not isinstance(x, int) and x.isspace() for x in rest)):
                    raise InputError(_AN_ARRAY, path=self.path, hint=_ONE_A_LINE)
            raw = None
            if self.options.keep_raw and line is not None:
                raw = bytes(line).rstrip(b"\r\n").decode("utf-8", "backslashreplace")
            reject = Reject(self.path, at.row, begin if has_places else None, reason, raw, at.line)
            if stops:
                raise reject.error()
            rows.append(reject)

    def _with_text(self, found: list[Row]) -> list[Row]:
        """``found`` with rows whose text is none kept or bad, as the policy says."""
        name = self._text
        if name is None or {type(row.get(name)) for row in found if not isinstance(row, str)} <= _TEXT_TYPES:
            return found
        return [row if isinstance(row, str) else self._checked(row, name) for row in found]

    def _checked(self, row: dict[str, Any], name: str) -> Row:
        value = row.get(name)
        if type(value) in _TEXT_TYPES:
            return row
        if self.options.on_bad_row == "keep":
            return KeptRow({**row, name: _json_text(value)})
        return f"{quoted(name)} is {KIND_NAMES[type(value)]}, not a string"


def _kinds_of(rows: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Columns of ``rows``, in the order of their first appearance, with the kinds of their values."""
    names = list(rows[0]) if rows else []
    if sum(map(len, rows)) == len(rows) * len(names):
        with suppress(KeyError):  # rows of as many other keys
            yield from [(name, _kind_of_all(list(map(itemgetter(name), rows)))) for name in names]
            return
    for row in rows:
        for name, value in row.items():
            yield name, _kind_of(value)


def _kind_of_all(values: list[Any]) -> int:
    """Kinds of ``values``; the least and the greatest integer decide for all of them."""
    kinds = 0
    for held in set(map(type, values)):
        if held is int:
            whole = [value for value in values if type(value) is int]
            kinds |= _kind_of(min(whole)) | _kind_of(max(whole))
        else:
            kinds |= _KINDS.get(held, _NESTED)
    return kinds


def _kind_of_integers(column: pa.ChunkedArray) -> int:
    """Kinds of the integers of a column; 0 if it is of another type, or holds none."""
    if not pa.types.is_integer(column.type) or column.null_count == len(column):
        return 0
    least_and_greatest = pc.min_max(column).as_py().values()
    return _kind_of_all(list(least_and_greatest))


def _schema_of(kinds: dict[str, int]) -> pa.Schema:
    return pa.schema([_field(name, kind) for name, kind in kinds.items()])


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

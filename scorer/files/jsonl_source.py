"""JSON Lines: strict, one bad line is one bad row; columns have the types that hold every value unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from functools import partial
from itertools import chain
from typing import Any, Self, TypeAlias, cast

import numpy as np
import pyarrow as pa

from scorer.errors import InputError
from scorer.files.alike_lines import alike_columns
from scorer.files.arrow import JSON_IN_ERRORS
from scorer.files.bad_rows import Reject
from scorer.files.blocks import tables_in_blocks
from scorer.files.json_blocks import Row, parse_lines
from scorer.files.json_columns import (
    TEXT,
    Columns,
    Values,
    array_of,
    column_of,
    json_text,
    kinds_of,
    kinds_of_rows,
    schema_of,
)
from scorer.files.json_tables import plain_columns
from scorer.files.line_places import Place, line_sizes
from scorer.files.source import Block, KeptRow, ReadOptions, Source, check_text_type
from scorer.files.strict_json import A_LIST, KIND_NAMES
from scorer.files.text_bytes import line_blocks_of, lines_in, text_bytes
from scorer.safe_text import counted, quoted

_Rows: TypeAlias = "list[dict[str, Any] | Reject]"

_MAX_COLUMNS = 4096

_AN_ARRAY = "is a JSON array, not one JSON object a line"
_BEGINS_ARRAY = re.compile(rb"\s*\[\s*(?:[\[{\"]|$)")
_ONE_A_LINE = "write each object on a line of its own; jq -c '.[]' does so with an array"

_TEXT_TYPES = {str, bytearray, type(None)}

_RUN_BYTES = 2**17
"""Bytes of the lines that are parsed together: their values fit into the cache of a processor."""


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
        if not kinds & TEXT:
            check_text_type(self.schema.field(column), self.path)
            return self
        source = copy(self)
        source._text = column if kinds != TEXT else None
        if kinds != TEXT and self.options.on_bad_row == "reject":
            source._find_columns()
        mark = JSON_IN_ERRORS if kinds != TEXT and self.options.on_bad_row == "keep" else None
        field = pa.field(column, pa.string(), metadata=mark)
        source.schema = source.schema.set(source.schema.get_field_index(column), field)
        return source

    def _find_columns(self) -> None:
        kinds: dict[str, int] = {}
        reasons: list[str] = []
        objects = 0
        for piece in self._pieces(lambda: schema_of(kinds)):
            if isinstance(piece, dict):
                objects += 1
                found: Iterable[tuple[str, int]] = ((name, kinds_of(values)) for name, values in piece.items())
            else:
                good = cast("list[dict[str, Any]]", piece)
                if Reject in set(map(type, piece)):
                    good = [row for row in piece if not isinstance(row, Reject)]
                    reasons = [*reasons, *(row.reason for row in piece if isinstance(row, Reject))][:2]
                objects += len(good)
                found = kinds_of_rows(good)
            for name, kind in found:
                kinds[name] = kinds.get(name, 0) | kind
            if len(kinds) > _MAX_COLUMNS:
                raise InputError(f"its rows have more than {_MAX_COLUMNS:,} different keys", path=self.path)
        if reasons and not objects:
            what = _AN_ARRAY if reasons == [A_LIST] else "no row is a JSON object"
            raise InputError(what, path=self.path, hint=_ONE_A_LINE)
        self._kinds = kinds
        self.schema = schema_of(kinds)

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        schema = pa.schema([self.schema.field(column) for column in columns])
        pieces = (
            self._in_table(piece, schema)
            for piece in self._pieces(lambda: self.schema, skip=start * rows, chunk_rows=rows)
        )
        return tables_in_blocks(pieces, rows, lambda good: self._table_of(good, schema))

    def _in_table(self, piece: Columns | _Rows, schema: pa.Schema) -> pa.Table | _Rows:
        """The table of a piece in which every row is a good one; rows without columns stay a list."""
        if isinstance(piece, dict):
            n_rows = len(next(iter(piece.values())))
            return self._table(n_rows, piece.get, schema) if len(schema) else [{}] * n_rows
        if len(schema) and set(map(type, piece)) == {dict}:
            return self._table_of(cast("list[dict[str, Any]]", piece), schema)
        return piece

    def _table_of(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        if not len(schema):
            return pa.table({"": [None] * len(rows)}).select([])  # keeps the number of rows
        return self._table(len(rows), partial(column_of, rows), schema)

    def _table(self, n_rows: int, values_of: Callable[[str], Values | None], schema: pa.Schema) -> pa.Table:
        """The columns of ``schema``; one for which ``values_of`` gives ``None`` has nulls alone."""
        try:
            return pa.table([array_of(values_of(field.name) or [None] * n_rows, field) for field in schema], schema)
        except (pa.ArrowException, TypeError, OverflowError):
            # Their messages show the value that does not fit.
            raise InputError("changed while it was read", path=self.path, hint="run again") from None

    def _pieces(
        self, schema: Callable[[], pa.Schema], *, skip: int = 0, chunk_rows: int = 0
    ) -> Iterator[_Rows | Columns]:
        """Rows after the first ``skip``, many at a time; ``chunk_rows`` of them must fit into the limit of a chunk.

        Good ones may come as columns; ``schema()``, which is asked for each time, has those that are known.
        """
        limit = self.options.max_row_bytes
        with text_bytes(self.location, self.options) as reader:
            blocks = line_blocks_of(reader, limit=limit)
            at = Place(reader.start or 0, chunk_rows, self.options.max_chunk_bytes)
            for block in blocks:
                if isinstance(block, bytes) and (sizes := line_sizes(block)) is not None and sizes.max() <= limit:
                    if at.row + len(sizes) <= skip:
                        at.advance(sizes)
                        continue
                    if at.row >= skip and at.fits(len(block)):
                        columns = alike_columns(block, sizes) or plain_columns(block, len(sizes), schema())
                        if columns is not None and self._has_texts(columns):
                            at.advance(sizes)
                            yield columns
                            continue
                runs = _runs_of(block, limit)
                for lines in runs:
                    if at.row >= skip and (found := self._good_rows(lines, at)) is not None:
                        at.advance(np.fromiter(map(len, cast("list[bytes]", lines)), np.int64, len(lines)))
                        yield found
                        continue
                    rows: _Rows = []
                    behind = chain(runs, (run for block in blocks for run in _runs_of(block, limit)))
                    try:
                        self._add_rows(rows, lines, at, skip, behind, has_places=reader.start is not None)
                    except InputError:
                        yield rows
                        raise
                    yield rows

    def _has_texts(self, columns: Columns) -> bool:
        """True if the texts are texts, or null."""
        return self._text is None or kinds_of(columns.get(self._text, [])) in (0, TEXT)

    def _good_rows(self, lines: list[bytes | bytearray | int], at: Place) -> _Rows | None:
        """Rows of ``lines``; ``None`` if one is no row or a bad one, or some can fill a chunk beyond the limit."""
        if int in set(map(type, lines)):
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
        at: Place,
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
            return KeptRow({**row, name: json_text(value)})
        return f"{quoted(name)} is {KIND_NAMES[type(value)]}, not a string"


def _runs_of(block: bytes | bytearray | int, limit: int) -> Iterator[list[bytes | bytearray | int]]:
    """The lines of a block, some at a time."""
    lines = lines_in(block, limit=limit)
    n_runs = len(block) // _RUN_BYTES + 1 if isinstance(block, bytes) else 1
    n_lines = -(-len(lines) // n_runs)
    for start in range(0, len(lines), n_lines):
        yield lines[start : start + n_lines]

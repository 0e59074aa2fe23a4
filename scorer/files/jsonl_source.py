"""JSON Lines: strict, one bad line is one bad row; columns have the types that hold every value unchanged."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import chain
from typing import Any, Self, TypeAlias, TypeVar, cast

import pyarrow as pa

from scorer.errors import InputError
from scorer.files.alike_lines import alike_columns
from scorer.files.arrow import JSON_IN_ERRORS
from scorer.files.bad_rows import Reject
from scorer.files.blocks import tables_in_blocks
from scorer.files.json_blocks import Row, parse_block, parse_lines
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
from scorer.files.line_places import Place, RowLines, row_lines
from scorer.files.source import Block, KeptRow, ReadOptions, Source, check_text_type
from scorer.files.strict_json import A_LIST, KIND_NAMES
from scorer.files.text_bytes import Line, line_blocks_of, lines_in, text_bytes
from scorer.safe_text import counted, quoted

T = TypeVar("T")

_GoodRows: TypeAlias = list[dict[str, Any]]
_Rows: TypeAlias = list[dict[str, Any] | Reject]

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
        has_objects = False
        n_rows = 0
        for piece in self._pieces(_kinds_in, lambda: schema_of(kinds)):
            if isinstance(piece, list):
                n_rows += len(piece)
                good = [row for row in piece if not isinstance(row, Reject)]
                reasons = [*reasons, *(row.reason for row in piece if isinstance(row, Reject))][:2]
                has_objects |= bool(good)
                found = kinds_of_rows(good)
            else:
                has_objects = True
                found, n_good = piece
                n_rows += n_good
            for name, kind in found.items():
                kinds[name] = kinds.get(name, 0) | kind
            if len(kinds) > _MAX_COLUMNS:
                raise InputError(f"its rows have more than {_MAX_COLUMNS:,} different keys", path=self.path)
        if reasons and not has_objects:
            what = _AN_ARRAY if reasons == [A_LIST] else "no row is a JSON object"
            raise InputError(what, path=self.path, hint=_ONE_A_LINE)
        self._kinds = kinds
        self.schema = schema_of(kinds)
        self.expected_rows = n_rows

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        schema = pa.schema([self.schema.field(column) for column in columns])
        take = partial(self._in_table, schema=schema)
        pieces = self._pieces(take, lambda: self.schema, skip=start * rows, chunk_rows=rows)
        return tables_in_blocks(pieces, rows, lambda good: self._table_of(good, schema))

    def _in_table(self, piece: Columns | _GoodRows, schema: pa.Schema) -> pa.Table | _GoodRows:
        """The table of a piece; rows stay a list if there are no columns, or if one was kept in spite of its text."""
        if isinstance(piece, dict):
            n_rows = len(next(iter(piece.values())))
            return self._table(n_rows, piece.get, schema) if len(schema) else [{}] * n_rows
        return self._table_of(piece, schema) if len(schema) and set(map(type, piece)) == {dict} else piece

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
        self,
        take: Callable[[Columns | _GoodRows], T],
        schema: Callable[[], pa.Schema],
        *,
        skip: int = 0,
        chunk_rows: int = 0,
    ) -> Iterator[T | _Rows]:
        """Rows after the first ``skip``, many at a time; ``chunk_rows`` of them must fit into the limit of a chunk.

        Good ones come as what ``take`` makes of them; ``schema()``, which is asked for each time, has the columns
        that are known.
        """
        limit = self.options.max_row_bytes
        with text_bytes(self.location, self.options) as reader:
            blocks = line_blocks_of(reader, limit=limit)
            at = Place(reader.start or 0, chunk_rows, self.options.max_chunk_bytes)
            for block in blocks:
                whole = row_lines(block, limit)
                if whole is not None and at.row + len(whole.sizes) <= skip:
                    at.advance(whole.sizes)
                    continue
                columns = partial(self._columns, schema=schema())
                if whole is not None and (taken := _taken(whole, at, skip, columns, take)) is not None:
                    yield taken
                    continue
                runs = iter([block]) if whole is None else whole.runs(_RUN_BYTES)
                for run in runs:
                    if isinstance(run, RowLines):
                        if (taken := _taken(run, at, skip, self._good_rows, take)) is not None:
                            yield taken
                            continue
                        run = run.text
                    rows: _Rows = []
                    behind = (run.text if isinstance(run, RowLines) else run for run in chain(runs, blocks))
                    rest = (lines_in(block, limit=limit) for block in behind)
                    has_places = reader.start is not None
                    try:
                        self._add_rows(rows, lines_in(run, limit=limit), at, skip, rest, has_places=has_places)
                    except InputError:
                        yield rows
                        raise
                    yield rows

    def _columns(self, lines: RowLines, schema: pa.Schema) -> Columns | None:
        """The columns of flat objects; ``None`` if another parser has to look at the lines."""
        found = alike_columns(lines) or plain_columns(lines, schema)
        has_texts = found is not None and (self._text is None or kinds_of(found.get(self._text, [])) in (0, TEXT))
        return found if has_texts else None

    def _good_rows(self, lines: RowLines) -> _GoodRows | None:
        """The rows of ``lines``; ``None`` if one is bad."""
        found = self._with_text(parse_block(lines.text, len(lines.sizes)))
        return None if str in set(map(type, found)) else cast("_GoodRows", found)

    def _add_rows(
        self,
        rows: _Rows,
        lines: list[Line],
        at: Place,
        skip: int,
        behind: Iterator[list[Line]],
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


def _kinds_in(piece: Columns | _GoodRows) -> tuple[dict[str, int], int]:
    """Kinds of the values of each column, and the number of rows."""
    if isinstance(piece, dict):
        return {name: kinds_of(values) for name, values in piece.items()}, len(next(iter(piece.values())))
    return kinds_of_rows(piece), len(piece)


@contextmanager
def _collector_off() -> Iterator[None]:
    """Keep the garbage collector from looking at new values again and again, of which none is garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_collector_off()
def _taken(
    lines: RowLines,
    at: Place,
    skip: int,
    read: Callable[[RowLines], Columns | _GoodRows | None],
    take: Callable[[Columns | _GoodRows], T],
) -> T | None:
    """What ``take`` makes of all that ``read`` finds, and ``at`` goes on behind it; ``None`` if that cannot be.

    It cannot be if ``read`` finds nothing, a line is among the first ``skip``, or they could fill a chunk beyond the
    limit.
    """
    if at.row < skip or not at.fits(len(lines.text)) or (found := read(lines)) is None:
        return None
    at.advance(lines.sizes)
    return take(found)

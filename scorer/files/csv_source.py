"""CSV and TSV: strict, every value carried as the text that it is."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import pyarrow as pa

from scorer.errors import InputError
from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import NOT_UTF8, Reject
from scorer.files.blocks import tables_in_blocks
from scorer.files.csv_advice import options_that_read
from scorer.files.csv_dialect import Dialect
from scorer.files.csv_records import Fields, Records
from scorer.files.source import Block, ReadOptions, Source
from scorer.files.text_bytes import text_bytes
from scorer.safe_text import counted

log = logging.getLogger(__name__)

_TEXT_FOLLOWS = "text follows a closing quote"

_CLOSE_QUOTE = "close the quote, or double quotes inside a field"


class CsvSource(Source):
    """A CSV or TSV file; every value is text and stays as it is written.

    The strict mode of Python's ``csv`` is used because pyarrow's reader takes the end of the file
    for the end of an open quote, which would swallow rows in silence. Blank lines between rows of
    two and more columns are skipped. A quote that opens and is not closed at the end of its field
    makes every later row doubtful, so it always stops the run.
    """

    def __init__(self, path: str, options: ReadOptions, *, delimiter: str = ",") -> None:
        """Read the first row; ``delimiter`` is the format's default, which ``options`` may override.

        Raises:
            InputError: there is no header, or it cannot be read.
        """
        super().__init__(path, options)
        self._default = delimiter
        self._has_warned = False
        with self._open() as records:
            first = self._first(records)
            while options.no_header and first == []:
                first = self._first(records)
            if not first:
                raise InputError("has no rows" if options.no_header else "has no header", path=self.path)
            if records.wrong_bytes and not options.no_header:
                hint = "pass --encoding, such as latin-1, or convert the file to UTF-8"
                raise InputError("the header is not UTF-8", path=self.path, hint=hint)
            if records.has_separator_line and options.delimiter is None:
                log.info("%s: its first line names the delimiter %r", self.path, records.dialect.delimiter)
        names = [f"column_{number}" for number, _ in enumerate(first, 1)] if options.no_header else first
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])

    def advice(self) -> str | None:
        """Options by which the file may have the column that it lacks."""
        return options_that_read(self.location, self.options, self._default)

    @contextmanager
    def _open(self) -> Iterator[Records]:
        with text_bytes(self.location, self.options) as reader:
            yield Records(reader, Dialect.of(self.options, self._default), self.path, self.options)

    def _first(self, records: Records) -> Fields | None:
        try:
            return records.next_record()
        except csv.Error as error:
            first = "first row" if self.options.no_header else "header"
            reason = f"its {first} cannot be read: {_broken_quote(error, records)}"
            raise InputError(reason, path=self.path, hint=self._hint(records, _CLOSE_QUOTE)) from error

    def _hint(self, records: Records, usual: str | None) -> str:
        """Options that read the last record, if there are any, before the ``usual`` hint."""
        advice = options_that_read(self.location, self.options, self._default, records.first_lines())
        return ", or ".join(hint for hint in (advice, usual) if hint)

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        names = self.schema.names
        wanted = range(len(names)) if list(columns) == names else [names.index(column) for column in columns]
        schema = pa.schema([self.schema.field(index) for index in wanted])
        found = self._rows(start * rows, rows)
        pieces = iter(lambda: list(islice(found, rows)), [])
        return tables_in_blocks(pieces, rows, lambda good: _table_of(good, wanted, schema))

    def _rows(self, skip: int, chunk_rows: int) -> Iterator[Fields | Reject]:
        """Rows after the first ``skip``; ``chunk_rows`` of them must fit into the limit of a chunk."""
        width, first = len(self.schema), "first row" if self.options.no_header else "header"
        row = chunk_start = 0
        with self._open() as records:
            if not self.options.no_header:
                self._first(records)
            while True:
                reason = ""
                try:
                    record = records.next_record()
                except csv.Error as error:
                    record, reason = [], _broken_quote(error, records)
                    if reason != _TEXT_FOLLOWS:  # other rows may have been swallowed
                        hint = self._hint(records, _CLOSE_QUOTE)
                        raise InputError(reason, path=self.path, row=row + 1, line=records.line, hint=hint) from error
                if record is None:
                    self.expected_rows = row
                    return
                if not record and not reason:
                    if width > 1:
                        continue  # every CSV reader skips a blank line
                    record = [""]
                row += 1
                if row <= skip:
                    continue
                if (row - 1) % chunk_rows == 0:
                    chunk_start = records.byte_offset
                    if row > 1 and records.expected_bytes is not None:
                        self.expected_rows = (row - 1) * records.expected_bytes // chunk_start
                if records.end_offset - chunk_start > self.options.max_chunk_bytes:
                    raise InputError(
                        f"rows {(row - 1) // chunk_rows * chunk_rows + 1:,} to {row:,} hold more than"
                        f" {self.options.max_chunk_bytes >> 20:,} MiB",
                        path=self.path,
                        hint="lower --chunk-rows, or split the file",
                    )
                if records.wrong_bytes:
                    reason = NOT_UTF8
                elif len(record) != width and not reason:
                    fields = counted(len(record), "field")
                    reason = f"{fields}, but the {first} has {width}"
                elif records.n_lines > 1 and self._may_be_rows(records):
                    raise InputError(
                        f"its {records.n_lines:,} lines are as many rows if quotes are plain characters",
                        path=self.path,
                        row=row,
                        line=records.line,
                        hint="try --quote none, or pass --quote '\"' if they are one row",
                    )
                if not reason:
                    yield record
                    del record
                    continue
                raw = records.raw() if self.options.keep_raw else None
                place = records.byte_offset if records.has_offsets else None
                reject = Reject(self.path, row, place, reason, raw, records.line)
                if self.options.on_bad_row == "fail":
                    bad = reject.error()
                    raise bad if reason == NOT_UTF8 else bad.with_hint(self._hint(records, bad.parts()["hint"]))
                if not (self._has_warned or reason == NOT_UTF8):
                    self._has_warned = True
                    if hint := self._hint(records, None):
                        log.warning("%s", reject.error().with_hint(hint))
                yield reject

    def _may_be_rows(self, records: Records) -> bool:
        """True if each line of a record can be a row: in files with tabs, many write quotation marks as they are."""
        options, width = self.options, len(self.schema)
        guessed = options.quote is None and options.escape is None and records.dialect.delimiter == "\t"
        return guessed and width > 1 and records.n_delimiters() == records.n_lines * (width - 1)


def _broken_quote(error: csv.Error, records: Records) -> str:
    """Describe the error; only after ``_TEXT_FOLLOWS`` does the next line surely begin another row."""
    if "unexpected end of data" in str(error):
        return "a quote opens and is never closed"
    if records.n_lines > 1:
        return (
            "a quote opens and is not closed where its field ends: text follows"
            f" {counted(records.n_lines - 1, 'line')} later"
        )
    return _TEXT_FOLLOWS


def _table_of(rows: list[Fields], wanted: Sequence[int], schema: pa.Schema) -> pa.Table:
    columns = [pa.chunked_array([[row[index] for row in rows]], pa.string()) for index in wanted]
    return pa.table([in_one_piece(column) for column in columns], schema)

"""CSV and TSV: strict, every value carried as the text that it is."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from scorer.errors import InputError
from scorer.files.arrow import in_one_piece
from scorer.files.bad_rows import NOT_UTF8, Reject
from scorer.files.huge_texts import HUGE_BYTES, is_utf8, viewed
from scorer.files.source import Block, ReadOptions, Source, in_blocks
from scorer.files.text_bytes import TextReader, lines_of, text_bytes

# csv keeps four bytes for each character of a field until its file is done: larger rows are cut up here.
_LARGE_ROW = 2**20

# So are rows of more lines: csv takes them one by one.
_MANY_LINES = 1000

# The inside of quotes, up to the closing one.
_QUOTED = re.compile(rb'(?:[^"]++|"")*+')

_TEXT_FOLLOWS = "text follows a closing quote"

_CLOSE_QUOTE = "close the quote, or double quotes inside a field"

_Fields = list[str | bytes | bytearray]


class CsvSource(Source):
    """A CSV or TSV file with a header; every value is text and stays as it is written.

    The strict mode of Python's ``csv`` is used because pyarrow's reader takes the end of the file
    for the end of an open quote, which would swallow rows in silence. Blank lines between rows of
    two and more columns are skipped. A quote that opens and is not closed at the end of its field
    makes every later row doubtful, so it always stops the run.
    """

    def __init__(self, path: str, options: ReadOptions, *, delimiter: str = ",") -> None:
        """Read the header; ``delimiter`` is the format's default, which ``options`` may override.

        Raises:
            InputError: there is no header, or it cannot be read.
        """
        super().__init__(path, options)
        self._delimiter = options.delimiter or delimiter
        csv.field_size_limit(sys.maxsize)
        with self._open() as (header, records):
            if not header:
                raise InputError("has no header", path=self.path)
            if records.wrong_bytes:
                raise InputError(
                    "the header is not UTF-8", path=self.path, hint="pass --encoding, or convert the file to UTF-8"
                )
        names = [name if isinstance(name, str) else name.decode() for name in header]
        self.schema = pa.schema([pa.field(name, pa.string()) for name in names])

    @contextmanager
    def _open(self) -> Iterator[tuple[_Fields | None, _Records]]:
        """The header and the records after it."""
        with text_bytes(self.location, self.options) as reader:
            records = _Records(reader, self._delimiter, self.path, self.options)
            try:
                header = records.next_record()
            except csv.Error as error:
                reason = f"its header cannot be read: {_broken_quote(error, records)}"
                raise InputError(reason, path=self.path, hint=_CLOSE_QUOTE) from error
            yield header, records

    def _blocks(self, rows: int, columns: Sequence[str], start: int) -> Iterator[Block]:
        names = self.schema.names
        wanted = range(len(names)) if list(columns) == names else [names.index(column) for column in columns]
        schema = pa.schema([self.schema.field(index) for index in wanted])
        return in_blocks(self._rows(start * rows, rows), rows, lambda good: _table_of(good, wanted, schema))

    def _rows(self, skip: int, chunk_rows: int) -> Iterator[_Fields | Reject]:
        """Rows after the first ``skip``; ``chunk_rows`` of them must fit into the limit of a chunk."""
        width = len(self.schema)
        row = chunk_start = 0
        with self._open() as (_header, records):
            while True:
                reason = ""
                try:
                    record = records.next_record()
                except csv.Error as error:
                    record, reason = [], _broken_quote(error, records)
                    if reason != _TEXT_FOLLOWS:  # other rows may have been swallowed
                        raise InputError(reason, path=self.path, row=row + 1, hint=_CLOSE_QUOTE) from error
                if record is None:
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
                if records.end_offset - chunk_start > self.options.max_chunk_bytes:
                    raise InputError(
                        f"rows {(row - 1) // chunk_rows * chunk_rows + 1:,} to {row:,} hold more than"
                        f" {self.options.max_chunk_bytes >> 20:,} MiB",
                        path=self.path,
                        hint="lower --chunk-rows",
                    )
                if records.wrong_bytes:
                    reason = NOT_UTF8
                elif len(record) != width and not reason:
                    fields = "1 field" if len(record) == 1 else f"{len(record):,} fields"
                    reason = f"{fields} where the header has {width}"
                if not reason:
                    yield record
                    del record
                    continue
                raw = records.raw() if self.options.keep_raw else None
                reject = Reject(self.path, row, records.byte_offset if records.has_offsets else None, reason, raw)
                if self.options.on_bad_row == "fail":
                    raise reject.error()
                yield reject


class _Records:
    """Records of a CSV file; feeds Python's parser with lines and knows where each record began.

    Attributes:
        wrong_bytes: True if the last record holds bytes that are not UTF-8.
        n_lines: its lines so far.
        byte_offset, end_offset: places of its first byte and of the byte after it in the text.
        has_offsets: True if these are its places in the unpacked file too.
    """

    def __init__(self, reader: TextReader, delimiter: str, path: str, options: ReadOptions) -> None:
        self._lines = lines_of(reader, limit=options.max_row_bytes, together=lambda: self._in_quotes)
        self._in_quotes = False
        self._ahead: list[bytes | bytearray] = []  # lines that were read together with others, last first
        self._delimiter = delimiter
        self._path = path
        self._limit = options.max_row_bytes
        self._keeps_raw = options.keep_raw
        self._reader = self._new_reader()
        self._parts: list[bytes | bytearray] = []
        self._n_bytes = 0
        self.end_offset = self.byte_offset = reader.start or 0
        self.has_offsets = reader.start is not None
        self.n_lines = 0
        self.wrong_bytes = False

    def next_record(self) -> _Fields | None:
        """Fields of the next record, none for a blank line, huge ones as UTF-8 bytes; ``None`` at the end.

        Raises:
            csv.Error: its quotes are wrong.
        """
        self._parts.clear()
        self._n_bytes = self.n_lines = 0
        self.wrong_bytes = False
        self.byte_offset = self.end_offset
        try:
            return [*next(self._reader)]
        except StopIteration:
            return None
        except _LargeRow:
            self._reader = self._new_reader()
            return self._large_record()

    def raw(self) -> str:
        """The lines of the record, bytes that are not UTF-8 escaped."""
        return b"".join(self._parts).rstrip(b"\r\n").decode("utf-8", "backslashreplace")

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self, strict=True, delimiter=self._delimiter)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next_line()
        if self._n_bytes > _LARGE_ROW or self.n_lines > _MANY_LINES:
            raise _LargeRow
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.wrong_bytes = True
            return line.decode("utf-8", "surrogateescape")

    def _next_line(self) -> bytes | bytearray:
        found = self._ahead.pop() if self._ahead else next(self._lines)
        line = self._too_long() if isinstance(found, int) else found
        if b"\r" in line and line.find(b"\r") < len(line) - (2 if line.endswith(b"\n") else 1):
            self._ahead += line.splitlines(keepends=True)[::-1]
            line = self._ahead.pop()
        self._take(line, n_lines=1)
        return line

    def _take(self, line: bytes | bytearray, n_lines: int) -> None:
        self._parts.append(line)
        self.n_lines += n_lines
        self._n_bytes += len(line)
        self.end_offset += len(line)
        if self._n_bytes > self._limit:
            self._too_long()

    def _too_long(self) -> bytes:
        raise InputError(
            f"a row of more than {self._limit:,} bytes begins at byte {self.byte_offset:,}",
            path=self._path,
            hint="close its quote, or raise --max-row-bytes",
        )

    def _large_record(self) -> _Fields:
        """Parse the record whose lines so far are in ``_parts``, by the rules of ``csv`` in strict mode."""
        delimiter = self._delimiter.encode()
        parts = self._parts[::-1]
        if not self._keeps_raw:
            self._parts = []
        fields: _Fields = []
        field = bytearray()
        quoted = False
        while True:
            line = parts.pop() if parts else self._quoted_lines() if quoted else self._following_line()
            if not self._keeps_raw:
                self._parts.clear()
            end = len(line) - (2 if line.endswith(b"\r\n") else 1 if line.endswith((b"\n", b"\r")) else 0)
            if not end and not fields and not quoted:
                return []
            place = 0
            while True:
                if not quoted:
                    if line.startswith(b'"', place):
                        quoted = True
                        place += 1
                        continue
                    stop = line.find(delimiter, place, end)
                    with memoryview(line) as view:
                        fields.append(self._decoded(view[place : stop if stop >= 0 else end]))
                    if stop < 0:
                        return fields
                    place = stop + len(delimiter)
                    continue
                stop = line.find(b'"', place)
                if stop >= 0:
                    found = _QUOTED.match(line, place)
                    stop = found.end() if found and found.end() < len(line) else -1
                content = line[place : stop if stop >= 0 else len(line)]
                field += content.replace(b'""', b'"') if b'"' in content else content
                if stop < 0:
                    break
                fields.append(self._decoded(field))
                field = bytearray()
                quoted = False
                place = stop + 1
                if place == end:
                    return fields
                if not line.startswith(delimiter, place):
                    raise csv.Error(f"{self._delimiter!r} expected after '\"'")
                place += len(delimiter)

    def _quoted_lines(self) -> bytes | bytearray:
        """Lines inside quotes, many at once, up to the closing quote if it is among them."""
        if self._ahead:
            return self._following_line()
        self._in_quotes = True
        found = next(self._lines, b"")
        self._in_quotes = False
        if isinstance(found, int):
            return self._too_long()
        if not found:
            raise csv.Error("unexpected end of data")
        end = found.replace(b'""', b"__").find(b'"')
        if end >= 0:
            *lines, last = bytes(found[end:]).split(b"\n")
            self._ahead = [*([last] if last else []), *(line + b"\n" for line in reversed(lines))]
            found = found[:end]
        n_lines = found.count(b"\n") + found.count(b"\r") - found.count(b"\r\n")
        self._take(found, n_lines)
        return found

    def _following_line(self) -> bytes | bytearray:
        try:
            return self._next_line()
        except StopIteration:
            raise csv.Error("unexpected end of data") from None

    def _decoded(self, value: bytearray | memoryview) -> str | bytes | bytearray:
        if len(value) > HUGE_BYTES:
            with memoryview(value) as view:
                self.wrong_bytes = self.wrong_bytes or not is_utf8(view)
            return value if isinstance(value, bytearray) else bytes(value)
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            self.wrong_bytes = True
            return ""


class _LargeRow(Exception):
    """The row is too large for ``csv``."""


def _broken_quote(error: csv.Error, records: _Records) -> str:
    """Describe the error; only after ``_TEXT_FOLLOWS`` does the next line surely begin another row."""
    if "unexpected end of data" in str(error):
        return "a quote opens and is never closed"
    if records.n_lines > 1:
        return f"a quote opens and is not closed where its field ends: text follows {records.n_lines - 1} lines later"
    return _TEXT_FOLLOWS


def _table_of(rows: list[_Fields], wanted: Sequence[int], schema: pa.Schema) -> pa.Table:
    columns = [pa.chunked_array([[viewed(row[index]) for row in rows]], pa.string()) for index in wanted]
    return pa.table([in_one_piece(column) for column in columns], schema)

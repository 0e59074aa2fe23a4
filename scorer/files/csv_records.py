"""Records of a CSV file: fields by Python's ``csv``, and by the same rules here what that cannot read."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from scorer.errors import InputError
from scorer.files.csv_dialect import Dialect
from scorer.files.source import ReadOptions
from scorer.files.text_bytes import Line, TextReader, lines_of
from scorer.safe_text import counted

# csv keeps four bytes for each character of a field until its file is done: larger rows are cut up here.
_LARGE_ROW = 2**20

# So are rows of more lines: csv takes them one by one.
_MANY_LINES = 1000

# The line by which a spreadsheet is told the delimiter, before the header.
_SEPARATOR = re.compile(rb'"?sep=([\t!#-/:-@\[-`{-~])"?(?:\r\n?|\n|\Z)', re.IGNORECASE)

Fields = list[str]

csv.field_size_limit(sys.maxsize)


class Records:
    """Records of a CSV file; feeds Python's parser with lines and knows where each record began.

    Attributes:
        dialect: of the file; with the delimiter that a ``sep=`` line at its beginning names.
        has_separator_line: True if it has such a line.
        wrong_bytes: True if the last record holds bytes that are not UTF-8.
        line: the line of the file where the last record began, from 1.
        n_lines: its lines so far.
        byte_offset, end_offset: places of its first byte and of the byte after it in the text.
        has_offsets: True if these are its places in the unpacked file too.
    """

    def __init__(self, reader: TextReader, dialect: Dialect, path: str, options: ReadOptions) -> None:
        self._lines = lines_of(reader, limit=options.max_row_bytes, together=lambda: self._in_quotes)
        self._in_quotes = False
        # Lines that were read together with others, last first.
        self._ahead: list[Line] = [*islice(self._lines, 1)]
        self.dialect = dialect
        self._path = path
        self._limit = options.max_row_bytes
        self._keeps_raw = options.keep_raw
        self._parts: list[bytes | bytearray] = []
        self._begun = b""  # the first line of a large row
        self._n_bytes = self._n_delimiters = 0
        self.end_offset = self.byte_offset = reader.start or 0
        self.has_offsets = reader.start is not None
        self._text = reader
        self.line, self.n_lines = 1, 0
        self.wrong_bytes = False
        self.has_separator_line = self._skip_separator_line(chosen=options.delimiter)
        self._reader = self.dialect.rows(self)

    @property
    def expected_bytes(self) -> int | None:
        """About the size of the text, by what was read so far; ``None`` if nothing tells."""
        return self._text.expected_bytes

    def _skip_separator_line(self, chosen: str | None) -> bool:
        first = self._ahead[0] if self._ahead else 0
        found = None if isinstance(first, int) else _SEPARATOR.match(first)
        if found is None or isinstance(first, int):
            return False
        self.dialect = replace(self.dialect, delimiter=chosen or found[1].decode())
        self._ahead = [first[found.end() :]] if found.end() < len(first) else []
        self.end_offset += found.end()
        self.line = 2
        return True

    def next_record(self) -> Fields | None:
        """Fields of the next record, none for a blank line; ``None`` at the end.

        Raises:
            csv.Error: its quotes are wrong.
        """
        self._parts.clear()
        self.line += self.n_lines
        self._begun = b""
        self._n_bytes = self._n_delimiters = self.n_lines = 0
        self.wrong_bytes = False
        self.byte_offset = self.end_offset
        try:
            if self.dialect.escape is None:
                return [*next(self._reader)]
            self._next_line()
        except StopIteration:
            return None
        except _LargeRow:
            self._reader = self.dialect.rows(self)
        return self._parsed()

    def raw(self) -> str:
        """The lines of the record, bytes that are not UTF-8 escaped."""
        return b"".join(self._parts).rstrip(b"\r\n").decode("utf-8", "backslashreplace")

    def first_lines(self) -> bytes:
        """The lines of the record, of a large one the first."""
        return self._begun or b"".join(self._parts)

    def n_delimiters(self) -> int:
        """Number of delimiters in the record, within quotes too."""
        return self._n_delimiters + sum(part.count(self.dialect.delimiter_bytes) for part in self._parts)

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
            *following, line = line.splitlines(keepends=True)[::-1]
            self._ahead += following
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
            f"a row of more than {counted(self._limit, 'byte')} starts at byte {self.byte_offset:,}",
            path=self._path,
            hint="close its quote, or raise --max-row-bytes",
        )

    def _drop_parts(self) -> None:
        """Forget the lines of a large record, and keep what a message may need."""
        if not self._keeps_raw:
            self._n_delimiters = self.n_delimiters()
            self._begun = self._begun or b"".join(part[:_LARGE_ROW] for part in self._parts[:1])
            self._parts = []

    def _parsed(self) -> Fields:
        """Parse the record whose lines so far are in ``_parts``, by the rules of ``csv`` in strict mode."""
        dialect, delimiter, quote = self.dialect, self.dialect.delimiter_bytes, self.dialect.quote_bytes
        parts = self._parts[::-1]
        fields: Fields = []
        field: bytes | bytearray = bytearray()
        quoted = continued = False
        while True:
            try:
                line = parts.pop() if parts else self._quoted_lines() if quoted else self._following_line()
            except csv.Error:
                if continued:
                    return [*fields, self._decoded(field)]
                raise
            if self._n_bytes > _LARGE_ROW:
                self._drop_parts()
            end = len(line) - (2 if line.endswith(b"\r\n") else 1 if line.endswith((b"\n", b"\r")) else 0)
            if not end and not fields and not quoted and not continued:
                return []
            place = 0
            while True:
                if not quoted and not continued and quote and line.startswith(quote, place):
                    quoted = True
                    place += len(quote)
                if quoted:
                    stop = self._closing_quote(line, place)
                    field += dialect.plain(line[place : stop if stop >= 0 else len(line)], quoted=True)
                    if stop < 0:
                        break
                    quoted = False
                    stop += len(quote)
                    if stop < end and not line.startswith(delimiter, stop):
                        raise csv.Error(f"{self.dialect.delimiter!r} expected after {self.dialect.quote!r}")
                else:
                    stop = self._end_of_field(line, place, end)
                    content = line[place:stop]
                    continued = stop == end < len(line) and dialect.is_continued(content)
                    if continued:
                        field += dialect.plain(content[: -len(dialect.escape_bytes)], quoted=False) + line[end:]
                        break
                    content = dialect.plain(content, quoted=False)
                    field = field + content if field else content
                fields.append(self._decoded(field))
                field = bytearray()
                if stop >= end:
                    return fields
                place = stop + len(delimiter)

    def _closing_quote(self, line: bytes | bytearray, place: int) -> int:
        """The place of the quote that closes what is open at ``place``; -1 if it is not in ``line``."""
        if line.find(self.dialect.quote_bytes, place) < 0:
            return -1
        found = self.dialect.quoted.match(line, place)
        return found.end() if found and found.end() < len(line) else -1

    def _end_of_field(self, line: bytes | bytearray, place: int, end: int) -> int:
        if self.dialect.escape is None:
            stop = line.find(self.dialect.delimiter_bytes, place, end)
            return end if stop < 0 else stop
        found = self.dialect.unquoted.match(line, place, end)
        return found.end() if found else end

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
        end = self._closing_quote(found, 0)
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

    def _decoded(self, value: bytes | bytearray) -> str:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            self.wrong_bytes = True
            return ""


class _LargeRow(Exception):
    """The row is too large for ``csv``."""

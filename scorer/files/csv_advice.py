"""Advice on a CSV file that does not read well: a few of its lines are read by other options."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace

from scorer.errors import InputError
from scorer.files.csv_dialect import Dialect
from scorer.files.csv_records import Records
from scorer.files.file_options import NO_QUOTE
from scorer.files.source import ReadOptions
from scorer.files.text_bytes import text_bytes
from scorer.safe_text import quoted

_SAMPLE_BYTES = 2**16
_SAMPLE_ROWS = 100
_DELIMITERS = ";\t,|"
_WORDS_OF_A_TEXT = 4

_WORD = re.compile(r"[^\W\d_]+")

_NUMBER = re.compile(r"\s*[-+]?\d[\d.,:/ -]*\s*")

_QUOTED_SINGLY = re.compile(rb"(?:^|[;\t,|])'[^'\n]*'(?:$|[;\t,|\r])", re.MULTILINE)

_Rows = list[list[str]]


class _Lines(io.BytesIO):
    start: int | None = None
    expected_bytes: int | None = None


def options_that_read(location: str, options: ReadOptions, delimiter: str, failed: bytes | None = None) -> str | None:
    """Options by which the first lines of a CSV file and the ``failed`` row are read, as a hint; ``None`` for none.

    Without a failed row the file reads well but lacks a column: another delimiter, or no header, may be the reason.
    """
    head, is_cut = _head(location, options)
    if options.encoding is None and (wide := _wide_encoding(head)):
        return f"try --encoding {wide}"
    usual = _rows(head, options, delimiter, open_end=True)
    header = usual[0] if usual else []
    may_be_other = len(header) <= 1 or len({len(row) for row in usual or []}) > 1
    quotes = _other_quotes(options, head + (failed or b""))
    changes = quotes if failed is not None or all(_is_within("'", name) for name in header) else []
    if may_be_other:
        used = options.delimiter or delimiter
        others = [replace(options, delimiter=other) for other in _DELIMITERS if other != used]
        changes = [*changes, *others, *(replace(q, delimiter=o.delimiter) for o in others for q in quotes)]
    for changed in changes:
        rows = _rows(head, changed, delimiter, open_end=is_cut)
        failed_rows = _rows(failed or b"", changed, delimiter, open_end=True)
        if not rows or failed_rows is None or len({len(row) for row in rows + failed_rows}) > 1:
            continue
        width = len(rows[0])
        if changed.delimiter != options.delimiter and width == 1:
            continue
        if changed.quote != options.quote and not _explains(str(changed.quote), rows + failed_rows):
            continue
        if failed is not None and changed.delimiter == options.delimiter and header and width != len(header):
            continue
        return _said(options, changed, rows, header, is_data=failed is None and _is_data(rows, options))
    if failed is None and usual and _is_data(usual, options):
        return _said(options, options, usual, header, is_data=True)
    return None


def _head(location: str, options: ReadOptions) -> tuple[bytes, bool]:
    """Whole lines from the beginning of the file, and whether more follow."""
    head = b""
    try:
        with text_bytes(location, options) as reader:
            while len(head) <= _SAMPLE_BYTES and (block := reader.read(_SAMPLE_BYTES)):
                head += block
    except InputError:
        return b"", True
    if len(head) <= _SAMPLE_BYTES:
        return head, False
    lines, end, _rest = head[:_SAMPLE_BYTES].rpartition(b"\n")
    return lines + end, True


def _wide_encoding(head: bytes) -> str | None:
    zeros = head[::2].count(0), head[1::2].count(0)
    if max(zeros) <= len(head) // 4:
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _rows(lines: bytes, options: ReadOptions, delimiter: str, *, open_end: bool) -> _Rows | None:
    """The first rows of ``lines``, an unfinished last one left out if ``open_end``; ``None`` if they do not read so."""
    records = Records(_Lines(lines), Dialect.of(options, delimiter), "", options)
    rows: _Rows = []
    try:
        while len(rows) < _SAMPLE_ROWS and (record := records.next_record()) is not None:
            if record:
                rows.append([field if isinstance(field, str) else "" for field in record])
    except csv.Error as error:
        if not open_end or "unexpected end" not in str(error):
            return None
    return rows


def _other_quotes(options: ReadOptions, lines: bytes) -> list[ReadOptions]:
    """Options for other quotes that are worth a try, the likeliest first."""
    changes = []
    if options.escape is None and b'\\"' in lines:
        changes.append(replace(options, escape="\\"))
    if options.quote is None:
        changes.append(replace(options, quote=NO_QUOTE))
        if _QUOTED_SINGLY.search(lines):
            changes.append(replace(options, quote="'"))
    return changes


def _explains(quote: str, rows: _Rows) -> bool:
    """True if ``quote`` fits the fields, for which ``none`` needs quotation marks that are not around whole fields."""
    fields = [field for row in {tuple(row) for row in rows} for field in row]
    if quote != NO_QUOTE:
        return not any(quote in name for name in rows[0])
    around = sum(_is_within('"', field) for field in fields)
    beside = sum(field.startswith('"') != field.endswith('"') for field in fields)
    return beside > around and not any('"' in name for name in rows[0])


def _is_within(quote: str, field: str) -> bool:
    return len(field) > 1 and field.startswith(quote) and field.endswith(quote)


def _is_data(rows: _Rows, options: ReadOptions) -> bool:
    """True if a header looks like the rows after it: numbers, a text, or a value that comes again in its column."""
    first, *others = rows
    return not options.no_header and any(
        _NUMBER.fullmatch(name)
        or (len(name.split()) >= _WORDS_OF_A_TEXT and not name.rstrip().endswith(("?", ":")))
        or (name and name in (row[place] for row in others if place < len(row)))
        for place, name in enumerate(first)
    )


def _said(options: ReadOptions, changed: ReadOptions, rows: _Rows, header: Sequence[str], *, is_data: bool) -> str:
    words = []
    if changed.delimiter != options.delimiter:
        words.append("--delimiter '\\t'" if changed.delimiter == "\t" else f"--delimiter '{changed.delimiter}'")
    if changed.quote != options.quote:
        words.append('--quote "\'"' if changed.quote == "'" else f"--quote {changed.quote}")
    if changed.escape != options.escape:
        words.append(f"--escape '{changed.escape}'")
    why = f"its one column is {quoted(header[0])}: " if len(header) == 1 and len(rows[0]) > 1 else ""
    if is_data:
        words.append(f"--no-header --text-column {_longest_column(rows)}")
        why = "the first row looks like data: "
    return f"{why}try {' '.join(words)}"


def _longest_column(rows: _Rows) -> int:
    """Number of the column with most words, from 1."""
    columns = range(len(rows[0]))
    n_words = [sum(len(_WORD.findall(row[place])) for row in rows if place < len(row)) for place in columns]
    return n_words.index(max(n_words)) + 1

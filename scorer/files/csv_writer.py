"""CSV and TSV in UTF-8, with formulas escaped on request."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping

import pyarrow as pa

from scorer.files.arrow import is_text
from scorer.files.cells import as_text, by_size, plain
from scorer.files.huge_texts import bytes_of, pieces_of, rows_of_huge_texts
from scorer.files.sinks import BlockSink
from scorer.files.writing import TableWriter

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class CsvTableWriter(TableWriter):
    """CSV in UTF-8 with a header and ``\\n`` line ends; null is an empty field.

    ``safe`` puts an apostrophe before text that a spreadsheet would run as a formula, as OWASP's "CSV
    Injection" page advises; plain numbers stay as they are.
    """

    def __init__(self, sink: BlockSink, schema: pa.Schema, *, delimiter: str = ",", safe: bool = False) -> None:
        self._sink = sink
        self._safe = safe
        self._lines = _Lines()
        self._delimiter = delimiter.encode()
        self._special = re.compile(b'[\r\n"' + re.escape(self._delimiter) + b"]")
        # With \r\n as line end Python 3.11 quotes fields with \r or \n in them; _Lines takes the \r away again.
        self._writer = csv.writer(self._lines, lineterminator="\r\n", delimiter=delimiter)
        self._writer.writerow([_without_formula(name) for name in schema.names] if safe else schema.names)
        sink.write(self._lines.taken())

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        for rows, is_huge in by_size(table):
            if is_huge:
                self._write_row(rows)
            else:
                self._writer.writerows(zip(*(self._cells_of(column) for column in rows.columns), strict=True))
                self._sink.write(self._lines.taken())

    def _write_row(self, row: pa.Table) -> None:
        """Append one row as ``csv`` would, without a Python string of its huge texts."""
        for place, column in enumerate(row.columns):
            if place:
                self._sink.write(self._delimiter)
            if rows_of_huge_texts(column):
                data = bytes_of(column, 0)
                if self._safe and chr(data[0]) in _FORMULA_STARTS:
                    data = memoryview(_without_formula(str(data, "utf-8")).encode())
            else:
                data = memoryview((self._cells_of(column)[0] or "").encode())
            quote = b'"' if any(self._special.search(piece) for piece in pieces_of(data)) else b""
            self._sink.write(quote)
            for piece in pieces_of(data):
                self._sink.write(bytes(piece).replace(b'"', b'""'))
            self._sink.write(quote)
        self._sink.write(b"\n")

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; CSV has no place for metadata."""
        self._sink.end()

    def _cells_of(self, column: pa.ChunkedArray) -> list[str | None]:
        column = plain(column)
        cells: list[str | None] = as_text(column).to_pylist()
        if self._safe and is_text(column.type):
            return [cell if cell is None else _without_formula(cell) for cell in cells]
        return cells


class _Lines:
    """Receives the lines of ``csv.writer``, each by one call."""

    def __init__(self) -> None:
        self._held: list[str] = []

    def write(self, line: str) -> None:
        self._held.append(line[:-2])

    def taken(self) -> bytes:
        """The lines since the last call, each ended by a line feed."""
        if not self._held:
            return b""
        data = ("\n".join(self._held) + "\n").encode("utf-8")
        self._held.clear()
        return data


def _without_formula(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(cell) else cell

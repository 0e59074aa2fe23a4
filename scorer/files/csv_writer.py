"""CSV and TSV in UTF-8, with formulas escaped on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import in_one_piece, is_text
from scorer.files.cells import as_text, plain
from scorer.files.sinks import BlockSink
from scorer.files.writing import TableWriter

_FORMULA = r"\A[=+\-@\t\r]"

_PLAIN_NUMBER = r"\A[+-]?(\p{Nd}+(\.\p{Nd}*)?|\.\p{Nd}+)([eE][+-]?\p{Nd}+)?\z"

_EMPTY, _QUOTE, _LINE_END = (pa.scalar(text, pa.large_string()) for text in ("", '"', "\n"))


class CsvTableWriter(TableWriter):
    """CSV in UTF-8 with a header and ``\\n`` line ends; null is an empty field.

    A field is quoted if it has a delimiter, a quote or the end of a line in it, or is empty and alone.
    ``safe`` puts an apostrophe before text that a spreadsheet would run as a formula, as OWASP's "CSV
    Injection" page advises; plain numbers stay as they are.
    """

    def __init__(self, sink: BlockSink, schema: pa.Schema, *, delimiter: str = ",", safe: bool = False) -> None:
        self._sink = sink
        self._safe = safe
        self._delimiter = pa.scalar(delimiter, pa.large_string())
        self._special = f'[\r\n"{delimiter}]'
        self._write_rows([pa.chunked_array([[name]], pa.string()) for name in schema.names])

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        if table.num_rows:
            self._write_rows(table.columns)

    def _write_rows(self, columns: Sequence[pa.ChunkedArray]) -> None:
        # By Arrow alone: as Python strings, a text of 50 MB would be held several times at four bytes a character.
        fields = [self._fields_of(column, is_alone=len(columns) == 1) for column in columns]
        lines = pc.binary_join_element_wise(*fields, self._delimiter, null_handling="replace")
        del fields
        whole = pc.binary_join(pa.LargeListArray.from_arrays([0, len(lines)], lines), _LINE_END)
        del lines
        self._sink.write(memoryview(whole[0].as_buffer()).cast("B"))
        self._sink.write(b"\n")

    def _fields_of(self, column: pa.ChunkedArray, *, is_alone: bool) -> pa.LargeStringArray:
        """The values of a column as large strings, quoted where they must be."""
        column = plain(column)
        texts = in_one_piece(as_text(column)).cast(pa.large_string())
        if self._safe and is_text(column.type):
            is_formula = pc.and_not(
                pc.match_substring_regex(texts, _FORMULA), pc.match_substring_regex(texts, _PLAIN_NUMBER)
            )
            marked = pc.utf8_replace_slice(texts.filter(is_formula), 0, 0, "'")
            texts = pc.replace_with_mask(texts, is_formula, marked)
        is_special = pc.match_substring_regex(texts, self._special)
        if is_alone:
            texts = texts.fill_null("")
            is_special = pc.or_(is_special.fill_null(False), pc.equal(texts, ""))
        doubled = pc.replace_substring(texts.filter(is_special), '"', '""')
        return pc.replace_with_mask(texts, is_special, pc.binary_join_element_wise(_QUOTE, doubled, _QUOTE, _EMPTY))

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; CSV has no place for metadata."""
        self._sink.end()

"""Rows of Arrow tables with strings that are not UTF-8, which pyarrow reads without a word."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import is_text, leaves
from scorer.files.dictionaries import unpacked_as, without_dictionaries
from scorer.safe_text import quoted


def wrong_strings(table: pa.Table) -> dict[int, str]:
    """Find rows with bytes that are not UTF-8 in a column of strings, and what is wrong with them."""
    wrong: dict[int, str] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if not _holds_strings(column.type) or _is_valid(column):
            continue
        for row in range(len(column)):
            # A dictionary may hold values that none of these rows has.
            if row not in wrong and not _is_valid(_one_row(column, row)):
                wrong[row] = f"column {quoted(name)} holds bytes that are not UTF-8"
    return wrong


def _one_row(column: pa.ChunkedArray, row: int) -> pa.ChunkedArray:
    """A row without the values of others, which a check of a slice of lists would look at too; no dictionaries."""
    one = column.slice(row, 1)
    if pa.types.is_list_view(one.type) or pa.types.is_large_list_view(one.type):
        one = pc.list_flatten(one)
    elif pa.types.is_nested(one.type):
        one = column.take(pa.array([row]))
    return unpacked_as(one, without_dictionaries(one.type))


def _holds_strings(kind: pa.DataType) -> bool:
    return any(is_text(leaf.value_type if pa.types.is_dictionary(leaf) else leaf) for leaf in leaves(kind))


def _is_valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True

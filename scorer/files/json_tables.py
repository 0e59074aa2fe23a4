"""Flat lines of JSON parsed at once into known columns, without a Python value for each.

pyarrow's parser is strict about the grammar, about keys that occur twice and about the types of a schema. What it takes
and :mod:`scorer.files.strict_json` does not, or reads in another way, is looked for in its result; any doubt gives
``None``, and the lines go to the parser of :mod:`scorer.files.json_blocks`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.json

from scorer.files.arrow import holds_json
from scorer.files.json_columns import Columns
from scorer.files.line_places import RowLines

_EXACT = 2**53
"""Below it a float64 holds every integer; not-a-number and infinity are not below it."""


def plain_columns(lines: RowLines, schema: pa.Schema) -> Columns | None:
    """The columns of ``lines`` if they are those of ``schema``.

    ``None`` if one is no flat object or has another column, if one of ``schema`` holds JSON, or on any doubt.

    The parser takes several objects in a line, and one over several lines. No line begins inside a string, for that
    holds no line end; nothing is nested, for no column is; so each brace that begins a line begins a row, and if
    there are as many rows as lines, each line is one row.
    """
    if not len(schema) or any(holds_json(field) for field in schema):
        return None
    schema = pa.schema([pa.field(field.name, field.type) for field in schema])
    reading = pa.json.ReadOptions(use_threads=False, block_size=len(lines.text) + 1)
    parsing = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    try:
        table = pa.json.read_json(pa.BufferReader(lines.text), reading, parsing)
        table.validate(full=True)  # it does not look whether texts are UTF-8
    except (pa.ArrowException, ValueError):  # whose messages show values
        return None
    if table.num_rows != len(lines.sizes) or table.schema != schema:
        return None
    floats = (column for column in table.columns if pa.types.is_floating(column.type))
    return dict(zip(schema.names, table.columns, strict=True)) if all(map(_are_plain, floats)) else None


def _are_plain(column: pa.ChunkedArray) -> bool:
    """True if no value was an integer that a float64 may not hold, ``NaN``, or -0, which may be an integer too."""
    values = column.fill_null(1.0).to_numpy()
    return bool((np.abs(values) < _EXACT).all() and not np.signbit(values[values == 0]).any())

"""Many plain lines of JSON parsed at once into a table of known columns, without a Python value for each.

pyarrow's parser is strict about the grammar, about keys that occur twice and about the types of a schema. What it takes
and :mod:`scorer.files.strict_json` does not, or reads in another way, is looked for in its result; any doubt gives
``None``, and the lines go to the parser of :mod:`scorer.files.json_blocks`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json

from scorer.files.arrow import holds_json

_LINE_END, _BRACE = b"\n{"

_EXACT = 2**53
"""Below it a float64 holds every integer; not-a-number and infinity are not below it."""


def line_sizes(block: bytes) -> npt.NDArray[np.int64] | None:
    """Bytes of each line with its end; ``None`` if one does not begin with a brace, or the last one does not end."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LINE_END)
    if not len(data) or data[-1] != _LINE_END or data[0] != _BRACE or not (data[ends[:-1] + 1] == _BRACE).all():
        return None
    sizes: npt.NDArray[np.int64] = np.diff(ends, prepend=-1)
    return sizes


def plain_table(block: bytes, n_lines: int, schema: pa.Schema) -> pa.Table | None:
    """The rows of lines that :func:`line_sizes` takes, if each is a flat object with no other columns than ``schema``.

    ``None`` if one is not, or a column of ``schema`` holds JSON, or there is any doubt.

    The parser takes several objects in a line, and one over several lines. No line begins inside a string, for that
    holds no line end; nothing is nested, for no column is; so each brace that begins a line begins a row, and if
    there are as many rows as lines, each line is one row.
    """
    if not len(schema) or any(holds_json(field) for field in schema):
        return None
    schema = pa.schema([pa.field(field.name, field.type) for field in schema])
    reading = pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    parsing = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    try:
        table = pa.json.read_json(pa.BufferReader(block), reading, parsing)
        table.validate(full=True)  # it does not look whether texts are UTF-8
    except (pa.ArrowException, ValueError):  # whose messages show values
        return None
    if table.num_rows != n_lines or table.schema != schema:
        return None
    floats = (column for column in table.columns if pa.types.is_floating(column.type))
    return table if all(map(_are_plain, floats)) else None


def _are_plain(column: pa.ChunkedArray) -> bool:
    """True if no value was an integer that a float64 may not hold, ``NaN``, or -0, which may be an integer too."""
    values = column.fill_null(1.0).to_numpy()
    return bool((np.abs(values) < _EXACT).all() and not np.signbit(values[values == 0]).any())

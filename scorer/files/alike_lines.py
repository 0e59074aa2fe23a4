"""Lines of JSON that differ in strings and numbers alone, cut into columns without a Python value for each text.

The quotes of the first line say where those of the others must lie, and the bytes around its values must be around
those of the others. Then each line is an object with the keys of the first if each value is one value of JSON, which is
left to look at. Any doubt gives ``None``, and the lines go to another parser.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.json_blocks import values_of
from scorer.files.json_columns import Columns, Values
from scorer.files.line_places import RowLines
from scorer.files.strict_json import parse_line

_SCALARS = {int, float, bool, type(None)}

# From the end of a key to the next quote, or to the end of the line.
_SCALAR = re.compile(rb'"\s*:\s*([^\s,}]+)\s*[,}]\s*')

_QUOTE, _BACKSLASH, _SPACE = b'"\\ '

_MOST_ESCAPES = 32
"""If more than one byte of so many is a backslash, other parsers are faster."""

_FEW = 64
"""Values that show most often whether all are integers."""

_FEW_LINES = 8
"""Lines that show most often whether all have the same keys."""

_INT64_END = 2**63
"""From here on a float may have been an integer, which it does not hold."""


def alike_columns(lines: RowLines) -> Columns | None:
    """The columns of ``lines`` if all are flat objects, written as the first one is.

    ``None`` if another one is written in another way, or is not strict JSON.
    """
    block, sizes = lines
    row = parse_line(block[: sizes[0]])
    if isinstance(row, str) or not row or not set(map(type, row.values())) <= {str, *_SCALARS}:
        return None
    cuts = _cuts(block, sizes, row)
    if cuts is None:
        return None
    pieces = pa.StringArray.from_buffers(
        cuts.size, pa.py_buffer(np.append(cuts, np.int32(len(block)))), pa.py_buffer(block)
    )
    places = np.arange(cuts.size, dtype=np.int32).reshape(cuts.shape)
    around = _joined(pieces.take(pa.array(places[:, ::2].ravel())), "")
    if around != around[: len(around) // len(sizes)] * len(sizes) or not _is_utf8(block):
        return None
    escaped = _lines_with_escapes(block, cuts[:, 0])
    columns: Columns = {}
    for (name, value), of_column in zip(row.items(), places[:, 1::2].T, strict=True):
        piece = pieces.take(pa.array(of_column))
        values = _texts(piece, escaped) if isinstance(value, str) else _scalars(piece)
        if values is None:
            return None
        columns[name] = values
    return columns


def _cuts(block: bytes, sizes: npt.NDArray[np.int64], row: dict[str, Any]) -> npt.NDArray[np.int32] | None:
    """Places where the pieces of each line begin, a line in each row: the bytes around its values and these by turns.

    The bytes around values take the same space in all lines; there is no control character elsewhere.
    """
    n_quotes = sum(4 if isinstance(value, str) else 2 for value in row.values())
    last = block[len(block) - int(sizes[-_FEW_LINES:].sum()) :]
    if b"\\" not in last and last.count(b'"') != n_quotes * len(sizes[-_FEW_LINES:]):
        return None  # they have other keys
    data = np.frombuffer(block, np.uint8)
    ends = np.cumsum(sizes)
    n_backslashes = np.count_nonzero(data == _BACKSLASH)
    if n_backslashes * _MOST_ESCAPES > len(data):
        return None
    quotes = np.flatnonzero(data == _QUOTE)
    if n_backslashes:
        escapes = np.frombuffer(block.replace(b"\\\\", b"  "), np.uint8)
        quotes = quotes[escapes[quotes - 1] != _BACKSLASH]
    if len(quotes) != n_quotes * len(sizes):
        return None
    of_lines = quotes.reshape(len(sizes), n_quotes)
    if (of_lines[1:, 0] < ends[:-1]).any() or (of_lines[:, -1] >= ends).any():
        return None
    cuts = np.empty((len(sizes), 2 * len(row) + 1), np.int32)
    cuts[:, 0] = ends - sizes
    place = 0
    for column, value in enumerate(row.values()):
        if isinstance(value, str):
            cuts[:, 2 * column + 1] = of_lines[:, place + 2] + 1
            cuts[:, 2 * column + 2] = of_lines[:, place + 3]
            place += 4
            continue
        key_end = of_lines[:, place + 1]
        behind = of_lines[:, place + 2] if place + 2 < n_quotes else ends
        found = _SCALAR.fullmatch(block, int(key_end[0]), int(behind[0]))
        if found is None:
            return None
        cuts[:, 2 * column + 1] = key_end + (found.start(1) - key_end[0])
        cuts[:, 2 * column + 2] = behind - (behind[0] - found.end(1))
        place += 2
    widths = np.diff(cuts, append=ends[:, None].astype(np.int32))
    if (widths < 0).any() or (widths[:, ::2] != widths[0, ::2]).any():
        return None
    n_control = np.count_nonzero(data[: sizes[0]] < _SPACE)
    return cuts if np.count_nonzero(data < _SPACE) == n_control * len(sizes) else None


def _lines_with_escapes(block: bytes, starts: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Numbers of the lines that hold a backslash."""
    if b"\\" not in block:
        return np.empty(0, np.int64)
    escapes = np.flatnonzero(np.frombuffer(block, np.uint8) == _BACKSLASH)
    return np.flatnonzero(np.diff(np.searchsorted(escapes, starts), append=len(escapes)))


def _joined(pieces: pa.StringArray, separator: str) -> bytes:
    whole = pa.ListArray.from_arrays(pa.array([0, len(pieces)], pa.int32()), pieces.cast(pa.binary()))
    joined: bytes = pc.binary_join(whole, separator.encode())[0].as_py()
    return joined


def _is_utf8(block: bytes) -> bool:
    whole = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, len(block)], np.int32)), pa.py_buffer(block))
    try:
        whole.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _texts(pieces: pa.StringArray, escaped: npt.NDArray[np.int64]) -> pa.Array | None:
    """The strings by their insides, in which no quote is without a backslash; ``escaped`` may have one."""
    if not len(escaped):
        return pieces
    values = values_of(b'["' + _joined(pieces.take(pa.array(escaped)), '","') + b'"]')
    if len(values) != len(escaped):
        return None
    is_escaped = np.zeros(len(pieces), bool)
    is_escaped[escaped] = True
    return pc.replace_with_mask(pieces, is_escaped, pa.array(values, pa.string()))


def _scalars(pieces: pa.StringArray) -> Values | None:
    """The values that ``pieces`` are; no quote is in them."""
    if _integers(pieces[:_FEW]) is not None and (whole := _integers(pieces)) is not None:
        return whole
    # Of as many values as pieces each piece is one: an empty one is no JSON, and a list would be seen.
    values = values_of(b"[" + _joined(pieces, ",") + b"]")
    if len(values) != len(pieces) or not (kinds := set(map(type, values))) <= _SCALARS:
        return None
    if float in kinds:
        floats = values if len(kinds) == 1 else [value for value in values if type(value) is float]
        if not -_INT64_END < min(floats) <= max(floats) < _INT64_END:
            return None
    return values


def _integers(pieces: pa.StringArray) -> pa.Array | None:
    """The values if all are integers of 64 bits; the time for each that is none is long."""
    try:
        whole = pieces.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    # It takes more than JSON does, and writes an integer in one way alone.
    return whole if whole.cast(pa.string()).equals(pieces) else None

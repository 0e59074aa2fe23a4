"""Many lines of JSON parsed at once, as strictly as one after another by :mod:`scorer.files.strict_json`.

One call of the parser takes all of them, and what it may have passed over is looked for in the bytes of all of them.
Lines that raise a suspicion are parsed again, each alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from scorer.files.strict_json import HUGE_BYTES, MAX_DEPTH, has_all_keys, parse_integers, parse_line
from scorer.memory import require_for_json

Row: TypeAlias = dict[str, Any] | str
"""The object of a line, or the reason why the line is bad."""

_FIRST_MARK = 4_000_000_000

_FEW = 8
"""Lines among which a bad one is found by parsing each alone."""

_SPACE = b" \t\r\n"

_LONG = 19
"""Digits of the shortest integer that may have more than 64 bits, of which the parser makes a float."""

# Lists in lists that the parser writes.
_WRITTEN_DEPTH = 254

# Escapes of a quote, a space or a colon, which are not written again.
_ESCAPED_END = re.compile(rb"\\u00(?:2[02]|3[aA])")


def parse_lines(lines: Sequence[bytes | bytearray]) -> list[Row]:
    """The results of :func:`scorer.files.strict_json.parse_line` for ``lines``, each but the last with its end."""
    if len(lines) < _FEW or max(map(len, lines)) > HUGE_BYTES:
        return list(map(parse_line, lines))
    return parse_block(b"".join(lines), len(lines))


def parse_block(block: bytes, n_lines: int) -> list[Row]:
    """The results of :func:`scorer.files.strict_json.parse_line` for the lines of a block, none of which is huge."""
    if n_lines < _FEW:
        return list(map(parse_line, _lines_of(block)))
    # An integer has one form alone, so a block that does not hold these bytes cannot give this one.
    mark = _FIRST_MARK
    while b"%d" % mark in block:
        mark += 1
    values = values_of(b"[" + block.removesuffix(b"\n").replace(b"\n", b",%d," % mark) + b"]")
    # If it comes after every value, each line is one value.
    rows, marks = values[::2], values[1::2]
    is_marked = len(rows) == n_lines and len(marks) == marks.count(mark) == n_lines - 1
    is_marked = is_marked and set(map(type, marks)) == {int}  # a float may be equal
    if not is_marked or set(map(type, rows)) != {dict}:
        middle = block.find(b"\n", len(block) // 2, -1) + 1 or block.rfind(b"\n", 0, -1) + 1
        n_first = block.count(b"\n", 0, middle)
        return parse_block(block[:middle], n_first) + parse_block(block[middle:], n_lines - n_first)
    keeps_keys, long = _keeps_keys(block, rows), _long_integers(block)
    if keeps_keys and not len(long):
        return rows
    found: list[Row] = [*rows]
    lines = _lines_of(block)
    if not keeps_keys:
        for place, line in enumerate(lines):
            if not has_all_keys(line, rows[place]):
                found[place] = parse_line(line)
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64, n_lines))
    for place in np.unique(np.searchsorted(ends, long, "right")).tolist():
        if not isinstance(found[place], str):
            found[place] = parse_integers(lines[place])
    return found


def _lines_of(block: bytes) -> list[bytes]:
    return BytesIO(block).readlines()


def values_of(text: bytes) -> list[Any]:
    """The values of a JSON array; none if it is not JSON."""
    require_for_json(len(text))
    try:
        values: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return values


def _keeps_keys(block: bytes, rows: list[dict[str, Any]]) -> bool:
    """True if no row lacks a key of its line, and none is too deep; False on any doubt."""
    data = np.frombuffer(block, np.uint8)
    n_key_ends = _n_key_ends(block)
    n_opens = np.count_nonzero((data == ord("[")) | (data == ord("{")))
    if n_key_ends == sum(map(len, rows)) and n_opens < len(rows) + MAX_DEPTH:  # each row has one
        return True
    again = _written_again(rows)
    return again is not None and n_key_ends == _n_key_ends(again) and not _has_escaped_end(block)


def _written_again(rows: list[dict[str, Any]]) -> bytes | None:
    """The rows as JSON; ``None`` if one is deeper than a row may be.

    Texts look like ends of keys there and where they were read, but for some escapes. So if there are as many ends of
    keys in both, no key was repeated, at any depth.
    """
    nested: list[Any] = rows
    for _ in range(_WRITTEN_DEPTH - MAX_DEPTH - 2):
        nested = [nested]
    try:
        return orjson.dumps(nested)
    except TypeError:
        return None


def _has_escaped_end(block: bytes) -> bool:
    return b"\\u00" in block and _ESCAPED_END.search(block) is not None


def _n_key_ends(text: bytes) -> int:
    """Number of colons with a quote before them, white space aside: of which keys have one each."""
    data = np.frombuffer(text, np.uint8)
    before, is_colon = data[:-1], data[1:] == ord(":")
    n_close = int(np.count_nonzero(is_colon & (before == ord('"'))))
    is_spaced = is_colon & (before <= ord(" "))
    if is_spaced.any():
        n_close += sum(_is_behind_quote(text, place) for place in (np.flatnonzero(is_spaced) + 1).tolist())
    return n_close


def _is_behind_quote(text: bytes, place: int) -> bool:
    while place and text[place - 1] in _SPACE:
        place -= 1
    return text[place - 1 : place] == b'"'


def _long_integers(block: bytes) -> npt.NDArray[np.int64]:
    """Places of the first digits of integers that may have more than 64 bits: of 20 digits, or 19 behind a minus."""
    data = np.frombuffer(block, np.uint8)
    is_digit = (data - ord("0")) < 10
    # Of so many digits in a row, two lie at places that a number of half the length divides.
    step = _LONG // 2
    sample = is_digit[::step]
    if not (sample[1:] & sample[:-1]).any():
        return np.empty(0, np.int64)
    digits = np.flatnonzero(is_digit)
    n_more = _LONG - 1
    in_a_row = digits[:-n_more][digits[n_more:] - digits[:-n_more] == n_more]
    before = data[in_a_row - 1]
    # The last byte is a bracket or a line end.
    is_long = (before == ord("-")) | is_digit[in_a_row + _LONG]
    found: npt.NDArray[np.int64] = in_a_row[is_long & (before != ord(".")) & ~((before - ord("0")) < 10)]
    return found

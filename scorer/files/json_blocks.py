"""Many lines of JSON parsed at once, as strictly as one after another by :mod:`scorer.files.strict_json`.

One call of the parser takes all of them, and what it may have passed over is looked for in the bytes of all of them.
Lines that raise a suspicion are parsed again, each alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from scorer.files.strict_json import HUGE_BYTES, LONG_NUMBER, MAX_DEPTH, has_all_keys, parse_line
from scorer.memory import require_for_json

Row: TypeAlias = dict[str, Any] | str
"""The object of a line, or the reason why the line is bad."""

_FIRST_MARK = 4_000_000_000

_FEW = 8
"""Lines among which a bad one is found by parsing each alone."""

_SPACE = b" \t\r\n"

_LONG = 16
"""Digits of the shortest number that :data:`~scorer.files.strict_json.LONG_NUMBER` finds."""


def parse_lines(lines: Sequence[bytes | bytearray]) -> list[Row]:
    """The results of :func:`scorer.files.strict_json.parse_line` for ``lines``."""
    if len(lines) < _FEW or max(map(len, lines)) > HUGE_BYTES:
        return list(map(parse_line, lines))
    # An integer has one form alone, so a line that holds none of these bytes cannot give this one.
    mark = _FIRST_MARK
    while (text := _joined(lines, mark)).count(b"%d" % mark) != len(lines) - 1:
        mark += 1
    values = _parsed(text)
    # If it comes after every value, each line is one value.
    rows, marks = values[::2], values[1::2]
    are_marks = len(marks) == len(lines) - 1 and set(map(type, marks)) == {int} and set(marks) == {mark}
    if not are_marks or len(rows) != len(lines) or set(map(type, rows)) != {dict}:
        half = len(lines) // 2
        return parse_lines(lines[:half]) + parse_lines(lines[half:])
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)) + len(b",%d," % mark))
    for place in _suspects(text, ends, rows):
        rows[place] = parse_line(lines[place])
    return rows


def _joined(lines: Sequence[bytes | bytearray], mark: int) -> bytes:
    return (b",%d," % mark).join([b"[" + lines[0], *lines[1:-1], lines[-1] + b"]"])


def _parsed(text: bytes) -> list[Any]:
    require_for_json(len(text))
    try:
        values: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    return values


def _suspects(text: bytes, ends: npt.NDArray[np.int64], rows: list[dict[str, Any]]) -> list[int]:
    """Numbers of the lines that need a look of their own: keys may repeat there, or numbers may have changed."""
    data = np.frombuffer(text, np.uint8)
    places: set[int] = set()
    n_keys = np.fromiter(map(len, rows), np.int64, len(rows))
    key_ends = _key_ends(text, data)
    # Without a repeated or a nested key, there are as many ends of keys as keys.
    if len(key_ends) != n_keys.sum():
        counts = np.bincount(np.searchsorted(ends, key_ends, "right"), minlength=len(rows))
        places.update(np.flatnonzero(counts != n_keys).tolist())
    if text.count(b"[") > MAX_DEPTH:
        counts = np.bincount(np.searchsorted(ends, np.flatnonzero(data == ord("[")), "right"))
        places.update(np.flatnonzero(counts > MAX_DEPTH).tolist())
    starts = [0, *ends.tolist()]
    places = {place for place in places if not has_all_keys(text[starts[place] : starts[place + 1]], rows[place])}
    for spot in _long_numbers(data).tolist():
        # From the first digit on: a run of digits, or one digit and an exponent behind it.
        if LONG_NUMBER.match(text, spot):
            places.add(int(np.searchsorted(ends, spot, "right")))
    return sorted(places)


def _key_ends(text: bytes, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Places of the colons with a quote before them, white space aside: of which keys have one each."""
    colons: npt.NDArray[np.int64] = np.flatnonzero(data == ord(":"))
    before = data[colons - 1]
    close: npt.NDArray[np.int64] = colons[before == ord('"')]
    spaced = colons[(before <= ord(" ")) & (colons > 0)]
    if not len(spaced):
        return close
    far = [place for place in spaced.tolist() if _is_behind_quote(text, place)]
    found: npt.NDArray[np.int64] = np.concatenate([close, np.array(far, np.int64)])
    return found


def _is_behind_quote(text: bytes, place: int) -> bool:
    while place and text[place - 1] in _SPACE:
        place -= 1
    return text[place - 1 : place] == b'"'


def _long_numbers(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Places of digits that many others, or an exponent, may follow."""
    digits = np.flatnonzero((data - ord("0")) < 10)
    in_a_row: npt.NDArray[np.int64] = digits[: 1 - _LONG][digits[_LONG - 1 :] - digits[: 1 - _LONG] == _LONG - 1]
    exponents = digits[(data[digits + 1] | 32) == ord("e")]  # the last byte is a bracket
    return np.concatenate([in_a_row, exponents])

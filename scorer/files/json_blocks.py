"""Many lines of JSON parsed at once, as strictly as one after another by :mod:`scorer.files.strict_json`.

One call of the parser takes all of them, and what it may have passed over is looked for in the bytes of all of them.
Lines that raise a suspicion are parsed again, each alone.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from scorer.files.strict_json import HUGE_BYTES, MAX_DEPTH, has_all_keys, parse_line
from scorer.memory import require_for_json

Row: TypeAlias = dict[str, Any] | str
"""The object of a line, or the reason why the line is bad."""

_FIRST_MARK = 4_000_000_000

_FEW = 8
"""Lines among which a bad one is found by parsing each alone."""

_SPACE = b" \t\r\n"

_LONG = 19
"""Digits of the shortest integer that may have more than 64 bits, of which the parser makes a float."""

# Escapes of a quote, a space or a colon, which are not written again.
_ESCAPED_END = re.compile(rb"\\u00(?:2[02]|3[aA])")


def parse_lines(lines: Sequence[bytes | bytearray]) -> list[Row]:
    """The results of :func:`scorer.files.strict_json.parse_line` for ``lines``."""
    if len(lines) < _FEW or max(map(len, lines)) > HUGE_BYTES:
        return list(map(parse_line, lines))
    # An integer has one form alone, so a line that holds none of these bytes cannot give this one.
    mark = _FIRST_MARK
    while (text := _joined(lines, mark)).count(b"%d" % mark) != len(lines) - 1:
        mark += 1
    values = values_of(text)
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


def values_of(text: bytes) -> list[Any]:
    """The values of a JSON array; none if it is not JSON."""
    require_for_json(len(text))
    collects = gc.isenabled()
    gc.disable()  # it would look at the new values again and again, and none of them is garbage
    try:
        values: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        return []
    finally:
        if collects:
            gc.enable()
    return values


def _suspects(text: bytes, ends: npt.NDArray[np.int64], rows: list[dict[str, Any]]) -> list[int]:
    """Numbers of the lines that need a look of their own: keys may repeat there, or numbers may have changed."""
    data = np.frombuffer(text, np.uint8)
    places: set[int] = set()
    key_ends = _key_ends(text)
    if len(key_ends) != sum(map(len, rows)) and len(key_ends) != _n_key_ends_again(text, rows):
        n_keys = np.fromiter(map(len, rows), np.int64, len(rows))
        places.update(np.flatnonzero(_in_lines(key_ends, ends) != n_keys).tolist())
    opens = np.flatnonzero((data == ord("[")) | (data == ord("{")))
    if len(opens) >= len(rows) + MAX_DEPTH:  # each row has one
        places.update(np.flatnonzero(_in_lines(opens, ends) > MAX_DEPTH).tolist())
    starts = [0, *ends.tolist()]
    places = {place for place in places if not has_all_keys(text[starts[place] : starts[place + 1]], rows[place])}
    places.update(np.searchsorted(ends, _long_integers(data), "right").tolist())
    return sorted(places)


def _in_lines(places: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of ``places`` in each line."""
    return np.bincount(np.searchsorted(ends, places, "right"), minlength=len(ends))


def _n_key_ends_again(text: bytes, rows: list[dict[str, Any]]) -> int | None:
    """Number of the ends of keys in ``rows`` written again; ``None`` if that says nothing.

    Texts look like ends of keys in both or in neither, but for some escapes. So if there are as many in ``text``,
    no key was repeated there, at any depth.
    """
    if _ESCAPED_END.search(text):
        return None
    try:
        return len(_key_ends(orjson.dumps(rows)))
    except TypeError:  # nested too deep
        return None


def _key_ends(text: bytes) -> npt.NDArray[np.int64]:
    """Places of the colons with a quote before them, white space aside: of which keys have one each."""
    data = np.frombuffer(text, np.uint8)
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


def _long_integers(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Places of the first digits of integers that may have more than 64 bits: of 20 digits, or 19 behind a minus."""
    digits = np.flatnonzero((data - ord("0")) < 10)
    n_more = _LONG - 1
    in_a_row = digits[:-n_more][digits[n_more:] - digits[:-n_more] == n_more]
    before = data[in_a_row - 1]
    # The last byte is a bracket.
    is_long = (before == ord("-")) | ((data[in_a_row + _LONG] - ord("0")) < 10)
    found: npt.NDArray[np.int64] = in_a_row[is_long & (before != ord(".")) & ~((before - ord("0")) < 10)]
    return found

"""Strict parser of a line of JSON Lines: an object that can be carried unchanged, or the reason why the line is bad."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import orjson

from scorer.files.bad_rows import NOT_UTF8
from scorer.memory import require_for_json

HUGE_BYTES = 2**20
"""A longer text stays UTF-8 bytes: a Python string takes up to four bytes a character."""

_PIECE_BYTES = 2**20
"""Bytes of a huge text that are parsed together."""

# orjson reads deeper values than it writes.
MAX_DEPTH = 200

# Each key is followed by a quote and a colon, and so are some texts: there are never fewer of them than keys.
_KEY_END = re.compile(rb'"[ \t\r\n]*:')

_SPACE_BEFORE_COLON = (b" :", b"\t:", b"\r:", b"\n:")

# An integer that may have more than 64 bits, of which orjson makes a float.
_LONG_INTEGER = re.compile(rb"[0-9]{19}")

# An integer that a float64 may not hold, or a text that looks like one; its first digits are one too.
_HUGE_INTEGER = re.compile(rb"(?<=[:\[, \t\r\n-])([1-9][0-9]{15})[0-9]{285,}+(?=[,\]} \t\r\n])")

KIND_NAMES = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a string",
    dict: "an object",
    list: "a list",
}
"""Names of the types of values, for messages about one that should be a string or an object."""

A_LIST = "is a list, not a JSON object"

_QUOTE = re.compile(rb'"')

_BACKSLASH = ord("\\")

# The first half of an escaped character: an escape of the second half has to follow.
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")

# No escaped character takes more bytes; the rest is for a run of backslashes.
_LOOK_BEHIND = 64

# Whole characters and escapes from the start on; a surrogate pair is one.
_WHOLE = re.compile(
    rb"""(?:[^\\]++
    | \\[^u]
    | \\u(?:(?![dD][89abAB])[0-9a-fA-F]{4} | [dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})
    )*+""",
    re.VERBOSE | re.DOTALL,
)


def parse_line(line: bytes | bytearray) -> dict[str, Any] | str:
    """The object of a line, or the reason why it is bad; huge texts among its values are UTF-8 in a ``bytearray``."""
    if len(line) > HUGE_BYTES:
        value = _parse_around_huge(line)
        if value is not None:
            return value
    return _parse_fast(line)


def _parse_around_huge(line: bytes | bytearray) -> dict[str, Any] | str | None:
    """Parse without a Python string of any huge text; ``None`` if the line has to be parsed whole."""
    quotes = _quotes(line)
    spans = [(start + 1, end) for start, end in zip(quotes, quotes, strict=False) if end - start > HUGE_BYTES + 1]
    if not spans:
        return None
    mark = next(mark for number in count() if (mark := b"huge text %d-" % number) not in line)
    texts: dict[str, bytearray] = {}
    rest = bytearray()
    place = 0
    for start, end in spans:
        text = _unescaped(line, start, end)
        if text is None:
            return None
        name = mark + b"%d" % len(texts)
        texts[name.decode()] = text
        rest += line[place:start] + name
        place = end
    rest += line[place:]
    value = _parse_fast(rest)
    if isinstance(value, str):
        return value
    for key, item in value.items():
        if isinstance(item, str) and item in texts:
            value[key] = texts.pop(item)
    # One that is left is a key, or lies within a value.
    return None if texts else value


def _quotes(line: bytes | bytearray) -> Iterator[int]:
    """Places of the quotes that no backslash escapes."""
    start = 0
    while start < len(line):
        end = min(start + _PIECE_BYTES, len(line))
        while line[end - 1] == _BACKSLASH and end < len(line):
            end += 1
        piece = line[start:end]
        if b'\\"' in piece:
            piece = piece.replace(b"\\\\", b"__").replace(b'\\"', b"__")
        for found in _QUOTE.finditer(piece):
            yield start + found.start()
        start = end


def _unescaped(line: bytes | bytearray, start: int, end: int) -> bytearray | None:
    """The text of a JSON string by its inside, as UTF-8; ``None`` if something is wrong with it."""
    text = bytearray()
    while start < end:
        stop = _end_of_piece(line, start, end)
        if stop <= start:
            return None
        piece = bytes(memoryview(line)[start:stop])
        require_for_json(len(piece))
        try:
            value = orjson.loads(b'"' + piece + b'"')
        except orjson.JSONDecodeError:
            return None
        text += value.encode() if b"\\" in piece else piece
        start = stop
    return text


def _end_of_piece(line: bytes | bytearray, start: int, end: int) -> int:
    """A place between two characters of a JSON string, about a piece after ``start``; ``start`` if there is none."""
    stop = min(start + _PIECE_BYTES, end)
    if stop == end:
        return stop
    begin = max(start, stop - _LOOK_BEHIND)
    seen = line[begin:stop]
    place = seen.rfind(b"\\")
    if place < 0:
        return _start_of_character(line, stop)
    while place and seen[place - 1] == _BACKSLASH:
        place -= 1
    # An escape begins here. It is a place to cut if the escape before it ends here and is no first half of a pair.
    if place > 6 and seen[place - 7] != _BACKSLASH and not _HIGH_SURROGATE.match(seen, place - 6):
        return begin + place
    found = _WHOLE.match(line, start, stop)
    return _start_of_character(line, found.end()) if found else start


def _start_of_character(line: bytes | bytearray, place: int) -> int:
    """Place of the first byte of the UTF-8 character that ``place`` lies in."""
    while place and line[place] & 0xC0 == 0x80:
        place -= 1
    return place


def _parse_fast(line: bytes | bytearray) -> dict[str, Any] | str:
    require_for_json(len(line))
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        try:
            line.decode()
        except UnicodeDecodeError:
            return NOT_UTF8
        # orjson takes no integer of 309 digits: with a shorter one in its place it judges the rest.
        short = _HUGE_INTEGER.sub(rb"\1", line)
        if len(short) < len(line):
            found = _parse_fast(short)
            return found if isinstance(found, str) else _parse_exactly(line)
        # The part of orjson's message after the colon is the place, and holds none of the text.
        return f"is not JSON: {error.msg}"
    if type(value) is not dict:
        return A_LIST if type(value) is list else f"is {KIND_NAMES[type(value)]}, not a JSON object"
    if _depth_and_keys([value])[0] > MAX_DEPTH + 1:
        return f"is nested more than {MAX_DEPTH} deep"
    if not has_all_keys(line, value):
        return _parse_exactly(line)
    return parse_integers(line) if _LONG_INTEGER.search(line) else value


def parse_integers(line: bytes | bytearray) -> dict[str, Any]:
    """The object of a line that orjson parsed with all its keys, and with integers of more than 64 bits as they are."""
    value: dict[str, Any] = json.loads(line.decode())
    return value


def has_all_keys(line: bytes | bytearray, value: dict[str, Any]) -> bool:
    """True if no key of ``line`` is lacking in its ``value``, which is no deeper than what can be written again."""
    if count_key_ends(line) == len(value) and line.count(b"[") <= MAX_DEPTH:
        return True  # and so nothing is nested that has keys
    depth, n_keys = _depth_and_keys([value])
    return depth <= MAX_DEPTH + 1 and count_key_ends(line) == n_keys


def count_key_ends(text: bytes | bytearray) -> int:
    """Number of quotes with a colon behind them, which is never lower than that of keys."""
    if any(pair in text for pair in _SPACE_BEFORE_COLON):
        return len(_KEY_END.findall(text))
    return text.count(b'":')


def _nested_in(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if type(value) is dict or type(value) is list]


def _depth_and_keys(values: list[Any]) -> tuple[int, int]:
    """Depth of nested values, and the number of keys in them."""
    depth = n_keys = 0
    while values:
        depth += 1
        n_keys += sum(len(value) for value in values if type(value) is dict)
        values = [item for value in values for item in _nested_in(value.values() if type(value) is dict else value)]
    return depth, n_keys


class _Refused(ValueError):
    """JSON that cannot be carried unchanged."""


def _parse_exactly(line: bytes | bytearray) -> dict[str, Any] | str:
    """Parse a line that orjson accepts, keeping long integers and finding repeated keys; slow."""
    try:
        value = json.loads(line.decode(), object_pairs_hook=_unique, parse_float=_finite, parse_int=_integer)
    except _Refused as error:
        return str(error)
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {type(error).__name__}"
    assert isinstance(value, dict)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("a key occurs twice in an object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused("holds a number that is too large for a float64")
    return value


def _integer(text: str) -> int:
    if len(text) > 4000:
        raise _Refused("holds an integer of more than 4,000 digits")
    return int(text)

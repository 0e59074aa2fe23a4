"""Lines that are parsed together give what each of them gives alone, whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import OutOfMemoryError
from scorer.files.json_blocks import parse_lines
from scorer.files.strict_json import parse_line

TEXTS = st.lists(st.sampled_from(["a", "b ", '"', "é", "\\", "😀", '":', "{", "[", "9" * 17, "e10", "1e999"])).map(
    "".join
)
NUMBERS = st.sampled_from([0, -5, 2**53 + 1, 2**63, 10**20, 10**400, 1.5, 1e300, -0.0, None, True])
VALUES: Any = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")])


def dumped(value: dict[str, Any], separators: tuple[str, str], ascii: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii, separators=separators).encode()


GOOD = st.builds(dumped, st.dictionaries(TEXTS, VALUES, max_size=4), SEPARATORS, st.booleans())
PIECES = [
    b"{", b"}", b"[", b"]", b'"', b'":', b",", b":", b"\\", b"\\ud800", b'\\"', b"\xff", b"NaN", b"1e999", b"9" * 19,
    b'"a"', b" ", b"\t", b"4000000000", b"1" * 310, b'"k":', b'{"k":1}', b"[1", b'2]},{"c":3}', b"\xef\xbb\xbf",
    b'2]},4000000000,{"c":3}', b'2]},4000000000.0,{"c":3}', b'{"a":1,"a":2}', b'{"a":[{"b":1,"b" :2}]}',
    b'{"a":1,"\\u0061":2}', b'{"text":"x\\":y","text":1}',
]  # fmt: skip
BAD = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map(b"".join)
DEEP = [b'{"a":' + b"[" * depth + b"]" * depth + b"}" for depth in (199, 200, 201, 1100)]


def same(one: Any, other: Any) -> bool:
    """True for values that are equal to the type, the order of keys and the last bit."""
    return repr(one) == repr(other)


@settings(max_examples=400)
@given(st.lists(GOOD | GOOD | GOOD | BAD | st.sampled_from(DEEP), min_size=1, max_size=40))
def test_lines_together_are_lines_alone(lines: list[bytes]) -> None:
    ended = [line + b"\n" for line in lines]
    assert same(parse_lines(ended), [parse_line(line) for line in ended])


@pytest.mark.parametrize("line", [b'{"a":[1', b'2]},4000000000,{"c":3}', b'{"a":1e999}', b'{"a":1,"a":2}', *DEEP])
@pytest.mark.parametrize("place", [0, 7, 19])
def test_one_line_among_many(line: bytes, place: int) -> None:
    lines = [b'{"text":"a warm film","stars":%d}\n' % number for number in range(20)]
    lines[place] = line + b"\n"
    assert same(parse_lines(lines), [parse_line(one) for one in lines])


def test_a_pair_of_lines_that_only_together_are_json() -> None:
    lines = [b'{"text":"good"}\n'] * 20
    for mark in (b"4000000000", b"4000000001", b"4e9", b"4000000000.0"):
        lines[5:7] = [b'{"a":[1\n', b"2]},%s,{}\n" % mark]
        assert same(parse_lines(lines), [parse_line(one) for one in lines])


@pytest.mark.parametrize("count", [1, 20])
def test_no_line_is_parsed_without_memory_for_it(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser would end the process."""
    monkeypatch.setattr("scorer.memory._address_space_left", lambda: 2**20)
    with pytest.raises(OutOfMemoryError, match="memory ran out: 8 MiB more are needed, ulimit -v leaves 1 MiB"):
        parse_lines([b'{"a": 1}\n'] * count)

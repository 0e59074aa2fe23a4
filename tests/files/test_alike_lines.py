"""Lines that are alike become columns at once; what comes out is what the strict parser gives, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.files.alike_lines import alike_columns
from scorer.files.json_columns import Columns
from scorer.files.line_places import row_lines
from scorer.files.strict_json import parse_line

FIRST = b'{"id": 1, "text": "a warm film", "ok": true, "score": 0.1}\n'


def columns_of(block: bytes) -> Columns | None:
    lines = row_lines(block, len(block))
    return None if lines is None else alike_columns(lines)


def rows_in(columns: Columns) -> list[dict[str, Any]]:
    lists = [values if isinstance(values, list) else values.to_pylist() for values in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


@pytest.mark.parametrize(
    "other",
    [
        b'{"id": -20, "text": "", "ok": null, "score": 1e5}',
        b'{"id": 1234567890123456789, "text": "a \\"warm film {[:\\u00e9 \\\\", "ok": 0, "score": 5}',
        b'{"id": 18446744073709551615, "text": "\xc3\xa9 \xf0\x9f\x98\x80", "ok": false, "score": -0.0}',
        b'{"id": -0, "text": "b\\\\", "ok": false, "score": 123456789012345678901.5e-9}',
        b'{"id": null, "text": "\x7f/", "ok": false, "score": 0.12345678901234567890123}',
        b'{"id": 2 , "text": "b",  "ok": 1}',
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\n"])
def test_lines_that_are_alike_are_columns(other: bytes, end: bytes) -> None:
    lines = [FIRST[:-1] + end, other + end, FIRST[:-1] + end]
    columns = columns_of(b"".join(lines))
    if other.endswith(b"1}"):
        assert columns is None
    else:
        assert columns is not None
        assert repr(rows_in(columns)) == repr([parse_line(line) for line in lines])


@pytest.mark.parametrize(
    "line",
    [
        b'{"id": 1} {"id": 2}', b'{"id": 1, "text": "a", "ok": true, "score": 1} x', b"", b"7", b"{}", b' {"id": 1}',
        b'{"id": 1, "text": "a\nb", "ok": true, "score": 1}', b'{"id": 1, "text": "a\tb", "ok": true, "score": 1}',
        b'{"id": 1, "text": "\xff", "ok": true, "score": 1}',
        b'{"id": 1, "text": "\xed\xa0\x80", "ok": true, "score": 1}',
        b'{"id": 1, "text": "\\ud800", "ok": true, "score": 1}', b'{"id": 1, "text": "\\x", "ok": true, "score": 1}',
        b'{"id": 1, "text": "a\\", "ok": true, "score": 1}', b'{"id": 1, "text": "a"", "ok": true, "score": 1}',
        b'{"id": 1, "id": "a", "ok": true, "score": 1}', b'{"id": 1, "text": "a", "id": true, "score": 1}',
        b'{"\\u0069d": 1, "text": "a", "ok": true, "score": 1}', b'{"id": 1,"text": "a", "ok": true, "score": 1}',
        b'{"id": 01, "text": "a", "ok": true, "score": 1}', b'{"id": +1, "text": "a", "ok": true, "score": 1}',
        b'{"id": 0x1, "text": "a", "ok": true, "score": 1}', b'{"id": , "text": "a", "ok": true, "score": 1}',
        b'{"id": 1,2, "text": "a", "ok": true, "score": 1}', b'{"id": [1, "text": "a", "ok": true, "score": 1}',
        b'{"id": 1}, "text": "a", "ok": true, "score": 1}', b'{"id": {}, "text": "a", "ok": true, "score": 1}',
        b'{"id": NaN, "text": "a", "ok": true, "score": 1}', b'{"id": 1, "text": "a", "ok": tru, "score": 1}',
        b'{"id": 18446744073709551616, "text": "a", "ok": true, "score": 1}',
        b'{"id": 1, "text": "a", "ok": 1, "score": ]}',
        b'{"id": -9223372036854775809, "text": "a", "ok": true, "score": 1}',
        b'{"id": 1, "text": "a", "ok": 1, "score": }',
        b'{"id": 1, "text": "a", "ok": true, "score": 1e999}', b'{"id": 1, "text": "a", "ok": true, "score": 1}}',
        b'{"id": 1, "text": "a", "ok": true, "score": .5}', b'{"id": 1, "text": "a", "ok": true, "score": Infinity}',
        b'{"id": 1, "text": "a", "ok": true, "score": "1"}', b'{"id": 1, "text": null, "ok": true, "score": 1}',
        b'{"id": 1, "text": "a", "ok": true, "score": [1]}', b'{"id": 1, "text": "a", "ok": true, "score": 1,}',
        b'{"id": 1, "text": "a", "ok": true, "other": 1.0}', b'{"id": 1, "text": "a", "ok": true}',
    ],
)  # fmt: skip
def test_any_doubt_is_for_another_parser(line: bytes) -> None:
    assert columns_of(FIRST * 3 + line + b"\n" + FIRST) is None
    assert columns_of(line + b"\n" + FIRST * 3) is None


@pytest.mark.parametrize(
    "pair",
    [
        (b'{"id": 1,2, "text": "a"}\n', b'{"id": , "text": "a"}\n'),
        (b'{"id": [1, "text": "a"}\n', b'{"id": 2], "text": "a"}\n'),
        (b'{"text": "a", "id": 1}2}\n', b'{"text": "a", "id": }\n'),
        (b'{"text": "a\n', b'{", "id": 1}\n'),
        (b'{"id": 1, "text": "a"}{"id": 1\n', b'{"text": "a"}\n'),
        (b'{"id": 1,\t"text": "a"}\n', b'{"id": 1, "text": "\t"}\n'),
    ],
)
def test_lines_that_only_together_look_right(pair: tuple[bytes, bytes]) -> None:
    for first in (b'{"id": 1, "text": "a"}\n', b'{"text": "a", "id": 1}\n'):
        assert columns_of(first + pair[0] + pair[1] + first) is None
        assert columns_of(first + pair[1] + pair[0] + first) is None


def test_a_last_line_without_its_end() -> None:
    assert columns_of(FIRST + FIRST[:-1]) is None


TEXTS = st.lists(st.sampled_from(["a", "b ", '"', "é", "\\", "😀", '":', "{", ",", "\n", "\u2028"])).map("".join)
VALUES = {
    "text": TEXTS,
    "id": st.integers(-(2**63), 2**64),
    "n": st.sampled_from([0, -5, 2**53 + 1, 2**63, 2**64, 1.5, 1e300, -0.0, 0.1 + 0.2, None, True]) | st.floats(0, 1),
    "kind": TEXTS,
}
CHANGES = [
    b"", b'"', b"{", b"}", b"[", b",", b":", b"\\", b"\n", b"\r", b"\0", b"\xff", b" ", b"-", b"0", b".", b"e", b"NaN",
    b"-0", b'"id":1,', b'{"id":1}', b"\\ud800", b"\xef\xbb\xbf", b"9" * 20, b"null", b"1e999", b"//", b"\x0b", b"1,2",
]  # fmt: skip


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """Lines that are alike, in some of which a few bytes are replaced."""
    names = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, unique=True))
    rows = draw(st.lists(st.fixed_dictionaries({name: VALUES[name] for name in names}), min_size=1, max_size=12))
    ascii, separators = draw(st.booleans()), draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", "\t:")]))
    lines = [json.dumps(row, ensure_ascii=ascii, separators=separators).encode() for row in rows]
    for place in draw(st.lists(st.integers(0, len(lines) - 1), max_size=2)):
        start = draw(st.integers(0, len(lines[place])))
        stop = start + draw(st.integers(0, 2))
        lines[place] = lines[place][:start] + draw(st.sampled_from(CHANGES)) + lines[place][stop:]
    return b"\n".join(lines) + b"\n"


@settings(max_examples=400)
@given(blocks())
def test_columns_are_those_of_lines_alone(block: bytes) -> None:
    columns = columns_of(block)
    if columns is not None:
        expected = [parse_line(line + b"\n") for line in block.split(b"\n")[:-1]]
        assert repr(rows_in(columns)) == repr(expected)

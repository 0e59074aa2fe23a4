"""Plain lines of JSON Lines become a table at once; what comes out is what the strict parser gives, line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import InputError
from scorer.files import jsonl_source, text_bytes
from scorer.files.json_columns import Columns
from scorer.files.json_tables import plain_columns
from scorer.files.jsonl_source import JsonlSource
from scorer.files.line_places import row_lines
from scorer.files.source import OnBadRow, ReadOptions

SCHEMA = pa.schema([("id", pa.int64()), ("text", pa.string()), ("score", pa.float64()), ("ok", pa.bool_())])
PLAIN = b'{"id":1,"text":"a \\"warm\\" film {[:\\u00e9\\ud83d\\ude00","score":0.1,"ok":true}\n'


def table_of(block: bytes) -> Columns | None:
    lines = row_lines(block, len(block))
    return None if lines is None else plain_columns(lines, SCHEMA)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\n"])
def test_plain_lines_are_a_table(end: bytes) -> None:
    lines = [PLAIN[:-1] + end, b'{"score":7,"id":null}' + end, b'{ "text" : "" }' + end, b"{}" + end]
    table = table_of(b"".join(lines))
    assert table is not None
    whole = {"id": 1, "text": 'a "warm" film {[:é😀', "score": 0.1, "ok": True}
    some: list[dict[str, Any]] = [{"score": 7.0}, {"text": ""}, {}]
    assert pa.table(table).to_pylist() == [whole, *({**dict.fromkeys(whole), **row} for row in some)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"id":1} {"id":2}', b'{"id":1}\r{"id":2}', b'{"id":\n2}', b'{"text":"a\nb"}', b' {"id":1}', b"", b"7", b"[]",
        b'\xef\xbb\xbf{"id":1}', b'{"id":1}\0', b'{"id":1} x', b'{"id":1,}', b'{"id":1}//', b"{'id':1}", b'{"id":01}',
        b'{"id":1.0}', b'{"id":"1"}', b'{"id":9223372036854775808}', b'{"id":1,"id":1}', b'{"id":1,"\\u0069d":1}',
        b'{"other":1}', b'{"id":[]}', b'{"id":{}}', b'{"text":["a"]}', b'{"text":' + b"[" * 100_000, b'{"text":1}',
        b'{"text":"\xff"}', b'{"text":"\xed\xa0\x80"}', b'{"text":"\\ud800"}', b'{"text":"\\udc00"}', b'{"text":"\1"}',
        b'{"score":NaN}', b'{"score":-Infinity}', b'{"score":1e999}', b'{"score":-0}', b'{"score":9007199254740993}',
        b'{"score":1.}', b'{"score":.5}', b'{"score":+1}', b'{"score":1,"score":1}', b'{"ok":1}', b'{"ok":tru}',
    ],
)  # fmt: skip
def test_any_doubt_is_for_the_strict_parser(line: bytes) -> None:
    assert table_of(PLAIN + line + b"\n" + PLAIN) is None


def test_a_last_line_without_its_end() -> None:
    assert table_of(PLAIN + PLAIN[:-1]) is None


TEXTS = st.lists(st.sampled_from(["a", "b ", '"', "é", "\\", "😀", '":', "{", "[", "9" * 17, "-0", "\u2028"])).map(
    "".join
)
NUMBERS = st.sampled_from([0, -5, 2**53 - 1, 2**53 + 1, 2**63, 10**400, 1.5, 1e300, -0.0, 0.1 + 0.2, None])
LIKE = {
    "text": TEXTS | st.none(),
    "id": st.integers(0, 2**60),
    "n": NUMBERS,
    "x": st.sampled_from([None, True, [1], {}]),
}
ROWS = st.dictionaries(st.sampled_from(list(LIKE)), st.none(), min_size=1).flatmap(
    lambda row: st.fixed_dictionaries({name: LIKE[name] for name in row})
)
GOOD = st.builds(lambda row, ascii: json.dumps(row, ensure_ascii=ascii).encode(), ROWS, st.booleans())
CHANGES = [
    b"", b'"', b"{", b"}", b"[", b",", b":", b"\\", b"\n", b"\r", b"\0", b"\xff", b" ", b"-", b"0", b".", b"e", b"NaN",
    b"-0", b'"id":1,', b'{"id":1}', b"\\ud800", b"\xef\xbb\xbf", b"9" * 400, b"Infinity", b"1e999", b"//", b"\x0b",
]  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Lines of JSON, in some of which a few bytes are replaced."""
    lines = draw(st.lists(GOOD, min_size=1, max_size=30))
    for place in draw(st.lists(st.integers(0, len(lines) - 1), max_size=3)):
        start = draw(st.integers(0, len(lines[place])))
        stop = start + draw(st.integers(0, 2))
        lines[place] = lines[place][:start] + draw(st.sampled_from(CHANGES)) + lines[place][stop:]
    return b"\n".join(lines) + draw(st.sampled_from([b"", b"\n"]))


def outcome(path: Path, policy: OnBadRow) -> list[str]:
    """All that a file gives: columns, rows and rejects to the last bit, or the error."""
    found = []
    try:
        source = JsonlSource(str(path), ReadOptions(on_bad_row=policy, keep_raw=True))
        if "text" in source.schema.names:
            source = source.with_text("text")
        found.append(repr([(field.name, field.type, field.metadata) for field in source.schema]))
        found += [repr((chunk.rows.to_pylist(), chunk.rejects, chunk.kept)) for chunk in source.chunks(7)]
        found += [repr((chunk.rows.to_pylist(), chunk.rejects, chunk.kept)) for chunk in source.chunks(7, start=2)]
    except InputError as error:
        found.append(str(error))
    return found


@settings(max_examples=200)
@given(files(), st.sampled_from([40, 200, 1000]), st.sampled_from(["fail", "reject", "keep"]))
def test_a_file_is_what_its_lines_are(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int, policy: OnBadRow
) -> None:
    path = tmp_path_factory.mktemp("lines") / "reviews.jsonl"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl_source, "plain_columns", lambda *_: None)
        patch.setattr(jsonl_source, "alike_columns", lambda *_: None)
        strict = outcome(path, policy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_bytes, "_BLOCK_BYTES", block)
        patch.setattr(text_bytes, "_FIRST_BYTES", 0)
        patch.setattr(jsonl_source, "_RUN_BYTES", 300)
        assert outcome(path, policy) == strict

"""JSON Lines: types that hold every value, and bad lines by their row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import InputError
from scorer.files.arrow import holds_json
from scorer.files.opening import open_source
from scorer.files.source import OnBadRow, ReadOptions

REJECT = ReadOptions(on_bad_row="reject", keep_raw=True)

BAD = [
    (b"{", "is not JSON"),
    (b'{"text": "a"', "is not JSON"),
    (b'{"text": "a"} x', "is not JSON"),
    (b'{"text": NaN}', "is not JSON"),
    (b'{"text": "a", "n": Infinity}', "is not JSON"),
    (b'{"text": 1e999}', "is not JSON"),
    (b'{"text": "\\ud800"}', "is not JSON"),
    (b'{"text": "\xff"}', "holds bytes that are not UTF-8"),
    (b'{"text": "\xed\xa0\x80"}', "holds bytes that are not UTF-8"),
    (b'{"text": "a\x01b"}', "is not JSON"),
    (b'["text"]', "is a list, not a JSON object"),
    (b'"text"', "is a string, not a JSON object"),
    (b"null", "is null, not a JSON object"),
    (b"7", "is a number, not a JSON object"),
    (b"true", "is a truth value, not a JSON object"),
    (b'{"text": "a", "text": "b"}', "a key occurs twice in an object"),
    (b'{"text": "a", "te\\u0078t": "b"}', "a key occurs twice in an object"),
    (b'{"text": "a:b", "m": {"x" :1,\t"x"\t: 2}}', "a key occurs twice in an object"),
    (b'{"text": "a", "m": [{"x": 1, "x": 2}]}', "a key occurs twice in an object"),
    (b"[" * 100_000, "is not JSON"),
    (b'{"a":' * 2000 + b"1" + b"}" * 2000, "is not JSON"),
    (b'{"a":' * 300 + b"1" + b"}" * 300, "is nested more than 200 deep"),
    (b"\x00", "is not JSON"),
    (b'{"text": "a", "n": ' + b"1" * 4001 + b"}", "holds an integer of more than 4,000 digits"),
    (b'{"text": "a", "n": ' + b"1" * 400 + b', "m": NaN}', "is not JSON"),
    (b'{"text": "\\ud800", "n": ' + b"1" * 400 + b"}", "is not JSON"),
    (b'{"text": "a", "n": 0' + b"1" * 400 + b"}", "is not JSON"),
    (b'{"text": "a", "n": ' + b"1" * 400 + b'.5, "m": 1}', "is not JSON"),
    (b'{"text": "a", "n": ' + b"1" * 400 + b', "n": 1}', "a key occurs twice in an object"),
    (b'{"text": 5}', "'text' is a number, not a string"),
    (b'{"text": ["a"]}', "'text' is a list, not a string"),
]


def written(folder: Path, *lines: bytes) -> Path:
    path = folder / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.mark.parametrize(("line", "reason"), BAD)
def test_bad_lines(tmp_path: Path, line: bytes, reason: str) -> None:
    path = written(tmp_path, b'{"text": "first"}', b"", line, b'{"text": "last"}')
    source = open_source(path, REJECT).with_text("text")
    (chunk,) = source.chunks(10)
    assert chunk.rows["text"].to_pylist() == ["first", "last"]
    (reject,) = chunk.rejects
    assert (reject.row, reject.byte_offset, chunk.n_input_rows) == (2, 19, 3)
    assert reject.reason.startswith(reason)
    with pytest.raises(InputError) as caught:
        list(open_source(path).with_text("text").chunks(10))
    assert str(caught.value).startswith(f"{path}: row 2 (line 3): {reason}")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None, "é"], pa.string()),
        ([1, 2**63 - 1, -(2**63)], pa.int64()),
        ([1, 0.5, None, 2**53], pa.float64()),
        ([True, False], pa.bool_()),
        ([None, None], pa.null()),
    ],
)
def test_columns_of_one_type(tmp_path: Path, values: list[Any], kind: pa.DataType) -> None:
    path = written(tmp_path, *(json.dumps({"v": value}).encode() for value in values))
    source = open_source(path)
    assert source.schema == pa.schema([pa.field("v", kind)])
    assert pa.concat_tables(source.tables(2))["v"].to_pylist() == values


@pytest.mark.parametrize(
    "values",
    [
        [2**64, 1],
        [2**53 + 1, 0.5],
        [1, "1"],
        [{"b": [1, None]}, None],
        [[10**40]],
        [10**308, 10**309, -(10**3998)],
        [{"digits": "[" + "1" * 400 + "]", "n": [10**400]}],
        [True, 1],
        ["a", {"x": "é"}],
        [2**63],
    ],
)
def test_columns_of_json_text(tmp_path: Path, values: list[Any]) -> None:
    path = written(tmp_path, *(json.dumps({"v": value}).encode() for value in values))
    source = open_source(path)
    assert holds_json(source.schema.field("v"))
    read = [None if text is None else json.loads(text) for t in source.tables(2) for text in t["v"].to_pylist()]
    assert read == values
    assert [type(value) for value in read] == [type(value) for value in values]


def test_a_text_column_of_other_values_too(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text": "a"}', b'{"text": 7}', b'{"id": 1}', b'{"text": null}')
    source = open_source(path, REJECT).with_text("text")
    (chunk,) = source.chunks(9)
    assert chunk.rows.to_pylist() == [{"text": "a", "id": None}, {"text": None, "id": 1}, {"text": None, "id": None}]
    assert [r.row for r in chunk.rejects] == [2]


def test_a_row_without_text_decides_no_column(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text": 5, "x": [1], "extra": 3}', b'{"text": "a", "x": 1}', b'{"text": null, "x": 2}')
    source = open_source(path, REJECT).with_text("text")
    assert source.schema == pa.schema([("text", pa.string()), ("x", pa.int64())])
    (chunk,) = source.chunks(9)
    assert chunk.rows.to_pylist() == [{"text": "a", "x": 1}, {"text": None, "x": 2}]
    assert [r.row for r in chunk.rejects] == [1]


def test_a_text_column_of_numbers_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="column 'text' holds int64, not text"):
        open_source(written(tmp_path, b'{"text": 7}')).with_text("text")


@pytest.mark.parametrize("start", range(4))
def test_starting_at_a_later_chunk_gives_the_same_chunks(tmp_path: Path, start: int) -> None:
    lines = [json.dumps({"n": n}).encode() if n % 3 else b"bad" for n in range(7)]
    source = open_source(written(tmp_path, *lines, b"  "), REJECT)
    assert list(source.chunks(3, start=start)) == list(source.chunks(3))[start:]


def test_a_long_line_is_one_bad_row(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"a": 1}', b'{"a": "' + b"x" * 3 * 2**20 + b'"}', b"{", b'{"a": 2}')
    (chunk,) = open_source(path, ReadOptions(on_bad_row="reject", max_row_bytes=2**20)).chunks(9)
    assert chunk.rows["a"].to_pylist() == [1, 2]
    assert [(r.row, r.byte_offset) for r in chunk.rejects] == [(2, 9), (3, path.read_bytes().index(b"{\n"))]


def test_long_lines_are_bad_wherever_they_lie(tmp_path: Path) -> None:
    lines = [b'{"a": "' + b"x" * 504 + b'"}', b'{"a": 1}'] * 2500
    path = written(tmp_path, *lines, b"{", lines[0])
    chunks = list(open_source(path, ReadOptions(on_bad_row="reject", max_row_bytes=100)).chunks(2048))
    rejects = [reject for chunk in chunks for reject in chunk.rejects]
    assert sum(chunk.rows.num_rows for chunk in chunks) == 2500
    assert [reject.row for reject in rejects] == [*range(1, 5001, 2), 5001, 5002]
    assert [reject.byte_offset for reject in rejects] == [*range(0, 523 * 2500, 523), 523 * 2500, 523 * 2500 + 2]


def test_lines_that_are_passed_over_do_not_fill_a_chunk(tmp_path: Path) -> None:
    path = written(tmp_path, *[b'{"a": "' + b"x" * 5000 + b'"}', b'{"a": 1}'] * 5)
    options = ReadOptions(on_bad_row="reject", max_row_bytes=100, max_chunk_bytes=1000)
    (chunk,) = open_source(path, options).chunks(10)
    assert (chunk.rows.num_rows, len(chunk.rejects)) == (5, 5)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100)
@given(
    rows=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=4), min_size=1, max_size=5), spaced=st.booleans()
)
def test_every_value_survives(tmp_path: Path, rows: list[dict[str, Any]], spaced: bool) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    path = written(tmp_path, *(json.dumps(row, separators=separators, ensure_ascii=spaced).encode() for row in rows))
    source = open_source(path)
    json_columns = {field.name for field in source.schema if holds_json(field)}
    read = [row for chunk in source.chunks(2) for row in chunk.rows.to_pylist()]
    back = [
        {k: json.loads(v) if k in json_columns and v is not None else v for k, v in row.items() if v is not None}
        for row in read
    ]
    assert back == [{k: v for k, v in row.items() if v is not None} for row in rows]


@pytest.mark.parametrize("policy", ["fail", "reject", "keep"])
@pytest.mark.parametrize(
    "content",
    [
        b'[{"text": "a"}, {"text": "b"}]',
        b'\n  [{"text": "a"},\n{"text": "b"}]\n\n',
        b'[\n  {"text": "a"},\n  {"text": "b"}\n]\n',
        b"[\n]\n",
        b'["a", "b"]\n',
    ],
)
def test_an_array_is_called_one(tmp_path: Path, content: bytes, policy: OnBadRow) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jsonl: is a JSON array, not one JSON object a line; write each object"):
        open_source(path, ReadOptions(on_bad_row=policy))


def test_what_only_begins_as_an_array_is_a_bad_row(tmp_path: Path) -> None:
    for first in (b"[1, 2]", b'[{"text": "a"}]', b"[2026-01-31] started", b"[warn"):
        path = written(tmp_path, first, b'{"text": "last"}')
        (chunk,) = open_source(path, REJECT).chunks(10)
        assert (chunk.rows["text"].to_pylist(), [bad.row for bad in chunk.rejects]) == (["last"], [1])
        with pytest.raises(InputError, match=r"row 1 \(line 1\): is "):
            open_source(path)
    pretty = written(tmp_path, b"{", b' "text": "a"', b"}")
    with pytest.raises(InputError, match="no row is a JSON object; write each object on a line of its own"):
        open_source(pretty, REJECT)


def test_lines_count_what_rows_do_not(tmp_path: Path) -> None:
    path = written(tmp_path, b"", b'{"text": "a"}', b"", b" ", b"bad", b'{"text": 5}')
    (chunk,) = open_source(path, REJECT).with_text("text").chunks(10)
    assert [(bad.row, bad.line) for bad in chunk.rejects] == [(2, 5), (3, 6)]
    (chunk,) = open_source(path, ReadOptions(on_bad_row="keep")).with_text("text").chunks(10)
    assert ([(bad.row, bad.line) for bad in chunk.rejects], chunk.kept) == ([(2, 5)], (1,))
    with pytest.raises(InputError, match=r"a\.jsonl: row 2 \(line 5\): is not JSON"):
        open_source(path)


def test_whole_numbers_in_the_text_column_are_bad_rows_among_lines_that_are_alike(tmp_path: Path) -> None:
    path = written(tmp_path, b'{"text": "a", "n": 1}', *[b'{"text": %d, "n": 2}' % n for n in range(90)])
    source = open_source(path, REJECT).with_text("text")
    (chunk,) = source.chunks(1000)
    assert chunk.rows.to_pylist() == [{"text": "a", "n": 1}]
    assert [bad.row for bad in chunk.rejects] == list(range(2, 92))


def test_no_column_is_as_many_rows(tmp_path: Path) -> None:
    source = open_source(written(tmp_path, *[b'{"n": 1}'] * 20))
    assert [chunk.rows.num_rows for chunk in source.chunks(8, [])] == [8, 8, 4]

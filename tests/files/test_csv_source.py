"""CSV and TSV: every value as it is written, and bad rows by their row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorer.files.csv_source
import scorer.files.text_bytes
from scorer.errors import InputError, UsageError
from scorer.files.opening import open_source
from scorer.files.source import Chunk, ReadOptions

REJECT = ReadOptions(on_bad_row="reject", keep_raw=True)


def chunks_of(path: Path, options: ReadOptions | None = None, rows: int = 2, start: int = 0) -> list[Chunk]:
    return list(open_source(path, options).chunks(rows, start=start))


def written(folder: Path, content: bytes | str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_bad_rows_are_set_aside_with_their_place(tmp_path: Path) -> None:
    path = written(tmp_path, b'id,text\n1,fine\n2\n3,a,b\n4,"x"y\n5,\xff\n6,"two\nlines"\n7,end')
    chunks = chunks_of(path, REJECT)
    assert [(c.number, c.n_input_rows) for c in chunks] == [(0, 2), (1, 2), (2, 2), (3, 1)]
    assert [row for c in chunks for row in c.rows.to_pylist()] == [
        {"id": "1", "text": "fine"},
        {"id": "6", "text": "two\nlines"},
        {"id": "7", "text": "end"},
    ]
    content = path.read_bytes()
    rejects = [reject for chunk in chunks for reject in chunk.rejects]
    assert [(r.row, r.reason, r.raw) for r in rejects] == [
        (2, "1 field where the header has 2", "2"),
        (3, "3 fields where the header has 2", "3,a,b"),
        (4, "text follows a closing quote", '4,"x"y'),
        (5, "holds bytes that are not UTF-8", "5,\\xff"),
    ]
    for reject in rejects:
        assert reject.byte_offset is not None
        assert content[reject.byte_offset :].startswith(str(reject.row).encode())
        assert reject.to_json()["file"] == str(path)


def test_raw_text_only_on_request(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1\n")
    (chunk,) = chunks_of(path, ReadOptions(on_bad_row="reject"))
    assert "raw" not in chunk.rejects[0].to_json()


@pytest.mark.parametrize("policy", ["fail", "reject"])
@pytest.mark.parametrize(
    ("content", "row"),
    [
        ('a,b\n1,2\n2,"open\n3,x\n4,y\n', 2),
        ('a,b\n1,"open\n2,"closed"\n3,x\n', 1),
        ('a,b\n1,x\n2,"open', 2),
        ('a,b\n1,x\n2,"' + "long " * 300_000, 2),
    ],
)
def test_an_open_quote_stops_whatever_the_policy(tmp_path: Path, content: str, row: int, policy: str) -> None:
    with pytest.raises(InputError, match=rf"a\.csv:{row}: a quote opens") as caught:
        chunks_of(written(tmp_path, content), ReadOptions(on_bad_row=policy))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("policy", ["fail", "reject"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('"id,text\n1,a\n', "a quote opens and is never closed"),
        ('"id"x,text\n1,a\n', "text follows a closing quote"),
        ('id,"text\n1,"a\n', "a quote opens and is not closed where its field ends: text follows 1 lines later"),
        ('id,"' + "long " * 300_000, "a quote opens and is never closed"),
    ],
)
def test_a_header_with_a_broken_quote(tmp_path: Path, content: str, what: str, policy: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        open_source(path, ReadOptions(on_bad_row=policy))  # type: ignore[arg-type]
    hint = "close the quote, or double quotes inside a field"
    assert str(caught.value) == f"{path}: its header cannot be read: {what}; {hint}"


@pytest.mark.parametrize("start", range(5))
def test_starting_at_a_later_chunk_gives_the_same_chunks(tmp_path: Path, start: int) -> None:
    path = written(tmp_path, "a,b\n" + "".join(f"{n},x\n" if n % 3 else f"{n}\n" for n in range(7)))
    assert chunks_of(path, REJECT, start=start) == chunks_of(path, REJECT)[start:]


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    (chunk,) = chunks_of(written(tmp_path, "a,b\n\n1,2\n\r\n\n3,4\n\n"))
    assert chunk.rows.to_pylist() == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ends_of_lines(tmp_path: Path, end: str) -> None:
    path = written(tmp_path, end.join(["a,b", "1,2", f'"x{end}y",3', "4,5"]))
    read = pa.concat_tables(c.rows for c in chunks_of(path))
    assert read["a"].to_pylist() == ["1", f"x{end}y", "4"]


FIELD = st.text(alphabet='a,"\n\r;é\x00 😀')
CONTENT = st.text(alphabet='a,"\n\r;é', max_size=30)


def parsed(path: Path) -> list[object]:
    """Rows, or the error, of a file under the policy reject."""
    try:
        chunks = chunks_of(path, ReadOptions(on_bad_row="reject"))
    except InputError as error:
        return [str(error)]
    return [*(row for c in chunks for row in c.rows.to_pylist()), *(r for c in chunks for r in c.rejects)]


@settings(max_examples=150)
@given(content=CONTENT, block=st.integers(1, 40), lines=st.integers(0, 3))
def test_large_rows_and_small_blocks_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, block: int, lines: int
) -> None:
    path = written(tmp_path, "a,b\n" + content)
    with monkeypatch.context() as patch:
        expected = parsed(path)
        patch.setattr(scorer.files.text_bytes, "_BLOCK_BYTES", block)
        assert parsed(path) == expected
        patch.setattr(scorer.files.csv_source, "_MANY_LINES", lines)
        assert parsed(path) == expected
        patch.setattr(scorer.files.csv_source, "_LARGE_ROW", 0)
        assert parsed(path) == expected


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(FIELD, FIELD), max_size=6), delimiter=st.sampled_from(",;\té|"))
def test_what_csv_writes_is_read_unchanged(tmp_path: Path, rows: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("a", "b"), *rows])
    path = written(tmp_path, file.getvalue())
    read = [row for c in chunks_of(path, ReadOptions(delimiter=delimiter)) for row in c.rows.to_pylist()]
    assert [tuple(row.values()) for row in read] == rows


def test_a_row_over_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1," + "x" * 5000 + "\n")
    with pytest.raises(InputError, match="a row of more than 1,000 bytes begins at byte 4"):
        chunks_of(path, ReadOptions(max_row_bytes=1000))


def test_a_chunk_over_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n" + ("1," + "x" * 500 + "\n") * 20)
    with pytest.raises(InputError, match="lower --chunk-rows"):
        chunks_of(path, ReadOptions(max_chunk_bytes=2000), rows=20)
    assert len(chunks_of(path, ReadOptions(max_chunk_bytes=2000), rows=2)) == 10


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n"])
def test_delimiters_that_cannot_be(delimiter: str) -> None:
    with pytest.raises(UsageError, match="--delimiter"):
        ReadOptions(delimiter=delimiter)


def test_tsv(tmp_path: Path) -> None:
    (chunk,) = chunks_of(written(tmp_path, "a\tb\n1,5\t2\n", "a.tsv"))
    assert chunk.rows.to_pylist() == [{"a": "1,5", "b": "2"}]

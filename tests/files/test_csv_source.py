"""CSV and TSV: every value as it is written, and bad rows by their row."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorer.files.csv_records
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
        (2, "1 field, but the header has 2", "2"),
        (3, "3 fields, but the header has 2", "3,a,b"),
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
    with pytest.raises(InputError, match=rf"a\.csv: row {row} \(line {row + 1}\): a quote opens") as caught:
        chunks_of(written(tmp_path, content), ReadOptions(on_bad_row=policy))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("policy", ["fail", "reject"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('"id,text\n1,a\n', "a quote opens and is never closed"),
        ('"id"x,text\n1,a\n', "text follows a closing quote"),
        ('id,"text\n1,"a\n', "a quote opens and is not closed where its field ends: text follows 1 line later"),
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


def parsed(path: Path, options: ReadOptions | None = None) -> list[object]:
    """Rows, or the error, of a file under the policy reject."""
    try:
        chunks = chunks_of(path, replace(options or ReadOptions(), on_bad_row="reject"))
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
        patch.setattr(scorer.files.csv_records, "_MANY_LINES", lines)
        assert parsed(path) == expected
        patch.setattr(scorer.files.csv_records, "_LARGE_ROW", 0)
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
    with pytest.raises(InputError, match="a row of more than 1,000 bytes starts at byte 4"):
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


BACKSLASH = ReadOptions(escape="\\")
PLAIN_QUOTES = ReadOptions(quote="none")
ESCAPES_ALONE = ReadOptions(quote="none", escape="\\")


def rows_of(path: Path, options: ReadOptions | None = None, rows: int = 2) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for c in chunks_of(path, options, rows) for row in c.rows.to_pylist()]


@pytest.mark.parametrize(
    ("options", "line", "fields"),
    [
        (BACKSLASH, r'"a \"good\" film",1', ('a "good" film', "1")),
        (BACKSLASH, r'"\"all of it\"",1', ('"all of it"', "1")),
        (BACKSLASH, r'"ends in \\",1', ("ends in \\", "1")),
        (BACKSLASH, r'"ends in \\\"",1', ('ends in \\"', "1")),
        (BACKSLASH, r'"doubled "" too",1', ('doubled " too', "1")),
        (BACKSLASH, r'"C:\new, :\, or ¯\_(ツ)_/¯",1', (r"C:\new, :\, or ¯\_(ツ)_/¯", "1")),
        (BACKSLASH, '"two \\"\nlines\\" \\\n",1', ('two "\nlines" \\\n', "1")),
        (BACKSLASH, r"one\, two,1", ("one, two", "1")),
        (BACKSLASH, r"\"plain\" \n \\,1", (r'"plain" \n ' + "\\", "1")),
        (BACKSLASH, r'"",\\', ("", "\\")),
        (ReadOptions(escape="^"), '"a ^"b^" ^^ ^c",1', ('a "b" ^ ^c', "1")),
        (
            ReadOptions(quote="'", escape="\\"),
            r"""'it\'s "so", \\ ''he'' said',1""",
            ("it's \"so\", \\ 'he' said", "1"),
        ),
        (ReadOptions(quote="'"), "'it''s, \"so\"','1'", ('it\'s, "so"', "1")),
        (ReadOptions(quote="þ", delimiter="\x14"), "þa þþgoodþþ\x14 film éþ\x14þ1þ", ("a þgoodþ\x14 film é", "1")),
        (ReadOptions(quote="þ", delimiter="é", escape="ÿ"), "þa ÿþ ÿÿ ü éþéèÿé1", ("a þ ÿ ü é", "èé1")),
        (PLAIN_QUOTES, 'so called " comedy ","bad"', ('so called " comedy "', '"bad"')),
        (PLAIN_QUOTES, '"open,1', ('"open', "1")),
        (ESCAPES_ALONE, r"a\, b \"c\" \\,1", ('a, b "c" \\', "1")),
        (ESCAPES_ALONE, "two\\\nlines\\\r\nof it,1", ("two\nlines\r\nof it", "1")),
        (ReadOptions(escape='"'), '"doubled "" quotes",1', ('doubled " quotes', "1")),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("large", [False, True])
def test_dialects(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: ReadOptions,
    line: str,
    fields: tuple[str, str],
    end: str,
    large: bool,
) -> None:
    if large:
        monkeypatch.setattr(scorer.files.csv_records, "_LARGE_ROW", 0)
    header = f"a{options.delimiter or ','}b" + (end or "\n")
    content = f"\ufeff{header}{line}{end}"
    path = written(tmp_path, gzip.compress(content.encode()), "a.csv.gz")
    source = open_source(path, options)
    assert source.schema.names == ["a", "b"]
    assert [tuple(row.values()) for table in source.tables(5) for row in table.to_pylist()] == [fields]


@settings(max_examples=100)
@given(
    rows=st.lists(st.tuples(*[st.text(alphabet="a,\"\n\r\\;é' ")] * 2), max_size=5),
    quote=st.sampled_from("\"'"),
    delimiter=st.sampled_from(",;\té"),
    block=st.integers(1, 30),
)
def test_escaped_rows_are_read_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str]], quote: str, delimiter: str, block: int
) -> None:
    file = io.StringIO(newline="")
    settings_ = {"doublequote": False, "escapechar": "\\", "quotechar": quote, "delimiter": delimiter}
    csv.writer(file, quoting=csv.QUOTE_ALL, **settings_).writerows([("a", "b"), *rows])  # type: ignore[arg-type]
    path = written(tmp_path, file.getvalue())
    with monkeypatch.context() as patch:
        patch.setattr(scorer.files.text_bytes, "_BLOCK_BYTES", block)
        assert rows_of(path, ReadOptions(delimiter=delimiter, quote=quote, escape="\\")) == rows


@settings(max_examples=60)
@given(rows=st.lists(st.tuples(*[st.text(alphabet='a,"\n\\;é ')] * 2), max_size=5))
def test_rows_with_escapes_in_place_of_quotes(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_NONE, escapechar="\\", lineterminator="\n")
    writer.writerows([("a", "b"), *rows])
    assert rows_of(written(tmp_path, file.getvalue()), ESCAPES_ALONE) == rows


@settings(max_examples=100)
@given(content=st.text(alphabet='a,"\n\\é', max_size=30), block=st.integers(1, 40))
def test_escapes_in_small_blocks_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, block: int
) -> None:
    path = written(tmp_path, "a,b\n" + content)
    with monkeypatch.context() as patch:
        expected = parsed(path, BACKSLASH)
        patch.setattr(scorer.files.text_bytes, "_BLOCK_BYTES", block)
        assert parsed(path, BACKSLASH) == expected
        patch.setattr(scorer.files.csv_records, "_LARGE_ROW", 0)
        assert parsed(path, BACKSLASH) == expected


def test_a_huge_row_with_escapes(tmp_path: Path) -> None:
    text = 'a \\"good\\" film, \\\\ with\nlines ' * 400_000
    path = written(tmp_path, f'a,b\n"{text}",1\n2,\\"end\n')
    wanted = text.replace('\\"', '"').replace("\\\\", "\\")
    assert rows_of(path, BACKSLASH) == [(wanted, "1"), ("2", '"end')]


@pytest.mark.parametrize("start", range(4))
def test_without_a_header(tmp_path: Path, start: int) -> None:
    path = written(tmp_path, "1,x\n2\n3,y\n\n4,z\n5,é\n")
    options = ReadOptions(no_header=True, on_bad_row="reject")
    chunks = chunks_of(path, options)
    assert chunks[0].rows.to_pylist() == [{"column_1": "1", "column_2": "x"}]
    assert [(r.row, r.line, r.reason) for r in chunks[0].rejects] == [(2, 2, "1 field, but the first row has 2")]
    assert [row["column_1"] for c in chunks for row in c.rows.to_pylist()] == ["1", "3", "4", "5"]
    assert chunks_of(path, options, start=start) == chunks[start:]


def test_without_a_header_blank_lines_of_one_column_are_rows(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "\na\n\nb"), ReadOptions(no_header=True)) == [("",), ("a",), ("",), ("b",)]
    with pytest.raises(InputError, match="has no rows"):
        open_source(written(tmp_path, "\n\n"), ReadOptions(no_header=True))
    with pytest.raises(InputError, match="its first row cannot be read: a quote opens and is never closed"):
        open_source(written(tmp_path, '"a,b\n'), ReadOptions(no_header=True))


@pytest.mark.parametrize("line", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\r"])
@pytest.mark.parametrize("options", [None, ReadOptions(delimiter=";"), ReadOptions(escape="\\")])
def test_a_line_that_names_the_delimiter(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, options: ReadOptions | None
) -> None:
    path = written(tmp_path, f'{line}a;b\n"x;y";1\n2\n')
    with caplog.at_level("INFO"):
        (chunk,) = chunks_of(path, replace(options or ReadOptions(), on_bad_row="reject"))
    assert chunk.rows.to_pylist() == [{"a": "x;y", "b": "1"}]
    (bad,) = chunk.rejects
    assert (bad.row, bad.line, bad.byte_offset) == (2, 4, path.read_bytes().index(b"2\n"))
    named = [record for record in caplog.messages if "its first line names the delimiter ';'" in record]
    assert len(named) == (options is None or options.delimiter is None)


def test_other_first_lines_name_no_delimiter(tmp_path: Path) -> None:
    for first in ("sep=;;", "sep=x", "sep=", "step=;"):
        assert open_source(written(tmp_path, f"{first}\n1\n")).schema.names == [first]


MERGED = 'text\tlabel\n"a quiet film\t1\nlovely "\t0\nfine\t1\n'


def test_lines_that_are_rows_if_quotes_are_plain(tmp_path: Path) -> None:
    path = written(tmp_path, MERGED, "a.tsv")
    with pytest.raises(InputError) as caught:
        rows_of(path)
    assert str(caught.value) == (
        f"{path}: row 1 (line 2): its 2 lines are as many rows if quotes are plain characters;"
        " try --quote none, or pass --quote '\"' if they are one row"
    )
    assert [text for text, _ in rows_of(path, PLAIN_QUOTES)] == ['"a quiet film', 'lovely "', "fine"]
    assert rows_of(path, ReadOptions(quote='"')) == [("a quiet film\t1\nlovely ", "0"), ("fine", "1")]
    rows = "".join(f"a {n}\t1\n" for n in range(5000))
    path = written(tmp_path, f'text\tlabel\n"a\t1\n{rows}b"\t2\n', "a.tsv")
    with pytest.raises(InputError, match="its 5,002 lines are as many rows"):
        rows_of(path)


def test_texts_of_several_lines_with_tabs_are_one_row(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, 'text\tlabel\n"a\tb\nc\nd"\t1\n', "a.tsv")) == [("a\tb\nc\nd", "1")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quote": "''"}, "--quote"),
        ({"escape": ""}, "--escape"),
        ({"escape": "\udcff"}, "--escape"),
        ({"delimiter": "'", "quote": "'"}, "--delimiter and --quote are both"),
        ({"delimiter": "\\t", "escape": "\t"}, "--delimiter and --escape are both"),
    ],
)
def test_characters_that_cannot_be(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ReadOptions(**options)  # type: ignore[arg-type]


def test_the_line_of_a_row_is_that_of_an_editor(tmp_path: Path) -> None:
    many = "\n".join(f"line {n}" for n in range(3_000))
    content = f'a,b\n1,"two\nlines"\n\n2,x,y\n"{many}",1\r\n3,x,y\n4,"{many}"\n5\n'
    (chunk,) = chunks_of(written(tmp_path, content), ReadOptions(on_bad_row="reject"), rows=10)
    lines = content.splitlines()
    assert [(bad.row, bad.line) for bad in chunk.rejects] == [(2, 5), (4, 3006), (6, 6007)]
    assert [lines[(bad.line or 0) - 1] for bad in chunk.rejects] == ["2,x,y", "3,x,y", "5"]
    with pytest.raises(InputError, match=r"a\.csv: row 2 \(line 5\): 3 fields") as caught:
        chunks_of(written(tmp_path, content))
    assert (caught.value.row, caught.value.line) == (2, 5)

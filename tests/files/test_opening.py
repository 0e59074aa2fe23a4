"""Files to chunks, and what is wrong with broken ones."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import InputError
from scorer.files.opening import open_source
from scorer.files.source import check_text_type, text_values


def rows_of(path: Path, chunk_rows: int = 3) -> pa.Table:
    return pa.concat_tables(open_source(path).tables(chunk_rows))


@pytest.fixture
def table() -> pa.Table:
    columns = {
        "id": pa.array([3, 1, None], pa.int16()),
        "text": pa.array(["é\x00\n", None, "b"]),
        "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
        "kind": pa.array(["u", "v", "u"]).dictionary_encode(),
    }
    schema = pa.schema([pa.field(n, c.type, metadata={"unit": n}) for n, c in columns.items()], metadata={"k": "v"})
    return pa.table(list(columns.values()), schema=schema)


def test_parquet_keeps_values_types_and_metadata(table: pa.Table, tmp_path: Path) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.schema.metadata == {b"k": b"v"}
    assert source.schema.names == table.schema.names
    read = pa.concat_tables(source.tables(2))
    assert read.to_pylist() == table.to_pylist()
    assert [read.schema.field(n).type for n in ("id", "tags")] == [pa.int16(), pa.list_(pa.string())]


@pytest.mark.parametrize("chunk_rows", [1, 2, 7, 10, 11, 1000])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_chunks_have_the_asked_number_of_rows(tmp_path: Path, chunk_rows: int, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    values = pa.table({"text": [f"r{i}" for i in range(23)], "n": [str(i) for i in range(23)]})
    if kind == "parquet":
        pq.write_table(values, path, row_group_size=5)
    else:
        pyarrow.csv.write_csv(values, path)
    chunks = list(open_source(path).tables(chunk_rows))
    assert [chunk.num_rows for chunk in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert pa.concat_tables(chunks).equals(values)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_columns_come_in_the_order_asked(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    values = pa.table({"a": ["1"], "b": ["2"], "c": ["3"]})
    if kind == "parquet":
        pq.write_table(values, path)
    else:
        pyarrow.csv.write_csv(values, path)
    assert next(open_source(path).tables(5, ["c", "a"])).to_pylist() == [{"c": "3", "a": "1"}]
    with pytest.raises(InputError, match="no column 'd'"):
        next(open_source(path).tables(5, ["d"]))


# str.splitlines and csv both treat \r alone as an end of line outside quotes; inside them all is kept.
@settings(max_examples=40)
@given(rows=st.lists(st.tuples(st.text(), st.text(alphabet='a,"\n\r;é ')), min_size=1, max_size=5))
def test_any_text_survives_csv(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.csv"
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    path.write_bytes(("text,other\n" + "\n".join(quoted) + "\n").encode("utf-8"))
    read = rows_of(path, 2)
    assert [tuple(row.values()) for row in read.to_pylist()] == rows


def test_csv_values_stay_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeffid,text,x\r\n007,"a ""b""\r\nc",NA\r\n8.10,, 1 \r\n'.encode())
    source = open_source(path)
    assert set(source.schema.types) == {pa.string()}
    assert rows_of(path).to_pylist() == [
        {"id": "007", "text": 'a "b"\r\nc', "x": "NA"},
        {"id": "8.10", "text": "", "x": " 1 "},
    ]


def test_one_column_csv_keeps_its_blank_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\na\n\nb\n")
    assert rows_of(path)["text"].to_pylist() == ["a", "", "b"]


def test_header_only(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n")
    assert list(open_source(path).tables(4)) == []
    assert open_source(path).schema.names == ["id", "text"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty (0 bytes)"),
        (b"\n", "has no header"),
        (b'a,b\n1,2\n"x,3\n4,5\n', ": row 2 (line 3): a quote opens and is never closed"),
        (b"a,b\n1,2\n1,2,3\n", ": row 2 (line 3): 3 fields, but the header has 2"),
        (b"a,b\n1\n", ": row 1 (line 2): 1 field, but the header has 2"),
        (b'a,b\n"x"y,3\n', ": row 1 (line 2): text follows a closing quote"),
        (b"a,b\n1,\xff\n", ": row 1 (line 2): holds bytes that are not UTF-8; pass --encoding"),
    ],
)
def test_broken_csv(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        rows_of(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_broken_parquet(tmp_path: Path, table: pa.Table) -> None:
    good = tmp_path / "good.parquet"
    pq.write_table(table, good, write_page_checksum=True)
    content = good.read_bytes()
    broken = {
        "empty": b"",
        "text": b"not parquet at all",
        "truncated": content[: len(content) // 2],
        "no-footer": content[:-8],
        "flipped": content[:12] + bytes([content[12] ^ 0xFF]) + content[13:],
    }
    for name, damaged in broken.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(damaged)
        with pytest.raises(InputError) as caught:
            rows_of(path)
        assert str(caught.value).startswith(str(path)), name


def test_missing_folder_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        open_source(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="is a folder"):
        open_source(tmp_path)
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(InputError, match=r"unknown format '\.xlsx'; known: \.parquet"):
        open_source(tmp_path / "a.xlsx")
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="has no extension"):
        open_source(tmp_path / "a")


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["a", None]),
        pa.array(["a", None], pa.large_string()),
        pa.array(["a", None], pa.string_view()),
        pa.array(["a", None]).dictionary_encode(),
        pa.array([None, None], pa.null()),
    ],
)
def test_what_can_be_text(values: pa.Array) -> None:
    check_text_type(pa.field("t", values.type), "f")
    texts = text_values(pa.chunked_array([values]))
    assert texts.type == pa.large_string()
    assert texts.to_pylist() == values.to_pylist()


@pytest.mark.parametrize("kind", [pa.int64(), pa.binary(), pa.list_(pa.string()), pa.bool_(), pa.date32()])
def test_what_is_no_text(kind: pa.DataType) -> None:
    with pytest.raises(InputError, match=re.escape(f"column 't' holds {kind}, not text")):
        check_text_type(pa.field("t", kind), "f")


def test_files_of_polars(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a", None], "n": [1, 2]}).write_parquet(tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    check_text_type(source.schema.field("text"), source.path)
    assert pa.concat_tables(source.tables(1))["text"].to_pylist() == ["a", None]

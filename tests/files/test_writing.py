"""Tables to files: values survive, bytes depend on the rows alone, spreadsheets run nothing."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import UsageError
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_source, open_writer
from scorer.run.score_file import score_file

FORMATS = ["parquet", "csv", "tsv", "jsonl", "csv.gz", "csv.zst", "jsonl.gz", "jsonl.zst"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
QUICK = settings(max_examples=60)


def written(table: pa.Table, format: str, *, rows: int = 7, safe: bool = False) -> bytes:
    """``table`` as a file, handed over ``rows`` at a time."""
    file = io.BytesIO()
    with open_writer(file, OutputFormat.of("x", format, csv_safe=safe), table.schema) as writer:
        for start in range(0, table.num_rows, rows):
            writer.write(table.slice(start, rows))
        writer.finish()
    return file.getvalue()


def read_back(data: bytes, format: str, folder: Path) -> pa.Table:
    path = folder / f"x.{format}"
    path.write_bytes(data)
    source = open_source(path)
    tables = list(source.tables(1000))
    return pa.concat_tables(tables) if tables else source.schema.empty_table()


@pytest.mark.parametrize("format", FORMATS)
@QUICK
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=12))
def test_any_text_survives(tmp_path: Path, format: str, rows: list[tuple[str, str]]) -> None:
    columns = [pa.array([row[place] for row in rows], pa.string()) for place in (0, 1)]
    table = pa.table(columns, names=["text", "b"])
    back = read_back(written(table, format), format, tmp_path) if rows or format[0] != "j" else table
    assert back.select(["text", "b"]).to_pylist() == table.to_pylist()


@pytest.mark.parametrize("format", FORMATS)
@QUICK
@given(
    rows=st.lists(st.tuples(st.none() | TEXTS, st.integers(0, 2**40)), min_size=1, max_size=40), cut=st.integers(1, 40)
)
def test_the_bytes_do_not_depend_on_the_cut(format: str, rows: list[tuple[str | None, int]], cut: int) -> None:
    kind = pa.dictionary(pa.int32(), pa.string())
    texts = pa.array([row[0] for row in rows], pa.string())
    table = pa.table({"a": texts, "n": [row[1] for row in rows], "d": texts.cast(kind)})
    assert written(table, format, rows=cut) == written(table, format, rows=1000)


def test_many_row_groups_do_not_depend_on_the_cut(tmp_path: Path) -> None:
    texts = [f"{number} " * (number % 300) for number in range(90_000)]
    table = pa.table({"text": texts, "d": pa.array([text[:2] for text in texts]).dictionary_encode()})
    data = written(table, "parquet", rows=2048)
    assert written(table, "parquet", rows=777) == data
    file = pq.ParquetFile(io.BytesIO(data))
    assert file.num_row_groups > 1
    assert file.read().to_pydict() == table.to_pydict()


def test_what_a_parquet_schema_says_is_kept() -> None:
    schema = pa.schema(
        [
            pa.field("id", pa.int16(), nullable=False, metadata={"unit": "none"}),
            pa.field("at", pa.timestamp("ms", "Europe/Berlin")),
            pa.field("tags", pa.list_(pa.field("item", pa.dictionary(pa.int8(), pa.string())))),
            pa.field("map", pa.map_(pa.string(), pa.int32())),
            pa.field("kind", pa.dictionary(pa.int8(), pa.string(), ordered=True)),
            pa.field("blob", pa.binary(3)),
            pa.field("nested", pa.struct([pa.field("x", pa.float64()), pa.field("y", pa.decimal128(9, 2))])),
        ],
        metadata={"source": "a test"},
    )
    rows = [
        {"id": n, "at": datetime(2026, 1, 1, tzinfo=UTC), "tags": ["a", "b"][: n % 3], "map": [("k", n)], "kind": "x",
         "blob": b"abc", "nested": {"x": float(n), "y": Decimal("1.50")}}
        for n in range(20)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema)
    back = pq.read_table(io.BytesIO(written(table, "parquet")))
    assert back.schema.equals(schema.remove_metadata().with_metadata(schema.metadata), check_metadata=False)
    assert back.schema.metadata == schema.metadata
    assert back.schema.field("id").metadata[b"unit"] == b"none"
    assert back.to_pylist() == table.to_pylist()


@pytest.mark.parametrize(
    "value", ["a\rb", "\r", "\n", "\r\n", 'say "hi"', '"', "a,b", " a ", "\x00", "\u2028", "", "﻿a"]
)
def test_fields_that_are_hard_for_csv(tmp_path: Path, value: str) -> None:
    table = pa.table({"text": [value, "x", value]})
    data = written(table, "csv")
    assert read_back(data, "csv", tmp_path)["text"].to_pylist() == [value, "x", value]
    assert [row[0] for row in csv.reader(io.StringIO(data.decode(), newline=""), strict=True)][1:] == [
        value,
        "x",
        value,
    ]
    assert b"\r\n" not in data.replace(value.encode(), b"")


CELLS = st.none() | st.lists(
    st.sampled_from(["a", "é", "中", "😀", " ", '"', "\\", "\n", "\r", "\t", "\x00", "\u2028", ",", "\x7f", "=1"])
    | st.text(max_size=3),
    max_size=9,
).map("".join)


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("columns", [1, 2])
@settings(max_examples=100)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_fields_are_quoted_as_pythons_own_writer_quotes_them(
    format: str, delimiter: str, columns: int, rows: list[tuple[str | None, str | None]]
) -> None:
    names, cells = ["text", "b\r"][:columns], [row[:columns] for row in rows]
    table = pa.table([pa.array([row[place] for row in cells], pa.string()) for place in range(columns)], names=names)
    lines: list[str] = []
    file = SimpleNamespace(write=lines.append)
    csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerows([names, *cells])
    assert written(table, format).decode() == "".join(line.removesuffix("\r\n") + "\n" for line in lines)


def test_formulas_are_escaped_on_request() -> None:
    cells = ["=1+1", "+1", "-2.5", "-x", "@SUM(A1)", "\t=1", "\r=1", "1e5", "-1e-5", "a=1", "", None, "-", "+49 30 1"]
    table = pa.table({"=text": pa.array(cells, pa.string()), "n": list(range(-7, 7))})
    rows = list(csv.reader(io.StringIO(written(table, "csv", safe=True).decode(), newline="")))
    assert rows[0] == ["'=text", "n"]
    assert [row[0] for row in rows[1:]] == [
        "'=1+1", "+1", "-2.5", "'-x", "'@SUM(A1)", "'\t=1", "'\r=1", "1e5", "-1e-5", "a=1", "", "", "'-", "'+49 30 1",
    ]  # fmt: skip
    assert [row[1] for row in rows[1:]] == [str(n) for n in range(-7, 7)]
    plain = list(csv.reader(io.StringIO(written(table, "csv").decode(), newline="")))
    assert plain[1][0] == "=1+1"


def test_jsonl_values() -> None:
    table = pa.table(
        {
            "f": pa.array([0.9, None], pa.float32()),
            "nan": [float("nan"), float("inf")],
            "big": [2**63 - 1, -(2**63)],
            "at": pa.array([0, None], pa.timestamp("ns")),
            "money": [Decimal("1.50"), None],
            "blob": [b"ab", None],
            "list": [[1, None], []],
            "dict": pa.array(["a", None]).dictionary_encode(),
        }
    )
    first, second = (json.loads(line) for line in written(table, "jsonl").splitlines())
    assert first["f"] == 0.9
    assert (first["nan"], second["nan"]) == (None, None)
    assert (first["big"], second["big"]) == (2**63 - 1, -(2**63))
    assert first["at"].startswith("1970-01-01 00:00:00")
    assert (first["money"], first["blob"], first["list"], first["dict"]) == ("1.50", "YWI=", [1, None], "a")
    assert second["dict"] is None
    assert list(first) == table.schema.names


def test_packed_files_hold_no_time_and_no_name() -> None:
    data = written(pa.table({"a": ["x"]}), "csv.gz")
    assert data[3:8] == b"\0\0\0\0\0"  # no flags, no time
    assert gzip.decompress(data) == b"a\nx\n"


def test_two_columns_of_one_name_cannot_be_json() -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"])
    with pytest.raises(UsageError, match="two columns are named 'a'"):
        written(table, "jsonl")
    assert written(table, "csv") == b"a,a\nx,y\n"


def test_names_that_stand_twice_are_refused_before_the_work(tmp_path: Path, tiny_bundle: Path) -> None:
    texts, notes = pa.array(["fine"]), pa.array(["a"])
    struct = pa.StructArray.from_arrays([notes, notes], ["b", "b"])
    columns = {"columns": [notes, notes], "structs": [struct, pa.ListArray.from_arrays([0, 1], struct)]}
    for what, formats in (("columns", ["jsonl"]), ("structs", ["jsonl", "csv"])):
        table = pa.Table.from_arrays([texts, *columns[what]], names=["text", "a", "a" if what == "columns" else "c"])
        pq.write_table(table, tmp_path / "in.parquet")
        for format in formats:
            with pytest.raises(UsageError, match=r"two (columns are|fields) named '[ab]', which JSON cannot hold"):
                score_file(tmp_path / "in.parquet", tmp_path / f"out.{format}", model=str(tiny_bundle))
        score_file(tmp_path / "in.parquet", tmp_path / "out.parquet", model=str(tiny_bundle), overwrite=True)
        assert pq.ParquetFile(tmp_path / "out.parquet").read().columns[:3] == table.columns
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]


def in_lists(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


def far(kind: pa.DataType) -> pa.Array:
    return pa.array([2**62, 5, None], pa.int64()).cast(kind)


UUIDS = pa.array([bytes(16), b"\xff" * 16, None], pa.uuid())
JSONS = pa.array(['{"a": 1}', "1", None], pa.json_(pa.string()))
TENSORS = pa.ExtensionArray.from_storage(
    pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2], [3, 4], None], pa.list_(pa.int32(), 2))
)
UUID_TEXTS = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", None]
STRINGS, BYTES = pa.array(["ab", "é", None]), pa.array([b"ab", b"\xff", None])
FAR_DATES = pa.array([2**30, 5, None], pa.int32()).view(pa.date32())
MARS = pa.array([0, 1, None], pa.timestamp("ms", "Mars/Phobos"))
MARS_TEXTS = ["1970-01-01 00:00:00.000Z", "1970-01-01 00:00:00.001Z", None]

UNUSUAL: dict[str, tuple[pa.Array, list[object]]] = {
    "UUID": (UUIDS, UUID_TEXTS),
    "list of UUID": (in_lists(UUIDS), [[text] for text in UUID_TEXTS]),
    "struct of UUID": (pa.StructArray.from_arrays([UUIDS], ["u"]), [{"u": text} for text in UUID_TEXTS]),
    "JSON": (JSONS, ['{"a": 1}', "1", None]),
    "struct of JSON": (pa.StructArray.from_arrays([JSONS], ["j"]), [{"j": '{"a": 1}'}, {"j": "1"}, {"j": None}]),
    "tensor": (TENSORS, [[1, 2], [3, 4], None]),
    "list of tensors": (in_lists(TENSORS), [[[1, 2]], [[3, 4]], [None]]),
    "string view": (STRINGS.cast(pa.string_view()), ["ab", "é", None]),
    "list of string views": (in_lists(STRINGS.cast(pa.string_view())), [["ab"], ["é"], [None]]),
    "binary view": (BYTES.cast(pa.binary_view()), ["YWI=", "/w==", None]),
    "list of binary views": (in_lists(BYTES.cast(pa.binary_view())), [["YWI="], ["/w=="], [None]]),
    "dictionary of binary": (BYTES.dictionary_encode(), ["YWI=", "/w==", None]),
    "unknown zone": (MARS, MARS_TEXTS),
    "list of unknown zone": (in_lists(MARS), [[text] for text in MARS_TEXTS]),
    "list of far times": (
        in_lists(far(pa.timestamp("us"))),
        [[f"<value out of range: {2**62}>"], ["1970-01-01T00:00:00.000005"], [None]],
    ),
    "struct of far dates": (
        pa.StructArray.from_arrays([FAR_DATES], ["d"]),
        [{"d": f"<value out of range: {2**30}>"}, {"d": "1970-01-06"}, {"d": None}],
    ),
    "list of long durations": (in_lists(far(pa.duration("s"))), [[str(2**62)], ["0:00:05"], [None]]),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_columns(tmp_path: Path, name: str) -> None:
    """The same values in CSV and JSONL, the same column in Parquet, however the rows are cut."""
    column, expected = UNUSUAL[name]
    pq.write_table(pa.table({"c": column}), tmp_path / "in.parquet")
    table = pa.concat_tables(open_source(tmp_path / "in.parquet").tables(10))
    assert table.schema.field("c").type == column.type
    back = pq.read_table(io.BytesIO(written(table, "parquet")))
    assert back.schema.equals(table.schema)
    assert back.equals(table)
    assert [json.loads(line)["c"] for line in written(table, "jsonl").splitlines()] == expected
    cells = [row[0] for row in csv.reader(io.StringIO(written(table, "csv").decode(), newline=""))][1:]
    texts = [
        cell if isinstance(value, str) else json.loads(cell or "null")
        for cell, value in zip(cells, expected, strict=True)
    ]
    assert texts == expected
    for format in ("parquet", "csv", "jsonl"):
        assert written(table, format, rows=1) == written(table, format, rows=3)


def test_views_of_text_are_scored(tmp_path: Path, tiny_bundle: Path) -> None:
    table = pa.table({"text": pa.array(["good film", "é", None], pa.string_view())})
    pq.write_table(table, tmp_path / "in.parquet")
    score_file(tmp_path / "in.parquet", tmp_path / "out.parquet", model=str(tiny_bundle))
    assert pq.read_table(tmp_path / "out.parquet", columns=["text"]).equals(table)


def test_a_writer_that_is_left_with_an_error_does_not_touch_the_file() -> None:
    table = pa.table({"a": ["x"]})
    for format in FORMATS:
        file = io.BytesIO()
        opened = open_writer(file, OutputFormat.of("x", format), table.schema)
        opened.__enter__().write(table)
        assert not opened.__exit__(KeyError, KeyError(), None)
        file.close()


@pytest.mark.parametrize(
    ("name", "chosen", "kind", "compression"),
    [
        ("a.PARQUET", None, "parquet", ""),
        ("a.pq", None, "parquet", ""),
        ("a.b.csv.gz", None, "csv", "gzip"),
        ("a.ndjson.zst", None, "jsonl", "zstd"),
        ("a.txt", "tsv", "tsv", ""),
        ("a.txt.gz", "csv", "csv", "gzip"),
        ("-", "csv.zst", "csv", "zstd"),
    ],
)
def test_formats(name: str, chosen: str | None, kind: str, compression: str) -> None:
    assert OutputFormat.of(name, chosen) == OutputFormat(kind, compression)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("a.txt", None), ("a", None), ("a.gz", None), ("a.parquet.gz", None), ("a.csv", "xls"), ("a", "csv.rar")],
)
def test_formats_that_cannot_be(name: str, chosen: str | None) -> None:
    with pytest.raises(UsageError):
        OutputFormat.of(name, chosen)

"""Parquet: damaged, lying and unusual files."""

from __future__ import annotations

import io
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import InputError
from scorer.files.opening import open_source
from scorer.files.parquet_source import ParquetSource
from scorer.files.source import ReadOptions
from tests.helpers.processes import PEAK, environment, needs_peak

REJECT = ReadOptions(on_bad_row="reject")


def bad_strings(values: list[bytes]) -> pa.Array:
    return pa.Array.from_buffers(pa.string(), len(values), pa.array(values, pa.binary()).buffers())


def written(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


@pytest.fixture
def table() -> pa.Table:
    return pa.table(
        {
            "text": [f"row {n} é" for n in range(50)],
            "n": list(range(50)),
            "kind": pa.array(["a", "b", None, "c", "d"] * 10).dictionary_encode(),
            "tags": [["x", None], [], None, ["é"], ["z"]] * 10,
        }
    )


@pytest.mark.parametrize("start", [0, 1, 3, 6, 7, 8])
def test_starting_at_a_later_chunk_gives_the_same_chunks(tmp_path: Path, table: pa.Table, start: int) -> None:
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=9)
    source = open_source(tmp_path / "a.parquet")
    expected, found = list(source.chunks(7))[start:], list(source.chunks(7, start=start))
    assert found == expected
    assert pa.concat_tables(c.rows for c in source.chunks(7)).to_pylist() == table.to_pylist()
    for mine, other in zip(found, expected, strict=True):
        assert mine.rows.schema == other.rows.schema == table.schema
        # Equal in form too: pieces and dictionaries would show in what is written.
        assert all(column.num_chunks == 1 for column in (*mine.rows.columns, *other.rows.columns))
        assert written(mine.rows) == written(other.rows)


def in_lists(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


@pytest.mark.parametrize(
    "kind",
    ["plain", "struct", "list", "dictionary", "list of dictionary", "json", "list of json", "view", "list of views"],
)
@pytest.mark.parametrize("name", ["text", "other"])
def test_strings_that_are_not_utf8_are_bad_rows(tmp_path: Path, name: str, kind: str) -> None:
    column = strings = bad_strings([b"a", b"\xff", b"c", b"\xed\xa0\x80", b"e"])
    if "dictionary" in kind:
        column = strings.dictionary_encode()
    if "json" in kind:
        column = pa.ExtensionArray.from_storage(pa.json_(), strings)
    if kind.startswith("list"):
        column = in_lists(column)
    if kind == "struct":
        column = pa.StructArray.from_arrays([strings], ["s"])
    if "view" in kind:
        places, ones = pa.array(range(5), pa.int32()), pa.array([1] * 5, pa.int32())
        column = (
            strings.cast(pa.string_view()) if kind == "view" else pa.ListViewArray.from_arrays(places, ones, strings)
        )
    pq.write_table(pa.table({name: column, "n": range(5)}), tmp_path / "a.parquet", row_group_size=2)
    chunks = list(open_source(tmp_path / "a.parquet", REJECT).chunks(3))
    assert [n for c in chunks for n in c.rows["n"].to_pylist()] == [0, 2, 4]
    assert [(r.row, r.reason) for c in chunks for r in c.rejects] == [
        (row, f"column {name!r} holds bytes that are not UTF-8") for row in (2, 4)
    ]
    with pytest.raises(InputError, match=rf"a\.parquet: row 2: column '{name}' holds bytes"):
        list(open_source(tmp_path / "a.parquet").chunks(3))


def test_no_rows(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table.slice(0, 0), tmp_path / "a.parquet")
    source = open_source(tmp_path / "a.parquet")
    assert source.schema == table.schema
    assert list(source.chunks(3)) == []


def test_an_encrypted_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PARE" + bytes(100) + b"PARE")
    with pytest.raises(InputError, match="is encrypted"):
        open_source(tmp_path / "a.parquet")


def footer_of(content: bytes) -> tuple[int, bytes]:
    size = int.from_bytes(content[-8:-4], "little")
    return len(content) - 8 - size, content[-8 - size : -8]


def counted(path: Path) -> int | None:
    """Rows that are delivered, or ``None`` where the file is refused."""
    try:
        return sum(chunk.n_input_rows for chunk in open_source(path).chunks(10))
    except InputError:
        return None


def test_a_footer_that_counts_otherwise(tmp_path: Path) -> None:
    """The count stands in the footer as a zigzag varint, once for the file and once for its row group."""
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["abc"] * 57}), file)
    content = file.getvalue()
    start, footer = footer_of(content)
    places = [place for place, byte in enumerate(footer) if byte == 2 * 57]
    outcomes = []
    for place in places:
        changed = bytearray(content)
        changed[start + place] = 2 * 56
        path = tmp_path / "a.parquet"
        path.write_bytes(changed)
        outcomes.append(counted(path))
    assert 56 not in outcomes
    assert outcomes.count(None) >= 2


def test_flipped_bits_and_cuts_never_crash(tmp_path: Path, table: pa.Table) -> None:
    """In a process of its own, since what is feared is a signal."""
    pq.write_table(table, tmp_path / "good.parquet", row_group_size=20, write_page_checksum=True)
    program = """
import random, sys
from scorer.errors import InputError
from scorer.files.opening import open_source
from scorer.files.parquet_source import ParquetSource
content = open(sys.argv[1], "rb").read()
expected = [row for t in open_source(sys.argv[1]).tables(7) for row in t.to_pylist()]
found = harmless = 0
chance = random.Random(5)
for trial in range(600):
    changed = bytearray(content)
    place = chance.randrange(len(content))
    if trial % 6:
        changed[place] ^= 1 << chance.randrange(8)
    else:
        del changed[place:]
    with open(sys.argv[2], "wb") as file:
        file.write(changed)
    try:
        rows = [row for t in open_source(sys.argv[2]).tables(7) for row in t.to_pylist()]
        harmless += rows == expected
    except InputError as error:
        assert str(error).startswith(sys.argv[2]) and "\\n" not in str(error), error
        found += 1
print(found, harmless)
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "good.parquet"), str(tmp_path / "bad.parquet")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found, _harmless = map(int, done.stdout.split())
    assert found > 300


def test_pages_that_unpack_to_far_more(tmp_path: Path) -> None:
    """A small file of 20,000 rows of one text of a mebibyte: a dictionary holds it once, memory would 20,000 times."""
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string())])) as writer:
        for _ in range(4):
            writer.write_table(pa.table({"text": ["x" * 2**20] * 100}))
    assert (tmp_path / "a.parquet").stat().st_size < 2**20
    options = ReadOptions(max_chunk_bytes=64 * 2**20)
    with pytest.raises(InputError, match=r"decompress to more than 64 MiB a chunk; lower --chunk-rows"):
        list(open_source(tmp_path / "a.parquet", options).chunks(400))
    assert len(list(open_source(tmp_path / "a.parquet", options).chunks(20))) == 20


def repeated(kind: str, n_rows: int) -> pa.Table:
    """Rows that all have the one value of a mebibyte that a dictionary holds."""
    value = '"' + "x" * 2**20 + '"'
    column = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), [value])
    if kind == "list":
        column = in_lists(column)
    if kind == "struct":
        column = pa.StructArray.from_arrays([column], ["s"])
    return pa.table({"text": ["fine"] * n_rows, "x": column})


KINDS = ["dictionary", "plain", "list", "struct"]


@needs_peak
def test_bombs_take_little_memory(tmp_path: Path) -> None:
    """A value that a file has once and every row has: 2,000 MiB in under 100 KiB."""
    for kind in KINDS:
        pq.write_table(repeated(kind, 2000), tmp_path / f"{kind}.parquet", store_schema=kind == "dictionary")
        assert (tmp_path / f"{kind}.parquet").stat().st_size < 100_000
    program = f"""{PEAK}
import sys
from scorer.errors import InputError
from scorer.files.opening import ReadOptions, open_source
for path in sys.argv[1:]:
    try:
        list(open_source(path, ReadOptions(max_file_bytes=50_000_000)).chunks(2048))
    except InputError as error:
        print(error)
print(peak())
"""
    paths = [str(tmp_path / f"{kind}.parquet") for kind in KINDS]
    done = subprocess.run(
        [sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True, env=environment()
    )
    *said, kib = done.stdout.splitlines()
    assert said == [
        f"{path}: holds more than 50,000,000 bytes; raise `max_file_bytes` if that is right, or split the file"
        for path in paths
    ]
    assert int(kib) < 500 * 2**10  # some 390 MiB; what the allocator keeps varies by a few


def test_what_unpacks_to_far_more_than_its_size_is_refused_by_default(tmp_path: Path) -> None:
    pq.write_table(repeated("dictionary", 2000), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="200 times its size and over 1 GiB, as decompression bombs do; pass --max-"):
        list(open_source(tmp_path / "a.parquet").chunks(2048))
    options = ReadOptions(max_file_bytes=2**31)
    assert sum(chunk.n_input_rows for chunk in open_source(tmp_path / "a.parquet", options).chunks(2048)) == 2000


def test_a_footer_that_claims_too_much_is_refused_at_once(tmp_path: Path, table: pa.Table) -> None:
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="holds more than 100 bytes; raise --max-file-bytes"):
        open_source(tmp_path / "a.parquet", ReadOptions(max_file_bytes=100))


@pytest.mark.parametrize("kind", KINDS)
def test_long_values_that_are_repeated_come_as_they_are(tmp_path: Path, kind: str) -> None:
    """Read as dictionaries and unpacked a piece at a time, between values that are no strings."""
    expected = pa.concat_tables([repeated(kind, 70), repeated(kind, 1).take(pa.array([0, None])), repeated(kind, 3)])
    expected = expected.append_column("tags", pa.array([[{"a": "é", "v": None}], None, []] * 25))
    expected = expected.append_column("view", pa.array(["a", None, "c", "d", "e"] * 15, pa.string_view()))
    expected = expected.append_column("maps", pa.array([[("k", b"\xff")], None, []] * 25, pa.map_("string", "binary")))
    pq.write_table(expected, tmp_path / "a.parquet", row_group_size=73)
    source = open_source(tmp_path / "a.parquet")
    chunks = [chunk.rows for chunk in source.chunks(30)]
    assert [chunk.schema for chunk in chunks] == [source.schema] * 3
    assert pa.concat_tables(chunks).to_pylist() == expected.to_pylist()
    assert [c.rows for c in source.chunks(30, ["maps", "x"])] == [chunk.select(["maps", "x"]) for chunk in chunks]


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("columns", [None, ["id"], ["text"], ["tags"]])
def test_delta_encoded_strings(tmp_path: Path, encoding: str, columns: list[str] | None) -> None:
    path = tmp_path / "delta.parquet"
    texts = [f"review {row} é" if row % 7 else None for row in range(5000)]
    table = pa.table({"id": range(5000), "text": texts, "tags": [[f"t{row % 3}"] * (row % 4) for row in range(5000)]})
    encodings = {"text": encoding, "tags.list.element": encoding}
    pq.write_table(table, path, use_dictionary=False, column_encoding=encodings, row_group_size=1500)
    chunks = open_source(path).chunks(700, columns)
    read = pa.concat_tables([chunk.rows for chunk in chunks])
    assert read.to_pydict() == table.select(columns or table.column_names).to_pydict()


def test_files_of_duckdb_version_two(tmp_path: Path) -> None:
    path = tmp_path / "v2.parquet"
    query = "SELECT range AS id, 'review ' || range AS text, ['a' || range % 5, 'b'] AS tags FROM range(300000)"
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet, PARQUET_VERSION v2)")
    read = pa.concat_tables([chunk.rows for chunk in open_source(path).chunks(2048)])
    assert read.to_pydict() == duckdb.sql(query).to_arrow_table().to_pydict()


def test_strings_that_leave_their_dictionary_within_a_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As parquet-mr's writer of version 2 does: pyarrow can read the first of them as a dictionary alone."""
    path = tmp_path / "mixed.parquet"
    table = pa.table({"tags": [[f"tag {row}", "b"] for row in range(3000)]})
    pq.write_table(table, path)
    real = ParquetSource._read

    def leaves(
        self: ParquetSource, group: int, columns: Any, rows: int, places: Sequence[int] = (), **options: Any
    ) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(real(self, group, columns, rows, places, **options)):
            if number == 1 and places:
                raise OSError("Not yet implemented: DecodeArrow of DictAccumulator for DeltaByteArrayDecoder.")
            yield batch

    monkeypatch.setattr(ParquetSource, "_read", leaves)
    read = pa.concat_tables([chunk.rows for chunk in open_source(path).chunks(500)])
    assert read.to_pydict() == table.to_pydict()


def test_a_name_that_is_not_utf8(tmp_path: Path, table: pa.Table) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.parquet")
    try:
        Path(path).write_bytes(written(table))
    except OSError:
        pytest.skip("this file system has no such names")
    assert sum(chunk.n_input_rows for chunk in open_source(path).chunks(20)) == 50


def test_a_folder_of_random_bytes(tmp_path: Path) -> None:
    chance = random.Random(3)
    for size in (1, 3, 4, 7, 8, 11, 12, 100, 5000):
        path = tmp_path / "a.parquet"
        path.write_bytes(chance.randbytes(size))
        with pytest.raises(InputError):
            open_source(path)
        path.write_bytes(b"PAR1" + chance.randbytes(size) + b"PAR1")
        with pytest.raises(InputError):
            open_source(path)

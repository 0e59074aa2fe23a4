"""A review of many megabytes is carried as bytes: the same output, and few copies at once."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scorer.files.huge_texts
import scorer.files.strict_json
from scorer.files.formats import OutputFormat
from scorer.files.huge_texts import is_utf8, pieces_of, rows_of_huge_texts
from scorer.files.opening import open_source, open_writer
from scorer.files.strict_json import parse_line
from tests.helpers.processes import CODE_WITH_PEAK, environment

TEXTS = st.lists(
    st.sampled_from(["a", "é", "中", "😀", " ", '"', "\\", "\n", "\r", "\t", "\x00", "\u2028", "</", ",", "\x7f", "=1"])
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer.files.huge_texts, "HUGE_BYTES", 9)
    monkeypatch.setattr(scorer.files.huge_texts, "PIECE_BYTES", 5)
    monkeypatch.setattr(scorer.files.strict_json, "HUGE_BYTES", 9)
    monkeypatch.setattr(scorer.files.strict_json, "PIECE_BYTES", 5)


def written(table: pa.Table, kind: str, path: Path, *, csv_safe: bool = False) -> bytes:
    with path.open("wb") as file, open_writer(file, OutputFormat(kind, csv_safe=csv_safe), table.schema) as writer:
        writer.write(table)
        writer.finish()
    return path.read_bytes()


@pytest.mark.usefixtures("nothing_is_small")
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@settings(max_examples=200)
@given(rows=st.lists(st.tuples(st.integers(), st.none() | TEXTS, TEXTS), max_size=6), csv_safe=st.booleans())
def test_huge_texts_are_written_as_others_are(
    tmp_path_factory: pytest.TempPathFactory, kind: str, rows: list[tuple[int, str | None, str]], csv_safe: bool
) -> None:
    folder = tmp_path_factory.mktemp("written")
    numbers, texts, others = ([row[place] for row in rows] for place in range(3))
    schema = pa.schema([("n", pa.decimal128(38)), ("text", pa.string()), ("b", pa.large_string())])
    table = pa.table([[number % 10**9 for number in numbers], texts, others], schema=schema)
    found = written(table, kind, folder / "a", csv_safe=csv_safe and kind != "jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer.files.huge_texts, "HUGE_BYTES", 10**6)
        assert written(table, kind, folder / "b", csv_safe=csv_safe and kind != "jsonl") == found


@pytest.mark.usefixtures("nothing_is_small")
@settings(max_examples=300)
@given(text=TEXTS, other=TEXTS, ascii_only=st.booleans(), cut=st.integers(0, 80), piece=st.sampled_from([5, 17, 40]))
def test_huge_texts_are_parsed_as_others_are(text: str, other: str, ascii_only: bool, cut: int, piece: int) -> None:
    value = {"a": text, "n": [1, {"b": other}], other[:4]: other, "z": None}
    line = json.dumps(value, ensure_ascii=ascii_only).encode()
    for bad in (line, line[:cut], line[:cut] + line[cut + 1 :], line.replace(b"\\u", b"\\ud8", 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scorer.files.strict_json, "HUGE_BYTES", 10**6)
            expected = parse_line(bad)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scorer.files.strict_json, "PIECE_BYTES", piece)
            found = parse_line(bad)
        if isinstance(found, dict):
            found = {key: item.decode() if isinstance(item, bytearray) else item for key, item in found.items()}
        assert found == expected


@pytest.mark.parametrize("place", ["key", "inside"])
def test_a_huge_text_that_is_no_value_of_the_row(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer.files.strict_json, "HUGE_BYTES", 9)
    huge = "huge text 0-0" * 3
    value = {huge: 1} if place == "key" else {"a": {"b": huge}, "text": huge}
    assert parse_line(orjson.dumps(value)) == value


@pytest.mark.usefixtures("nothing_is_small")
@settings(max_examples=200)
@given(text=TEXTS)
def test_pieces_are_whole_characters(text: str) -> None:
    data = text.encode()
    pieces = list(pieces_of(memoryview(data)))
    assert "".join(str(piece, "utf-8") for piece in pieces) == text
    assert all(len(piece) <= 5 for piece in pieces)
    for place in range(len(data)):
        assert is_utf8(memoryview(data[:place])) == (data[:place].decode(errors="ignore").encode() == data[:place])


@pytest.mark.usefixtures("nothing_is_small")
def test_only_huge_texts_of_strings_are_bytes() -> None:
    texts = ["short", None, "a long text", "", "ein längerer"]
    column = pa.chunked_array([texts[:2], texts[2:]])
    assert rows_of_huge_texts(column) == [2, 4]
    assert rows_of_huge_texts(pa.chunked_array([[b"a long text"]])) == []
    assert rows_of_huge_texts(pa.chunked_array([[10**12]])) == []


N_BYTES = 50_000_000
REVIEWS = {
    "words": "It was “good”, said the old man; a warm film\n" * (N_BYTES // 48),
    "emoji": "a warm film 😀 " * (N_BYTES // 17),
    "letters": "a" * N_BYTES,
}


def peak_mib(folder: Path, bundle: Path, text: str, source: str, output: str) -> int:
    rows = [("1", "A warm film."), ("2", text), ("3", "bad")]
    if source == "parquet":
        columns = dict(zip(("id", "text"), map(list, zip(*rows, strict=True)), strict=True))
        pq.write_table(pa.table(columns), folder / "in.parquet")
    elif source == "csv":
        with (folder / "in.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([("id", "text"), *rows])
    else:
        lines = (orjson.dumps({"id": number, "text": review}) + b"\n" for number, review in rows)
        (folder / "in.jsonl").write_bytes(b"".join(lines))
    command = [sys.executable, "-c", CODE_WITH_PEAK, f"in.{source}", "-o", output, "--model", str(bundle), "-q"]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=True)
    return int(done.stdout) >> 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(
    ("name", "source", "output"),
    [
        ("words", "parquet", "parquet"),
        ("emoji", "csv", "csv"),
        ("emoji", "jsonl", "jsonl"),
        ("letters", "csv", "jsonl"),
    ],
)
def test_a_run_over_fifty_megabytes_takes_less_than_500(
    name: str, source: str, output: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    found = peak_mib(tmp_path, tiny_bundle, REVIEWS[name], source, f"out.{output}")
    assert found < 500
    chunks = open_source(tmp_path / f"out.{output}").chunks(2048)
    rows = pa.concat_tables([chunk.rows for chunk in chunks])
    assert rows.column("text").to_pylist() == ["A warm film.", REVIEWS[name], "bad"]
    assert rows.column("pred_status").to_pylist() == ["ok", "ok" if name == "letters" else "truncated", "ok"]
    assert re.fullmatch("positive|negative", rows.column("pred_label").to_pylist()[1])

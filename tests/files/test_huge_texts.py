"""A review of many megabytes: the same output, and few copies at once."""

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

import scorer.files.strict_json
from scorer.files.opening import open_source
from scorer.files.strict_json import parse_line
from tests.helpers.processes import CODE_WITH_PEAK, environment

TEXTS = st.lists(
    st.sampled_from(["a", "é", "中", "😀", " ", '"', "\\", "\n", "\r", "\t", "\x00", "\u2028", "</", ",", "\x7f", "=1"])
    | st.text(max_size=3),
    max_size=30,
).map("".join)


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer.files.strict_json, "HUGE_BYTES", 9)
    monkeypatch.setattr(scorer.files.strict_json, "_PIECE_BYTES", 5)


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
            patch.setattr(scorer.files.strict_json, "_PIECE_BYTES", piece)
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
def test_a_run_over_fifty_megabytes_takes_less_than_800(
    name: str, source: str, output: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    found = peak_mib(tmp_path, tiny_bundle, REVIEWS[name], source, f"out.{output}")
    assert found < 800  # some 200 of them without that review
    chunks = open_source(tmp_path / f"out.{output}").chunks(2048)
    rows = pa.concat_tables([chunk.rows for chunk in chunks])
    assert rows.column("text").to_pylist() == ["A warm film.", REVIEWS[name], "bad"]
    assert rows.column("pred_status").to_pylist() == ["ok", "ok" if name == "letters" else "truncated", "ok"]
    assert re.fullmatch("positive|negative", rows.column("pred_label").to_pylist()[1])

"""The cost of an output on the disk: bytes at the peak, and calls that wait for the disk or change a folder."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.conftest import Call
from tests.helpers.faults import require_strace
from tests.helpers.processes import CODE, base_environment

WORDS = ("the", "a", "film", "lamp", "soup", "good", "bad", "warm", "dull", "never", "again", "works", "broke", "and")

CHUNKS = 4
CHUNK_ROWS = 1500

COSTLY = ("fsync", "fdatasync", "unlink", "unlinkat")


def reviews(words: int) -> pa.Table:
    """Reviews of about so many words, none like another."""
    draw = random.Random(words)
    rows = range(CHUNKS * CHUNK_ROWS)
    texts = [
        " ".join(f"{draw.choice(WORDS)}{draw.randrange(1000)}" for _ in range(draw.randint(1, 2 * words))) for _ in rows
    ]
    return pa.table({"id": list(rows), "text": texts, "stars": [row % 5 + 1 for row in rows]})


def write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, compression="zstd")
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()), encoding="utf-8")


@pytest.mark.parametrize("words", [8, 60])
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_the_disk_holds_little_more_than_the_output(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: int
) -> None:
    write(reviews(words), tmp_path / f"reviews.{kind}")
    folder = tmp_path / "out"
    folder.mkdir()
    held = []
    replace = Path.replace

    def replace_and_measure(self: Path, target: Path) -> Path:
        """Each file takes its place by this: a part when it is whole, the output when all else is there."""
        files = {path.stat().st_ino: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        held.append(sum(files.values()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_and_measure)
    options = ["--chunk-rows", CHUNK_ROWS, "--max-length", 8, "--overwrite", "-q"]
    for most in (1.6, 2.6):  # new, then replaced
        held.clear()
        code, _, err = call_score(f"reviews.{kind}", "-o", f"out/preds.{kind}", *options)
        assert (code, err) == (0, "")
        assert len(held) >= CHUNKS
        assert max(held) <= most * (folder / f"preds.{kind}").stat().st_size


BAD_ROW = "a row that is rejected\n"

REPORTS = ("--metrics-file", "m.prom", "--summary", "s.json")


@pytest.mark.parametrize(
    ("kind", "bad_rows", "options"),
    [
        ("parquet", (BAD_ROW, BAD_ROW), ()),
        ("csv", ("", ""), ()),
        ("csv.gz", (BAD_ROW, BAD_ROW), REPORTS),
        ("jsonl", (BAD_ROW, ""), REPORTS),
    ],
)
@pytest.mark.parametrize("output", ["out.", "folder"])
def test_a_tiny_file_waits_for_the_disk_at_most_six_times(
    tiny_bundle: Path, tmp_path: Path, kind: str, bad_rows: tuple[str, str], options: tuple[str, ...], output: str
) -> None:
    require_strace()
    inputs = tmp_path / "in"
    inputs.mkdir()
    names = ("in", "-o", "folder", "--output-format", kind)
    if output != "folder":
        names = ("in/one.jsonl", "-o", f"out.{kind}", "--overwrite")
    command = [sys.executable, "-c", CODE, *names, "--model", str(tiny_bundle), "--on-bad-row", "reject", *options]
    for text, bad_row in zip(("a warm film", "a dull film"), bad_rows, strict=True):  # new, then replaced
        (inputs / "one.jsonl").write_text(f'{{"id":1,"text":"{text}"}}\n{bad_row}')
        subprocess.run(
            ["strace", "--seccomp-bpf", "-f", "-qq", "-o", "calls", "-e", f"trace={','.join(COSTLY)}", *command, "-q"],
            cwd=tmp_path, env=base_environment(), check=True,
        )  # fmt: skip
        lines = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
        calls = Counter(found[1] for line in lines if (found := re.match(r"\d+ +(\w+)\(", line)))
        assert 1 <= calls["fsync"] + calls["fdatasync"] <= 6, lines
        assert 1 <= calls["unlink"] + calls["unlinkat"] <= 6, lines
        assert len(list(tmp_path.rglob("*.rejects.jsonl"))) == bool(bad_row)
    assert len(list(tmp_path.glob("[ms].*"))) == len(options) / 2

"""Predictions taken from earlier outputs: the same bytes as a full run, and never those of another text or model."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import scorer.job.known_scores
from scorer import score_file
from scorer.files.formats import OutputFormat
from scorer.files.opening import open_writer
from scorer.job.known_scores import KnownScores
from scorer.model.scoring import Scorer
from tests.conftest import Call
from tests.helpers.forks import Forks
from tests.helpers.processes import CODE

FORMATS = ("a.parquet", "a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.jsonl.zst")


def reviews(n: int, *, start: int = 0) -> pa.Table:
    """Texts of every status, some twice, with what CSV has to quote."""
    texts: list[str | None] = []
    for k in range(start, start + n):
        text = f'A warm film {k % 90}, "good"\n' + "loud and dull " * (k % 5)
        texts.append(None if k % 37 == 1 else "  " if k % 41 == 1 else text * (60 if k % 29 == 0 else 1))
    return pa.table({"id": [f"{k:04d}" for k in range(start, start + n)], "text": texts})


def write(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file, open_writer(file, OutputFormat.of(path.name), table.schema) as writer:
        writer.write(table)
        writer.finish()


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".score.")
    }


def reused(folder: Path) -> int:
    return int(json.loads((folder / "summary.json").read_text())["rows_reused"])


@pytest.mark.parametrize("extra", [(), ("--long-text", "window", "--max-length", "16", "--columns", "text")])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_grew_gives_the_bytes_of_a_full_run(
    call_score: Call, tmp_path: Path, name: str, extra: tuple[str, ...]
) -> None:
    (tmp_path / "in").mkdir()
    write(reviews(300), tmp_path / "in" / name)
    assert call_score("in/", "-o", "out/", "--chunk-rows", "50", *extra)[0] == 0
    write(
        pa.concat_tables([reviews(9, start=500), reviews(300).slice(20), reviews(6, start=80)]), tmp_path / "in" / name
    )
    code, _, err = call_score("in/", "-o", "out/", "--summary", "summary.json", *extra)
    assert code == 0
    assert f"{reused(tmp_path)} reused" in err
    assert "scored again for a changed input" in err
    assert 250 < reused(tmp_path) < 295
    assert call_score("in/", "-o", "full/", "--no-reuse", "--summary", "summary.json", *extra)[0] == 0
    assert reused(tmp_path) == 0
    assert files(tmp_path / "out") == files(tmp_path / "full")


def test_bad_rows_stay_bad(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = ['{"text": "good film"}', '{"text": 7}', "no JSON", '{"text": ["good film"]}', '{"text": "7"}']
    (tmp_path / "in" / "a.jsonl").write_text("\n".join(lines) + "\n")
    for policy in ("reject", "keep"):
        assert call_score("in/", "-o", policy, "--on-bad-row", policy)[0] == 0
    (tmp_path / "in" / "a.jsonl").write_text("\n".join([*lines[::-1], '{"text": "new"}']) + "\n")
    for policy in ("reject", "keep"):
        assert call_score("in/", "-o", policy, "--on-bad-row", policy, "--summary", "summary.json")[0] == 0
        assert reused(tmp_path) == 2
        assert call_score("in/", "-o", f"full-{policy}", "--on-bad-row", policy)[0] == 0
        assert files(tmp_path / policy) == files(tmp_path / f"full-{policy}")


def test_outputs_of_any_format_by_name(call_score: Call, tmp_path: Path) -> None:
    for name in FORMATS:
        write(reviews(40, start=FORMATS.index(name) * 40), tmp_path / name)
        assert call_score(name, "-o", f"scored-{name}")[0] == 0
    write(reviews(250), tmp_path / "all.parquet")
    assert call_score("all.parquet", "-o", "full.parquet")[0] == 0
    named = [option for name in FORMATS for option in ("--reuse", f"scored-{name}")]
    assert call_score("all.parquet", "-o", "out.parquet", "--summary", "summary.json", *named)[0] == 0
    assert reused(tmp_path) > 200
    assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "full.parquet").read_bytes()
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "full.parquet", tmp_path / "folder")
    assert call_score("all.parquet", "-o", "again.csv", "--reuse", "folder", "--summary", "summary.json")[0] == 0
    assert reused(tmp_path) == int(
        pc.sum(pc.not_equal(pq.read_table(tmp_path / "full.parquet").column("pred_status"), "empty")).as_py()
    )


ANOTHER_MODEL = "it was made with another model, with other options of it or on another device"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--threshold", "0.9"), ANOTHER_MODEL),
        (("--precision", "fp32"), ANOTHER_MODEL),
        (("--max-length", "9"), ANOTHER_MODEL),
        (("--columns", "id"), "it does not hold the texts"),
        (("--csv-safe",), "--csv-safe may have changed its texts"),
        (("--batching", "tokens"), "it was made with --batching tokens"),
    ],
)
def test_what_cannot_be_reused_is_said_and_scored(
    call_score: Call, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    write(reviews(30), tmp_path / "a.csv")
    assert call_score("a.csv", "-o", "before.csv", *options)[0] == 0
    code, _, err = call_score("a.csv", "-o", "out.csv", "--reuse", "before.csv", "--summary", "summary.json")
    assert (code, f"before.csv: nothing is reused from it: {says}" in err) == (0, True), err
    assert reused(tmp_path) == 0


def test_an_output_of_another_processor_is_not_reused(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(reviews(30), tmp_path / "a.csv")
    assert call_score("a.csv", "-o", "before.csv")[0] == 0
    monkeypatch.setattr("scorer.job.chunk_work.processor_class", lambda: "x86_64 avx2")
    code, _, err = call_score("a.csv", "-o", "out.csv", "--reuse", "before.csv", "--summary", "summary.json")
    assert (code, reused(tmp_path), "another kind of processor" in err) == (0, 0, True)


def test_files_that_hold_no_predictions(call_score: Call, tmp_path: Path) -> None:
    write(reviews(30), tmp_path / "a.csv")
    write(reviews(30), tmp_path / "a.parquet")
    assert call_score("a.csv", "-o", "before.csv")[0] == 0
    text = (tmp_path / "before.csv").read_text()
    (tmp_path / "before.csv").write_text(text.replace("0.", "1.", 1))
    for name, says in [
        ("none.csv", "none.csv: no such file"),
        ("a.csv", "a.csv: has no provenance"),
        ("a.parquet", "a.parquet: has no provenance"),
        ("before.csv", "before.csv: has changed since it was published"),
        ("s3://bucket/before.csv", "--reuse reads outputs of this machine"),
    ]:
        code, _, err = call_score("a.csv", "-o", "out.csv", "--reuse", name)
        assert (code, says in err) == (3, True), err
        assert not (tmp_path / "out.csv").exists()


def test_a_replaced_output_that_was_damaged_gives_nothing(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(reviews(60), tmp_path / "in" / "a.parquet")
    assert call_score("in/", "-o", "out/")[0] == 0
    data = bytearray((tmp_path / "out" / "a.parquet").read_bytes())
    data[len(data) // 3] ^= 1
    (tmp_path / "out" / "a.parquet").write_bytes(data)
    write(reviews(61), tmp_path / "in" / "a.parquet")
    code, _, err = call_score("in/", "-o", "out/", "--summary", "summary.json")
    assert (code, reused(tmp_path)) == (0, 0)
    assert "a.parquet: nothing is reused from it: has changed since it was published" in err
    assert call_score("in/", "-o", "full/")[0] == 0
    assert files(tmp_path / "out") == files(tmp_path / "full")


def test_padded_batches_reuse_by_name_alone_and_say_so(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write(reviews(60), tmp_path / "in" / "a.parquet")
    options = ("--batching", "tokens", "--summary", "summary.json")
    assert call_score("in/", "-o", "out/", *options)[0] == 0
    write(reviews(61), tmp_path / "in" / "a.parquet")
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    assert call_score("in/", "-o", "out/", *options)[0] == 0
    assert reused(tmp_path) == 0
    assert call_score("in/", "-o", "other/", "--reuse", "before", *options)[0] == 0
    metadata = pq.read_metadata(tmp_path / "other" / "a.parquet").metadata
    value = json.loads(metadata[b"review_scorer.provenance"])
    assert value["reused"]["rows"] == reused(tmp_path) > 50
    assert [one["name"] for one in value["reused"]["outputs"]] == ["a.parquet"]
    code, _, err = call_score("in/", "-o", "other/", *options)
    assert (code, "1 up to date" in err) == (0, True)


KILLED = f"""
import os, signal
from scorer.job.journal import UnfinishedWork
add = UnfinishedWork.add
def add_or_die(work, part):
    if len(work.records) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(work, part)
UnfinishedWork.add = add_or_die
{CODE}
"""


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_kill_in_between_changes_no_byte(
    call_score: Call, score_forks: Forks, tiny_bundle: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "in").mkdir()
    write(reviews(200), tmp_path / "in" / name)
    options = ("in/", "-o", "out/", "--chunk-rows", "25", "--model", str(tiny_bundle))
    assert call_score(*options)[0] == 0
    write(reviews(210, start=3), tmp_path / "in" / name)
    assert score_forks.run(KILLED, *options, folder=tmp_path).returncode == -signal.SIGKILL
    code, _, err = call_score(*options, "--summary", "summary.json")
    assert (code, "resuming after 75 rows" in err) == (0, True)
    assert reused(tmp_path) > 150  # those of the killed run included
    assert call_score("in/", "-o", "full/")[0] == 0
    assert files(tmp_path / "out") == files(tmp_path / "full")


@pytest.mark.parametrize("bytes_in_memory", [2**30, 0])
@pytest.mark.parametrize("n_labels", [2, 9])
def test_the_table_finds_what_was_added_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_in_memory: int, n_labels: int
) -> None:
    monkeypatch.setattr(scorer.job.known_scores, "_BYTES_IN_MEMORY", bytes_in_memory)
    monkeypatch.setattr(scorer.job.known_scores, "_RUN_ROWS", 700)
    draw = np.random.default_rng(3)
    texts = pa.array([f"text {k} " + "é" * (k % 5) for k in range(5_000)], pa.large_string())
    probabilities = draw.random((5_000, n_labels), np.float32)
    statuses = draw.integers(0, 3, 5_000).astype(np.int8)
    table = KnownScores(n_labels, tmp_path)
    for begin in range(0, 5_000, 450):
        table.add(texts[begin : begin + 450], probabilities[begin : begin + 450], statuses[begin : begin + 450])
    table.finish()
    assert len(table) == 5_000
    assert (table._file is not None) is (bytes_in_memory == 0 or n_labels == 9)
    assert not list(tmp_path.iterdir())  # a file without a name
    asked = pa.array([None, "text 4", "text 4999 " + "é" * 4, "text 17 éé", "", "text 5 "], pa.large_string())
    for offset in range(3):
        found = table.find(asked[offset:])
        expected = [place for place in (2, 3, 5) if place >= offset]
        assert (found.rows + offset).tolist() == expected
        known = {2: 4999, 3: 17, 5: 5}
        assert found.probabilities.tolist() == [probabilities[known[place]].tolist() for place in expected]
        assert found.statuses.tolist() == [statuses[known[place]] for place in expected]
    table.close()


def test_the_same_from_python_and_on_standard_output(call_score: Call, tiny_bundle: Path, tmp_path: Path) -> None:
    write(reviews(50), tmp_path / "a.csv")
    before = score_file(tmp_path / "a.csv", tmp_path / "before.parquet", model=str(tiny_bundle), threads=1)
    assert before.counts.reused == 0
    again = score_file(
        tmp_path / "a.csv", tmp_path / "again.csv", model=str(tiny_bundle), threads=1, reuse=("before.parquet",)
    )
    assert again.counts.reused == again.counts.rows - again.counts.empty
    assert again.counts.tokens == 0


def test_nothing_is_scored_that_is_known(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(reviews(50), tmp_path / "a.csv")
    assert call_score("a.csv", "-o", "before.csv")[0] == 0
    seen: list[int] = []
    score_chunk = Scorer.score_chunk

    def counted(scorer: Scorer, encoded: object, *arguments: object) -> object:
        seen.append(len(encoded.rows))  # type: ignore[attr-defined]
        return score_chunk(scorer, encoded, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Scorer, "score_chunk", counted)
    assert call_score("a.csv", "-o", "out.csv", "--reuse", "before.csv")[0] == 0
    assert seen == [0]

"""``--format``, ``--encoding``, ``--delimiter``, ``--quote``, ``--escape``, ``--no-header``: in three commands."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.cluster.worker import ChunkReading
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from scorer.files.opening import open_source
from scorer.job.chunk_work import ChunkWork
from scorer.job.engine import RemainingChunks
from scorer.job.options import ScoreOptions
from train.cli import train_model

TEXTS = ["a fine, warm film", 'he said "never again"', "dull; grey\nand long", "C:\\new \\ café", "lovely"]
LABELS = ["positive", "negative", "negative", "negative", "positive"]
ROWS = [(str(number), text, label) for number, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))]

DIALECTS: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "semicolons": ({"delimiter": ";"}, ["--delimiter", ";"], "utf-8"),
    "escapes": ({"doublequote": False, "escapechar": "\\", "quoting": csv.QUOTE_ALL}, ["--escape", "\\"], "utf-8"),
    "single quotes": ({"quotechar": "'"}, ["--quote", "'"], "utf-8"),
    "latin-1": ({"delimiter": "\t"}, ["--encoding", "latin-1", "--format", "tsv"], "latin-1"),
    "unquoted": (
        {"delimiter": "|", "quoting": csv.QUOTE_NONE, "escapechar": "\\", "lineterminator": "\n"},
        ["--quote", "none", "--delimiter", "|", "--escape", "\\"],
        "utf-8",
    ),
}

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def call_command(command: click.Command, *arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            run(command, [str(argument) for argument in arguments], env_prefix="TESTED")
        said = capsys.readouterr()
        return int(str(left.value.code)), said.out, said.err

    return call_command


def written(path: Path, rows: list[tuple[str, ...]], dialect: str) -> Path:
    with path.open("w", encoding=DIALECTS[dialect][2], newline="") as file:
        csv.writer(file, **DIALECTS[dialect][0]).writerows(rows)
    return path


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_score(tmp_path: Path, tiny_bundle: Path, call: Call, dialect: str, header: bool) -> None:
    names = ("id", "text", "label") if header else ("column_1", "column_2", "column_3")
    path = written(tmp_path / "in.csv", [names, *ROWS] if header else ROWS, dialect)
    options = [*DIALECTS[dialect][1], *([] if header else ["--no-header", "--text-column", "2", "--columns", "1,2,3"])]
    code, _, err = call(score, path, "-o", tmp_path / "out.csv", "--model", tiny_bundle, *options)
    assert code == 0, err
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))  # the output keeps our own dialect
    assert [tuple(row[:3]) for row in read] == [names, *ROWS]


def test_they_belong_to_the_fingerprint(tmp_path: Path, tiny_bundle: Path, call: Call) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text('text\n"a ""fine"" film"\n')
    command = (score, tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_bundle)
    assert "1 file" in call(*command)[2]
    assert "1 up to date" in call(*command)[2]
    for options in (["--escape", "\\"], ["--quote", "none"], ["--no-header", "--text-column", "1"]):
        assert "0 up to date" in call(*command, *options)[2]
        assert "1 up to date" in call(*command, *options)[2]
    provenance = json.loads((tmp_path / "out" / "a.csv.provenance.json").read_text())
    assert provenance["options"]["no_header"] is True


def test_other_machines_read_alike(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", ROWS, "escapes")
    options = ScoreOptions(escape="\\", no_header=True, text_column="2")
    source = open_source(path, options.reading())
    expected = list(source.tables(2))
    work = ChunkWork(source, None, type("Columns", (), {"text": options.text_column})(), None, 2)  # type: ignore[arg-type]
    (reading,) = ChunkReading.of(work, RemainingChunks(0, frozenset()))
    rows = list(reading.rows())
    assert len(rows) == len(expected) == 3
    cells = [pa.ipc.open_stream(row.column("data")[0].as_buffer()).read_all() for row in rows]
    assert cells == expected


@pytest.mark.parametrize("dialect", DIALECTS)
def test_evaluate_labels(tmp_path: Path, tiny_bundle: Path, call: Call, dialect: str) -> None:
    path = written(tmp_path / "gold.csv", [("id", "text", "label"), *ROWS], dialect)
    options = DIALECTS[dialect][1]
    code, out, err = call(evaluate_labels, path, "--model", tiny_bundle, *options)
    assert code == 0, err
    assert "5 rows evaluated" in out
    assert call(score, path, "-o", tmp_path / "p.csv", "--model", tiny_bundle, *options)[0] == 0
    pq.write_table(pa.table({"id": ["0"], "text": ["x"]}), tmp_path / "x.parquet")
    assert call(score, path, "-o", tmp_path / "p.parquet", "--model", tiny_bundle, *options)[0] == 0
    for preds in ("p.csv", "p.parquet"):  # the options are for the other file
        joined = call(evaluate_labels, tmp_path / preds, "--labels", path, "--on", "id", *options)
        assert joined[0] == 0, joined[2]
        assert "5 rows evaluated" in joined[1]
        assert ("p.csv: read as `score` writes it" in joined[2]) == (preds == "p.csv")
        assert call(evaluate_labels, path, "--model", tiny_bundle, "--baseline", tmp_path / preds, *options)[0] == 0


def test_evaluate_labels_without_a_header(tmp_path: Path, tiny_bundle: Path, call: Call) -> None:
    path = written(tmp_path / "gold.csv", ROWS, "semicolons")
    options = ("--no-header", "--delimiter", ";", "--text-column", "2", "--label-column", "3")
    code, out, err = call(evaluate_labels, path, "--model", tiny_bundle, *options)
    assert code == 0, err
    assert "gold labels from column 'column_3'" in out
    code, out, err = call(evaluate_labels, path, "--model", tiny_bundle)
    assert "try --delimiter ';' --no-header --text-column 2" in err


def test_predictions_of_others_are_read_as_asked(tmp_path: Path, call: Call) -> None:
    path = tmp_path / "preds.csv"
    path.write_bytes("text;label;pred_label\ncafé;b;b\nthé;a;b\n".encode("latin-1"))
    code, out, err = call(evaluate_labels, path, "--encoding", "latin-1", "--delimiter", ";")
    assert (code, "written by" in err) == (0, False), err
    assert "2 rows evaluated" in out


def test_options_that_fit_no_file(tmp_path: Path, call: Call) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": ["a", "b"], "pred_label": ["a", "a"], "text": ["x", "y"]}), path)
    for command, arguments in (
        (evaluate_labels, (path,)),
        (score, (path, "-o", tmp_path / "out.csv")),
        (train_model, ("-o", tmp_path / "m", "--train", path, "--eval", path)),
    ):
        code, _, err = call(command, *arguments, "--no-header")
        assert (code, err) == (2, f"error: {path}: is Parquet, which --no-header is not for; drop --no-header\n")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_train_model(tmp_path: Path, call: Call, dialect: str) -> None:
    train = written(tmp_path / "train.csv", [*ROWS] * 6, dialect)
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(train.read_bytes()))
    table = pa.table({"column_2": TEXTS, "column_3": LABELS})
    pq.write_table(table, tmp_path / "dev.parquet")
    code, _, err = call(
        train_model, "--baseline", "--train", tmp_path / "train.csv.gz", "--eval", tmp_path / "dev.parquet",
        "--predict", train, "--predictions", tmp_path / "preds.parquet",
        "--no-header", "--text-column", "2", "--label-column", "3", *DIALECTS[dialect][1],
    )  # fmt: skip
    assert code == 0, err
    assert pq.read_table(tmp_path / "preds.parquet")["column_2"].to_pylist() == TEXTS * 6


def test_what_train_model_advises(tmp_path: Path, call: Call) -> None:
    path = written(
        tmp_path / "a.csv", [("review", "sentiment"), *((text, label) for _, text, label in ROWS)], "semicolons"
    )
    code, _, err = call(train_model, "--baseline", "--train", path, "--eval", path)
    assert code == 3
    assert err.endswith("row 1 (line 2): 2 fields, but the header has 1; try --delimiter ';', or fix the row\n")
    path.write_text("review;sentiment\nfine;positive\n")
    code, _, err = call(train_model, "--baseline", "--train", path, "--eval", path)
    assert code == 3
    assert err.endswith("its one column is 'review;sentiment': try --delimiter ';'\n")


def test_json_lines_of_another_encoding(tmp_path: Path, call: Call) -> None:
    lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for _, text, label in ROWS]
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines * 4).encode("latin-1"))
    command = (train_model, "--baseline", "--train", tmp_path / "a.jsonl", "--eval", tmp_path / "a.jsonl")
    preds = ("--predict", tmp_path / "a.jsonl", "--predictions", tmp_path / "p.parquet")
    code, _, err = call(*command, *preds, "--encoding", "latin-1")
    assert code == 0, err
    assert pq.read_table(tmp_path / "p.parquet")["text"].to_pylist() == TEXTS * 4

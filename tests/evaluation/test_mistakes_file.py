"""Every mistake and suspect label, written into one file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
import pytest

from scorer import evaluate_labels
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.errors import InputError, OutputError
from scorer.evaluation.predictions import TEXT_CHUNK_ROWS
from scorer.evaluation.rows_file import RowColumns

NAMES = ("negative", "positive")


def table(positive, gold, **more) -> pa.Table:
    """Predictions from the probability of positive; ``None`` is a row without one."""
    predicted = [None if p is None else NAMES[int(p >= 0.5)] for p in positive]
    held = [None if p is None else 1 - p for p in positive], positive
    columns = {f"pred_prob_{name}": pa.array(side, pa.float32()) for name, side in zip(NAMES, held, strict=True)}
    return pa.table({**more, "label": gold, "pred_label": predicted, **columns})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ids = {"id": list("abcde"), "genre": ["x", None, "x", "y", "y"]}
    gold = ["positive", "positive", "negative", "negative", "positive"]
    text = ["v", "w", "x" * 5000, None, "y\r\nz"]
    pq.write_table(table([0.9, 0.45, 0.6, None, 0.99], gold, text=text, **ids), "one.parquet")
    more = {"id": ["f", "g"], "genre": ["z", "x"]}
    pq.write_table(table([0.02, 0.03], ["positive", "negative"], text=["late", "u"], **more), "two.parquet")
    return tmp_path


def test_wrong_rows_of_all_files_come_in_order_with_their_kind(folder):
    files = ["one.parquet", "two.parquet"]
    report = evaluate_labels(files, mistakes_file="wrong.parquet", slice_by="genre", mistakes=0)
    wrong = pq.read_table("wrong.parquet")
    assert wrong.to_pydict() == {
        "file": ["one.parquet", "one.parquet", "two.parquet"],
        "row": [2, 3, 1],
        "text": ["w", "x" * 5000, "late"],
        "label": ["positive", "negative", "positive"],
        "pred_label": ["negative", "positive", "negative"],
        "pred_score": pytest.approx([0.55, 0.6, 0.98]),
        "label_score": pytest.approx([0.45, 0.4, 0.02]),
        "kind": ["mistake", "suspect label", "suspect label"],
        "genre": [None, "x", "z"],
    }
    assert (report.n_mistakes, report.n_suspects) == (3, 2)
    said = "every mistake and suspect label is in wrong.parquet: 3 rows, 2 of them with suspect labels"
    assert said in report.notes


@pytest.mark.parametrize("name", ["label", "pred_label", "pred_score", "text", "id"])
def test_a_slice_column_that_the_file_has_anyway_is_written_once(folder, name):
    asked = pq.read_table("one.parquet").append_column("pred_score", pa.array([0.9, 0.55, 0.6, None, 0.99]))
    pq.write_table(asked, "scored.parquet")
    options = {"on": "id", "baseline": "one.parquet"} if name == "id" else {}
    evaluate_labels("scored.parquet", mistakes_file="usual.parquet", slice_by="genre", **options)
    report = evaluate_labels("scored.parquet", mistakes_file="wrong.parquet", slice_by=["genre", name], **options)
    assert pq.read_table("wrong.parquet").equals(pq.read_table("usual.parquet"))
    assert name in [group.by for group in report.slices]


@pytest.mark.parametrize("name", ["wrong.csv", "wrong.jsonl"])
def test_every_format_has_the_ids_and_whole_texts(folder, name):
    gold = pq.read_table("one.parquet").select(["id", "label"])
    pq.write_table(gold, "gold.parquet")
    pq.write_table(pq.read_table("one.parquet").drop(["label"]), "preds.parquet")
    evaluate_labels("preds.parquet", labels="gold.parquet", on="id", mistakes_file=name)
    options = pacsv.ParseOptions(newlines_in_values=True)
    wrong = pacsv.read_csv(name, parse_options=options) if name.endswith("csv") else pajson.read_json(name)
    assert wrong["id"].to_pylist() == ["b", "c"]
    assert wrong["text"].to_pylist() == ["w", "x" * 5000]
    assert wrong["kind"].to_pylist() == ["suspect label", "mistake"]


def test_files_without_probabilities_and_texts_have_their_wrong_rows(folder):
    pq.write_table(pa.table({"label": list("aabb"), "pred_label": list("abbb")}), "plain.parquet")
    evaluate_labels("plain.parquet", mistakes_file="wrong.parquet")
    assert pq.read_table("wrong.parquet").to_pydict() == {
        "file": ["plain.parquet"], "row": [2], "label": ["a"], "pred_label": ["b"], "kind": ["mistake"]
    }  # fmt: skip


def test_a_model_without_mistakes_gives_a_file_without_rows(folder):
    pq.write_table(table([0.9, 0.1], ["positive", "negative"], text=["a", "b"]), "right.parquet")
    report = evaluate_labels("right.parquet", mistakes_file="wrong.csv")
    head = "file,row,text,label,pred_label,pred_score,label_score,kind\n"
    assert (folder / "wrong.csv").read_text(encoding="utf-8") == head
    assert "every mistake is in wrong.csv: 0 rows" in report.notes


def test_all_of_many_mistakes_are_written_a_few_thousand_at_a_time(folder, monkeypatch):
    rng = np.random.default_rng(3)
    positive, gold = rng.random(30_000), rng.integers(0, 2, 30_000)
    text = [f"{place} " + "x" * 4000 for place in range(30_000)]
    pq.write_table(table(positive.tolist(), [NAMES[label] for label in gold], text=text), "many.parquet")
    sizes = []
    tables = RowColumns.tables

    def watched(columns, places):
        for here, rows in tables(columns, places):
            sizes.append(rows.num_rows)
            yield here, rows

    monkeypatch.setattr(RowColumns, "tables", watched)
    report = evaluate_labels("many.parquet", mistakes_file="wrong.parquet")
    wrong = pq.read_table("wrong.parquet")
    places = np.flatnonzero((positive.astype(np.float32) >= 0.5) != gold)
    assert wrong["row"].to_pylist() == (places + 1).tolist()
    assert wrong["text"][-1].as_py().split()[0] == str(places[-1])
    assert wrong.num_rows == report.n_mistakes
    assert wrong["kind"].to_pylist().count("suspect label") == report.n_suspects
    assert max(sizes) <= TEXT_CHUNK_ROWS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mistakes-file", "wrong.xlsx"), "error: wrong.xlsx: no output format has this extension; known: "),
        (("--mistakes-file", "one.parquet"), "error: one.parquet: --mistakes-file names a file that is read"),
        (("--mistakes-file", "."), "error: .: is a folder"),
        (
            ("--mistakes-file", "a.csv", "--review-queue", "./a.csv"),
            "error: a.csv: --review-queue and --mistakes-file name the same file",
        ),
        (("--mistakes-file", "a.csv", "--json", "a.csv"), "error: a.csv: --json and --mistakes-file name the same"),
        (
            ("--mistakes-file", "a.csv", "--slice-by", "label", "--labels", "gold.parquet", "--on", "id"),
            "error: two columns of --mistakes-file would be named 'label'; rename 'label' in your files",
        ),
        (
            ("--mistakes-file", "a.csv", "--slice-by", "text", "--text-column", "id"),
            "error: two columns of --mistakes-file would be named 'text'; rename 'text' in your files",
        ),
        (
            ("--review-queue", "a.csv", "--baseline", "one.parquet", "--on", "pred_label"),
            "error: two columns of --review-queue would be named 'pred_label'",
        ),
    ],
)
def test_files_that_cannot_be_written_are_refused_before_any_work(folder, in_process, options, message):
    pq.write_table(pa.table({"id": list("abcde"), "sentiment": [1, 1, 0, 0, 1]}), "gold.parquet")
    code, out, err = in_process(command_of)("one.parquet", *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert "--output-format" not in err


def test_a_file_needs_gold_labels(folder):
    pq.write_table(pq.read_table("one.parquet").drop(["label"]), "preds.parquet")
    with pytest.raises(InputError, match="no column is named label"):
        evaluate_labels("preds.parquet", mistakes_file="wrong.csv")


def test_a_failed_write_leaves_what_was_there(folder, monkeypatch):
    (folder / "wrong.csv").write_text("old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scorer.evaluation.rows_file.sync", full)
    with pytest.raises(OutputError, match="No space left"):
        evaluate_labels("one.parquet", mistakes_file="wrong.csv", overwrite=True)
    assert (folder / "wrong.csv").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["one.parquet", "two.parquet", "wrong.csv"]

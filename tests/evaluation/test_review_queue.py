"""The rows that the model is least sure of, written for people."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
import pytest

from scorer import evaluate_labels
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.errors import InputError, UsageError

NAMES = ("negative", "positive")


def table(positive, **more) -> pa.Table:
    """Predictions from the probability of positive; ``None`` is a row without one."""
    predicted = [None if p is None else NAMES[int(p >= 0.5)] for p in positive]
    held = [None if p is None else 1 - p for p in positive], positive
    columns = {f"pred_prob_{name}": pa.array(side, pa.float32()) for name, side in zip(NAMES, held, strict=True)}
    return pa.table({**more, "pred_label": predicted, **columns})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pq.write_table(table([0.9, 0.45, None, 0.2], id=list("abcd"), text=["w", "x", None, "z"]), "one.parquet")
    pq.write_table(table([0.55, 0.99], id=list("ef"), text=["v" * 5000, "u"]), "two.parquet")
    return tmp_path


def test_the_least_sure_rows_of_all_files_come_first(folder):
    report = evaluate_labels(["one.parquet", "two.parquet"], review_queue="queue.parquet", review_share="60%")
    queue = pq.read_table("queue.parquet")
    assert queue.column_names == [
        "file", "row", "text", "label", "pred_label", "pred_score", "pred_prob_negative", "pred_prob_positive"
    ]  # fmt: skip
    assert list(zip(queue["file"].to_pylist(), queue["row"].to_pylist(), strict=True)) == [
        ("one.parquet", 2),
        ("two.parquet", 1),
        ("one.parquet", 4),
    ]
    assert queue["text"].to_pylist() == ["x", "v" * 5000, "z"]
    assert queue["label"].null_count == 3
    assert queue["pred_score"].to_pylist() == pytest.approx([0.55, 0.55, 0.8])
    assert report.notes == ("the 3 least sure rows (0.6 of all) are in queue.parquet, most doubtful first",)


@pytest.mark.parametrize("name", ["queue.csv", "queue.jsonl"])
def test_ids_and_gold_labels_go_along_in_every_format(folder, name):
    pq.write_table(pa.table({"id": list("fedcba"), "label": [1, 0, 1, 0, 1, 1]}), "gold.parquet")
    files = ["one.parquet", "two.parquet"]
    evaluate_labels(files, labels="gold.parquet", on="id", review_queue=name, review_share=0.4)
    queue = pacsv.read_csv(name) if name.endswith("csv") else pajson.read_json(name)
    assert queue["id"].to_pylist() == ["b", "e"]
    assert queue["label"].to_pylist() == ["positive", "negative"]


def test_a_queue_whose_labels_are_filled_in_can_be_evaluated(folder):
    evaluate_labels(["one.parquet", "two.parquet"], review_queue="queue.parquet", review_share=1)
    queue = pq.read_table("queue.parquet")
    filled = queue.set_column(
        queue.column_names.index("label"), "label", pa.array(["positive", "negative"] * 2 + ["positive"])
    )
    pq.write_table(filled, "labelled.parquet")
    assert evaluate_labels("labelled.parquet").evaluated == 5


def test_many_rows_are_the_least_sure_ones(folder):
    rng = np.random.default_rng(3)
    positive = rng.random(5000)
    pq.write_table(table(positive.tolist(), text=[str(number) for number in range(5000)]), "many.parquet")
    evaluate_labels("many.parquet", review_queue="queue.parquet")
    queue = pq.read_table("queue.parquet")
    rows = [int(text) for text in queue["text"].to_pylist()]
    confidence = np.maximum(positive, 1 - positive).astype(np.float32)
    assert confidence[rows].tolist() == np.sort(confidence)[:500].tolist()
    assert queue["row"].to_pylist() == [row + 1 for row in rows]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--review-queue", "queue.xlsx"), "error: queue.xlsx: no output format has this extension"),
        (("--review-queue", "one.parquet"), "error: one.parquet: --review-queue names a file that is read"),
        (("--review-queue", "q.csv", "--review-share", "0"), "error: --review-share 0 is not a share of rows"),
        (("--review-queue", "q.csv", "--review-share", "some"), "error: --review-share some is not a share of rows"),
        (("--review-queue", "q.csv", "--review-share", "101%"), "error: --review-share 101% is not a share of rows"),
    ],
)
def test_queues_that_cannot_be_written_are_refused_before_any_work(folder, in_process, options, message):
    code, out, err = in_process(command_of)("one.parquet", *options)
    assert (code, out) == (2, "")
    assert err.startswith(message)


def test_a_queue_needs_probabilities_and_replaces_nothing_without(folder):
    (folder / "queue.csv").write_text("old")
    pq.write_table(pa.table({"label": ["a", "b"], "pred_label": ["a", "b"]}), "plain.parquet")
    with pytest.raises(InputError, match="--review-queue needs probabilities"):
        evaluate_labels("plain.parquet", review_queue="queue.csv", overwrite=True)
    assert (folder / "queue.csv").read_text() == "old"
    with pytest.raises(UsageError, match="is a folder"):
        evaluate_labels("one.parquet", review_queue=".")


@pytest.mark.parametrize("option", ["--review-queue", "--mistakes-file"])
def test_a_file_in_which_people_work_is_replaced_only_with_overwrite(folder, in_process, option):
    pq.write_table(table([0.9, 0.45], label=["negative", "positive"]), "labelled.parquet")
    run = in_process(command_of)
    (folder / "rows.csv").write_text("filled in by people")
    line = ("labelled.parquet", option, "rows.csv", "--json", "report.json")
    assert run(*line)[::2] == (2, "error: rows.csv: already exists; pass --overwrite to replace it\n")
    assert (folder / "rows.csv").read_text() == "filled in by people"
    assert not (folder / "report.json").exists()
    assert run(*line, "--overwrite")[0] == 0
    assert (folder / "rows.csv").read_text().startswith("file,row,label")


def test_a_report_of_an_earlier_night_is_replaced(folder, in_process):
    pq.write_table(table([0.9, 0.45], label=["negative", "positive"]), "labelled.parquet")
    line = ("labelled.parquet", "--json", "r.json", "--report", "r.html", "--markdown", "r.md")
    assert [in_process(command_of)(*line)[0] for _ in range(2)] == [0, 0]

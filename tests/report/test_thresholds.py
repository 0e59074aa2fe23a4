"""Thresholds on the page: rows, advice and slider."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.report import thresholds


def test_the_first_threshold_is_that_of_the_predictions(report: EvaluationReport) -> None:
    found = thresholds.thresholds_of(report)
    assert found is not None
    first = found["rows"][0]
    (tn, fp), (fn, tp) = report.matrix.tolist()
    assert (first["name"], first["missed"], first["wrong"]) == ("as predicted", fn, fp)
    assert first["of"].accuracy.value == pytest.approx((tp + tn) / 120)
    assert first["of"].precision == report.figures["precision"]
    assert first["of"].recall == report.figures["recall"]
    assert first["of"].f1.value == pytest.approx(report.figures["f1"].value)
    names = [row["name"] for row in found["rows"]]
    assert names[1] == "best F1"
    assert len(names) == len(set(names))
    assert names.count("precision of at least 0.9") == 1
    slider = found["slider"]
    place = slider["start"]
    assert (slider["hits"][place], slider["false"][place]) == (tp, fp) == tuple(slider["now"])
    assert first["of"].threshold == slider["threshold"][place] == 0.5


def test_missed_and_wrong_rows_are_counted_at_every_threshold(report: EvaluationReport, folder: Path) -> None:
    table = pq.read_table(folder / "preds.parquet").to_pydict()
    found = thresholds.thresholds_of(report)
    assert found is not None
    pairs = list(zip(table["label"], table["pred_prob_yes"], strict=True))
    for row in (*found["rows"][1:], *found["steps"]):
        threshold = row["of"].threshold
        assert row["missed"] == sum(label == "yes" and score < threshold for label, score in pairs)
        assert row["wrong"] == sum(label == "no" and score >= threshold for label, score in pairs)


def test_the_advice_says_what_a_precision_costs(report: EvaluationReport) -> None:
    found = thresholds.thresholds_of(report)
    assert found is not None
    assert report.thresholds is not None
    row = report.thresholds.wanted[0].row
    assert row is not None
    first, then = found["rows"][0], next(one for one in found["rows"] if one["of"] is row)
    missed, wrong = then["missed"] - first["missed"], first["wrong"] - then["wrong"]
    assert found["advice"] == (
        f"For a precision of at least 0.9 take the threshold {row.threshold:.4f}: recall goes from"
        f" {first['of'].recall.value:.3f} to {row.recall.value:.3f}, with {missed} more rows missed and"
        f" {wrong} fewer rows wrongly labelled."
    )
    assert missed > 1
    assert wrong > 1


def test_a_figure_that_does_not_move_stays(folder: Path) -> None:
    labels = {"label": ["yes", "yes", "no", "no"], "pred_label": ["yes", "yes", "yes", "no"]}
    rows = pa.table({**labels, "pred_prob_no": [0.1, 0.2, 0.4, 0.8], "pred_prob_yes": [0.9, 0.8, 0.6, 0.2]})
    pq.write_table(rows, folder / "stays.parquet")
    found = thresholds.thresholds_of(evaluate_labels(folder / "stays.parquet", at_precision=1))
    assert found is not None
    assert found["advice"] == (
        "For a precision of at least 1 take the threshold 0.8000: recall stays 1.000,"
        " with as many rows missed and 1 fewer row wrongly labelled."
    )


def test_the_usual_precision_is_advised_unasked_and_one_that_is_not_reached_is_said(folder: Path) -> None:
    unasked = thresholds.thresholds_of(evaluate_labels(folder / "preds.parquet"))
    assert unasked is not None
    assert unasked["advice"].startswith("For a precision of at least 0.95 take the threshold ")
    rows = {"label": ["a", "b", "a", "b"], "pred_label": ["b", "b", "a", "a"]}
    never = pa.table({**rows, "pred_prob_a": [0.1, 0.2, 0.9, 0.7], "pred_prob_b": [0.9, 0.8, 0.1, 0.3]})
    pq.write_table(never, folder / "never.parquet")
    found = thresholds.thresholds_of(evaluate_labels(folder / "never.parquet", at_precision=0.99))
    assert found is not None
    assert found["advice"] == "Of these rows, no threshold gives a precision of 0.99; the most is 0.6667."


def test_one_row_is_singular_and_none_is_as_many(report: EvaluationReport) -> None:
    assert [thresholds._rows(change) for change in (0, 1, -1, 1200)] == [
        "as many rows",
        "1 more row",
        "1 fewer row",
        "1,200 more rows",
    ]


def test_without_a_positive_label_there_are_none(folder: Path) -> None:
    names = ["a", "b", "c"] * 10
    pq.write_table(pa.table({"label": names, "pred_label": names[1:] + names[:1]}), folder / "no_positive.parquet")
    assert thresholds.thresholds_of(evaluate_labels(folder / "no_positive.parquet")) is None

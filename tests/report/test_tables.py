"""Rows of the tables of the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.report import tables
from scorer.report.html import to_html


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def report(folder: Path) -> EvaluationReport:
    """120 rows of two labels; most films have few of them."""
    gold = [row % 2 for row in range(120)]
    positive = [(0.25 + row / 400 if row % 7 else 0.9 - row / 400) + 0.4 * gold[row] for row in range(120)]
    positive = [min(0.99, one) for one in positive]
    rows = {
        "label": [("no", "yes")[one] for one in gold],
        "pred_label": [("no", "yes")[one >= 0.5] for one in positive],
        "pred_prob_no": [1 - one for one in positive],
        "pred_prob_yes": positive,
        "film": ["big" if row < 60 else f"film {row}" for row in range(120)],
        "day": [f"day {row % 20}" for row in range(120)],
    }
    pq.write_table(pa.table(rows), folder / "preds.parquet")
    return evaluate_labels(folder / "preds.parquet", slice_by=("film", "day"), cost_fp=3, at_precision=0.9)


def test_the_first_threshold_is_that_of_the_predictions(report: EvaluationReport) -> None:
    found = tables.thresholds(report)
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
    found = tables.thresholds(report)
    assert found is not None
    pairs = list(zip(table["label"], table["pred_prob_yes"], strict=True))
    for row in (*found["rows"][1:], *found["steps"]):
        threshold = row["of"].threshold
        assert row["missed"] == sum(label == "yes" and score < threshold for label, score in pairs)
        assert row["wrong"] == sum(label == "no" and score >= threshold for label, score in pairs)


def test_the_advice_says_what_a_precision_costs(report: EvaluationReport) -> None:
    found = tables.thresholds(report)
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
    found = tables.thresholds(evaluate_labels(folder / "stays.parquet", at_precision=1))
    assert found is not None
    assert found["advice"] == (
        "For a precision of at least 1 take the threshold 0.8000: recall stays 1.000,"
        " with as many rows missed and 1 fewer row wrongly labelled."
    )


def test_a_difference_without_an_interval_says_so_with_the_usual_digits(folder: Path) -> None:
    table = pq.read_table(folder / "preds.parquet")
    swapped = table.set_column(1, "pred_label", table["label"])
    pq.write_table(swapped, folder / "before.parquet")
    report = evaluate_labels(folder / "preds.parquet", baseline=folder / "before.parquet")
    found = {one["of"].figure: one for one in tables.differences(report)}
    assert (found["ece"]["verdict"], found["ece"]["digits"]) == ("no interval", found["accuracy"]["digits"])
    page = to_html(report)
    assert '<td class="verdict-cell">no interval</td>' in page


def test_what_the_sign_of_an_approximate_interval_means_is_beside_the_cards(folder: Path) -> None:
    pq.write_table(pq.read_table(folder / "preds.parquet").slice(0, 40), folder / "few.parquet")
    report = evaluate_labels(folder / "few.parquet")
    names = [card["name"] for card in tables.cards(report) if (span := card["figure"].interval) and span.warning]
    head = to_html(report).partition("<main>")[0]
    assert names
    assert "~ approximate, not 95 %: " in head.partition('<dl class="cards">')[2]
    whole = to_html(evaluate_labels(folder / "preds.parquet")).partition("<main>")[0]
    assert ("~ " in whole.partition("<dl")[2]) == ("~ approximate" in whole)


def test_the_usual_precision_is_advised_unasked_and_one_that_is_not_reached_is_said(folder: Path) -> None:
    unasked = tables.thresholds(evaluate_labels(folder / "preds.parquet"))
    assert unasked is not None
    assert unasked["advice"].startswith("For a precision of at least 0.95 take the threshold ")
    rows = {"label": ["a", "b", "a", "b"], "pred_label": ["b", "b", "a", "a"]}
    never = pa.table({**rows, "pred_prob_a": [0.1, 0.2, 0.9, 0.7], "pred_prob_b": [0.9, 0.8, 0.1, 0.3]})
    pq.write_table(never, folder / "never.parquet")
    found = tables.thresholds(evaluate_labels(folder / "never.parquet", at_precision=0.99))
    assert found is not None
    assert found["advice"] == "Of these rows, no threshold gives a precision of 0.99; the most is 0.6667."


def test_one_row_is_singular_and_none_is_as_many(report: EvaluationReport) -> None:
    assert [tables._rows(change) for change in (0, 1, -1, 1200)] == [
        "as many rows",
        "1 more row",
        "1 fewer row",
        "1,200 more rows",
    ]


def test_of_many_values_the_weakest_with_enough_rows_are_shown(report: EvaluationReport) -> None:
    film, day, *_ = tables.slices(report)["groups"]
    assert [one["name"] for one in film["shown"]] == ["big"]
    assert film["note"] == "These are the weakest 1 of 1 values with at least 50 rows. 60 have fewer."
    assert len(film["all"]) == 61
    assert (day["shown"], day["note"]) == ([], "None of its values has 50 rows.")
    page = to_html(report)
    assert "less weak" not in page
    assert page.count("None of its values has 50 rows.") == 1


def test_no_two_tables_have_one_name(report: EvaluationReport, folder: Path) -> None:
    table = pq.read_table(folder / "preds.parquet")
    texts = pa.array([f"text {row}" * (1 + row % 9) for row in range(120)])
    table = table.append_column("length", pa.array(["short", "long"] * 60)).append_column("text", texts)
    pq.write_table(table, folder / "length.parquet")
    titles = [
        one["title"]
        for one in tables.slices(evaluate_labels(folder / "length.parquet", slice_by=("length",)))["groups"]
    ]
    assert titles[:2] == ["column length", "length of the text"]
    assert len(titles) == len(set(titles))


def test_a_slice_of_one_class_has_no_f1_of_zero(folder: Path) -> None:
    rows = {
        "label": ["no"] * 60 + ["yes"] * 60,
        "pred_label": ["no"] * 59 + ["yes"] * 61,
        "half": ["a"] * 60 + ["b"] * 60,
    }
    pq.write_table(pa.table(rows), folder / "halves.parquet")
    groups = tables.slices(evaluate_labels(folder / "halves.parquet", slice_by=("half",)))["groups"]
    f1 = {one["name"]: one["of"].f1 for one in groups[0]["shown"]}
    assert (f1["a"].value, f1["a"].reason) == (None, "no row has the gold label yes")
    assert f1["b"].value == 1
    assert "0.0000" not in to_html(evaluate_labels(folder / "halves.parquet", slice_by=("half",)))


def test_two_labels_show_five_figures_and_the_rest_to_unfold(report: EvaluationReport) -> None:
    shown = [one["name"] for one in tables.cards(report)]
    assert shown == ["accuracy", "F1 of yes", "Matthews correlation", "ROC AUC", "calibration error"]
    more = [one["name"] for one in tables.more_figures(report)]
    assert len(shown) + len(more) == len(report.figures)
    assert not set(shown) & set(more)


def test_figures_of_a_positive_label_are_left_out_without_one(folder: Path) -> None:
    names = ["a", "b", "c"] * 10
    pq.write_table(pa.table({"label": names, "pred_label": names[1:] + names[:1]}), folder / "three.parquet")
    report = evaluate_labels(folder / "three.parquet")
    assert [one["name"] for one in tables.cards(report)][:2] == ["accuracy", "macro F1"]
    assert not {"precision", "recall", "F1"} & {one["name"] for one in tables.more_figures(report)}
    assert tables.thresholds(report) is None
    assert tables.confusion(report)["pairs"] == []  # three labels are seen at once in the matrix


def test_rows_that_are_left_out_are_counted(report: EvaluationReport) -> None:
    assert tables.left_out(report) == []
    less = replace(report, rows=1130, rows_unlabelled=1000, rows_left_out=2, rows_unmatched=3, unscored=5)
    assert tables.left_out(less) == [
        "1,000 without a gold label",
        "2 by --label-map",
        "3 whose id has no gold label",
        "5 without a prediction",
    ]
    assert "Left out of 1,130: 1,000 without a gold label, 2 by --label-map, 3 whose" in to_html(less)

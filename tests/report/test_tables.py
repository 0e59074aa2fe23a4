"""Rows of the tables of the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.report import tables
from scorer.report.html import to_html


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

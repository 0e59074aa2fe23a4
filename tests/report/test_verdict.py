"""The sentences of the page and the digits of its figures."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.coverage import Coverage, CoverageRow
from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.expectation import Expectation
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Chance, Comparison, Difference, McNemar
from scorer.evaluation.slices import OTHERS, Slice, SliceGroup
from scorer.metrics.values import Figure, Interval, LabelFigures
from scorer.report.verdict import (
    decimals,
    digits_of,
    hand_over,
    index_verdict,
    signed,
    unlike_verdict,
    verdict,
    verdict_of,
    weakest,
)


def figure(value: float, low: float, high: float, warning: str | None = None) -> Figure:
    return Figure(value, interval=Interval(low, high, "wilson", warning))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    path = tmp_path_factory.mktemp("verdict") / "preds.parquet"
    pq.write_table(pa.table({"label": ["bad", "good"] * 10, "pred_label": ["bad"] * 11 + ["good"] * 9}), path)
    return evaluate_labels(path)


@pytest.mark.parametrize(
    ("half", "digits"),
    [(0.4, 2), (0.05, 2), (0.036, 2), (0.035, 3), (0.01, 3), (0.004, 3), (0.0035, 4), (0.001, 4), (1e-5, 6), (1e-9, 6)],
)
def test_digits_follow_half_the_interval(half: float, digits: int) -> None:
    assert digits_of(figure(0.5, 0.5 - half, 0.5 + half)) == digits


def test_digits_without_an_interval_are_the_usual_ones() -> None:
    assert digits_of(Figure(0.5)) == 4
    assert digits_of(Figure(0.5), 2) == 2
    assert digits_of(figure(0.5, 0.5, 0.5)) == 4
    assert digits_of(Figure(None, "there is none")) == 4


@pytest.mark.parametrize(("value", "shown"), [(1.0, "1.00"), (0.9973, "0.997"), (0.99996, "0.99996"), (0.994, "0.99")])
def test_no_figure_is_rounded_to_a_perfect_one(value: float, shown: str) -> None:
    assert decimals(value, 2) == shown


def test_a_sign_is_as_wide_as_another() -> None:
    assert (signed(0.04, 3), signed(-0.04, 3), signed(0.0, 2)) == ("+0.040", "\u22120.040", "+0.00")


@pytest.mark.parametrize(
    ("name", "low", "high", "said"),
    [
        ("accuracy", 0.01, 0.03, "better"),
        ("accuracy", -0.03, -0.01, "worse"),
        ("accuracy", -0.01, 0.01, "no clear difference"),
        ("accuracy", 0.0, 0.01, "no clear difference"),
        ("log_loss", 0.01, 0.03, "worse"),
        ("brier", -0.03, -0.01, "better"),
    ],
)
def test_an_interval_on_one_side_of_zero_decides(name: str, low: float, high: float, said: str) -> None:
    assert verdict_of(Difference(name, Figure(0.9), Figure(0.88), figure((low + high) / 2, low, high))) == said


def test_a_difference_without_an_interval_decides_nothing() -> None:
    assert verdict_of(Difference("ece", Figure(0.1), Figure(0.2), Figure(-0.1))) == "no interval"
    assert verdict_of(Difference("ece", Figure(None, "none"), Figure(0.2), Figure(None, "none"))) == ""


def beside(report: EvaluationReport, accuracy: Figure, f1: Figure) -> EvaluationReport:
    differences = (
        Difference("accuracy", Figure(0.94), Figure(0.9), accuracy),
        Difference("f1", Figure(0.93), Figure(0.9), f1),
        Difference("mcc", Figure(0.5), Figure(0.9), figure(-0.4, -0.5, -0.3)),
    )
    test = McNemar(3, 1, 0.6)
    return replace(report, comparison=Comparison("old.parquet", None, 20, 0, differences, test, 3, 1, 0, ()))


BETTER, WORSE, NEITHER = figure(0.04, 0.03, 0.05), figure(-0.04, -0.05, -0.03), figure(0.01, -0.01, 0.03)


@pytest.mark.parametrize(
    ("accuracy", "f1", "start"),
    [
        (BETTER, BETTER, "Better than the baseline old.parquet: "),
        (WORSE, WORSE, "Worse than the baseline old.parquet: "),
        (BETTER, WORSE, "Better and worse than the baseline"),
        (BETTER, NEITHER, "Better in part than the baseline"),
        (NEITHER, WORSE, "Worse in part than the baseline"),
        (NEITHER, NEITHER, "No clear difference from the baseline"),
    ],
)
def test_the_verdict_beside_a_baseline(labelled: EvaluationReport, accuracy: Figure, f1: Figure, start: str) -> None:
    assert verdict(beside(labelled, accuracy, f1)).startswith(start)


def test_the_verdict_has_the_difference_and_its_interval(labelled: EvaluationReport) -> None:
    close = figure(-0.012, -0.02, -0.004, "few rows")
    assert verdict(beside(labelled, BETTER, close)) == (
        "Better and worse than the baseline old.parquet: accuracy 0.940, +0.040 (95\u00a0%: +0.030 to +0.050);"
        " F1 0.930, \u22120.012 (about 95\u00a0%: \u22120.020 to \u22120.004)."
    )


def test_an_undefined_difference_is_left_out(labelled: EvaluationReport) -> None:
    said = verdict(beside(labelled, BETTER, Figure(None, "nothing is positive")))
    assert said.startswith("Better than the baseline old.parquet: accuracy 0.940, ")
    assert "F1" not in said


def test_figures_that_say_something_else_are_named(labelled: EvaluationReport) -> None:
    assert unlike_verdict(beside(labelled, NEITHER, NEITHER)) == "But worse is Matthews correlation."
    assert unlike_verdict(beside(labelled, WORSE, NEITHER)) == unlike_verdict(labelled) == ""
    report = beside(labelled, NEITHER, NEITHER)
    assert report.comparison is not None
    more = (Difference("recall", Figure(0.9), Figure(0.8), WORSE), Difference("brier", Figure(0.1), Figure(0.2), WORSE))
    told = replace(report.comparison, differences=(*report.comparison.differences, *more))
    assert unlike_verdict(replace(report, comparison=told)) == (
        "But better is Brier score; worse are Matthews correlation and recall."
    )


def test_the_verdict_without_a_baseline_is_the_accuracy(labelled: EvaluationReport) -> None:
    assert verdict(labelled) == "Accuracy is 0.55 (95\u00a0%: 0.34 to 0.74)."


def expecting(report: EvaluationReport, *doubts: str, checked: bool = False) -> EvaluationReport:
    found = Expectation(20, figure(0.93, 0.91, 0.95), (), 0.01, 0.01, "calibrated", doubts, checked)
    where = replace(report.provenance, label_column=None)
    return replace(report, provenance=where, expectation=found)


def test_the_verdict_without_labels(labelled: EvaluationReport) -> None:
    expected = "Without gold labels, an accuracy of 0.930 (95\u00a0%: 0.910 to 0.950) is to be expected"
    assert verdict(expecting(labelled)) == f"{expected}, if the probabilities are calibrated."
    assert verdict(expecting(labelled, checked=True)).endswith("are calibrated; no drift speaks against it.")
    doubts = ("the scores have drifted much", "the texts have other words")
    assert verdict(expecting(labelled, *doubts, checked=True)) == (
        "What the predictions reached cannot be told without gold labels: the scores have drifted much; the texts have"
        " other words."
    )
    assert verdict(replace(expecting(labelled), expectation=None)) == ""


def sliced(value: str, accuracy: float, rows: int = 80, share: float = 0.2) -> Slice:
    found = figure(accuracy, accuracy - 0.05, accuracy + 0.05)
    return Slice(value, rows, share, found, Figure(0.5), rows < 50)


def test_the_weakest_slice_has_enough_rows_and_a_value(labelled: EvaluationReport) -> None:
    groups = (
        SliceGroup("confidence", True, (sliced("0.5 to 0.6", 0.1),)),
        SliceGroup("shop", False, (sliced(OTHERS, 0.2), sliced("east", 0.3, rows=49), sliced("north", 0.45))),
        SliceGroup("length", True, (sliced("all", 0.4, share=1.0), sliced("long", 0.8))),
    )
    assert weakest(replace(labelled, slices=groups)) == (
        "Weakest where shop is north: accuracy 0.45 (95\u00a0%: 0.40 to 0.50), 80 rows."
    )
    # Of all rows 0.55 are right, which is in the interval of the slice with the least.
    near = (SliceGroup("shop", False, (sliced("north", 0.5), sliced("south", 0.6))),)
    assert weakest(replace(labelled, slices=near)) == "No slice of 50 rows or more is clearly weaker than the whole."
    # One slice alone is not the weakest of any.
    assert weakest(replace(labelled, slices=groups[:1])) == ""


def test_of_more_than_two_labels_the_weakest_is_named(labelled: EvaluationReport) -> None:
    def of(name: str, f1: Figure, gold: int = 60) -> LabelFigures:
        return LabelFigures(name, gold, 60, Figure(0.5), Figure(0.5), f1)

    by_label = (
        of("good", figure(0.8, 0.7, 0.9)),
        of("so so", figure(0.6, 0.5, 0.7)),
        of("rare", figure(0.1, 0.0, 0.4), gold=49),
        of("none", Figure(None, "never")),
    )
    report = replace(labelled, labels=tuple(one.label for one in by_label), by_label=by_label, slices=())
    assert weakest(report) == "Weakest label: so so, F1 0.60 (95\u00a0%: 0.50 to 0.70), 60 gold rows."


def covered(report: EvaluationReport, accuracy: Figure, caught: Figure) -> EvaluationReport:
    rows = (CoverageRow(0.0, 0, 0.5, accuracy, caught, 0.9), CoverageRow(0.1, 240, 0.79, accuracy, caught, 0.956))
    return replace(report, coverage=Coverage(rows, None))


def test_what_people_would_take_is_a_sentence(labelled: EvaluationReport) -> None:
    start = "If people take the 10\u00a0% that the model is least sure of (240 rows), "
    assert hand_over(covered(labelled, Figure(0.971), Figure(0.559))) == (
        f"{start}97.1\u00a0% of the rest are right, and people see 55.9\u00a0% of the mistakes."
    )
    assert hand_over(covered(labelled, Figure(1.0), Figure(None, "no mistake"))) == (
        f"{start}100.0\u00a0% of the rest are right."
    )
    unlabelled = covered(expecting(labelled), Figure(None, "no gold"), Figure(None, "no gold"))
    assert hand_over(unlabelled) == f"{start}95.6\u00a0% of the rest are expected to be right."
    doubted = covered(expecting(labelled, "drift"), Figure(None, "no gold"), Figure(None, "no gold"))
    assert hand_over(doubted) == hand_over(labelled) == ""


@pytest.mark.parametrize(
    ("index", "high", "said"),
    [
        (0.05, 0.02, "stable"),
        (0.2, 0.02, "shifted"),
        (0.3, 0.02, "shifted much"),
        (0.3, 0.7, "no more than chance: so few rows have up to 0.70 without any drift"),
        (0.8, 0.7, "shifted much"),
    ],
)
def test_an_index_is_judged_beside_chance(index: float, high: float, said: str) -> None:
    assert index_verdict(Figure(index), Chance(high / 3, high)) == said
    assert index_verdict(Figure(None, "no rows"), None) == ""

"""Accuracy against coverage: against brute force, with ties, and the interval of the rest."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from statsmodels.stats.proportion import proportion_confint

from scorer import evaluate_labels
from scorer.evaluation.coverage import coverage_of, right_before, rows_for_people


def test_the_rest_is_that_of_sorted_rows():
    rng = np.random.default_rng(1)
    confidence = rng.random(1000).astype(np.float32)
    right = rng.random(1000) < confidence
    found = coverage_of(confidence, right)
    order = np.argsort(confidence)
    for row in found.rows:
        rest = order[row.taken :]
        assert row.accuracy.value == pytest.approx(right[rest].mean())
        assert row.expected == pytest.approx(confidence[rest].mean(), abs=1e-6)
        assert row.threshold == confidence[rest].min()
        assert row.caught.value == pytest.approx((~right[order[: row.taken]]).sum() / (~right).sum())
        low, high = proportion_confint(right[rest].sum(), len(rest), method="wilson")
        assert (row.accuracy.interval.low, row.accuracy.interval.high) == pytest.approx((low, high))
    assert [row.taken for row in found.rows] == [0, 10, 20, 50, 100, 150, 200, 300, 500]
    assert found.curve.accuracy[10] == pytest.approx(found.rows[4].accuracy.value)
    assert found.curve.low[10] < found.curve.accuracy[10] < found.curve.high[10]


def test_rows_of_one_confidence_count_as_in_any_order():
    confidence = np.array([0.5, 0.7, 0.7, 0.7, 0.9])
    right = np.array([False, True, False, True, True])
    expected = np.zeros(6)
    orders = list(itertools.permutations([1, 2, 3]))
    for order in orders:
        expected += np.append(0, np.cumsum(right[[0, *order, 4]])) / len(orders)
    assert right_before(confidence, right) == pytest.approx(expected)


def test_a_file_sorted_by_label_has_the_same_coverage_as_a_shuffled_one():
    # Every row has the same confidence, so the order of the file must not decide.
    right = np.arange(100) < 60
    found = coverage_of(np.full(100, 0.75), right)
    assert [row.accuracy.value for row in found.rows] == pytest.approx([0.6] * len(found.rows))


def test_a_share_is_rounded_up_and_leaves_a_row():
    assert [rows_for_people(share, 30) for share in (0, 0.1, 0.11, 1)] == [0, 3, 4, 30]
    assert [row.taken for row in coverage_of(np.array([0.5, 0.6]), None).rows] == [0] + [1] * 8
    assert coverage_of(np.array([0.9]), None).rows[0].expected == pytest.approx(0.9)
    assert coverage_of(np.zeros(0), None) is None


def test_a_night_without_labels_has_a_table_of_expected_accuracies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scores = pa.array([0.9, 0.6, None, 0.8], pa.float32())
    labels = ["a", "b", None, "a"]
    pq.write_table(pa.table({"pred_label": labels, "pred_score": scores}), "now.parquet")
    report = evaluate_labels("now.parquet", drift="now.parquet")
    first = report.coverage.rows[0]
    assert (first.taken, first.accuracy.reason) == (0, "there are no gold labels")
    assert first.expected == pytest.approx((0.9 + 0.6 + 0.8) / 3)
    assert report.coverage.curve is None

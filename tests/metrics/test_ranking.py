"""Areas, curves and thresholds of ranked rows, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from scorer.evaluation.thresholds import STEPS, chosen_threshold, threshold_table
from scorer.metrics.ranking import Ranking

quick = settings(max_examples=150)


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels of up to 60 rows: with ties, with 0 and 1, of both widths."""
    n_rows = draw(st.integers(2, 60))
    value = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))
    scores = np.array(draw(st.lists(value, min_size=n_rows, max_size=n_rows)), draw(st.sampled_from(["f4", "f8"])))
    labels = np.array(draw(st.lists(st.booleans(), min_size=n_rows, max_size=n_rows)))
    labels[:2] = [True, False]
    return scores, labels


@quick
@given(scored())
def test_areas_are_scikit_learns(case):
    scores, labels = case
    ranking = Ranking.of("good", scores, labels)
    assert ranking.roc_auc().value == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert ranking.average_precision().value == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )


@quick
@given(scored())
def test_curves_of_few_rows_are_scikit_learns_whole(case):
    scores, labels = case
    curves = Ranking.of("good", scores, labels).curves()
    false, true, thresholds = reference.roc_curve(labels, scores, drop_intermediate=False)
    assert curves.false_positive_rate == pytest.approx(false.tolist())
    assert curves.true_positive_rate == pytest.approx(true.tolist())
    assert curves.roc_threshold[0] is None
    assert curves.roc_threshold[1:] == pytest.approx(thresholds[1:].tolist())
    precision, recall, thresholds = reference.precision_recall_curve(labels, scores)
    assert curves.recall == pytest.approx(recall.tolist())
    assert curves.precision == pytest.approx(precision.tolist())
    assert curves.precision_recall_threshold[:-1] == pytest.approx(thresholds.tolist())
    assert curves.precision_recall_threshold[-1] is None


def test_curves_of_many_rows_keep_their_ends_and_lose_little():
    rng = np.random.default_rng(3)
    labels = rng.random(50_000) < 0.3
    scores = rng.normal(labels, 1)
    ranking = Ranking.of("good", scores, labels)
    curves = ranking.curves()
    assert 200 < len(curves.roc_threshold) <= 303
    assert 200 < len(curves.recall) <= 321
    assert (curves.false_positive_rate[0], curves.true_positive_rate[0]) == (0, 0)
    assert (curves.false_positive_rate[-1], curves.true_positive_rate[-1]) == (1, 1)
    assert (curves.recall[0], curves.recall[-1]) == (1, 0)
    drawn = np.trapezoid(curves.true_positive_rate, curves.false_positive_rate)
    assert drawn == pytest.approx(ranking.roc_auc().value, abs=1e-3)


@pytest.mark.parametrize(
    ("labels", "auc", "precision"),
    [
        ([False, False], "no row has the gold label good", "no row has the gold label good"),
        ([True, True], "every row has the gold label good", None),
    ],
)
def test_without_both_classes_there_is_no_auc(labels, auc, precision):
    ranking = Ranking.of("good", np.array([0.2, 0.7]), np.array(labels))
    assert ranking.roc_auc().reason == auc
    assert ranking.average_precision().reason == precision
    assert ranking.curves().roc_threshold == ()


@quick
@given(scored(), st.floats(0.05, 1), st.floats(0.05, 1))
def test_thresholds_are_the_best_that_scikit_learns_curve_has(case, at_precision, at_recall):
    scores, labels = case
    table = threshold_table(Ranking.of("good", scores, labels), at_precision=at_precision, at_recall=at_recall)
    precision, recall, thresholds = reference.precision_recall_curve(labels, scores)
    precision, recall = precision[:-1], recall[:-1]  # the last has no threshold
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert table.best_f1.f1.value == pytest.approx(f1.max())
    assert reference.f1_score(labels, scores >= table.best_f1.threshold) == pytest.approx(f1.max())
    for wanted, own, other in zip(table.wanted, (precision, recall), (recall, precision), strict=True):
        reaching = own >= wanted.wanted
        if not reaching.any():
            assert wanted.row is None
            assert f"no threshold gives a {wanted.figure} of" in wanted.reason
            continue
        assert getattr(wanted.row, wanted.figure).value >= wanted.wanted
        best = wanted.row.recall if wanted.figure == "precision" else wanted.row.precision
        assert best.value == pytest.approx(other[reaching].max())
        assert wanted.row.threshold in thresholds


@settings(max_examples=50)  # each of them with 19 thresholds
@given(scored())
def test_the_table_is_what_its_thresholds_give(case):
    scores, labels = case
    table = threshold_table(Ranking.of("good", scores, labels))
    assert [row.threshold for row in table.rows] == list(STEPS)
    for row in table.rows:
        predicted = scores >= scores.dtype.type(row.threshold)
        assert row.predicted == predicted.sum()
        assert row.accuracy.value == pytest.approx((predicted == labels).mean())
        assert row.recall.value == pytest.approx(reference.recall_score(labels, predicted, zero_division=0))
        if predicted.any():
            assert row.precision.value == pytest.approx(reference.precision_score(labels, predicted))
        else:
            assert row.precision.reason == "good would never be predicted"
    assert chosen_threshold(table) == table.best_f1.threshold

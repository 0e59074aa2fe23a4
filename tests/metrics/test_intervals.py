"""Intervals: Wilson's against statsmodels, and the coverage of each in a simulation."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from scorer.evaluation.analysis import LabelledPredictions
from scorer.evaluation.comparison import differences, paired_samples, ranking_spreads
from scorer.evaluation.sections import Method
from scorer.metrics.calibration import Calibration
from scorer.metrics.confusion import confusion_matrix, headline_figures
from scorer.metrics.intervals import MatrixSamples, matrix_intervals, percentile_interval, ranking_intervals, wilson
from scorer.metrics.ranking import Ranking
from scorer.metrics.resampling import RankedColumn

quick = settings(max_examples=100)


@quick
@given(st.integers(1, 10**7), st.data())
def test_wilson_is_statsmodels(whole, data):
    part = data.draw(st.integers(0, whole))
    low, high = proportion_confint(part, whole, method="wilson")
    found = wilson(part, whole)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.low <= part / whole <= found.high


def test_no_rows_have_no_interval():
    assert wilson(0, 0) is None
    assert percentile_interval(np.array([np.nan, np.nan])) is None


@quick
@given(st.integers(2, 4), st.integers(0, 2**32))
def test_figures_of_resampled_counts_are_scikit_learns(n_labels, seed):
    # One resample of a matrix whose rows each have one cell is the matrix itself.
    rng = np.random.default_rng(seed)
    matrix = np.zeros((n_labels, n_labels), np.int64)
    matrix[np.arange(n_labels), rng.integers(n_labels, size=n_labels)] = rng.integers(1, 20, size=n_labels)
    samples = MatrixSamples.of(matrix, resamples=3, seed=0)
    names = [f"label {label}" for label in range(n_labels)]
    figures = headline_figures(matrix, names, 0)
    for name, values in samples.figures(0).items():
        if figures[name].value is not None:
            assert values == pytest.approx([figures[name].value] * 3), name


def test_no_mistake_in_few_rows_is_no_certainty():
    matrix = np.diag([7, 3])
    samples = MatrixSamples.of(matrix, resamples=100, seed=0)
    found = matrix_intervals(headline_figures(matrix, ["a", "b"], 1), matrix, 1, samples)
    assert found["f1"].interval == wilson(3, 3)
    assert found["macro_f1"].interval == found["mcc"].interval == wilson(10, 10)


def share_of(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


TRIALS = 400
LOWEST, HIGHEST = 0.915, 0.985  # 0.95 and three standard errors of 400 trials


def test_intervals_of_matrix_figures_cover_at_their_nominal_rate():
    rng = np.random.default_rng(20)
    gold = np.array([140, 100, 60])
    chances = np.array([[0.85, 0.1, 0.05], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
    expected = gold[:, np.newaxis] * chances * 10**6  # large counts make the true figures
    truth = headline_figures(expected.astype(np.int64), ["a", "b", "c"], 1)
    hits: dict[str, list[bool]] = {}
    for trial in range(TRIALS):
        matrix = np.array([rng.multinomial(rows, chance) for rows, chance in zip(gold, chances, strict=True)])
        samples = MatrixSamples.of(matrix, resamples=400, seed=trial)
        found = matrix_intervals(headline_figures(matrix, ["a", "b", "c"], 1), matrix, 1, samples)
        for name, figure in found.items():
            inside = figure.interval.low <= truth[name].value <= figure.interval.high
            hits.setdefault(name, []).append(inside)
    rates = {name: share_of(values) for name, values in hits.items()}
    # Wilson does not know that the gold rows are fixed, so its accuracy is a little wider.
    assert all(LOWEST <= rate <= 0.995 for rate in rates.values()), rates
    assert LOWEST <= rates["f1"] <= HIGHEST
    assert LOWEST <= rates["macro_f1"] <= HIGHEST


def test_intervals_of_auc_cover_at_their_nominal_rate():
    rng = np.random.default_rng(21)
    labels = np.arange(300) < 120
    truth = statistics.NormalDist().cdf(1.2 / math.sqrt(2))
    hits = []
    for trial in range(TRIALS):
        ranking = Ranking.of("good", rng.normal(np.where(labels, 1.2, 0.0)), labels)
        auc, precision = ranking_intervals(ranking, resamples=300, seed=trial)
        hits.append(auc.interval.low <= truth <= auc.interval.high)
        assert precision.interval.low < precision.value < precision.interval.high
    assert LOWEST <= share_of(hits) <= HIGHEST


def test_intervals_of_losses_and_calibration_cover_at_their_nominal_rate():
    rng = np.random.default_rng(22)
    chances = np.linspace(0.02, 0.98, 600)
    told = np.clip(chances + 0.1 * np.sin(6 * chances), 0.01, 0.99)  # badly calibrated, known how badly
    own = np.maximum(told, 1 - told)
    truth = {
        "log_loss": float(-(chances * np.log(told) + (1 - chances) * np.log(1 - told)).mean()),
        "brier": float((chances * (1 - told) ** 2 + (1 - chances) * told**2).mean()),
    }
    chance_right = np.where(told >= 0.5, chances, 1 - chances)
    places = np.searchsorted(np.linspace(0, 1, 16)[1:-1], own)
    truth["ece"] = sum(abs((own - chance_right)[places == place].sum()) for place in range(15)) / 600
    hits: dict[str, list[bool]] = {}
    for trial in range(TRIALS):
        gold = (rng.random(600) < chances).astype(int)
        found = Calibration()
        found.add_probabilities(np.stack([1 - told, told], axis=1), gold, 1)
        found.add_confidence(own, (told >= 0.5) == gold)
        for name, figure in found.figures(resamples=300, seed=trial).items():
            hits.setdefault(name, []).append(figure.interval.low <= truth[name] <= figure.interval.high)
    rates = {name: share_of(values) for name, values in hits.items()}
    # Each row has its own chance, so the spread within rows that intervals know of is too large for the two means.
    assert all(0.91 <= rate <= 1.0 for rate in rates.values()), rates


def test_intervals_of_the_calibration_error_hold_0_for_calibrated_rows():
    rng = np.random.default_rng(28)
    told = np.linspace(0.02, 0.98, 600)
    own = np.maximum(told, 1 - told)
    lows = []
    for trial in range(200):
        found = Calibration()
        found.add_confidence(own, rng.random(600) < own)
        figure = found.figures(resamples=300, seed=trial)["ece"]
        assert figure.interval.low <= figure.value <= figure.interval.high
        lows.append(figure.interval.low < 1e-3)
    assert share_of(lows) >= 0.92


def test_paired_intervals_cover_at_their_nominal_rate():
    rng = np.random.default_rng(23)
    n_rows = 300
    gold = (np.arange(n_rows) < 130).astype(int)
    # Both are right in 80 %, only the new one in 9 %, only the old one in 5 %.
    hits, f1_hits = [], []
    for trial in range(TRIALS):
        kind = rng.choice(4, p=[0.8, 0.09, 0.05, 0.06], size=n_rows)
        new, old = np.where(kind <= 1, gold, 1 - gold), np.where((kind == 0) | (kind == 2), gold, 1 - gold)
        samples = paired_samples(gold, new, old, 2, resamples=400, seed=trial)
        now, then = (headline_figures(confusion_matrix(gold, side, 2), ["a", "b"], 1) for side in (new, old))
        found = {item.figure: item.difference for item in differences(now, then, samples, 1, {})}
        assert found["accuracy"].value == pytest.approx((new == gold).mean() - (old == gold).mean())
        hits.append(found["accuracy"].interval.low <= 0.04 <= found["accuracy"].interval.high)
        true_f1 = [2 * 130 * p / (130 + 130 * p + 170 * (1 - p)) for p in (0.89, 0.85)]
        interval = found["f1"].interval
        f1_hits.append(interval.low <= true_f1[0] - true_f1[1] <= interval.high)
    assert LOWEST <= share_of(hits) <= HIGHEST
    assert LOWEST <= share_of(f1_hits) <= HIGHEST


def test_the_interval_of_many_scores_is_that_of_the_rows_themselves():
    rng = np.random.default_rng(24)
    labels = rng.random(20_000) < 0.5
    scores = rng.normal(labels * 1.5)
    ranking = Ranking.of("good", scores, labels)
    auc, precision = ranking_intervals(ranking, resamples=1000, seed=0)
    column = RankedColumn.of(scores, labels)
    sampled = []
    for _ in range(200):
        weights = np.zeros(len(labels), np.int64)
        for side in (True, False):
            rows = np.flatnonzero(labels == side)
            weights[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        sampled.append(column.figures(weights))
    for figure, spread in zip((auc, precision), np.std(sampled, axis=0), strict=True):
        width = (figure.interval.high - figure.interval.low) / (2 * 1.96)
        assert width == pytest.approx(spread, rel=0.2)
        assert figure.interval.low < figure.value < figure.interval.high


@quick
@given(st.integers(0, 2**32))
def test_weighted_areas_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    labels = rng.random(30) < 0.5
    labels[:2] = [True, False]
    scores = rng.integers(0, 8, 30) / 8
    weights = rng.integers(0, 4, 30)
    weights[:2] = 1
    auc, precision = RankedColumn.of(scores, labels).figures(weights)
    assert auc == pytest.approx(reference.roc_auc_score(labels, scores, sample_weight=weights))
    assert precision == pytest.approx(reference.average_precision_score(labels, scores, sample_weight=weights))


def test_the_same_data_has_the_same_intervals():
    rng = np.random.default_rng(25)
    probabilities = rng.dirichlet([1, 1, 1], 500)
    gold = rng.integers(3, size=500)
    judged = LabelledPredictions(
        gold, probabilities.argmax(axis=1), probabilities, probabilities.max(axis=1), tuple("abc"), None
    )
    once, twice = judged.analysis(Method()), judged.analysis(Method())
    for name, figure in once.figures.items():
        assert figure.interval == twice.figures[name].interval, name
        if figure.value is not None:
            assert figure.interval.low <= figure.value <= figure.interval.high, name


def test_macro_areas_of_three_labels_are_scikit_learns():
    rng = np.random.default_rng(26)
    probabilities = rng.dirichlet([1, 1, 1], 400)
    gold = np.array([rng.choice(3, p=row) for row in probabilities])
    judged = LabelledPredictions(
        gold, probabilities.argmax(axis=1), probabilities, probabilities.max(axis=1), tuple("abc"), None
    )
    found = judged.analysis(Method()).figures
    auc = reference.roc_auc_score(gold, probabilities, multi_class="ovr", average="macro")
    assert found["roc_auc"].value == pytest.approx(auc)
    precision = reference.average_precision_score(np.eye(3)[gold], probabilities, average="macro")
    assert found["average_precision"].value == pytest.approx(precision)
    assert judged.point_figures()["roc_auc"] == found["roc_auc"]


def test_the_spread_of_a_difference_in_auc_is_less_than_of_both_apart():
    rng = np.random.default_rng(27)
    gold = (rng.random(2000) < 0.5).astype(int)
    new = 1 / (1 + np.exp(-rng.normal(gold * 2 - 1)))
    old = np.clip(new + rng.normal(size=2000) * 0.05, 0, 1)
    both = [np.stack([1 - side, side], axis=1) for side in (new, old)]
    spread = ranking_spreads(gold, *both, [1], seed=0)["roc_auc"]
    alone, _ = ranking_intervals(Ranking.of("b", new, gold == 1), resamples=1000, seed=0)
    assert 0 < spread < (alone.interval.high - alone.interval.low) / 4 / 2

"""Intervals: against statsmodels, SciPy and brute force; no certainty from few rows; coverage in small simulations.

``make coverage`` measures the coverage of all of them in many settings, see ``docs/evaluation.md``.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import t as student
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from benchmarks.coverage import SETTINGS
from scorer.evaluation.analysis import LabelledPredictions
from scorer.evaluation.comparison import differences_of
from scorer.evaluation.ranked_labels import RankedLabels
from scorer.evaluation.sections import Method
from scorer.metrics.areas import area_interval, influences_of
from scorer.metrics.calibration import BINS, Calibration, CalibrationCells, calibration_error
from scorer.metrics.confusion import confusion_matrix, headline_figures, label_figures
from scorer.metrics.intervals import (
    Moments,
    f1_interval,
    interval_of_mean,
    interval_of_skewed_mean,
    paired_interval,
    student_quantile,
    wilson,
)
from scorer.metrics.matrix_samples import MatrixSamples, label_intervals, matrix_intervals
from scorer.metrics.ranking import Ranking
from scorer.metrics.values import Figure

quick = settings(max_examples=50)


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
    assert f1_interval(0, 0, 0) is None


@pytest.mark.parametrize("freedom", [5, 10, 49, 1000])
def test_the_quantile_of_student_is_scipys(freedom):
    assert student_quantile(freedom) == pytest.approx(student.ppf(0.975, freedom), rel=1e-3)


def test_the_interval_of_one_figure_is_its_own_and_of_equal_ones_narrower():
    one = wilson(7, 10)
    assert interval_of_mean([0.7], [one]).low == pytest.approx(one.low)
    four = interval_of_mean([0.7] * 4, [one] * 4)
    assert four.high - 0.7 == pytest.approx((one.high - 0.7) / 2)


def tango_by_brute_force(b: int, c: int, n: int) -> tuple[float, float]:
    """The differences whose score statistic is at most 1.96, with the share of c found by maximum likelihood."""

    def score(gap: float) -> float:
        def loss(q: float) -> float:
            shares = np.clip([q + gap, q, 1 - 2 * q - gap], 1e-300, 1)
            return -(np.array([b, c, n - b - c]) * np.log(shares)).sum()

        q = minimize_scalar(loss, bounds=(max(0, -gap), (1 - gap) / 2), method="bounded", options={"xatol": 1e-12}).x
        return (b - c - n * gap) / np.sqrt(n * (2 * q + gap * (1 - gap)))

    value = (b - c) / n
    edge = 1 - 1e-9
    return brentq(lambda gap: score(gap) - 1.959964, -edge, value), brentq(
        lambda gap: score(gap) + 1.959964, value, edge
    )


@pytest.mark.parametrize(("b", "c", "n"), [(12, 2, 50), (5, 5, 60), (1, 0, 30), (40, 80, 1000)])
def test_the_paired_interval_is_tangos_score_test_turned_around(b, c, n):
    found = paired_interval(b, c, n)
    assert (found.low, found.high) == pytest.approx(tango_by_brute_force(b, c, n), abs=1e-4)


def test_no_difference_in_few_rows_is_no_certainty():
    found = paired_interval(0, 0, 50)
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.05


@quick
@given(st.integers(2, 5), st.integers(0, 2**32))
def test_figures_of_resampled_counts_are_scikit_learns(n_labels, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 20, size=(n_labels, n_labels)) * (rng.random((n_labels, n_labels)) < 0.7)
    matrix[np.arange(n_labels), np.arange(n_labels)] += 1
    samples = MatrixSamples.of(matrix, resamples=3, seed=0)
    assert (samples.gold.sum(axis=1) > 0).all()
    # The counts of the matrix in place of drawn ones give its own figures.
    own = MatrixSamples(
        *(
            np.broadcast_to(side.astype(float), (3, n_labels))
            for side in (np.diag(matrix), matrix.sum(1), matrix.sum(0))
        ),
        samples.has_gold,
        samples.occurs,
    )
    figures = headline_figures(matrix, [f"label {label}" for label in range(n_labels)], 0)
    for name, values in own.figures(0).items():
        assert values == pytest.approx([figures[name].value] * 3), name


def test_drawn_cells_have_the_mean_of_the_counts():
    matrix = np.array([[50, 3], [7, 40]])
    samples = MatrixSamples.of(matrix, resamples=4000, seed=1)
    shares = samples.right.sum(axis=1) / samples.gold.sum(axis=1)
    assert shares.mean() == pytest.approx((90 + 1) / 102, abs=0.002)
    # With many labels, only cells with rows and right ones are drawn.
    many = MatrixSamples.of(np.diag(np.arange(1, 101)), resamples=50, seed=1)
    assert many.right.sum() == pytest.approx(many.gold.sum())


def intervals_of(matrix, positive=1):
    names = [f"label {label}" for label in range(len(matrix))]
    matrix = np.array(matrix)
    by_label = label_intervals(label_figures(matrix, names), matrix)
    samples = MatrixSamples.of(matrix, resamples=1000, seed=0)
    return matrix_intervals(headline_figures(matrix, names, positive), by_label, matrix, positive, samples), by_label


@pytest.mark.parametrize(
    "matrix",
    [[[7, 0], [0, 3]], [[90, 0], [10, 0]], [[95, 3], [2, 0]], [[500, 0], [0, 2]], [[48, 1], [1, 0]], [[1, 0], [0, 1]]],
)
def test_few_rows_give_no_certainty(matrix):
    figures, by_label = intervals_of(matrix)
    for name, figure in figures.items():
        if figure.value is not None:
            interval = figure.interval
            assert interval.low <= figure.value <= interval.high, name
            assert interval.high - interval.low > 0.003, name
            # No end of a range is reached but by a figure that is there itself.
            assert figure.value in (0, 1) or interval.low < figure.value < interval.high, name
    for label in by_label:
        if label.f1.value is not None:
            assert label.f1.interval.high - label.f1.interval.low > 0.003


def test_a_label_that_was_missed_altogether_may_have_a_better_f1():
    figures, _ = intervals_of([[95, 3], [2, 0]])
    assert figures["f1"].value == 0
    assert (figures["f1"].interval.low, figures["f1"].interval.high > 0.4) == (0, True)


def test_few_rows_are_called_approximate():
    figures, _ = intervals_of([[20, 2], [3, 10]])
    assert figures["mcc"].interval.warning == "fewer than 50 rows"
    assert figures["accuracy"].interval.warning is None
    figures, _ = intervals_of([[200, 2], [1, 4]])
    assert figures["macro_f1"].interval.warning == "label label 1 has 5 gold rows"
    assert figures["mcc"].interval.warning == "label label 1 has 5 gold rows"
    assert figures["weighted_f1"].interval.warning is None


def test_ten_right_rows_with_a_probability_of_one_are_no_certainty():
    found = Calibration()
    probabilities = np.eye(2)[[0, 1] * 5]
    found.add_probabilities(probabilities, np.array([0, 1] * 5), 1)
    found.add_confidence(probabilities.max(axis=1), np.full(10, True))
    for name, figure in found.figures(resamples=200, seed=0).items():
        assert figure.value == pytest.approx(0, abs=1e-6), name
        assert figure.interval.high > 0.05, name
        assert figure.interval.warning == "fewer than 50 rows"


@pytest.mark.parametrize("n_labels", [2, 3])
def test_losses_of_ties_are_no_certainty(n_labels):
    found = Calibration()
    found.add_probabilities(np.full((100, n_labels), 1 / n_labels), np.arange(100) % n_labels, None)
    figures = found.figures(resamples=200, seed=0)
    assert figures["log_loss"].value == pytest.approx(np.log(n_labels))
    for name in ("log_loss", "brier"):
        interval = figures[name].interval
        assert interval.low < figures[name].value < interval.high, name


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_right_rows_of_one_label_are_no_certainty(rows):
    matrix = np.array([[rows, 0], [0, 0]])
    figures, _ = intervals_of(matrix)
    expected = wilson(rows, rows)
    for name in ("balanced_accuracy", "macro_precision", "weighted_precision", "macro_recall", "weighted_recall"):
        assert figures[name].interval == expected, name
    for name in ("macro_f1", "weighted_f1"):
        assert figures[name].interval == f1_interval(rows, rows, rows), name


def test_one_label_of_five_with_few_changes_makes_differences_of_means_approximate():
    rng = np.random.default_rng(4)
    gold = np.repeat(np.arange(5), [600, 600, 600, 600, 60])
    now, then = gold.copy(), gold.copy()
    changed = np.concatenate([np.arange(0, 2400, 20), [2400, 2401]])
    then[changed] = (gold[changed] + 1) % 5
    now[rng.choice(2400, 100, replace=False)] = 4
    found = {
        item.figure: item.difference.interval
        for item in differences_of(*map(labels_alone(gold), (now, then)), Method())
    }
    assert found["accuracy"].warning is None
    assert found["weighted_f1"].warning is None
    for name in ("balanced_accuracy", "macro_precision", "macro_recall", "macro_f1"):
        assert found[name].warning == "2 predictions of label 4 changed", name


def test_few_changes_make_every_difference_of_the_matrix_approximate():
    gold = np.arange(400) % 2
    then = gold.copy()
    then[:5] = 1 - gold[:5]
    for item in differences_of(*map(labels_alone(gold), (gold, then)), Method()):
        if item.difference.interval is not None:
            assert item.difference.interval.warning == "5 predictions changed", item.figure


@pytest.mark.parametrize("n_labels", [2, 3])
def test_equal_predictions_have_one_reason_for_all_differences(n_labels):
    rng = np.random.default_rng(4)
    gold = np.arange(400) % n_labels
    probabilities = rng.dirichlet(np.ones(n_labels), 400)
    now = predictions(gold, probabilities, 1 if n_labels == 2 else None)
    found = {item.figure: item.difference for item in differences_of(now, now, Method())}
    assert {figure.interval.warning for figure in found.values() if figure.interval} == {"no prediction changed"}
    assert {"accuracy", "mcc", "roc_auc", "average_precision", "log_loss", "brier"} <= found.keys()
    moved = predictions(gold, rng.permutation(probabilities), now.positive)
    assert "no prediction changed" not in {
        item.difference.interval.warning for item in differences_of(now, moved, Method()) if item.difference.interval
    }


def labels_alone(gold):
    """Makes predictions without probabilities beside ``gold``."""
    names = tuple(map(str, range(int(gold.max()) + 1)))
    return lambda predicted: LabelledPredictions(gold, predicted, None, None, names, 1 if len(names) == 2 else None)


def test_the_calibration_error_of_an_unsure_model_is_covered_at_its_rate():
    """Three skewed labels whose probabilities are all too low: before, 92 to 93 in 100 intervals held the error."""
    draw = next(one for one in SETTINGS if one.n_labels == 3).draw

    def cells(rows: int, rng: np.random.Generator) -> CalibrationCells:
        gold, probabilities = draw(rows, rng)
        found = CalibrationCells.empty(BINS)
        found.add(probabilities.max(axis=1), probabilities.argmax(axis=1) == gold)
        return found

    rng = np.random.default_rng(30)
    whole = cells(300_000, rng)
    truth, held = float(whole.error(whole.counts)), 0
    for seed in range(120):
        figure = calibration_error(cells(1000, rng), resamples=300, seed=seed)
        held += figure.interval.low <= truth <= figure.interval.high
    assert held >= 111


def test_the_brier_score_and_its_interval_stay_in_their_range():
    found = Calibration()
    told = np.tile([[1.0, 0.0]], (5, 1))
    found.add_probabilities(told, np.ones(5, np.int64), 1)
    figure = found.figures(resamples=10, seed=0)["brier"]
    assert (figure.value, figure.interval.high) == (1, 1)
    three = Calibration()
    three.add_probabilities(np.tile([[1.0, 0.0, 0.0]], (5, 1)), np.ones(5, np.int64), None)
    assert three.figures(resamples=10, seed=0)["brier"].interval.high == 2


def delong_by_brute_force(scores, positive):
    """Variance of the area from all pairs."""
    wins = (scores[positive][:, None] > scores[~positive]) + 0.5 * (scores[positive][:, None] == scores[~positive])
    return wins.mean(axis=1).var(ddof=1) / positive.sum() + wins.mean(axis=0).var(ddof=1) / (~positive).sum()


@quick
@given(st.integers(0, 2**32))
def test_the_variance_of_an_auc_is_delongs(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(60) < 0.4
    positive[:4] = [True, True, False, False]
    scores = rng.integers(0, 30, 60) / 30
    ranking = Ranking.of("good", scores, positive)
    auc, _ = influences_of(ranking)
    assert auc.variance(ranking) == pytest.approx(delong_by_brute_force(scores, positive))
    assert auc.area.value == pytest.approx(reference.roc_auc_score(positive, scores))


@quick
@given(st.integers(0, 2**32))
def test_influences_on_average_precision_are_its_derivatives(seed):
    rng = np.random.default_rng(seed)
    positive = rng.random(40) < 0.4
    positive[:2] = [True, False]
    scores = rng.integers(0, 20, 40) / 20
    ranking = Ranking.of("good", scores, positive)
    _, precision = influences_of(ranking)
    by_row = ranking.by_row(precision.hits, precision.false, positive)
    assert precision.area.value == pytest.approx(reference.average_precision_score(positive, scores))
    for row in range(0, 40, 7):
        # A little more weight on one row, as of a mixture with it.
        weights = np.full(40, (1 - 1e-6) / 40)
        weights[row] += 1e-6
        moved = reference.average_precision_score(positive, scores, sample_weight=weights)
        assert (moved - precision.area.value) / 1e-6 == pytest.approx(by_row[row], abs=1e-3)


@pytest.mark.parametrize(("positives", "negatives"), [(5, 45), (1, 49), (200, 200)])
def test_a_perfect_ranking_of_few_rows_is_no_certainty(positives, negatives):
    positive = np.arange(positives + negatives) < positives
    ranking = Ranking.of("good", positive.astype(float), positive)
    for part in influences_of(ranking):
        interval = area_interval(part.area.value, part.variance(ranking), [part.area], part.decided_by(ranking))
        assert (part.area.value, interval.high) == (1, 1)
        assert interval.low < 1 - 1 / (positives + negatives)
        few = f"a ranking with {positives} row{'s' * (positives > 1)} of one kind"
        assert interval.warning == (few if positives < 25 else "the area rests on about 0 rows")


def predictions(gold, probabilities, positive=1):
    names = tuple("abcde"[: probabilities.shape[1]])
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    return LabelledPredictions(gold, predicted, probabilities, confidence, names, positive)


def share_of(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def sure_rows(n, rng):
    """Rows of a sure and overconfident model of two labels, of which about 2 % are wrong."""
    gold = (rng.random(n) < 0.5).astype(int)
    positive = 1 / (1 + np.exp(-12 * rng.normal(np.where(gold == 1, 2.0, -2.0))))
    return gold, np.stack([1 - positive, positive], axis=1)


def test_intervals_of_a_sure_model_cover_at_their_rate():
    rng = np.random.default_rng(22)
    gold, told = sure_rows(400_000, rng)
    truth = predictions(gold, told).calibration().figures(resamples=2, seed=0)
    hits: dict[str, list[bool]] = {}
    for trial in range(200):
        found = predictions(*sure_rows(200, rng)).calibration().figures(resamples=200, seed=trial)
        for name, figure in found.items():
            hits.setdefault(name, []).append(figure.interval.low <= truth[name].value <= figure.interval.high)
    # 0.95 and three standard errors of 200 trials; the normal interval of the log loss has 0.83.
    assert all(share_of(values) >= 0.90 for values in hits.values()), {k: share_of(v) for k, v in hits.items()}


def test_intervals_of_few_positives_cover_at_their_rate():
    rng = np.random.default_rng(23)
    expected = headline_figures(np.array([[860_000, 40_000], [30_000, 70_000]]), ["a", "b"], 1)
    hits: dict[str, list[bool]] = {}
    for _ in range(200):
        matrix = rng.multinomial(50, [0.86, 0.04, 0.03, 0.07]).reshape(2, 2)
        if not matrix[1].sum():
            continue
        figures, _ = intervals_of(matrix)
        for name in ("accuracy", "f1", "macro_f1", "balanced_accuracy", "mcc"):
            if figures[name].value is not None:
                interval = figures[name].interval
                hits.setdefault(name, []).append(interval.low <= expected[name].value <= interval.high)
    assert all(share_of(values) >= 0.90 for values in hits.values()), {k: share_of(v) for k, v in hits.items()}


def test_paired_intervals_cover_at_their_rate():
    rng = np.random.default_rng(24)
    hits = []
    for _ in range(400):
        # Sure models at 50 rows: both are right in 95 %, only one of the two in 2 % and 1 %.
        only_new, only_old = rng.multinomial(50, [0.02, 0.01, 0.97])[:2]
        interval = paired_interval(int(only_new), int(only_old), 50)
        hits.append(interval.low <= 0.01 <= interval.high)
    assert share_of(hits) >= 0.92


def test_differences_of_two_models_are_those_of_their_figures():
    rng = np.random.default_rng(25)
    gold = rng.integers(3, size=300)
    sides = []
    for noise in (1.0, 1.6):
        logits = 2 * np.eye(3)[gold] + noise * rng.normal(size=(300, 3))
        shares = np.exp(logits)
        sides.append(predictions(gold, shares / shares.sum(axis=1, keepdims=True), None))
    now, then = (side.analysis(Method()).figures for side in sides)
    for item in differences_of(*sides, Method()):
        expected = now[item.figure].value
        if expected is None:
            assert item.difference.value is None
            continue
        assert item.difference.value == pytest.approx(expected - then[item.figure].value), item.figure
        if item.figure == "ece":
            assert item.difference.interval is None
        else:
            assert item.difference.interval.low < item.difference.value < item.difference.interval.high, item.figure


def test_the_same_predictions_differ_by_nothing_with_an_interval():
    rng = np.random.default_rng(27)
    gold, told = sure_rows(100, rng)
    same = predictions(gold, told)
    for item in differences_of(same, same, Method()):
        assert item.difference.value in (0, None)
        if item.difference.interval is not None:
            assert item.difference.interval.low < 0 < item.difference.interval.high, item.figure


def test_a_difference_of_areas_is_narrower_than_of_both_apart():
    rng = np.random.default_rng(28)
    gold = (rng.random(2000) < 0.5).astype(int)
    new = 1 / (1 + np.exp(-rng.normal(gold * 2 - 1)))
    old = np.clip(new + rng.normal(size=2000) * 0.05, 0, 1)
    ranked = [predictions(gold, np.stack([1 - side, side], axis=1)).ranked(_labels(gold)) for side in (new, old)]
    _, interval = ranked[0].difference(ranked[1], "roc_auc")
    apart = [side.by_label[1].roc_auc.interval for side in ranked]
    assert interval.high - interval.low < 0.5 * min(item.high - item.low for item in apart)


def _labels(gold):
    return label_figures(confusion_matrix(gold, gold, 2), ["a", "b"])


def test_macro_areas_of_three_labels_are_scikit_learns():
    rng = np.random.default_rng(26)
    probabilities = rng.dirichlet([1, 1, 1], 400)
    gold = np.array([rng.choice(3, p=row) for row in probabilities])
    found = predictions(gold, probabilities, None).analysis(Method()).figures
    auc = reference.roc_auc_score(gold, probabilities, multi_class="ovr", average="macro")
    assert found["roc_auc"].value == pytest.approx(auc)
    precision = reference.average_precision_score(np.eye(3)[gold], probabilities, average="macro")
    assert found["average_precision"].value == pytest.approx(precision)
    # The spread of the mean, by drawing rows.
    sampled = []
    for _ in range(150):
        rows = rng.integers(400, size=400)
        sampled.append(reference.roc_auc_score(gold[rows], probabilities[rows], multi_class="ovr", average="macro"))
    width = found["roc_auc"].interval.high - found["roc_auc"].interval.low
    assert width / 3.92 == pytest.approx(np.std(sampled), rel=0.25)


def test_without_probabilities_there_are_no_areas():
    ranked = RankedLabels.without_probabilities(_labels(np.array([0, 1])))
    assert ranked.means["roc_auc"] == Figure(None, "there are no probabilities")


def test_the_same_data_has_the_same_intervals():
    rng = np.random.default_rng(29)
    probabilities = rng.dirichlet([1, 1, 1], 500)
    judged = predictions(rng.integers(3, size=500), probabilities, None)
    once, twice = judged.analysis(Method()), judged.analysis(Method())
    for name, figure in once.figures.items():
        assert figure.interval == twice.figures[name].interval, name
        if figure.value is not None:
            assert figure.interval.low <= figure.value <= figure.interval.high, name


def test_the_mean_of_values_without_a_spread_is_exact():
    found = interval_of_skewed_mean(Moments.of(np.full(10, 0.5)))
    assert (found.low, found.high) == (0.5, 0.5)

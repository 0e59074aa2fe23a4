"""Comparison of two predictions of the same rows: differences, McNemar's test, changed reviews."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from scorer.errors import InputError
from scorer.evaluation.analysis import LabelledPredictions
from scorer.evaluation.baseline import Baseline
from scorer.evaluation.mistakes import by_confidence, reviews_at
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.ranked_labels import RankedLabels
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.sections import ChangedReview, Comparison, Difference, McNemar, Method
from scorer.evaluation.slices import Cut
from scorer.metrics.areas import AREAS
from scorer.metrics.calibration import brier_losses, log_losses, runner_up
from scorer.metrics.confusion import confusion_matrix, headline_figures, label_figures
from scorer.metrics.intervals import (
    FEW_DECIDING,
    Moments,
    deciding,
    interval_of_skewed_mean,
    paired_interval,
    with_warning,
    within,
)
from scorer.metrics.matrix_samples import (
    MEANS_OVER_LABELS,
    PSEUDO_ROWS,
    MatrixSamples,
    drawn_cells,
    sampled_interval,
    sums_by,
)
from scorer.metrics.values import Figure, Ids, Interval, Probabilities
from scorer.safe_text import counted

_ALL_CELLS = 1000
"""With more triples of labels, only those that have rows share the additional rows of the bootstrap."""


NO_CHANGE = "no prediction changed"
"""The warning of differences between equal predictions."""

_FEW_CHANGED = 10
"""With fewer rows that are predicted otherwise, intervals of differences in figures of the matrix are approximate.

With three labels and more, those of means over labels are so with fewer of any label: the additional rows are spread
over many cells.
"""


def comparison_of(
    rows: EvaluatedRows,
    baseline: Baseline,
    partners: npt.NDArray[np.int64],
    labels: tuple[str, ...],
    positive: int | None,
    options: EvaluateOptions,
    method: Method,
    cuts: Sequence[Cut],
) -> Comparison:
    """Compare the rows that both sides predict.

    ``partners`` int64 ``(n_rows,)`` has the row of ``baseline`` for each of ``rows``, -1 for none; ``cuts`` are of
    all evaluated rows.

    Raises:
        InputError: no row has a gold label and both predictions.
    """
    old = np.where(partners >= 0, baseline.predicted[partners], -1)
    both = np.flatnonzero((rows.gold >= 0) & (rows.predicted >= 0) & (old >= 0))
    if not len(both):
        raise InputError("predicts no row that is predicted here", path=baseline.file.source.path)
    unpaired = int(((rows.gold >= 0) & ((rows.predicted >= 0) != (old >= 0))).sum())
    unpaired += baseline.n_rows - int((partners >= 0).sum())
    old = old[both]
    probabilities = None if baseline.probabilities is None else baseline.probabilities[partners[both]]
    confidence = None if probabilities is None else probabilities[np.arange(len(both)), old]
    now = LabelledPredictions.of(rows, both, labels, positive)
    then = LabelledPredictions(now.gold, old, probabilities, confidence, labels, positive)
    right, was_right = now.predicted == now.gold, old == now.gold
    moved = np.flatnonzero(now.predicted != old)
    changes = np.where(was_right[moved], "broken", np.where(right[moved], "repaired", "other"))
    return Comparison(
        baseline=baseline.file.source.path,
        paired_by=options.on,
        rows=len(both),
        unpaired=unpaired,
        differences=differences_of(now, then, method),
        mcnemar=mcnemar(int((right & ~was_right).sum()), int((was_right & ~right).sum())),
        repaired=int((changes == "repaired").sum()),
        broken=int((changes == "broken").sum()),
        other=int((changes == "other").sum()),
        changed=_changed_reviews(rows, both[moved], old[moved], changes, labels, options, cuts),
        curves=then.curves(),
    )


def _changed_reviews(
    rows: EvaluatedRows,
    places: npt.NDArray[np.int64],
    old: Ids,
    changes: npt.NDArray[np.str_],
    labels: Sequence[str],
    options: EvaluateOptions,
    cuts: Sequence[Cut],
) -> tuple[ChangedReview, ...]:
    """The first changed reviews of each kind: broken ones first, each kind most confident first."""
    before = dict(zip(places.tolist(), zip(old.tolist(), changes.tolist(), strict=True), strict=True))
    ranked = [by_confidence(rows, places[changes == change]) for change in ("broken", "repaired", "other")]
    shown = np.concatenate([kind[: options.mistakes] for kind in ranked]).tolist()
    reviews = reviews_at(rows, shown, labels, options.on, cuts)
    return tuple(ChangedReview(reviews[place], labels[before[place][0]], before[place][1]) for place in shown)


def differences_of(now: LabelledPredictions, then: LabelledPredictions, method: Method) -> tuple[Difference, ...]:
    """Each figure that both have, and its difference with a paired interval."""
    sides = [_Side.of(predictions) for predictions in (now, then)]
    intervals = _matrix_intervals(now, then, sides, method)
    for name in AREAS:
        if (gap := sides[0].ranked.difference(sides[1].ranked, name)) is not None:
            intervals[name] = gap[1]
    if now.probabilities is not None and then.probabilities is not None:
        intervals |= loss_intervals(now.gold, now.probabilities, then.probabilities, now.positive)
    pairs = ((now.predicted, then.predicted), (now.probabilities, then.probabilities))
    if all(np.array_equal(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None):
        intervals = {name: replace(interval, warning=NO_CHANGE) for name, interval in intervals.items()}
    found = []
    for name, figure in sides[0].figures.items():
        other = sides[1].figures[name]
        if figure.value is None or other.value is None:
            difference = Figure(None, figure.reason or other.reason or "there is no value")
        else:
            difference = Figure(figure.value - other.value, interval=intervals.get(name))
        found.append(Difference(name, figure, other, difference))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Side:
    """The figures of one side of a comparison, without intervals, and its rankings."""

    figures: Mapping[str, Figure]
    ranked: RankedLabels

    @classmethod
    def of(cls, predictions: LabelledPredictions) -> _Side:
        labels, positive = predictions.labels, predictions.positive
        matrix = confusion_matrix(predictions.gold, predictions.predicted, len(labels))
        ranked = predictions.ranked(label_figures(matrix, labels), means_alone=True)
        figures = {**headline_figures(matrix, labels, positive), **ranked.means}
        return cls(figures | predictions.calibration().figures(resamples=1, seed=0), ranked)


def _matrix_intervals(
    now: LabelledPredictions, then: LabelledPredictions, sides: Sequence[_Side], method: Method
) -> dict[str, Interval]:
    """Intervals of the differences in figures of the matrix: Tango's for accuracy, else a smoothed bootstrap."""
    rows, positive = len(now.gold), now.positive
    samples = paired_samples(
        now.gold, now.predicted, then.predicted, len(now.labels), resamples=method.resamples, seed=method.seed
    )
    drawn = [side.figures(positive) for side in samples]
    few, few_of_label = _few_changed(now, then)
    found = {}
    for name, values in drawn[0].items():
        current, baseline = (side.figures[name].value for side in sides)
        if current is not None and baseline is not None:
            interval = sampled_interval(current - baseline, values - drawn[1][name], -2.0, 2.0)
            found[name] = with_warning(interval, rows, few_of_label if name in MEANS_OVER_LABELS else few)
    right, was_right = now.predicted == now.gold, then.predicted == then.gold
    only = int((right & ~was_right).sum()), int((was_right & ~right).sum())
    accuracy = with_warning(paired_interval(*only, rows), rows, few)
    return {**found, "accuracy": accuracy, "weighted_recall": accuracy}


def _few_changed(now: LabelledPredictions, then: LabelledPredictions) -> tuple[str | None, str | None]:
    """The warning that few predictions changed, and that for means over labels, of which one may have few changes."""
    changed = now.predicted != then.predicted
    total = int(changed.sum())
    few = None
    if total < _FEW_CHANGED:
        few = f"{counted(total, 'prediction')} changed" if total else NO_CHANGE
    gold, moved = (np.bincount(rows, minlength=len(now.labels)) for rows in (now.gold, now.gold[changed]))
    least = min(np.flatnonzero(gold).tolist(), key=lambda label: int(moved[label]))
    if few is not None or len(now.labels) < 3 or moved[least] >= _FEW_CHANGED:
        return few, few
    few = counted(int(moved[least]), "prediction") if moved[least] else "no prediction"
    return None, f"{few} of label {now.labels[least]} changed"


def mcnemar(only_current: int, only_baseline: int) -> McNemar:
    """McNemar's exact two-sided test: the smaller count is binomial with probability 1/2, as in statsmodels.

    McNemar, 1947, "Note on the sampling error of the difference between correlated proportions or percentages".
    """
    pairs, fewer = only_current + only_baseline, min(only_current, only_baseline)
    middle = pairs // 2
    # In a row of Pascal's triangle C(n, k - 1) / C(n, k) = k / (n - k + 1). The product of these, from the middle
    # outward, cannot overflow; beyond 20 roots of n it is less than the smallest float.
    k = np.arange(middle, max(0, middle - int(20 * pairs**0.5)), -1)
    weights = np.cumprod(np.append(1.0, k / (pairs - k + 1)))
    everything = 2 * weights.sum() - (1 if pairs % 2 == 0 else 0)  # an even row has its middle once
    return McNemar(only_current, only_baseline, min(1.0, 2 * float(weights[middle - fewer :].sum() / everything)))


def paired_samples(
    gold: Ids, current: Ids, baseline: Ids, n_labels: int, *, resamples: int, seed: int
) -> tuple[MatrixSamples, MatrixSamples]:
    """Confusion matrices of both predictions, resampled together.

    Label ids are ``(n_rows,)`` each. Only the counts of (gold, current, baseline) matter.
    """
    cells = (gold.astype(np.int64) * n_labels + current) * n_labels + baseline
    counts = _counts_of(cells, n_labels**3)
    triples = np.stack(np.unravel_index(np.fromiter(counts, np.int64, len(counts)), (n_labels,) * 3))
    rows = np.fromiter(counts.values(), np.int64, len(counts))
    sums = np.zeros((2, 3, resamples, n_labels))
    start = 0
    for drawn in drawn_cells(rows, resamples=resamples, seed=seed, more=2 * PSEUDO_ROWS):
        here = slice(start, start + len(drawn))
        for side, predicted in enumerate(triples[1:]):
            right = triples[0] == predicted
            sums[side, 0, here] = sums_by(drawn[:, right], predicted[right], n_labels)
            sums[side, 1, here] = sums_by(drawn, triples[0], n_labels)
            sums[side, 2, here] = sums_by(drawn, predicted, n_labels)
        start += len(drawn)
    has_gold = np.bincount(gold, minlength=n_labels) > 0
    occurs = [has_gold | (np.bincount(predicted, minlength=n_labels) > 0) for predicted in (current, baseline)]
    return (
        MatrixSamples(sums[0, 0], sums[0, 1], sums[0, 2], has_gold, occurs[0]),
        MatrixSamples(sums[1, 0], sums[1, 1], sums[1, 2], has_gold, occurs[1]),
    )


def _counts_of(cells: npt.NDArray[np.int64], n_cells: int) -> dict[int, int]:
    """Rows in each of ``n_cells`` cells; of many cells, only those that have rows."""
    if n_cells <= _ALL_CELLS:
        return dict(enumerate(np.bincount(cells, minlength=n_cells).tolist()))
    found, counts = np.unique(cells, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def loss_intervals(
    gold: Ids, current: Probabilities, baseline: Probabilities, positive: int | None
) -> dict[str, Interval]:
    """Intervals of the differences in log loss and Brier score; probabilities are ``(n_rows, n_labels)``.

    Two rows more move the difference up and down as the rows would whose predicted label were wrong; between equal
    probabilities, as a wrong row of one side would alone.
    """
    found = {}
    for name, losses in (("log_loss", log_losses), ("brier", partial(brier_losses, positive=positive))):
        gap = losses(current, gold) - losses(baseline, gold)
        if_wrong = losses(current, runner_up(current))
        moved = if_wrong - losses(baseline, runner_up(baseline))
        if not moved.any() and not gap.any():
            moved = if_wrong
        value, reach = float(gap.mean()), float(np.sqrt((moved**2).mean()))
        interval = interval_of_skewed_mean(Moments.of(gap) + Moments.of(np.array([value - reach, value + reach])))
        interval = within(interval, value, -math.inf, math.inf)
        rows = deciding(gap)
        few = f"the difference rests on about {counted(round(rows), 'row')}" if rows < FEW_DECIDING else None
        found[name] = with_warning(interval, len(gold), few)
    return found

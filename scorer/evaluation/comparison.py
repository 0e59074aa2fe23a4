"""Comparison of two predictions of the same rows: differences, McNemar's test, changed reviews."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from scorer.errors import InputError
from scorer.evaluation.analysis import LabelledPredictions
from scorer.evaluation.baseline import Baseline
from scorer.evaluation.mistakes import by_confidence, reviews_at
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.sections import ChangedReview, Comparison, Difference, McNemar, Method
from scorer.metrics.calibration import brier_losses, log_losses
from scorer.metrics.intervals import MatrixSamples, normal_interval, percentile_interval
from scorer.metrics.resampling import RankedColumn, resampled_rankings
from scorer.metrics.values import Figure, Ids, Probabilities

_SPREAD_CELLS = 5_000_000
"""With more rows times labels, differences of areas have no intervals."""


def comparison_of(
    rows: EvaluatedRows,
    baseline: Baseline,
    partners: npt.NDArray[np.int64],
    labels: tuple[str, ...],
    positive: int | None,
    options: EvaluateOptions,
    method: Method,
) -> Comparison:
    """Compare the rows that both sides predict.

    ``partners`` int64 ``(n_rows,)`` has the row of ``baseline`` for each of ``rows``, -1 for none.

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
        differences=_differences(now, then, method),
        mcnemar=mcnemar(int((right & ~was_right).sum()), int((was_right & ~right).sum())),
        repaired=int((changes == "repaired").sum()),
        broken=int((changes == "broken").sum()),
        other=int((changes == "other").sum()),
        changed=_changed_reviews(rows, both[moved], old[moved], changes, labels, options),
    )


def _changed_reviews(
    rows: EvaluatedRows,
    places: npt.NDArray[np.int64],
    old: Ids,
    changes: npt.NDArray[np.str_],
    labels: Sequence[str],
    options: EvaluateOptions,
) -> tuple[ChangedReview, ...]:
    """The first changed reviews: broken ones first, each kind most confident first."""
    before = dict(zip(places.tolist(), zip(old.tolist(), changes.tolist(), strict=True), strict=True))
    ranked = [by_confidence(rows, places[changes == change]) for change in ("broken", "repaired", "other")]
    shown = np.concatenate(ranked)[: options.mistakes].tolist()
    reviews = reviews_at(rows, shown, labels, options.on)
    return tuple(ChangedReview(reviews[place], labels[before[place][0]], before[place][1]) for place in shown)


def _differences(now: LabelledPredictions, then: LabelledPredictions, method: Method) -> tuple[Difference, ...]:
    positive = now.positive
    samples = paired_samples(
        now.gold, now.predicted, then.predicted, len(now.labels), resamples=method.resamples, seed=method.seed
    )
    spreads: dict[str, float] = {}
    current, old = now.point_figures(), then.point_figures()
    if now.probabilities is not None and then.probabilities is not None:
        spreads = loss_spreads(now.gold, now.probabilities, then.probabilities, positive)
        if current["roc_auc"].value is not None and old["roc_auc"].value is not None:
            ranked = np.unique(now.gold).tolist() if positive is None else [positive]
            if len(now.gold) * len(ranked) <= _SPREAD_CELLS:
                spreads |= ranking_spreads(now.gold, now.probabilities, then.probabilities, ranked, seed=method.seed)
    return differences(current, old, samples, positive, spreads)


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
    """Confusion matrices of both predictions, resampled together within each gold label.

    Label ids are ``(n_rows,)`` each. Only the counts of (current, baseline) within each gold label matter,
    and these are multinomial.
    """
    rng = np.random.default_rng(seed)
    shape = (resamples, n_labels)
    right = [np.zeros(shape, np.int64) for _ in range(2)]
    predicted = [np.zeros(shape, np.int64) for _ in range(2)]
    pairs, counts = np.unique((gold.astype(np.int64) * n_labels + current) * n_labels + baseline, return_counts=True)
    for label in np.unique(pairs // n_labels**2):
        first, last = np.searchsorted(pairs, [label * n_labels**2, (label + 1) * n_labels**2])
        own = counts[first:last]
        drawn = rng.multinomial(int(own.sum()), own / own.sum(), size=resamples)
        cells = pairs[first:last] - label * n_labels**2
        for side, guesses in enumerate((cells // n_labels, cells % n_labels)):
            for guess in np.unique(guesses):
                rows = drawn[:, guesses == guess].sum(axis=1)
                predicted[side][:, guess] += rows
                if guess == label:
                    right[side][:, label] = rows
    strata = np.bincount(gold, minlength=n_labels)
    return MatrixSamples(right[0], strata, predicted[0]), MatrixSamples(right[1], strata, predicted[1])


def differences(
    current: Mapping[str, Figure],
    baseline: Mapping[str, Figure],
    samples: tuple[MatrixSamples, MatrixSamples],
    positive: int | None,
    spreads: Mapping[str, float],
) -> tuple[Difference, ...]:
    """Each figure that both have, and its difference with an interval.

    The interval is the middle 95 % of the differences in ``samples``, or, for a figure in ``spreads``, normal
    with that standard error.
    """
    now, then = (side.figures(positive) for side in samples)
    found = []
    for name, figure in current.items():
        other = baseline.get(name)
        if other is None:
            continue
        if figure.value is None or other.value is None:
            reason = figure.reason or other.reason or "there is no value"
            found.append(Difference(name, figure, other, Figure(None, reason)))
            continue
        value = figure.value - other.value
        interval = None
        if name in now:
            interval = percentile_interval(now[name] - then[name])
        elif name in spreads:
            method = "normal" if name in ("log_loss", "brier") else "bootstrap"
            interval = normal_interval(value, spreads[name], method=method)
        found.append(Difference(name, figure, other, Figure(value, interval=interval)))
    return tuple(found)


def loss_spreads(gold: Ids, current: Probabilities, baseline: Probabilities, positive: int | None) -> dict[str, float]:
    """Standard errors of the differences in log loss and Brier score; probabilities are ``(n_rows, n_labels)``."""
    pairs = {
        "log_loss": (log_losses(current, gold), log_losses(baseline, gold)),
        "brier": (brier_losses(current, gold, positive), brier_losses(baseline, gold, positive)),
    }
    return {name: _standard_error(now - then) for name, (now, then) in pairs.items()}


def ranking_spreads(
    gold: Ids, current: Probabilities, baseline: Probabilities, labels: Sequence[int], *, seed: int
) -> dict[str, float]:
    """Bootstrapped standard errors of the differences in ROC AUC and average precision, means over ``labels``."""
    columns = [
        RankedColumn.of(probabilities[:, label], gold == label)
        for probabilities in (current, baseline)
        for label in labels
    ]
    sampled = resampled_rankings(columns, gold, seed=seed)
    gap = sampled[:, : len(labels)].mean(axis=1) - sampled[:, len(labels) :].mean(axis=1)
    spread = gap.std(axis=0, ddof=1)
    return {"roc_auc": float(spread[0]), "average_precision": float(spread[1])}


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0

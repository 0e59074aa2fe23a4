"""Is it better than the last one: two predictions of the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from scorer.evaluation.sections import Difference, McNemar
from scorer.metrics.calibration import brier_losses, log_losses
from scorer.metrics.intervals import MatrixSamples, normal_interval, percentile_interval
from scorer.metrics.resampling import RankedColumn, resampled_rankings
from scorer.metrics.values import Figure

Ids = npt.NDArray[np.integer]

Probabilities = npt.NDArray[np.floating]


def mcnemar(only_current: int, only_baseline: int) -> McNemar:
    """McNemar's exact test, two-sided: the smaller count is binomial with one half, as in statsmodels.

    McNemar, 1947, "Note on the sampling error of the difference between correlated proportions or percentages".
    """
    from scipy.stats import binom

    both = only_current + only_baseline
    tail = float(binom.cdf(min(only_current, only_baseline), both, 0.5)) if both else 1.0
    return McNemar(only_current, only_baseline, min(1.0, 2 * tail))


def paired_samples(
    gold: Ids, current: Ids, baseline: Ids, n_labels: int, *, resamples: int, seed: int
) -> tuple[MatrixSamples, MatrixSamples]:
    """Confusion matrices of both predictions, resampled together within each gold label.

    Label ids ``(n_rows,)`` each. Only the counts of (current, baseline) in each gold label matter, which
    are multinomial.
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
    """Each figure now and then, and the interval of the difference.

    The interval is the middle 95 % of the differences in ``samples``; where ``spreads`` has the standard
    error of a figure's difference, it is that many around it.
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
        found.append(Difference(name, replace(figure), replace(other), Figure(value, interval=interval)))
    return tuple(found)


def loss_spreads(gold: Ids, current: Probabilities, baseline: Probabilities, positive: int | None) -> dict[str, float]:
    """Standard errors of the mean differences in log loss and Brier score; probabilities are ``(n_rows, n_labels)``."""
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

"""Confidence intervals of 95 %: Wilson's for shares, stratified bootstrap for F1, AUC and the like.

Resampling rows within each gold label (Davison and Hinkley, 1997, section 3.2; for AUC as in Robin et al.,
2011, "pROC") only changes counts: the cells of a confusion matrix, or rows by score, are multinomial. Counts
are resampled instead of rows, so a million rows cost as much as a thousand. Random numbers have a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.metrics.ranking import Ranking, auc_of_counts, precision_of_counts
from scorer.metrics.values import Figure, Interval, LabelFigures, Matrix

Z = 1.959963984540054
"""Two-sided quantile of the normal distribution for 95 %."""

RANK_CELLS = 2048
"""Number of score cells used to resample an AUC; ties within a cell count half."""

_BLOCK = 4_000_000


def wilson(part: float, whole: int) -> Interval | None:
    """Wilson's score interval (1927, without continuity correction) of a share; ``None`` if ``whole`` is 0."""
    if not whole:
        return None
    share, z2 = part / whole, Z * Z
    middle = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    half = Z / (1 + z2 / whole) * math.sqrt(share * (1 - share) / whole + z2 / (4 * whole * whole))
    # At the ends, rounding would put the share itself outside.
    low = 0.0 if part == 0 else max(0.0, middle - half)
    high = 1.0 if part == whole else min(1.0, middle + half)
    return Interval(low, high, "wilson")


def normal_interval(
    value: float, error: float, *, low: float = -math.inf, high: float = math.inf, method: str = "normal"
) -> Interval:
    """``value`` plus and minus 1.96 standard errors, kept within ``low`` and ``high``."""
    return Interval(max(low, value - Z * error), min(high, value + Z * error), method)


def percentile_interval(values: npt.NDArray[np.float64], *, shift: float = 0.0) -> Interval | None:
    """Middle 95 % of the finite values ``(resamples,)``, moved by ``shift``; ``None`` if there are none."""
    if not np.isfinite(values).all():
        values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low + shift), float(high + shift), "bootstrap")


@dataclass(frozen=True, eq=False)
class MatrixSamples:
    """Counts of resampled confusion matrices, enough for every figure of :mod:`scorer.metrics.confusion`.

    Attributes:
        right: int64 ``(resamples, n_labels)``, right rows by label.
        gold: int64 ``(n_labels,)``, gold rows by label; these are the strata, so they are never resampled.
        predicted: int64 ``(resamples, n_labels)``, rows by predicted label.
    """

    right: npt.NDArray[np.int64]
    gold: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    @classmethod
    def of(cls, matrix: Matrix, *, resamples: int, seed: int) -> MatrixSamples:
        """Resample the rows of each gold label: its row of ``matrix`` is multinomial."""
        rng = np.random.default_rng(seed)
        n_labels = len(matrix)
        right, predicted = (np.zeros((resamples, n_labels), np.int64) for _ in range(2))
        for label, row in enumerate(matrix):
            filled = np.flatnonzero(row)
            if not len(filled):
                continue
            drawn = rng.multinomial(int(row.sum()), row[filled] / row.sum(), size=resamples)
            predicted[:, filled] += drawn
            own = np.flatnonzero(filled == label)
            if len(own):
                right[:, label] = drawn[:, own[0]]
        return cls(right, matrix.sum(axis=1), predicted)

    def by_label(self, name: str) -> npt.NDArray[np.float64]:
        """``precision``, ``recall`` or ``f1`` of each label, float64 ``(resamples, n_labels)``, NaN if undefined."""
        part, whole = {
            "precision": (self.right, self.predicted),
            "recall": (self.right, np.broadcast_to(self.gold, self.right.shape)),
            "f1": (2 * self.right, self.gold + self.predicted),
        }[name]
        return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))

    def figures(self, positive: int | None) -> dict[str, npt.NDArray[np.float64]]:
        """Resampled :func:`scorer.metrics.confusion.headline_figures` by name, float64 ``(resamples,)`` each."""
        found: dict[str, npt.NDArray[np.float64]] = {}
        occurs = (self.gold > 0) | (self.predicted > 0)
        total = int(self.gold.sum())
        found["accuracy"] = self.right.sum(axis=1) / max(1, total)
        recall = self.by_label("recall")
        found["balanced_accuracy"] = recall[:, self.gold > 0].mean(axis=1)
        for name in ("precision", "recall", "f1"):
            values = self.by_label(name)
            if positive is not None:
                found[name] = values[:, positive]
            # A label without rows in a resample is left out of its mean, as in the figure itself.
            usable = occurs & np.isfinite(values)
            found[f"macro_{name}"] = np.where(usable, values, 0).sum(axis=1) / np.maximum(1, usable.sum(axis=1))
            found[f"weighted_{name}"] = (np.where(usable, values, 0) * self.gold).sum(axis=1) / max(1, total)
        found["mcc"] = self._matthews(total)
        return found

    def _matthews(self, total: int) -> npt.NDArray[np.float64]:
        gold, predicted = self.gold / max(1, total), self.predicted / max(1, total)
        both = self.right.sum(axis=1) / max(1, total) - predicted @ gold
        spread = (1 - (gold**2).sum()) * (1 - (predicted**2).sum(axis=1))
        return np.asarray(np.where(spread > 0, both / np.sqrt(np.where(spread > 0, spread, 1)), np.nan))


def matrix_intervals(
    figures: Mapping[str, Figure], matrix: Matrix, positive: int | None, samples: MatrixSamples
) -> dict[str, Figure]:
    """Add intervals to the ``figures`` of ``matrix``: Wilson's for shares of rows, bootstrap for the others.

    If every row is right, all intervals are Wilson's: that of recall for F1, that of accuracy for the rest.
    """
    shares = {"accuracy": (int(np.trace(matrix)), int(matrix.sum()))}
    if positive is not None:
        right = int(matrix[positive, positive])
        shares["precision"] = (right, int(matrix[:, positive].sum()))
        shares["recall"] = (right, int(matrix[positive].sum()))
    shares["weighted_recall"] = shares["accuracy"]  # they are equal
    resampled = samples.figures(positive)
    all_right = wilson(*shares["accuracy"]) if np.trace(matrix) == matrix.sum() else None
    found = {}
    for name, figure in figures.items():
        if figure.value is None:
            found[name] = figure
        elif name in shares:
            found[name] = replace(figure, interval=wilson(*shares[name]))
        elif all_right is not None:
            # Without a wrong row there is no error to draw, and resampling would give an interval of width 0.
            found[name] = replace(figure, interval=wilson(*shares["recall"]) if name == "f1" else all_right)
        else:
            found[name] = replace(figure, interval=percentile_interval(resampled[name]))
    return found


def label_intervals(figures: Sequence[LabelFigures], matrix: Matrix, samples: MatrixSamples) -> list[LabelFigures]:
    """Add intervals to precision, recall and F1 of each label."""
    f1 = samples.by_label("f1")
    found = []
    for label, of_label in enumerate(figures):
        right = int(matrix[label, label])
        interval = percentile_interval(f1[:, label]) if of_label.f1.value is not None else None
        found.append(
            replace(
                of_label,
                precision=replace(of_label.precision, interval=wilson(right, of_label.predicted)),
                recall=replace(of_label.recall, interval=wilson(right, of_label.gold)),
                f1=replace(of_label.f1, interval=interval),
            )
        )
    return found


def ranking_intervals(ranking: Ranking, *, resamples: int, seed: int) -> tuple[Figure, Figure]:
    """ROC AUC and average precision of ``ranking`` with their bootstrap intervals.

    Rows with the same score form a cell, so the bootstrap is exact up to :data:`RANK_CELLS` distinct scores.
    Beyond that, neighbouring scores share cells of about equal size, and the interval is shifted by the
    difference that this makes in the figure itself.
    """
    auc, precision = ranking.roc_auc(), ranking.average_precision()
    if auc.value is None or precision.value is None:
        return auc, precision
    hits, false = (_cells(counts, ranking) for counts in (ranking.hits, ranking.false))
    shifts = auc.value - float(auc_of_counts(hits, false)), precision.value - float(precision_of_counts(hits, false))
    rng = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // len(hits))
    sampled: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]] = []
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = [_resampled(rng, counts, size) for counts in (hits, false)]
        sampled.append((auc_of_counts(*drawn), precision_of_counts(*drawn)))
    aucs, precisions = (np.concatenate(values) for values in zip(*sampled, strict=True))
    return (
        replace(auc, interval=_within_unit(percentile_interval(aucs, shift=shifts[0]))),
        replace(precision, interval=_within_unit(percentile_interval(precisions, shift=shifts[1]))),
    )


def _cells(counts: npt.NDArray[np.int64], ranking: Ranking) -> npt.NDArray[np.int64]:
    """Rows in each cell, from the cumulative ``counts`` at each distinct score."""
    if len(counts) <= RANK_CELLS:
        return np.asarray(np.diff(counts, prepend=0))
    rows = ranking.hits + ranking.false
    ends = np.searchsorted(rows, np.linspace(0, rows[-1], RANK_CELLS + 1)[1:]).clip(0, len(rows) - 1)
    return np.asarray(np.diff(counts[np.unique(ends)], prepend=0))


def _resampled(rng: np.random.Generator, counts: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    filled = np.flatnonzero(counts)
    drawn = np.zeros((size, len(counts)), np.int64)
    drawn[:, filled] = rng.multinomial(int(counts.sum()), counts[filled] / counts.sum(), size=size)
    return drawn


def _within_unit(interval: Interval | None) -> Interval | None:
    return interval and replace(interval, low=max(0, interval.low), high=min(1, interval.high))

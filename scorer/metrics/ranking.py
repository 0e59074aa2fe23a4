"""Rankings of rows by score: ROC and precision-recall curves, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.metrics.values import Curves, Figure, Probabilities

CURVE_POINTS = 300
"""Maximum number of points kept of a curve."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Rows ranked by score, counted at every distinct score.

    Attributes:
        name: of the label.
        thresholds: distinct scores ``(m,)``, highest first.
        hits: int64 ``(m,)``, rows of the label with at least that score.
        false: int64 ``(m,)``, other rows with at least that score.
        order: places ``(n,)`` of the rows, highest score first.
    """

    name: str
    thresholds: Probabilities
    hits: npt.NDArray[np.int64]
    false: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @classmethod
    def of(cls, name: str, scores: Probabilities, positive: npt.NDArray[np.bool_]) -> Ranking:
        """Rank rows by ``scores`` ``(n,)``; ``positive`` ``(n,)`` is true for rows of the label."""
        order = np.argsort(-scores)
        ranked = scores[order]
        ends = ends_of_ties(ranked)
        hits = np.cumsum(positive[order], dtype=np.int64)[ends]
        return cls(name, ranked[ends], hits, ends + 1 - hits, order)

    @property
    def steps(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of the label and other rows at each distinct score, int64 ``(m,)`` each."""
        return _steps(self.hits), _steps(self.false)

    def by_row(
        self, hits: npt.NDArray[np.float64], false: npt.NDArray[np.float64], positive: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float64]:
        """Values ``(n,)`` of all rows from those ``(m,)`` of both kinds of rows at each distinct score."""
        ends = self.hits + self.false
        score = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        ranked = positive[self.order]
        found = np.empty(len(self.order))
        found[self.order] = np.where(ranked, hits[score], false[score])
        return found

    @property
    def positives(self) -> int:
        """Rows of the label."""
        return int(self.hits[-1]) if len(self.hits) else 0

    @property
    def negatives(self) -> int:
        """All other rows."""
        return int(self.false[-1]) if len(self.false) else 0

    @property
    def gap(self) -> str | None:
        """Why there is no ROC curve; ``None`` if there is one."""
        if not self.positives:
            return f"no row has the gold label {self.name}"
        return None if self.negatives else f"every row has the gold label {self.name}"

    def roc_auc(self) -> Figure:
        """Area under the ROC curve by trapezoids, ties count half, as scikit-learn's ``roc_auc_score``."""
        if self.gap:
            return Figure(None, self.gap)
        return Figure(float(auc_of_counts(_steps(self.hits), _steps(self.false))))

    def average_precision(self) -> Figure:
        """Sum of precision times step in recall, as scikit-learn's ``average_precision_score``."""
        if not self.positives:
            return Figure(None, f"no row has the gold label {self.name}")
        return Figure(float(precision_of_counts(_steps(self.hits), _steps(self.false))))

    def curves(self, points: int = CURVE_POINTS) -> Curves:
        """Both curves, reduced to about ``points`` points at even distances along them; their ends are kept."""
        false_rate, recall = self.false / max(1, self.negatives), self.hits / max(1, self.positives)
        precision = self.hits / np.maximum(1, self.hits + self.false)
        roc = _spread(false_rate + recall, points) if not self.gap else np.zeros(0, np.int64)
        # Even distances in recall would skip the beginning, where precision changes most.
        pr = np.zeros(0, np.int64)
        if self.positives:
            pr = np.union1d(_spread(recall, points - 20), np.arange(min(20, len(recall))))[::-1]
        first = ([0.0], [None]) if len(roc) else ([], [])
        last = ([0.0], [1.0], [None]) if len(pr) else ([], [], [])
        return Curves(
            label=self.name,
            roc_auc=self.roc_auc(),
            average_precision=self.average_precision(),
            false_positive_rate=(*first[0], *false_rate[roc].tolist()),
            true_positive_rate=(*first[0], *recall[roc].tolist()),
            roc_threshold=(*first[1], *self.thresholds[roc].tolist()),
            recall=(*recall[pr].tolist(), *last[0]),
            precision=(*precision[pr].tolist(), *last[1]),
            precision_recall_threshold=(*self.thresholds[pr].tolist(), *last[2]),
        )


def ends_of_ties(ranked: Probabilities) -> npt.NDArray[np.int64]:
    """The last place of each distinct score in ``ranked`` ``(n,)``, which is sorted; int64 ``(m,)``."""
    return np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.zeros(0, np.int64)


def auc_of_counts(hits: npt.NDArray[np.integer], false: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """ROC AUC of rows counted by score, highest score first: int ``(..., m)`` each -> float64 ``(...)``."""
    above = np.cumsum(hits, axis=-1, dtype=np.float64) - 0.5 * hits
    area = (above * false).sum(axis=-1)
    return np.asarray(area / (hits.sum(axis=-1, dtype=np.float64) * false.sum(axis=-1, dtype=np.float64)))


def precision_of_counts(hits: npt.NDArray[np.integer], false: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Average precision of rows counted by score, highest first: int ``(..., m)`` each -> float64 ``(...)``."""
    reached = np.cumsum(hits, axis=-1, dtype=np.float64)
    rows = reached + np.cumsum(false, axis=-1, dtype=np.float64)
    precision = np.divide(reached, rows, out=np.zeros_like(reached), where=rows > 0)
    return np.asarray((precision * hits).sum(axis=-1) / hits.sum(axis=-1, dtype=np.float64))


def _steps(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.diff(counts, prepend=0)


def _spread(along: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    """Places of about ``points`` evenly spaced values of the rising ``along``, its first and last included."""
    if len(along) <= points:
        return np.arange(len(along))
    wanted = np.linspace(along[0], along[-1], points)
    places = np.searchsorted(along, wanted).clip(0, len(along) - 1)
    return np.unique(np.concatenate([[0], places, [len(along) - 1]]))

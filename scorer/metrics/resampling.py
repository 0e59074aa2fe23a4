"""Resampling of rows, for rankings of several labels at once, which no small table of counts can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.metrics.ranking import auc_of_counts, ends_of_ties, precision_of_counts
from scorer.metrics.values import Ids, Probabilities

_WORK = 100_000_000
"""Rows times rankings times resamples: about five seconds of work."""


@dataclass(frozen=True, eq=False)
class RankedColumn:
    """Rows ranked by the score of one label.

    Attributes:
        order: places of the rows, highest score first.
        hits: bool ``(n_rows,)`` in that order, true for rows of the label.
        ends: the last place in that order of each distinct score.
    """

    order: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scores: Probabilities, positive: npt.NDArray[np.bool_]) -> RankedColumn:
        """Rank rows by ``scores`` ``(n_rows,)``; ``positive`` ``(n_rows,)`` is true for rows of the label."""
        order = np.argsort(-scores, kind="stable")
        return cls(order, positive[order], ends_of_ties(scores[order]))

    def figures(self, weights: npt.NDArray[np.int64]) -> tuple[float, float]:
        """ROC AUC and average precision if each row counts ``weights`` ``(n_rows,)`` times."""
        ranked = weights[self.order]
        rows = np.cumsum(ranked)[self.ends]
        hits = np.cumsum(np.where(self.hits, ranked, 0))[self.ends]
        steps = np.diff(hits, prepend=0), np.diff(rows - hits, prepend=0)
        return float(auc_of_counts(*steps)), float(precision_of_counts(*steps))


def resampled_rankings(columns: Sequence[RankedColumn], strata: Ids, *, seed: int) -> npt.NDArray[np.float64]:
    """ROC AUC and average precision of every column, float64 ``(resamples, n_columns, 2)``.

    Rows are drawn with replacement within each of ``strata`` ``(n_rows,)``, the same rows for all columns.
    There are 40 to 200 resamples, fewer for more rows: enough for a standard error, for which Efron and
    Tibshirani, 1993, "An Introduction to the Bootstrap", section 6.4 recommend 50 to 200.
    """
    n_rows = len(strata)
    resamples = int(np.clip(_WORK // max(1, n_rows * len(columns)), 40, 200))
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    found = np.empty((resamples, len(columns), 2))
    for number in range(resamples):
        weights = np.zeros(n_rows, np.int64)
        for rows in groups:
            weights[rows] = np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows))
        for place, column in enumerate(columns):
            found[number, place] = column.figures(weights)
    return found

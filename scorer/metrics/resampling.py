"""Resampling rows themselves, for figures of rankings that no small table of counts can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.metrics.ranking import Scores, auc_of_counts, precision_of_counts

_WORK = 100_000_000
"""Rows times rankings times resamples; some five seconds."""


@dataclass(frozen=True, eq=False)
class RankedColumn:
    """The scores of one label, sorted once.

    Attributes:
        order: places of the rows, highest score first.
        hits: bool ``(n_rows,)`` in that order, rows of the label.
        ends: the last place in that order of each distinct score.
    """

    order: npt.NDArray[np.int64]
    hits: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scores: Scores, positive: npt.NDArray[np.bool_]) -> RankedColumn:
        """Sort ``scores`` ``(n_rows,)`` of the label that rows in ``positive`` have."""
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
        return cls(order, positive[order], ends)

    def figures(self, weights: npt.NDArray[np.int64]) -> tuple[float, float]:
        """ROC AUC and average precision where each row counts ``weights`` ``(n_rows,)`` times."""
        ranked = weights[self.order]
        rows = np.cumsum(ranked)[self.ends]
        hits = np.cumsum(np.where(self.hits, ranked, 0))[self.ends]
        steps = np.diff(hits, prepend=0), np.diff(rows - hits, prepend=0)
        return float(auc_of_counts(*steps)), float(precision_of_counts(*steps))


def resampled_rankings(
    columns: Sequence[RankedColumn], strata: npt.NDArray[np.integer], *, seed: int
) -> npt.NDArray[np.float64]:
    """ROC AUC and average precision of every column, float64 ``(resamples, n_columns, 2)``.

    Rows are drawn with replacement within each of ``strata`` ``(n_rows,)``, the same rows for all columns.
    There are 40 to 200 resamples, fewer where there are more rows: enough for a standard error, for which
    Efron and Tibshirani, 1993, "An Introduction to the Bootstrap", section 6.4 name 50 to 200.
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

"""Intervals of the areas under ROC and precision-recall curves, and of their differences, from influences of rows.

The influence of a row is how much an area moves with the weight of the row, times the number of rows; the mean of
their squares over the rows is the variance of the area. Influences of several labels, or of two predictions, add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from scorer.metrics.intervals import FEW_DECIDING, Z, deciding, logit_interval, wilson, with_warning, within
from scorer.metrics.ranking import Ranking
from scorer.metrics.values import Interval
from scorer.safe_text import counted

AREAS = ("roc_auc", "average_precision")

_PRIOR_ROWS = {"roc_auc": 6.0, "average_precision": 4.0}
"""Rows of the rarer side that the variance of a model curve counts as, beside that of the influences."""

_FEW_ROWS = 25
"""With fewer rows of a label, its areas have approximate intervals."""


@dataclass(frozen=True)
class Area:
    """The area under a curve of a ranking.

    Attributes:
        name: see :data:`AREAS`.
        value: the area.
        positives, negatives: rows of the label and all others.
    """

    name: str
    value: float
    positives: int
    negatives: int

    @property
    def rarer(self) -> int:
        """Rows of the side with fewer of them."""
        return min(self.positives, self.negatives)

    @property
    def prior_variance(self) -> float:
        """Variance of an area of this size on a model curve, which is not 0 for a perfect ranking.

        For ROC AUC that of exponential scores (Hanley and McNeil, 1982, in the form of Newcombe, 2006, "Confidence
        intervals for an effect size measure based on the Mann-Whitney statistic. Part 2", method 5). For average
        precision that of a share of the rows of the label (Boyd, Eng and Page, 2013, "Area under the Precision-Recall
        Curve: Point Estimates and Confidence Intervals", section 3.2).
        """
        if self.name == "average_precision":
            smoothed = (self.value * self.positives + 0.5) / (self.positives + 1)
            return smoothed * (1 - smoothed) / self.positives
        pairs = self.positives * self.negatives
        return _exponential_variance((self.value * pairs + 0.5) / (pairs + 1), self.positives, self.negatives)


@dataclass(frozen=True, eq=False)
class Influence:
    """How the rows of a ranking move an area.

    Attributes:
        area: of the ranking.
        hits, false: influence float64 ``(m,)`` of a row of the label, and of another row, at each distinct score.
    """

    area: Area
    hits: npt.NDArray[np.float64]
    false: npt.NDArray[np.float64]

    def decided_by(self, ranking: Ranking) -> float:
        """Number of rows that carry the variance; ``ranking`` is the one that this was made from."""
        values, counts = np.concatenate([self.hits, self.false]), np.concatenate(ranking.steps).astype(np.float64)
        return deciding(values, counts)

    def variance(self, ranking: Ranking) -> float:
        """Variance of the area; ``ranking`` is the one that this was made from."""
        hits, false = ranking.steps
        rows = self.area.positives + self.area.negatives
        return float((hits * self.hits**2).sum() + (false * self.false**2).sum()) / rows**2


def influences_of(ranking: Ranking) -> tuple[Influence, Influence]:
    """Influences on ROC AUC and average precision of a ranking of rows of the label and others.

    Those on ROC AUC are the placement values of DeLong, DeLong and Clarke-Pearson, 1988, centred.
    """
    hits, false = ranking.steps
    positives, negatives = ranking.positives, ranking.negatives
    rows = positives + negatives
    below = (negatives - ranking.false + 0.5 * false) / negatives
    above = (ranking.hits - 0.5 * hits) / positives
    auc = float((hits * below).sum() / positives)
    scale = [math.sqrt(count / (count - 1)) if count > 1 else 0.0 for count in (positives, negatives)]
    roc = Influence(
        Area("roc_auc", auc, positives, negatives),
        (below - auc) * rows / positives * scale[0],
        (above - auc) * rows / negatives * scale[1],
    )
    reached = (ranking.hits + ranking.false) / rows
    precision = ranking.hits / (ranking.hits + ranking.false)
    average = float((hits * precision).sum() / positives)
    # A row counts in the precision at its own score and at all lower ones.
    as_hit = np.cumsum((hits / reached)[::-1])[::-1] / rows
    as_row = np.cumsum((hits * precision / reached)[::-1])[::-1] / rows
    share = positives / rows
    return roc, Influence(
        Area("average_precision", average, positives, negatives),
        (precision - average + as_hit - as_row) / share,
        -as_row / share,
    )


def area_interval(value: float, variance: float, parts: Sequence[Area], decided_by: float) -> Interval:
    """Interval of the mean area ``value`` of ``parts``, each of another label.

    ``variance`` is that of the influences, ``decided_by`` the number of rows that carry it. The variance is joined with
    that of model curves, as of a few rows more, and the interval is symmetric on the logit scale (Perme and Manevski,
    2019, "Confidence intervals for the Mann-Whitney test", who recommend DeLong's variance there).
    """
    rarest = min(parts, key=attrgetter("rarer"))
    joined = _joined(variance, sum(part.prior_variance for part in parts) / len(parts) ** 2, rarest)
    if 0 < value < 1:
        found = logit_interval(value, joined)
    elif rarest.name == "roc_auc":
        found = _score_interval(value, rarest.positives, rarest.negatives)
    else:
        found = wilson(value * rarest.positives, rarest.positives) or Interval(0.0, 1.0, "wilson")
    return _checked(within(found, value, 0.0, 1.0), parts, decided_by)


def difference_interval(
    value: float,
    variance: float,
    alone: float,
    current: Sequence[Area],
    baseline: Sequence[Area],
    decided_by: float,
) -> Interval:
    """Normal interval of the difference ``value`` of two mean areas of the same rows.

    ``variance`` is that of the differences of influences, ``alone`` the sum of those of either side. The two move
    together, so that the variance of model curves counts only as far as the influences differ. ``decided_by`` is the
    number of rows that carry the variance.
    """
    parts = [*current, *baseline]
    prior, rarest = sum(part.prior_variance for part in parts) / len(current) ** 2, min(parts, key=attrgetter("rarer"))
    # One row more, so that equal predictions are no certainty.
    together = (variance * rarest.rarer + alone) / (alone * (rarest.rarer + 1)) if alone else 1.0
    half = Z * math.sqrt(_joined(variance, prior * min(1.0, together), rarest))
    return _checked(Interval(max(-1.0, value - half), min(1.0, value + half), "normal"), parts, decided_by)


def _joined(variance: float, prior: float, rarest: Area) -> float:
    rows, more = rarest.rarer, _PRIOR_ROWS[rarest.name]
    # A single row has no variance of its own.
    return prior if rows < 2 else (variance * rows + prior * more) / (rows + more)


def _checked(interval: Interval, parts: Sequence[Area], decided_by: float) -> Interval:
    rarest = min(parts, key=attrgetter("rarer"))
    if (rows := rarest.rarer) < _FEW_ROWS:
        return replace(interval, warning=f"a ranking with {counted(rows, 'row')} of one kind")
    if decided_by < FEW_DECIDING:
        return replace(interval, warning=f"the area rests on about {counted(round(decided_by), 'row')}")
    return with_warning(interval, rarest.positives + rarest.negatives)


def _exponential_variance(area: float, positives: int, negatives: int) -> float:
    rows = (positives + negatives) / 2 - 1
    shape = 1 + rows * (1 - area) / (2 - area) + rows * area / (1 + area)
    return area * (1 - area) * shape / (positives * negatives)


def _score_interval(area: float, positives: int, negatives: int) -> Interval:
    """Newcombe's interval of an ROC AUC of 0 or 1: the areas that lie within 1.96 of their own standard errors."""
    inside, outside = area, 1 - area
    for _ in range(60):
        middle = (inside + outside) / 2
        near = abs(area - middle) <= Z * math.sqrt(_exponential_variance(middle, positives, negatives))
        inside, outside = (middle, outside) if near else (inside, middle)
    return Interval(min(area, inside), max(area, inside), "newcombe")

"""Figures at each threshold of the positive label, and the choice of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scorer.errors import InputError
from scorer.metrics.ranking import Ranking
from scorer.metrics.values import Figure, Section, ratio

STEPS = tuple(step / 20 for step in range(1, 20))
"""Thresholds in the table."""


_OFFERED = (("precision", 0.9), ("precision", 0.95), ("precision", 0.99), ("recall", 0.95), ("recall", 0.99))
"""Figures whose thresholds are found unasked."""

_COUNTED = 400
"""Thresholds along the ROC curve whose counts are kept, about."""


@dataclass(frozen=True)
class ThresholdRow(Section):
    """Figures if the label were predicted for probabilities of ``threshold`` or more.

    Attributes:
        threshold: probability.
        predicted: rows that would get the label.
        precision, recall, f1: of the label.
        accuracy: share of right rows, with more than two labels of this label against the others.
    """

    threshold: float
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure
    accuracy: Figure


@dataclass(frozen=True)
class WantedThreshold(Section):
    """The threshold for a wanted precision or recall.

    Attributes:
        figure: ``precision`` or ``recall``.
        wanted: its least value.
        row: the threshold that reaches it and has the most of the other figure; ``None`` if none reaches it.
        reason: why ``row`` is ``None``.
    """

    figure: str
    wanted: float
    row: ThresholdRow | None
    reason: str | None = None


@dataclass(frozen=True)
class LeastCost(Section):
    """The threshold with the least cost of wrong rows.

    Attributes:
        fp, fn: cost of a row that gets the label wrongly, and of one that lacks it wrongly.
        cost: of all rows at this threshold.
        row: the threshold.
    """

    fp: float
    fn: float
    cost: float
    row: ThresholdRow


@dataclass(frozen=True)
class ThresholdCounts(Section):
    """Rows at several hundred thresholds, from the highest to the lowest.

    Attributes:
        positives, negatives: rows with and without the gold label.
        threshold: scores that occur.
        hits, false: rows of the label, and other rows, whose score reaches each of them.
    """

    positives: int
    negatives: int
    threshold: tuple[float, ...]
    hits: tuple[int, ...]
    false: tuple[int, ...]


@dataclass(frozen=True)
class Thresholds(Section):
    """Thresholds of the positive label.

    Attributes:
        label: the positive one.
        rows: thresholds in even steps.
        best_f1: the threshold with the highest F1; ``None`` if F1 is undefined at all of them.
        wanted: as asked for with ``--at-precision`` and ``--at-recall``.
        offered: for usual precisions and recalls.
        counts: rows at many thresholds.
        least_cost: with ``--cost-fp`` or ``--cost-fn``.
        written: the threshold written into a bundle, or ``None``.
        written_to: folder of that bundle, or ``None``.
    """

    label: str
    rows: tuple[ThresholdRow, ...]
    best_f1: ThresholdRow | None
    wanted: tuple[WantedThreshold, ...] = ()
    offered: tuple[WantedThreshold, ...] = ()
    counts: ThresholdCounts | None = None
    least_cost: LeastCost | None = None
    written: float | None = None
    written_to: str | None = None


def threshold_table(
    ranking: Ranking,
    *,
    at_precision: float | None = None,
    at_recall: float | None = None,
    costs: tuple[float, float] | None = None,
    predicted: int | None = None,
) -> Thresholds:
    """The table, the threshold of the best F1, and those that reach a wanted precision or recall.

    A row gets the label if its probability reaches the threshold. Every score that occurs is a candidate; of
    several with the same figure, the highest is taken. ``costs`` are those of a row that gets the label wrongly and
    of one that lacks it wrongly. ``predicted`` rows have the label in the predictions at hand.
    """
    f1 = 2 * ranking.hits / np.maximum(1, ranking.positives + ranking.hits + ranking.false)
    best = int(np.argmax(f1)) if len(f1) and ranking.positives else None
    wanted = []
    for figure, least in (("precision", at_precision), ("recall", at_recall)):
        if least is not None:
            wanted.append(_wanted(ranking, figure, least))
    offered = tuple(_wanted(ranking, figure, least) for figure, least in _OFFERED)
    least_cost = None if costs is None else _least_cost(ranking, *costs)
    found = [one.row for one in (*wanted, *offered) if one.row is not None]
    named = [one.threshold for one in found]
    if best is not None:
        named.append(float(ranking.thresholds[best]))
    named += ranking.thresholds[ranking.hits + ranking.false == predicted].tolist()
    return Thresholds(
        label=ranking.name,
        rows=tuple(_row(ranking, step) for step in STEPS),
        best_f1=None if best is None else _row(ranking, float(ranking.thresholds[best])),
        wanted=tuple(wanted),
        offered=offered,
        counts=_counts(ranking, named),
        least_cost=least_cost,
    )


def chosen_threshold(table: Thresholds) -> float:
    """The threshold to write: that of the wanted figure, else that of the least cost, else that of the best F1.

    Raises:
        InputError: there is none.
    """
    if table.wanted:
        wanted = table.wanted[0]
        if wanted.row is None:
            raise InputError(f"no threshold can be written: {wanted.reason}", hint=f"lower --at-{wanted.figure}")
        return wanted.row.threshold
    if table.least_cost is not None:
        return table.least_cost.row.threshold
    if table.best_f1 is None:
        raise InputError("no threshold can be written: F1 is undefined at every one")
    return table.best_f1.threshold


def _wanted(ranking: Ranking, figure: str, least: float) -> WantedThreshold:
    precision = ranking.hits / np.maximum(1, ranking.hits + ranking.false)
    recall = ranking.hits / max(1, ranking.positives)
    own, other = (precision, recall) if figure == "precision" else (recall, precision)
    reaching = np.flatnonzero(own >= least)
    if not len(reaching) or not ranking.positives:
        most = f"; the most is {own.max():.4f}" if len(own) and ranking.positives else ""
        return WantedThreshold(figure, least, None, f"no threshold gives a {figure} of {least:g}{most}")
    best = int(reaching[np.argmax(other[reaching])])
    return WantedThreshold(figure, least, _row(ranking, float(ranking.thresholds[best])))


def _least_cost(ranking: Ranking, fp: float, fn: float) -> LeastCost:
    cost = fp * ranking.false + fn * (ranking.positives - ranking.hits)
    best = int(np.argmin(cost))
    never = fn * ranking.positives
    if never < cost[best] and ranking.thresholds[0] < 1:
        return LeastCost(fp, fn, float(never), _row(ranking, 1.0))
    return LeastCost(fp, fn, float(cost[best]), _row(ranking, float(ranking.thresholds[best])))


def _counts(ranking: Ranking, named: Sequence[float]) -> ThresholdCounts:
    along = ranking.hits / max(1, ranking.positives) + ranking.false / max(1, ranking.negatives)
    places = np.arange(len(along))
    if len(along) > _COUNTED:
        steps = np.linspace(0, along[-1], _COUNTED)
        own = np.searchsorted(-ranking.thresholds.astype(np.float64), [-one for one in named])
        # Precision changes most among the first rows.
        first = np.arange(20)
        places = np.unique(np.concatenate([first, np.searchsorted(along, steps), own]).clip(0, len(along) - 1))
    return ThresholdCounts(
        ranking.positives,
        ranking.negatives,
        tuple(ranking.thresholds[places].tolist()),
        tuple(ranking.hits[places].tolist()),
        tuple(ranking.false[places].tolist()),
    )


def _row(ranking: Ranking, threshold: float) -> ThresholdRow:
    # The scorer compares in the type of the probabilities.
    as_scored = float(ranking.thresholds.dtype.type(threshold))
    # Thresholds fall, so the last one that is at least this one counts all rows that reach it.
    place = int(np.searchsorted(-ranking.thresholds.astype(np.float64), -as_scored, side="right"))
    hits, false = (int(counts[place - 1]) if place else 0 for counts in (ranking.hits, ranking.false))
    predicted, positives, total = hits + false, ranking.positives, ranking.positives + ranking.negatives
    name = ranking.name
    return ThresholdRow(
        threshold=threshold,
        predicted=predicted,
        precision=ratio(hits, predicted, f"{name} would never be predicted"),
        recall=ratio(hits, positives, f"no row has the gold label {name}"),
        f1=ratio(2 * hits, positives + predicted, f"{name} would neither be gold nor predicted"),
        accuracy=ratio(hits + ranking.negatives - false, total, "there are no rows"),
    )

"""Rows ranked by the probability of each label: areas with intervals, curves, and influences to compare with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.metrics.areas import AREAS, Area, area_interval, difference_interval, influences_of
from scorer.metrics.confusion import macro
from scorer.metrics.intervals import deciding
from scorer.metrics.ranking import Ranking
from scorer.metrics.values import NO_PROBABILITIES, Curves, Figure, Ids, Interval, LabelFigures, Probabilities

MAX_CURVES = 10
"""Maximum number of labels with curves."""


@dataclass(frozen=True, eq=False)
class RankedLabels:
    """Rows ranked by the probability of each label.

    Attributes:
        by_label: the figures of each label with its areas.
        means: areas of the positive label, or else their macro means, by name.
        curves: of the positive label, or else of the first labels.
        positive: ranking of the positive label; ``None`` without one.
        parts: by area, those of the labels that its mean is over; empty if it is undefined.
        by_row: by area, influence float64 ``(n_rows,)`` of each row on the mean.
    """

    by_label: tuple[LabelFigures, ...]
    means: Mapping[str, Figure]
    curves: tuple[Curves, ...]
    positive: Ranking | None
    parts: Mapping[str, Sequence[Area]]
    by_row: Mapping[str, npt.NDArray[np.float64]]

    @classmethod
    def without_probabilities(cls, by_label: Sequence[LabelFigures]) -> RankedLabels:
        """Figures without areas."""
        return cls(tuple(by_label), dict.fromkeys(AREAS, NO_PROBABILITIES), (), None, {}, {})

    @classmethod
    def of(
        cls,
        by_label: Sequence[LabelFigures],
        probabilities: Probabilities,
        gold: Ids,
        positive: int | None,
        *,
        means_alone: bool = False,
    ) -> RankedLabels:
        """Rank rows by ``probabilities`` ``(n_rows, n_labels)``; ``gold`` ``(n_rows,)`` are label ids.

        With ``means_alone`` there are no curves, and labels of which no mean is made are left out.
        """
        found, curves, of_positive = [], [], None
        parts: dict[str, list[Area]] = {name: [] for name in AREAS}
        by_row = {name: np.zeros(len(gold)) for name in AREAS}
        for label, figures in enumerate(by_label):
            if means_alone and positive is not None and label != positive:
                found.append(figures)
                continue
            is_label = gold == label
            ranking = Ranking.of(figures.label, probabilities[:, label], is_label)
            areas = {"roc_auc": ranking.roc_auc(), "average_precision": ranking.average_precision()}
            in_mean = label == positive or (positive is None and figures.gold > 0)
            for part in influences_of(ranking) if ranking.gap is None else ():
                area = part.area
                interval = area_interval(area.value, part.variance(ranking), [area], part.decided_by(ranking))
                areas[area.name] = replace(areas[area.name], interval=interval)
                if in_mean:
                    parts[area.name].append(area)
                    by_row[area.name] += ranking.by_row(part.hits, part.false, is_label)
            found.append(replace(figures, roc_auc=areas["roc_auc"], average_precision=areas["average_precision"]))
            if means_alone:
                continue
            if label < MAX_CURVES if positive is None else label == positive:
                curves.append(ranking.curves())
            if label == positive:
                of_positive = ranking
        for name, values in by_row.items():
            values /= max(1, len(parts[name]))
        if positive is not None:
            means = {name: getattr(found[positive], name) for name in AREAS}
        else:
            means = {name: _mean(macro(found, name), by_row[name], parts[name]) for name in AREAS}
        return cls(tuple(found), means, tuple(curves), of_positive, parts, by_row)

    def difference(self, other: RankedLabels, name: str) -> tuple[float, Interval] | None:
        """The area ``name`` minus that of ``other``, over the same rows, and its interval; ``None`` if undefined."""
        now, then = self.means[name].value, other.means[name].value
        if now is None or then is None or not self.parts[name] or not other.parts[name]:
            return None
        ours, theirs = self.by_row[name], other.by_row[name]
        variance, alone = _variance(ours - theirs), _variance(ours) + _variance(theirs)
        parts, decided_by = (self.parts[name], other.parts[name]), deciding(ours - theirs)
        return now - then, difference_interval(now - then, variance, alone, *parts, decided_by)


def _mean(figure: Figure, by_row: npt.NDArray[np.float64], parts: Sequence[Area]) -> Figure:
    if figure.value is None or not parts:
        return figure
    return replace(figure, interval=area_interval(figure.value, _variance(by_row), parts, deciding(by_row)))


def _variance(influences: npt.NDArray[np.float64]) -> float:
    """Variance of an area from the influence of each row."""
    return float((influences**2).mean() / len(influences))

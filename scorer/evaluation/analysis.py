"""Gold labels beside predictions -> figures with intervals, curves, reliability, histogram, slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.evaluation.findings import FIGURES
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.sections import Histogram, Method, SliceGroup
from scorer.evaluation.slices import SlicedRows
from scorer.metrics.calibration import Calibration
from scorer.metrics.confusion import confusion_matrix, headline_figures, label_figures, macro
from scorer.metrics.intervals import (
    MatrixSamples,
    label_intervals,
    matrix_intervals,
    normal_interval,
    ranking_intervals,
)
from scorer.metrics.ranking import Ranking
from scorer.metrics.resampling import RankedColumn, resampled_rankings
from scorer.metrics.values import (
    NO_PROBABILITIES,
    Curves,
    Figure,
    Ids,
    LabelFigures,
    Matrix,
    Probabilities,
    ReliabilityBin,
)

HISTOGRAM_BINS = 20

MAX_CURVES = 10
"""Maximum number of labels with curves."""

INTERVAL_LABELS = 20
"""With more labels, the areas of each label have no intervals."""

_AREAS = ("roc_auc", "average_precision")

_NO_GOLD = Figure(None, "there are no gold labels")

_INTERVAL_CELLS = 50_000_000
"""With more rows times labels, the mean areas have no intervals."""

_BLOCK = 1_000_000


@dataclass(frozen=True, eq=False)
class Analysis:
    """Figures of one set of predictions, and the data of their plots.

    Attributes:
        ranking: of the positive label; ``None`` without one or without probabilities.

    The others are those of :class:`scorer.evaluation.findings.EvaluationReport`.
    """

    matrix: Matrix
    figures: Mapping[str, Figure]
    by_label: tuple[LabelFigures, ...] = ()
    curves: tuple[Curves, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    histogram: Histogram | None = None
    ranking: Ranking | None = None

    @classmethod
    def without_gold(cls, n_labels: int) -> Analysis:
        """An empty matrix, and every figure undefined."""
        return cls(_read_only(np.zeros((n_labels, n_labels), np.int64)), dict.fromkeys(FIGURES, _NO_GOLD))


@dataclass(frozen=True, eq=False)
class LabelledPredictions:
    """Gold labels beside one set of predictions.

    Attributes:
        gold, predicted: label ids ``(n_rows,)``.
        probabilities: ``(n_rows, n_labels)``, or ``None``.
        confidence: ``(n_rows,)`` of the predicted label, or ``None``.
        labels: names.
        positive: id of the positive label, or ``None``.
    """

    gold: Ids
    predicted: Ids
    probabilities: Probabilities | None
    confidence: Probabilities | None
    labels: tuple[str, ...]
    positive: int | None

    @classmethod
    def of(
        cls, rows: EvaluatedRows, places: npt.NDArray[np.int64], labels: tuple[str, ...], positive: int | None
    ) -> LabelledPredictions:
        """The rows at ``places``, which have both labels."""
        here = slice(None) if len(places) == len(rows.gold) else places
        return cls(
            gold=rows.gold[here],
            predicted=rows.predicted[here],
            probabilities=None if rows.probabilities is None else rows.probabilities[here],
            confidence=None if rows.confidence is None else rows.confidence[here],
            labels=labels,
            positive=positive,
        )

    def analysis(self, method: Method) -> Analysis:
        """Every figure with its interval, and the data of the plots."""
        matrix = _read_only(confusion_matrix(self.gold, self.predicted, len(self.labels)))
        samples = MatrixSamples.of(matrix, resamples=method.resamples, seed=method.seed)
        figures = matrix_intervals(headline_figures(matrix, self.labels, self.positive), matrix, self.positive, samples)
        by_label, curves, ranking = self._rankings(
            label_intervals(label_figures(matrix, self.labels), matrix, samples), method
        )
        calibration = self.calibration()
        figures |= self._headline_areas(by_label, method)
        figures |= calibration.figures(resamples=method.resamples, seed=method.seed)
        return Analysis(matrix, figures, tuple(by_label), curves, calibration.reliability(), self._histogram(), ranking)

    def point_figures(self) -> dict[str, Figure]:
        """The headline figures without intervals; without probabilities, there are no areas among them."""
        matrix = confusion_matrix(self.gold, self.predicted, len(self.labels))
        figures = dict(headline_figures(matrix, self.labels, self.positive))
        if self.probabilities is not None:
            by_label, _, _ = self._rankings(label_figures(matrix, self.labels), None)
            figures |= self._mean_areas(by_label)
        return figures | self.calibration().figures(resamples=1, seed=0)

    def calibration(self) -> Calibration:
        """The sums for log loss, Brier score and calibration error."""
        found = Calibration()
        for start in range(0, len(self.gold), _BLOCK):
            here = slice(start, start + _BLOCK)
            if self.probabilities is not None:
                found.add_probabilities(self.probabilities[here], self.gold[here], self.positive)
            if self.confidence is not None:
                found.add_confidence(self.confidence[here], self.gold[here] == self.predicted[here])
        return found

    def _rankings(
        self, by_label: Sequence[LabelFigures], method: Method | None
    ) -> tuple[Sequence[LabelFigures], tuple[Curves, ...], Ranking | None]:
        """Figures of each label with its areas, the curves to show, and the ranking of the positive label.

        Without a ``method`` areas have no intervals.
        """
        if self.probabilities is None:
            return by_label, (), None
        found, curves, positive = [], [], None
        for label, figures in enumerate(by_label):
            ranking = Ranking.of(figures.label, self.probabilities[:, label], self.gold == label)
            if method is not None and len(by_label) <= INTERVAL_LABELS:
                auc, precision = ranking_intervals(ranking, resamples=method.resamples, seed=method.seed)
            else:
                auc, precision = ranking.roc_auc(), ranking.average_precision()
            found.append(replace(figures, roc_auc=auc, average_precision=precision))
            if label < MAX_CURVES if self.positive is None else label == self.positive:
                curves.append(ranking.curves())
            if label == self.positive:
                positive = ranking
        return found, tuple(curves), positive

    def _mean_areas(self, by_label: Sequence[LabelFigures]) -> dict[str, Figure]:
        """Areas of the positive label, or else their macro means."""
        if self.positive is not None:
            return {name: getattr(by_label[self.positive], name) for name in _AREAS}
        return {name: macro(by_label, name) for name in _AREAS}

    def _headline_areas(self, by_label: Sequence[LabelFigures], method: Method) -> dict[str, Figure]:
        if self.probabilities is None:
            return dict.fromkeys(_AREAS, NO_PROBABILITIES)
        areas = self._mean_areas(by_label)
        with_gold = [label for label, figures in enumerate(by_label) if figures.gold]
        undefined = any(figure.value is None for figure in areas.values())
        if self.positive is not None or undefined or len(self.gold) * len(with_gold) > _INTERVAL_CELLS:
            return areas
        columns = [RankedColumn.of(self.probabilities[:, label], self.gold == label) for label in with_gold]
        spreads = resampled_rankings(columns, self.gold, seed=method.seed).mean(axis=1).std(axis=0, ddof=1)
        return {
            name: replace(
                figure, interval=normal_interval(figure.value or 0.0, float(spread), low=0, high=1, method="bootstrap")
            )
            for (name, figure), spread in zip(areas.items(), spreads, strict=True)
        }

    def _histogram(self) -> Histogram | None:
        edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
        if len(self.labels) == 2 and self.probabilities is not None and self.positive is not None:
            scores, of = self.probabilities[:, self.positive], f"probability of {self.labels[self.positive]}"
            groups = {name: self.gold == label for label, name in enumerate(self.labels)}
        elif self.confidence is not None:
            right = self.gold == self.predicted
            scores, of, groups = self.confidence, "confidence", {"right": right, "wrong": ~right}
        else:
            return None
        # In float32, so that a score falls into the same bin whether it was kept as float32 or as float64.
        scores, bins = scores.astype(np.float32), edges.astype(np.float32)
        series = {name: tuple(np.histogram(scores[rows], bins)[0].tolist()) for name, rows in groups.items()}
        return Histogram(of, tuple(edges.round(6).tolist()), series)


def slices_of(
    rows: EvaluatedRows, places: npt.NDArray[np.int64], evaluated: LabelledPredictions
) -> tuple[SliceGroup, ...]:
    """Slices of the rows at ``places``, which are ``evaluated``: by the chosen columns, then the built-in ones."""
    cut = SlicedRows(evaluated.gold, evaluated.predicted, evaluated.labels, evaluated.positive)
    asked = [cut.by_values(values, places) for values in rows.slices if not values.built_in]
    built_in = []
    if rows.lengths is not None:
        built_in.append(cut.by_length(rows.lengths[places]))
    built_in += [cut.by_values(values, places) for values in rows.slices if values.built_in]
    if evaluated.confidence is not None:
        built_in.append(cut.by_confidence(evaluated.confidence))
    return (*asked, *built_in)


def _read_only(matrix: Matrix) -> Matrix:
    matrix.setflags(write=False)
    return matrix

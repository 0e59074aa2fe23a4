"""Gold labels beside predictions -> figures with intervals, curves, reliability, histogram, slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.evaluation.findings import FIGURES
from scorer.evaluation.ranked_labels import MAX_CURVES, RankedLabels
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.sections import Histogram, Method
from scorer.evaluation.slices import Cut, cut_by_confidence, cut_by_length, cut_by_values
from scorer.metrics.calibration import Calibration
from scorer.metrics.confusion import confusion_matrix, headline_figures, label_figures
from scorer.metrics.matrix_samples import MatrixSamples, label_intervals, matrix_intervals
from scorer.metrics.ranking import Ranking
from scorer.metrics.values import (
    Curves,
    Figure,
    Ids,
    LabelFigures,
    Matrix,
    Probabilities,
    ReliabilityBin,
)

HISTOGRAM_BINS = 20

_NO_GOLD = Figure(None, "there are no gold labels")

_BLOCK = 2_000_000
"""Probabilities looked at together."""


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
        ranked = self.ranked(label_intervals(label_figures(matrix, self.labels), matrix))
        samples = MatrixSamples.of(matrix, resamples=method.resamples, seed=method.seed)
        figures = matrix_intervals(
            headline_figures(matrix, self.labels, self.positive), ranked.by_label, matrix, self.positive, samples
        )
        calibration = self.calibration()
        figures |= ranked.means
        figures |= calibration.figures(resamples=method.resamples, seed=method.seed)
        return Analysis(
            matrix,
            figures,
            ranked.by_label,
            ranked.curves,
            calibration.reliability(),
            self._histogram(),
            ranked.positive,
        )

    def curves(self) -> tuple[Curves, ...]:
        """Curves of the positive label, or of the first labels; empty without probabilities."""
        if self.probabilities is None:
            return ()
        shown = range(min(MAX_CURVES, len(self.labels))) if self.positive is None else [self.positive]
        return tuple(
            Ranking.of(self.labels[label], self.probabilities[:, label], self.gold == label).curves() for label in shown
        )

    def calibration(self) -> Calibration:
        """The sums for log loss, Brier score and calibration error."""
        found = Calibration()
        at_once = max(1, _BLOCK // len(self.labels))
        for start in range(0, len(self.gold), at_once):
            here = slice(start, start + at_once)
            if self.probabilities is not None:
                found.add_probabilities(self.probabilities[here], self.gold[here], self.positive)
            if self.confidence is not None:
                found.add_confidence(self.confidence[here], self.gold[here] == self.predicted[here])
        return found

    def ranked(self, by_label: Sequence[LabelFigures], *, means_alone: bool = False) -> RankedLabels:
        """Rank the rows by the probability of each label, see :meth:`RankedLabels.of`."""
        if self.probabilities is None:
            return RankedLabels.without_probabilities(by_label)
        return RankedLabels.of(by_label, self.probabilities, self.gold, self.positive, means_alone=means_alone)

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


def cuts_of(rows: EvaluatedRows, places: npt.NDArray[np.int64], evaluated: LabelledPredictions) -> tuple[Cut, ...]:
    """Cuts of the rows at ``places``, which are ``evaluated``: by the chosen columns, then the built-in ones."""
    asked = [cut_by_values(values, places) for values in rows.slices if not values.built_in]
    built_in = []
    if rows.lengths is not None:
        built_in.append(cut_by_length(rows.lengths[places]))
    built_in += [cut_by_values(values, places) for values in rows.slices if values.built_in]
    if evaluated.confidence is not None:
        built_in.append(cut_by_confidence(evaluated.confidence))
    return (*asked, *built_in)


def _read_only(matrix: Matrix) -> Matrix:
    matrix.setflags(write=False)
    return matrix

"""Evaluated rows -> figures with intervals, curves, slices, mistakes: each part of a report from its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.evaluation.findings import MAX_CURVES
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
from scorer.metrics.values import NO_PROBABILITIES, Curves, Figure, LabelFigures, Matrix, ReliabilityBin

HISTOGRAM_BINS = 20

INTERVAL_LABELS = 20
"""With more labels, the AUC of each label is given without its interval."""

_INTERVAL_CELLS = 50_000_000

_BLOCK = 1_000_000


@dataclass(frozen=True, eq=False)
class Analysis:
    """How good the predictions are: attributes of :class:`scorer.evaluation.findings.EvaluationReport`, and one more.

    Attributes:
        ranking: of the positive label; ``None`` without one or without probabilities.
    """

    matrix: Matrix
    figures: Mapping[str, Figure]
    by_label: tuple[LabelFigures, ...]
    curves: tuple[Curves, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    histogram: Histogram | None = None
    ranking: Ranking | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """Gold labels beside one set of predictions.

    Attributes:
        gold, predicted: label ids ``(n_rows,)``.
        probabilities: ``(n_rows, n_labels)``, or ``None``.
        confidence: ``(n_rows,)`` of the predicted label, or ``None``.
        labels: names.
        positive: id of the positive label.
    """

    gold: npt.NDArray[np.integer]
    predicted: npt.NDArray[np.integer]
    probabilities: npt.NDArray[np.floating] | None
    confidence: npt.NDArray[np.floating] | None
    labels: tuple[str, ...]
    positive: int | None

    def analysis(self, method: Method) -> Analysis:
        """Every figure with its interval, and what pictures are drawn from."""
        n_labels = len(self.labels)
        matrix = confusion_matrix(self.gold, self.predicted, n_labels)
        matrix.setflags(write=False)
        samples = MatrixSamples.of(matrix, resamples=method.resamples, seed=method.seed)
        figures = matrix_intervals(headline_figures(matrix, self.labels, self.positive), matrix, self.positive, samples)
        by_label = label_intervals(label_figures(matrix, self.labels), matrix, samples)
        by_label, curves, ranking = self._rankings(by_label, method)
        calibration = self.calibration()
        figures |= self._headline_rankings(by_label, method)
        figures |= calibration.figures(resamples=method.resamples, seed=method.seed)
        histogram = self._histogram()
        return Analysis(matrix, figures, tuple(by_label), curves, calibration.reliability(), histogram, ranking)

    def point_figures(self) -> dict[str, Figure]:
        """The headline figures without intervals."""
        matrix = confusion_matrix(self.gold, self.predicted, len(self.labels))
        figures = dict(headline_figures(matrix, self.labels, self.positive))
        if self.probabilities is not None:
            chosen = range(len(self.labels)) if self.positive is None else [self.positive]
            by_label = list(label_figures(matrix, self.labels))
            for label in chosen:
                ranking = self._ranking(label)
                by_label[label] = replace(
                    by_label[label], roc_auc=ranking.roc_auc(), average_precision=ranking.average_precision()
                )
            for name in ("roc_auc", "average_precision"):
                one = None if self.positive is None else getattr(by_label[self.positive], name)
                figures[name] = one or macro(by_label, name)
        calibration = self.calibration()
        figures |= calibration.figures(resamples=1, seed=0)
        return figures

    def calibration(self) -> Calibration:
        """The sums that log loss, Brier score and calibration error are made of."""
        found = Calibration()
        for start in range(0, len(self.gold), _BLOCK):
            here = slice(start, start + _BLOCK)
            if self.probabilities is not None:
                found.add_probabilities(self.probabilities[here], self.gold[here], self.positive)
            if self.confidence is not None:
                found.add_confidence(self.confidence[here], self.gold[here] == self.predicted[here])
        return found

    def _ranking(self, label: int) -> Ranking:
        if self.probabilities is None:
            raise ValueError("there are no probabilities")
        return Ranking.of(self.labels[label], self.probabilities[:, label], self.gold == label)

    def _rankings(
        self, by_label: list[LabelFigures], method: Method
    ) -> tuple[list[LabelFigures], tuple[Curves, ...], Ranking | None]:
        """ROC AUC and average precision of each label, curves of those that are shown, and the positive ranking."""
        if self.probabilities is None:
            return by_label, (), None
        found, curves, chosen = [], [], None
        for label, figures in enumerate(by_label):
            ranking = self._ranking(label)
            if len(by_label) <= INTERVAL_LABELS:
                auc, precision = ranking_intervals(ranking, resamples=method.resamples, seed=method.seed)
            else:
                auc, precision = ranking.roc_auc(), ranking.average_precision()
            found.append(replace(figures, roc_auc=auc, average_precision=precision))
            shown = label < MAX_CURVES if self.positive is None else label == self.positive
            if shown:
                curves.append(ranking.curves())
            if label == self.positive:
                chosen = ranking
        return found, tuple(curves), chosen

    def _headline_rankings(self, by_label: Sequence[LabelFigures], method: Method) -> dict[str, Figure]:
        names = ("roc_auc", "average_precision")
        if self.probabilities is None:
            return dict.fromkeys(names, NO_PROBABILITIES)
        if self.positive is not None:
            return {name: getattr(by_label[self.positive], name) for name in names}
        means = {name: macro(by_label, name) for name in names}
        there = [label for label, figures in enumerate(by_label) if figures.gold]
        if any(figure.value is None for figure in means.values()) or len(self.gold) * len(there) > _INTERVAL_CELLS:
            return means
        columns = [RankedColumn.of(self.probabilities[:, label], self.gold == label) for label in there]
        spreads = resampled_rankings(columns, self.gold, seed=method.seed).mean(axis=1).std(axis=0, ddof=1)
        return {
            name: replace(
                figure, interval=normal_interval(figure.value or 0.0, float(spread), low=0, high=1, method="bootstrap")
            )
            for (name, figure), spread in zip(means.items(), spreads, strict=True)
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
        series = {name: tuple(np.histogram(scores[rows], edges)[0].tolist()) for name, rows in groups.items()}
        return Histogram(of, tuple(edges.round(6).tolist()), series)


def judged(rows: EvaluatedRows, places: npt.NDArray[np.int64], labels: tuple[str, ...], positive: int | None) -> Judged:
    """The rows at ``places``, which have both labels."""
    everything = len(places) == len(rows.gold)
    here: slice | npt.NDArray[np.int64] = slice(None) if everything else places
    return Judged(
        gold=rows.gold[here],
        predicted=rows.predicted[here],
        probabilities=None if rows.probabilities is None else rows.probabilities[here],
        confidence=None if rows.confidence is None else rows.confidence[here],
        labels=labels,
        positive=positive,
    )


def slices_of(rows: EvaluatedRows, places: npt.NDArray[np.int64], shown: Judged) -> tuple[SliceGroup, ...]:
    """The evaluated rows at ``places``, by the columns that were asked for and by the built-in slices."""
    cut = SlicedRows(shown.gold, shown.predicted, shown.labels, shown.positive)
    asked = [cut.by_values(values, places) for values in rows.slices if not values.built_in]
    built_in = []
    if rows.lengths is not None:
        built_in.append(cut.by_length(rows.lengths[places]))
    built_in += [cut.by_values(values, places) for values in rows.slices if values.built_in]
    if shown.confidence is not None:
        built_in.append(cut.by_confidence(shown.confidence))
    return (*asked, *built_in)

"""Intervals of the figures of a confusion matrix by a smoothed bootstrap of its cells.

Rows are not resampled: their counts by cell are, as a Dirichlet distribution with two rows more, spread evenly over
the cells (Rubin, 1981, "The Bayesian bootstrap", with Jeffreys' half a row in each of the four cells of two labels).
So a cell without a row is no certainty, and no figure of a sample is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.metrics.intervals import f1_interval, interval_of_mean, wilson, with_warning, within
from scorer.metrics.values import Figure, Interval, LabelFigures, Matrix
from scorer.safe_text import counted

PSEUDO_ROWS = 2.0
"""Rows more than there are, spread evenly over the cells."""

_ALL_CELLS = 2048
"""With more cells, only those that have rows and those of right rows share the additional rows."""

_BLOCK = 4_000_000

_FEW_ROWS = 25
"""With fewer gold rows of a label, intervals of figures in which labels count alike are approximate."""

MEANS_OVER_LABELS = {
    "balanced_accuracy": "recall",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "macro_f1": "f1",
}
"""Means of one figure of each label, in which labels count alike."""

_WEIGHTED = {"weighted_precision": "precision", "weighted_f1": "f1"}
"""Means of one figure of each label, weighted with its gold rows."""


@dataclass(frozen=True, eq=False)
class MatrixSamples:
    """Rows of resampled confusion matrices by label, enough for every figure of :mod:`scorer.metrics.confusion`.

    Attributes:
        right, gold, predicted: float64 ``(resamples, n_labels)``, right rows, rows by gold label, by predicted label.
        has_gold, occurs: bool ``(n_labels,)``, labels of a gold row, and of a gold row or a prediction.
    """

    right: npt.NDArray[np.float64]
    gold: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    has_gold: npt.NDArray[np.bool_]
    occurs: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, matrix: Matrix, *, resamples: int, seed: int) -> MatrixSamples:
        """Resample the cells of ``matrix``."""
        occurs = (matrix.sum(axis=0) > 0) | (matrix.sum(axis=1) > 0)
        names, n_labels = np.flatnonzero(occurs), len(matrix)
        if len(names) ** 2 <= _ALL_CELLS:
            gold, predicted = (side.ravel() for side in np.meshgrid(names, names, indexing="ij"))
        else:
            filled = matrix > 0
            filled[names, names] = True
            gold, predicted = np.nonzero(filled)
        counts = matrix[gold, predicted]
        found = np.empty((3, resamples, n_labels))
        start = 0
        for drawn in drawn_cells(counts, resamples=resamples, seed=seed):
            here = slice(start, start + len(drawn))
            found[0, here] = sums_by(drawn[:, gold == predicted], gold[gold == predicted], n_labels)
            found[1, here] = sums_by(drawn, gold, n_labels)
            found[2, here] = sums_by(drawn, predicted, n_labels)
            start += len(drawn)
        return cls(found[0], found[1], found[2], matrix.sum(axis=1) > 0, occurs)

    def by_label(self, name: str) -> npt.NDArray[np.float64]:
        """``precision``, ``recall`` or ``f1`` by label, float64 ``(resamples, n_labels)``; 0 if none occurs."""
        part, whole = {
            "precision": (self.right, self.predicted),
            "recall": (self.right, self.gold),
            "f1": (2 * self.right, self.gold + self.predicted),
        }[name]
        return np.asarray(np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0))

    def figures(self, positive: int | None) -> dict[str, npt.NDArray[np.float64]]:
        """Resampled :func:`scorer.metrics.confusion.headline_figures` by name, float64 ``(resamples,)`` each."""
        total = self.gold.sum(axis=1)
        weights = np.where(self.has_gold, self.gold, 0.0)
        found = {"accuracy": self.right.sum(axis=1) / total}
        found["balanced_accuracy"] = self.by_label("recall")[:, self.has_gold].mean(axis=1)
        for name in ("precision", "recall", "f1"):
            values = self.by_label(name)
            if positive is not None:
                found[name] = values[:, positive]
            found[f"macro_{name}"] = values[:, self.occurs].mean(axis=1)
            found[f"weighted_{name}"] = (values * weights).sum(axis=1) / weights.sum(axis=1)
        found["mcc"] = self._matthews(total)
        return found

    def _matthews(self, total: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        gold, predicted = self.gold / total[:, np.newaxis], self.predicted / total[:, np.newaxis]
        both = self.right.sum(axis=1) / total - (predicted * gold).sum(axis=1)
        spread = (1 - (gold**2).sum(axis=1)) * (1 - (predicted**2).sum(axis=1))
        return np.asarray(both / np.sqrt(np.maximum(spread, 1e-300)))


def drawn_cells(
    counts: npt.NDArray[np.integer], *, resamples: int, seed: int, more: float = PSEUDO_ROWS
) -> Iterator[npt.NDArray[np.float64]]:
    """Draw rows of cells ``resamples`` times: blocks float64 ``(…, n_cells)``.

    The cells have ``counts`` ``(n_cells,)`` rows, and share ``more`` rows evenly.
    """
    rng = np.random.default_rng(seed)
    shape = counts + more / len(counts)
    at_once = max(1, _BLOCK // len(counts))
    for start in range(0, resamples, at_once):
        yield rng.standard_gamma(shape, size=(min(at_once, resamples - start), len(counts)))


def sums_by(drawn: npt.NDArray[np.float64], groups: npt.NDArray[np.integer], n_groups: int) -> npt.NDArray[np.float64]:
    """Sums of columns ``(…, n_cells)`` by their group, float64 ``(…, n_groups)``."""
    found = np.zeros((len(drawn), n_groups))
    if len(groups):
        order = np.argsort(groups, kind="stable")
        starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
        found[:, groups[order][starts]] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return found


def sampled_interval(value: float, samples: npt.NDArray[np.float64], low: float, high: float) -> Interval:
    """Middle 95 % of ``samples`` ``(resamples,)``, and on the side of ``value`` also if they were moved to it.

    The additional rows pull the samples away from a figure near its end, so that their middle alone misses there.
    """
    bottom, middle, top = np.quantile(samples, [0.025, 0.5, 0.975]).tolist()
    shift = value - middle
    return within(Interval(bottom + min(0.0, shift), top + max(0.0, shift), "bootstrap"), value, low, high)


def matrix_intervals(
    figures: Mapping[str, Figure],
    by_label: Sequence[LabelFigures],
    matrix: Matrix,
    positive: int | None,
    samples: MatrixSamples,
) -> dict[str, Figure]:
    """Add intervals to the ``figures`` of ``matrix``; ``by_label`` has those of :func:`label_intervals`.

    Wilson's for shares of rows and F1; the smoothed bootstrap for the others, which for means over labels is joined
    with the interval from those of the labels.
    """
    rows = int(matrix.sum())
    accuracy = wilson(int(np.trace(matrix)), rows)
    known = {"accuracy": accuracy, "weighted_recall": accuracy}  # they are equal
    if positive is not None:
        known |= {name: getattr(by_label[positive], name).interval for name in ("precision", "recall", "f1")}
    if len(only := np.flatnonzero(samples.occurs)) == 1:  # its figures are the means over labels
        means = MEANS_OVER_LABELS | _WEIGHTED
        known |= {name: getattr(by_label[int(only[0])], of).interval for name, of in means.items()}
    resampled = samples.figures(positive)
    few = _of_few_rows(by_label)
    found = {}
    for name, figure in figures.items():
        if figure.value is None:
            found[name] = figure
        elif name in known:
            found[name] = replace(figure, interval=known[name])
        else:
            interval = sampled_interval(figure.value, resampled[name], -1.0 if name == "mcc" else 0.0, 1.0)
            if few is not None and (mean := _mean_over_labels(name, by_label)) is not None:
                ends = min(interval.low, max(0.0, mean.low)), max(interval.high, min(1.0, mean.high))
                interval = replace(interval, low=ends[0], high=ends[1])
            reason = few if name in MEANS_OVER_LABELS or name == "mcc" else None
            found[name] = replace(figure, interval=with_warning(interval, rows, reason))
    return found


def _mean_over_labels(name: str, by_label: Sequence[LabelFigures]) -> Interval | None:
    """The interval of a figure that is the mean of one figure of each label; ``None`` for any other."""
    if name not in MEANS_OVER_LABELS:
        return None
    of = MEANS_OVER_LABELS[name]
    figures = [getattr(label, of) for label in by_label if label.gold or (label.predicted and of != "recall")]
    pairs = [(figure.value, figure.interval) for figure in figures if figure.value is not None]
    return interval_of_mean([value for value, _ in pairs], [interval for _, interval in pairs]) if pairs else None


def _of_few_rows(by_label: Sequence[LabelFigures]) -> str | None:
    """The warning that a label has too few gold rows for a mean over labels."""
    few = [label for label in by_label if (label.gold or label.predicted) and label.gold < _FEW_ROWS]
    if not few:
        return None
    least = min(few, key=lambda label: label.gold)
    return f"label {least.label} has {counted(least.gold, 'gold row')}"


def label_intervals(figures: Sequence[LabelFigures], matrix: Matrix) -> list[LabelFigures]:
    """Add intervals to precision, recall and F1 of each label."""
    found = []
    for label, of_label in enumerate(figures):
        right = int(matrix[label, label])
        found.append(
            replace(
                of_label,
                precision=replace(of_label.precision, interval=wilson(right, of_label.predicted)),
                recall=replace(of_label.recall, interval=wilson(right, of_label.gold)),
                f1=replace(of_label.f1, interval=f1_interval(right, of_label.gold, of_label.predicted)),
            )
        )
    return found

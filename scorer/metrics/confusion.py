"""Figures of a classification as pure functions of its confusion matrix.

A confusion matrix is int64 ``(n_labels, n_labels)``: rows are gold labels, columns predicted ones. These
figures need nothing else, and matrices can be summed chunk by chunk. The formulas are those of scikit-learn's
``precision_recall_fscore_support``; a figure that it calls ill-defined is a :class:`Figure` without a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from scorer.metrics.values import Figure, Ids, LabelFigures, Matrix, ratio

_NO_ROWS = Figure(None, "there are no rows")


def confusion_matrix(gold: Ids, predicted: Ids, n_labels: int) -> Matrix:
    """Count pairs of label ids; both arrays are ``(n,)`` with values from 0 to ``n_labels - 1``.

    Raises:
        ValueError: the lengths differ, or an id is out of range.
    """
    if gold.shape != predicted.shape or gold.ndim != 1:
        raise ValueError(f"gold {gold.shape} and predicted {predicted.shape} are not two columns of one length")
    for ids in (gold, predicted):
        if ids.size and not (ids.min() >= 0 and ids.max() < n_labels):
            raise ValueError(f"a label id lies outside 0 … {n_labels - 1}")
    pairs = gold.astype(np.int64) * n_labels + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=n_labels * n_labels).astype(np.int64).reshape(n_labels, n_labels)


def accuracy(matrix: Matrix) -> Figure:
    """Share of rows whose predicted label is the gold one."""
    return ratio(int(np.trace(matrix)), int(matrix.sum()), "there are no rows")


def label_figures(matrix: Matrix, names: Sequence[str]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of every label against the others, in the order of ``names``.

    F1 is ``2 TP / (gold + predicted)``: 0, not undefined, for a label that was missed altogether.
    """
    if matrix.shape != (len(names), len(names)):
        raise ValueError(f"a matrix {matrix.shape} does not fit {len(names)} labels")
    found = []
    for label, name in enumerate(names):
        right, gold, predicted = int(matrix[label, label]), int(matrix[label].sum()), int(matrix[:, label].sum())
        found.append(
            LabelFigures(
                label=name,
                gold=gold,
                predicted=predicted,
                precision=ratio(right, predicted, f"{name} was never predicted"),
                recall=ratio(right, gold, f"no row has the gold label {name}"),
                f1=ratio(2 * right, gold + predicted, f"{name} is neither a gold label nor predicted"),
            )
        )
    return tuple(found)


def macro(figures: Sequence[LabelFigures], name: str) -> Figure:
    """Unweighted mean of a figure, such as ``f1``, over the labels that occur.

    A label that is neither gold nor predicted in any row is left out, as scikit-learn does. If the figure of
    a label that does occur is undefined, so is the mean; scikit-learn would count a zero and warn.
    """
    return _mean([(1, getattr(label, name)) for label in figures if label.gold or label.predicted])


def weighted(figures: Sequence[LabelFigures], name: str) -> Figure:
    """Mean of a figure, such as ``f1``, each label weighted by its gold rows; undefined as in :func:`macro`."""
    return _mean([(label.gold, getattr(label, name)) for label in figures if label.gold])


def balanced_accuracy(figures: Sequence[LabelFigures]) -> Figure:
    """Mean recall of the labels that have a gold row, as scikit-learn's ``balanced_accuracy_score``."""
    return _mean([(1, label.recall) for label in figures if label.gold])


def _mean(parts: Sequence[tuple[int, Figure]]) -> Figure:
    """Mean of weighted figures; the first undefined one leaves it undefined."""
    total, values = sum(weight for weight, _ in parts), []
    for weight, figure in parts:
        if figure.value is None:
            return figure
        values.append(figure.value * weight)
    return Figure(math.fsum(values) / total) if values else _NO_ROWS


def matthews(matrix: Matrix) -> Figure:
    """Matthews correlation coefficient, in [-1, 1], of any number of labels.

    Gorodkin, 2004, "Comparing two K-category assignments by a K-category correlation coefficient"; as
    scikit-learn's ``matthews_corrcoef``, which gives 0 if only one label is gold or predicted.
    """
    # Python's integers, because products of counts exceed 64 bits.
    total, right = int(matrix.sum()), int(np.trace(matrix))
    gold, predicted = ([int(count) for count in matrix.sum(axis=axis)] for axis in (1, 0))
    if not total:
        return _NO_ROWS
    of_gold, of_predicted = (total**2 - sum(count**2 for count in counts) for counts in (gold, predicted))
    if not of_gold or not of_predicted:
        return Figure(None, f"only one label is {'predicted' if of_gold else 'a gold label'}")
    both = right * total - sum(g * p for g, p in zip(gold, predicted, strict=True))
    return Figure(max(-1.0, min(1.0, both / math.sqrt(of_gold * of_predicted))))


def headline_figures(matrix: Matrix, names: Sequence[str], positive: int | None) -> Mapping[str, Figure]:
    """The headline figures that need only the confusion matrix, by name.

    ``accuracy`` and ``balanced_accuracy``; ``precision``, ``recall`` and ``f1`` of the label ``positive``,
    undefined without one; their macro and weighted means; ``mcc``.
    """
    by_label = label_figures(matrix, names)
    chosen = ("precision", "recall", "f1")
    if positive is None:
        reason = f"none of the {len(names)} labels is the positive one" if len(names) > 1 else "there is only one label"
        binary = {name: Figure(None, reason) for name in chosen}
    else:
        binary = {name: getattr(by_label[positive], name) for name in chosen}
    return {
        "accuracy": accuracy(matrix),
        "balanced_accuracy": balanced_accuracy(by_label),
        **binary,
        **{f"macro_{name}": macro(by_label, name) for name in chosen},
        **{f"weighted_{name}": weighted(by_label, name) for name in chosen},
        "mcc": matthews(matrix),
    }

"""Figures of a classification, as pure functions of its confusion matrix.

A confusion matrix is int64 ``(n_labels, n_labels)``: rows are gold labels, columns predicted ones. It is
all that these figures need, and it can be summed chunk by chunk. Formulas are those of scikit-learn's
``precision_recall_fscore_support``; what it calls ill-defined is :class:`Figure` without a value here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from scorer.metrics.values import Figure, LabelFigures, Matrix


def confusion_matrix(gold: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], n_labels: int) -> Matrix:
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
    return _ratio(int(np.trace(matrix)), int(matrix.sum()), "there are no rows")


def label_figures(matrix: Matrix, names: Sequence[str]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of every label against the others, in the order of ``names``.

    F1 is ``2 TP / (gold + predicted)``: 0, not undefined, where a label was missed altogether.
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
                precision=_ratio(right, predicted, f"{name} was never predicted"),
                recall=_ratio(right, gold, f"no row has the gold label {name}"),
                f1=_ratio(2 * right, gold + predicted, f"{name} is neither a gold label nor predicted"),
            )
        )
    return tuple(found)


def macro(figures: Sequence[LabelFigures], name: str) -> Figure:
    """Unweighted mean of ``precision``, ``recall`` or ``f1`` over the labels that occur.

    A label that is neither gold nor predicted in any row is left out, as scikit-learn does. Where the
    figure of a label that does occur is undefined, so is the mean: scikit-learn would count a zero and warn.
    """
    values = []
    for label in figures:
        if label.gold == 0 and label.predicted == 0:
            continue
        figure: Figure = getattr(label, name)
        if figure.value is None:
            return figure
        values.append(figure.value)
    return Figure(math.fsum(values) / len(values)) if values else Figure(None, "there are no rows")


def weighted(figures: Sequence[LabelFigures], name: str) -> Figure:
    """Mean of ``precision``, ``recall`` or ``f1``, each label weighted with its gold rows.

    Labels without a gold row have no weight. Where the figure of another label is undefined, so is the
    mean, as in :func:`macro`.
    """
    total = sum(label.gold for label in figures)
    parts = []
    for label in figures:
        if label.gold == 0:
            continue
        figure: Figure = getattr(label, name)
        if figure.value is None:
            return figure
        parts.append(figure.value * label.gold)
    return Figure(math.fsum(parts) / total) if total else Figure(None, "there are no rows")


def balanced_accuracy(figures: Sequence[LabelFigures]) -> Figure:
    """Mean recall of the labels that have a gold row, as scikit-learn's ``balanced_accuracy_score``."""
    recalls = [label.recall.value for label in figures if label.recall.value is not None]
    return Figure(math.fsum(recalls) / len(recalls)) if recalls else Figure(None, "there are no rows")


def matthews(matrix: Matrix) -> Figure:
    """Matthews correlation coefficient, in [-1, 1], of any number of labels.

    Gorodkin, 2004, "Comparing two K-category assignments by a K-category correlation coefficient"; as
    scikit-learn's ``matthews_corrcoef``, which gives 0 where only one label is gold or predicted.
    """
    # Python's integers: products of counts go beyond 64 bits.
    total, right = int(matrix.sum()), int(np.trace(matrix))
    gold, predicted = ([int(count) for count in matrix.sum(axis=axis)] for axis in (1, 0))
    if not total:
        return Figure(None, "there are no rows")
    of_gold, of_predicted = (total**2 - sum(count**2 for count in counts) for counts in (gold, predicted))
    if not of_gold or not of_predicted:
        return Figure(None, f"only one label is {'predicted' if of_gold else 'a gold label'}")
    both = right * total - sum(g * p for g, p in zip(gold, predicted, strict=True))
    return Figure(max(-1.0, min(1.0, both / math.sqrt(of_gold * of_predicted))))


def headline_figures(matrix: Matrix, names: Sequence[str], positive: int | None) -> Mapping[str, Figure]:
    """The figures of a report that need the confusion matrix alone, by name.

    ``accuracy`` and ``balanced_accuracy``; ``precision``, ``recall`` and ``f1`` of the label ``positive``;
    their macro and weighted means; ``mcc``. Without a positive label its three are undefined.
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


def _ratio(part: int, whole: int, reason: str) -> Figure:
    return Figure(part / whole) if whole else Figure(None, reason)

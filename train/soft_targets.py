"""Cross entropy against probabilities instead of label ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from scorer.errors import UsageError
from train.data import LabelledReviews


def soft_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over rows of ``-sum(targets * log softmax(logits))``, a scalar in float32.

    ``logits`` and ``targets`` are float ``(n, n_labels)``. Equal to the usual cross entropy for one-hot
    targets (Hinton, Vinyals and Dean 2015, at temperature 1). A target that sums to ``w`` weighs its
    row by ``w``.
    """
    return -(targets.float() * torch.log_softmax(logits.float(), dim=-1)).sum(dim=-1).mean()


def with_label_vectors(
    labelled: LabelledReviews, *, smoothing: float, class_weights: Sequence[float] | None
) -> LabelledReviews:
    """The rows with float32 vectors ``(n_labels,)`` in place of label ids.

    One-hot, except for ``smoothing``, which is spread evenly over all labels; times the weight of the
    row's label.
    """
    n_labels = len(labelled.label_names)
    ids = labelled.labels
    vectors = np.eye(n_labels)[ids] * (1 - smoothing) + smoothing / n_labels
    if class_weights is not None:
        vectors *= np.asarray(class_weights)[ids][:, None]
    return replace(labelled, labels=vectors.astype(np.float32))


def class_weights_of(wanted: str | None, labelled: LabelledReviews) -> list[float] | None:
    """Weights in the order of the label names: from ``balanced``, or from ``name=weight,name=weight``.

    Balanced weights are ``n / (n_labels * rows of the label)``, as in scikit-learn: their mean over
    the rows is 1.

    Raises:
        UsageError: a label is unknown, missing or named twice, or a weight is not a positive number.
    """
    if wanted is None:
        return None
    names = labelled.label_names
    if wanted == "balanced":
        counts = np.bincount(labelled.labels, minlength=len(names))
        if not counts.all():
            raise UsageError(f"--class-weights balanced: no training row has the label {names[int(counts.argmin())]!r}")
        return [float(weight) for weight in counts.sum() / (len(names) * counts)]
    pairs = [pair.rpartition("=") for pair in wanted.split(",")]
    given = {name.strip(): weight for name, _, weight in pairs}
    if set(given) != set(names) or len(pairs) != len(names):
        raise UsageError(f"--class-weights {wanted} does not name each label once", hint=f"known: {', '.join(names)}")
    try:
        weights = [float(given[name]) for name in names]
    except ValueError as error:
        raise UsageError(f"--class-weights {wanted} holds a value that is not a number") from error
    if not all(0 < weight < float("inf") for weight in weights):
        raise UsageError(f"--class-weights {wanted} must be more than 0")
    return weights

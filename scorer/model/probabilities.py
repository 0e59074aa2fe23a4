"""Logits to probabilities, and models that give probabilities themselves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scorer.model.session import ModelSession
from scorer.model.token_runs import TextEncoder

_BATTERY = (
    "A warm, funny film; I would watch it again tomorrow.",
    "Dull, loud and badly acted. Two hours that nobody will give back!",
    "It arrived on Tuesday.",
    "no",
    "???",
    "Nicht schlecht, aber viel zu lang. 这部电影很好看。 Très beau, 10/10",
)
"""Texts of many kinds, which logits do not all take for probabilities."""

_SUM_TOLERANCE = 2e-3  # of probabilities in half precision


def probabilities_of(
    logits: npt.NDArray[np.float32], *, temperature: float = 1.0, activation: str = "softmax"
) -> npt.NDArray[np.float64]:
    """Probabilities float64 ``(n, n_labels)`` of logits float32 of the same shape.

    ``softmax`` over the labels, or ``sigmoid`` of each where labels do not exclude one another; the
    logits are divided by ``temperature`` first (Guo et al., 2017, "On Calibration of Modern Neural
    Networks", section 4.2). ``none`` takes them for probabilities.
    """
    if activation == "none":
        return logits.astype(np.float64)
    scaled = logits.astype(np.float64) / temperature
    if activation == "sigmoid":
        return np.asarray(1.0 / (1.0 + np.exp(-scaled)))
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def gives_probabilities(session: ModelSession, encoder: TextEncoder) -> bool:
    """True if the outputs for a few texts are probabilities: none outside 0 to 1, and those of a text sum to 1.

    The outputs of a sigmoid need no sum.

    Raises:
        ModelError: the model fails on these texts.
    """
    outputs = session.logits(encoder.encode(_BATTERY))
    sums = np.abs(outputs.sum(axis=1) - 1) <= _SUM_TOLERANCE
    within = outputs.min() >= 0 and outputs.max() <= 1 + _SUM_TOLERANCE
    return session.graph.gives_probabilities or bool(within and sums.all())

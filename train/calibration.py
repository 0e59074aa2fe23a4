"""Calibration of a classifier's probabilities by one number, its temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from scorer.metrics.calibration import BINS, CalibrationCells

TEMPERATURES = (0.2, 5.0)
"""The least and the largest temperature."""


@dataclass(frozen=True)
class Calibration:
    """A temperature and the expected calibration error without and with it, on the rows it was fitted to."""

    temperature: float
    ece_before: float
    ece_after: float


def fit_temperature(logits: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> Calibration:
    """The temperature by which to divide the logits for the least log loss.

    ``logits`` is float ``(n, n_labels)``, ``labels`` int ``(n,)``. Guo et al. (2017), "On Calibration
    of Modern Neural Networks". It stays within 0.2 and 5, because rows that are all right or all
    wrong would drive it to 0 or to infinity; logits that are not finite give 1.
    """
    scores = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(scores).all():
        return Calibration(1.0, float("nan"), float("nan"))
    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(scores / np.exp(log_temperature), axis=1)[rows, labels].mean())

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    temperature = float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
    return Calibration(
        temperature=temperature,
        ece_before=expected_calibration_error(softmax(scores, axis=1), labels),
        ece_after=expected_calibration_error(softmax(scores / temperature, axis=1), labels),
    )


def expected_calibration_error(probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]) -> float:
    """Mean distance of confidence and accuracy over 15 equal bins of confidence, in [0, 1].

    ``probabilities`` is float ``(n, n_labels)``; the bins are those of Guo et al. (2017), open on the left.
    """
    cells = CalibrationCells.empty(BINS)
    cells.add(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    return float(cells.error(cells.counts))

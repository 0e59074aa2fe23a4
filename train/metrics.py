"""Accuracy and F1 as modules of the ``evaluate`` library that need no download.

``evaluate.load("accuracy")`` downloads a script from the Hub; these compute the same figures
with scikit-learn, offline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import datasets
import evaluate
import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, f1_score

from train.calibration import fit_temperature


class _LabelMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate ships no types
    """A metric over label ids."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=type(self).__doc__ or "",
            citation="",
            inputs_description="predictions and references: label ids",
            features=datasets.Features({"predictions": datasets.Value("int32"), "references": datasets.Value("int32")}),
        )


class Accuracy(_LabelMetric):
    """Share of predictions that equal their reference, in [0, 1]."""

    def _compute(self, predictions: npt.NDArray[np.int32], references: npt.NDArray[np.int32]) -> Mapping[str, float]:
        return {"accuracy": float(accuracy_score(references, predictions))}


class F1(_LabelMetric):
    """Harmonic mean of precision and recall, in [0, 1]: of label 1 if there are two, else macro.

    The macro mean is over the labels that occur, as scikit-learn takes it by default.
    """

    def _compute(
        self, predictions: npt.NDArray[np.int32], references: npt.NDArray[np.int32], n_labels: int = 2
    ) -> Mapping[str, float]:
        average = "binary" if n_labels == 2 else "macro"
        return {"f1": float(f1_score(references, predictions, average=average, zero_division=0))}


class ClassificationMetrics:
    """Computes the figures of the table and the temperature from the logits of an evaluation, for ``Trainer``."""

    def __init__(self, n_labels: int) -> None:
        self._n_labels = n_labels
        self._accuracy = Accuracy(keep_in_memory=True)
        self._f1 = F1(keep_in_memory=True)

    def __call__(self, prediction: Any) -> dict[str, float]:
        """``prediction``: logits float ``(n, n_labels)`` and label ids ``(n,)``."""
        logits, references = prediction
        predictions = np.asarray(logits).argmax(axis=-1)
        calibration = fit_temperature(np.asarray(logits), np.asarray(references))
        given = np.unique(predictions)
        return {
            # The id of the one label that all rows got although they have several, else -1.
            "only_label": int(given[0]) if len(given) == 1 < len(np.unique(references)) else -1,
            **self._accuracy.compute(predictions=predictions, references=references),
            **self._f1.compute(predictions=predictions, references=references, n_labels=self._n_labels),
            **asdict(calibration),
        }

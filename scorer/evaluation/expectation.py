"""The accuracy that calibrated probabilities let expect, without a gold label.

The mean probability of the predicted label is the expected share of right rows, if the probabilities are calibrated:
confidence-based performance estimation, NannyML's CBPE; Guillory et al., 2021, "Predicting with Confidence on Unseen
Distributions"; Garg et al., 2022, "Leveraging Unlabeled Data to Predict Out-of-Distribution Performance".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.evaluation.scored_by import ScoredBy
from scorer.evaluation.sections import Chance, Drift
from scorer.metrics.calibration import BINS, CalibrationCells
from scorer.metrics.intervals import Z, with_warning, within
from scorer.metrics.values import Figure, Ids, Interval, Probabilities, Section
from scorer.model.bundle import ModelBundle
from scorer.safe_text import counted

_MUCH = 0.25
"""Stability index above which a night is too different."""

OTHER_WORDS = 0.5
"""Jensen-Shannon distance of the words above which a night is too different."""


@dataclass(frozen=True)
class ExpectedLabel(Section):
    """Expected precision of one label.

    Attributes:
        label: its name.
        predicted: rows that it was predicted for.
        precision: mean probability of these rows, with its interval.
    """

    label: str
    predicted: int
    precision: Figure


@dataclass(frozen=True)
class Expectation(Section):
    """The accuracy to expect of predictions that nobody labelled, if their probabilities are calibrated.

    Attributes:
        rows: with a prediction and its probability.
        accuracy: mean probability of the predicted label, with its interval.
        by_label: the same of the rows of each predicted label.
        sampling: half the width of the interval if the calibration were perfect.
        calibration: half the width that the calibration's own uncertainty alone would give; ``None`` if unknown.
        basis: sentence on what the calibration was checked with.
        doubts: what has drifted so far that the figures are worthless, each a sentence without its point; empty if
            nothing has, or nothing was compared.
        drift_checked: true if there are drift figures.
    """

    rows: int
    accuracy: Figure
    by_label: tuple[ExpectedLabel, ...]
    sampling: float
    calibration: float | None
    basis: str
    doubts: tuple[str, ...] = ()
    drift_checked: bool = False

    @property
    def to_bound(self) -> Figure:
        """The expected accuracy for a gate: undefined after drift, and without an interval if it is approximate."""
        if self.doubts:
            return Figure(None, f"drift makes it worthless: {self.doubts[0]}")
        interval = self.accuracy.interval
        return self.accuracy if interval is None or not interval.warning else Figure(self.accuracy.value)


@dataclass(frozen=True)
class CalibrationCheck:
    """Labelled rows with which the calibration of a model was fitted and checked.

    Attributes:
        rows: their number.
        error: expected calibration error on them.
    """

    rows: int
    error: float

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> CalibrationCheck | None:
        """The check that a ``bundle.json`` states; ``None`` if it states none."""
        training = description.get("training")
        training = training if isinstance(training, dict) else {}
        calibration, data = training.get("calibration"), training.get("data")
        held_out = data.get("eval") if isinstance(data, dict) else None
        error = calibration.get("ece_after") if isinstance(calibration, dict) else None
        rows = held_out.get("rows") if isinstance(held_out, dict) else None
        usable = isinstance(error, int | float) and isinstance(rows, int) and rows > 0 and 0 <= error <= 1
        return cls(rows, float(error)) if usable else None  # type: ignore[arg-type]

    def spread(self, confidence: npt.NDArray[np.float64], share: float = 1.0) -> float:
        """Standard deviation of the distance of accuracy and mean confidence, of rows like those of ``confidence``.

        Two parts. As many rows as the check had, ``share`` of them, show that distance only up to their own
        variance. And where the stated calibration error is more than noise gives on so many rows, the rest may lie in
        one direction: it bounds the distance, which is taken as anywhere below it.
        """
        rows = max(1.0, self.rows * share)
        noise = _noise_of_error(confidence, self.rows)
        bias = math.sqrt(max(0.0, self.error**2 - noise**2))
        return math.hypot(math.sqrt(float((confidence * (1 - confidence)).mean()) / rows), bias / math.sqrt(3))

    def __str__(self) -> str:
        return (
            f"calibrated on {counted(self.rows, 'labelled row')} of its training, calibration error there"
            f" {self.error:.4f}; it holds for reviews like those"
        )


def _noise_of_error(confidence: npt.NDArray[np.float64], rows: int) -> float:
    """Mean calibration error that calibrated rows of these confidences have by chance if there are ``rows`` of them."""
    cells = CalibrationCells.empty(BINS)
    cells.add(confidence, np.zeros(len(confidence), bool))
    held, sums = cells.counts[0], cells.sums[0]
    mean = np.divide(sums, held, out=np.zeros(BINS), where=held > 0)
    return float(np.sqrt(2 / np.pi * held / len(confidence) * mean * (1 - mean) / rows).sum())


def check_of_built_in(models: Sequence[ScoredBy | None]) -> CalibrationCheck | None:
    """The check of the built-in model, if all of ``models``, which made the predictions, are it."""
    made_by = {None if model is None else (model.precision, model.fingerprint) for model in models}
    if len(made_by) != 1 or (only := made_by.pop()) is None:
        return None
    bundle, (precision, fingerprint) = ModelBundle.load(), only
    if precision is None or precision not in bundle.variants or bundle.fingerprint(precision) != fingerprint:
        return None
    return CalibrationCheck.of(bundle.description)


def expectation_of(
    predicted: Ids, confidence: Probabilities, labels: Sequence[str], check: CalibrationCheck | None
) -> Expectation | None:
    """The expectation of rows with predicted label ids and their probability ``(n_rows,)``; ``None`` if there are none.

    The number of right rows is a sum of independent chances, Poisson-binomial, if the calibration is perfect; its own
    uncertainty is that of ``check``.
    """
    if not len(predicted):
        return None
    values = confidence.astype(np.float64)
    by_label = []
    for label, name in enumerate(labels):
        own = values[predicted == label]
        figure = Figure(None, f"{name} was never predicted")
        if len(own):
            figure = _mean(own, None if check is None else check.spread(own, len(own) / len(values)))
        by_label.append(ExpectedLabel(name, len(own), figure))
    spread = None if check is None else check.spread(values)
    unknown = "nothing says how well these probabilities are calibrated: no provenance names a model at hand"
    return Expectation(
        rows=len(values),
        accuracy=_mean(values, spread),
        by_label=tuple(by_label),
        sampling=Z * _sampling(values),
        calibration=None if spread is None else Z * spread,
        basis=unknown if check is None else str(check),
    )


def _sampling(values: npt.NDArray[np.float64]) -> float:
    """Standard deviation of the share of right rows with these chances."""
    return math.sqrt(float((values * (1 - values)).sum())) / len(values)


def _mean(values: npt.NDArray[np.float64], spread: float | None) -> Figure:
    """The mean of chances with the interval of the share of right rows; ``spread`` is that of their calibration.

    The share is Poisson-binomial: skewed where most rows are sure, and in steps of a row. Its quantiles are those of
    Cornish and Fisher (1937, "Moments and cumulants in the specification of distributions") with half a row more.
    """
    rows, value = len(values), min(1.0, float(values.mean()))
    deviation = math.hypot(_sampling(values), spread or 0.0)
    third = float((values * (1 - values) * (1 - 2 * values)).sum()) / rows**3
    skewed = third / deviation**2 * (Z * Z - 1) / 6 if deviation else 0.0
    low, high = (value + skewed + side * (Z * deviation + 0.5 / rows) for side in (-1, 1))
    warning = "holds only if the probabilities are calibrated" if spread is None else None
    interval = with_warning(Interval(low, high, "poisson-binomial", warning), rows)
    return Figure(value, interval=within(interval, value, 0.0, 1.0))


def drift_doubts(drift: Drift) -> tuple[str, ...]:
    """What has drifted so far that calibration on earlier reviews says nothing about these."""
    length, words = drift.length, drift.vocabulary
    indexes: list[tuple[str, Figure, Chance | None]] = [
        ("predicted labels", drift.label_psi, drift.label_chance),
        ("scores", drift.score_psi, drift.score_chance),
    ]
    if length is not None:
        indexes.append(("text lengths", length.psi, length.chance))
    found = []
    for name, index, chance in indexes:
        if index.value is not None and index.value > max(_MUCH, 0.0 if chance is None else chance.high):
            found.append(f"the {name} have drifted much (stability index {index.value:.2f})")
    if words is not None and words.distance.value is not None and words.distance.value > OTHER_WORDS:
        found.append(f"the texts have other words (Jensen-Shannon distance {words.distance.value:.2f})")
    return tuple(found)

"""The accuracy that calibrated probabilities let expect, without a gold label."""

from __future__ import annotations

from dataclasses import dataclass

from scorer.metrics.values import Figure, Section


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
        doubts: sentences on drift that makes the figures worthless; empty if none was found or looked for.
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

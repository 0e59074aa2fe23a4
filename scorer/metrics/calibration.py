"""Log loss, Brier score and calibration error of probabilities, as sums over chunks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from scorer.metrics.intervals import FEW_DECIDING, Moments, interval_of_skewed_mean, wilson, with_warning, within
from scorer.metrics.values import NO_PROBABILITIES, Figure, Ids, Interval, Probabilities, ReliabilityBin
from scorer.safe_text import counted

BINS = 15
"""Bins of confidence, as in Guo et al., 2017, "On Calibration of Modern Neural Networks"."""


_FEW_ROWS = 10
"""With fewer wrong or right rows, the distances of the bins are too uncertain to scale."""

_ALIKE = 1e-12
"""Distance below which losses are the same but for rounding."""

_TERMS = 3
"""Terms of a parabola."""


def temperature_of(history: Mapping[str, Any] | None) -> float:
    """Temperature recorded in a training's history, to divide logits by; 1 if there is no usable one."""
    section = (history or {}).get("calibration")
    value = section.get("temperature") if isinstance(section, dict) else None
    return float(value) if isinstance(value, (int, float)) and 1e-3 <= value <= 1e3 else 1.0


@dataclass
class MeanLoss:
    """Mean of a loss over rows, and the sums for its interval.

    Attributes:
        moments: of the losses.
        if_wrong: sum of the losses that the rows would have if their predicted label were wrong.
        most: largest value of the mean.
    """

    moments: Moments = field(default_factory=Moments)
    if_wrong: float = 0.0
    most: float = math.inf

    def add(self, losses: npt.NDArray[np.float64], if_wrong: npt.NDArray[np.float64]) -> None:
        """Add losses ``(n,)``, and those ``(n,)`` of rows that are wrong."""
        self.moments += Moments.of(losses)
        self.if_wrong += float(if_wrong.sum())

    def figure(self) -> Figure:
        """The mean with its interval.

        One row more is taken to be wrong, as wrong rows of these probabilities are: else ten right rows with a
        probability of 1 would give an interval of width 0. Where a wrong row loses as much as any other, as with ties,
        another row loses nothing.
        """
        rows = self.moments.rows
        if not rows:
            return NO_PROBABILITIES
        value, wrong = self.moments.total / rows, self.if_wrong / rows
        alike = self.moments.squares / rows - value * value <= _ALIKE and abs(wrong - value) <= _ALIKE
        more = Moments.of(np.array([wrong, 0.0] if alike else [wrong]))
        interval = interval_of_skewed_mean(self.moments + more)
        return Figure(value, interval=with_warning(within(interval, value, 0.0, self.most), rows))


@dataclass
class CalibrationCells:
    """Rows by bin of confidence, wrong and right ones apart.

    Attributes:
        counts: int64 ``(2, n_bins)``, wrong rows first.
        sums: float64 ``(2, n_bins)``, of their confidence.
    """

    counts: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, n_bins: int) -> CalibrationCells:
        """Cells without rows."""
        return cls(np.zeros((2, n_bins), np.int64), np.zeros((2, n_bins)))

    def add(self, confidence: Probabilities, right: npt.NDArray[np.bool_]) -> None:
        """Count rows; a confidence on an edge belongs to the bin below it."""
        n_bins = self.counts.shape[1]
        values = confidence.astype(np.float64)
        # In float32, so that a value on an edge falls into the same bin whether it was kept as float32 or as float64.
        edges = np.linspace(0, 1, n_bins + 1).astype(np.float32)[1:-1]
        places = np.searchsorted(edges, confidence.astype(np.float32)) + right * n_bins
        self.counts += np.bincount(places, minlength=2 * n_bins).reshape(2, n_bins)
        self.sums += np.bincount(places, weights=values, minlength=2 * n_bins).reshape(2, n_bins)

    def error(self, counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Calibration error of ``counts`` ``(..., 2, n_bins)``, given the mean confidence of each cell."""
        mean = np.divide(self.sums, self.counts, out=np.zeros_like(self.sums), where=self.counts > 0)
        distance = np.abs((counts * mean).sum(axis=-2) - counts[..., 1, :])
        return np.asarray(distance.sum(axis=-1) / counts.sum(axis=(-2, -1)))


@dataclass
class Calibration:
    """Running sums over rows with probabilities.

    Attributes:
        log_loss: see :func:`log_losses`.
        brier: see :func:`brier_losses`.
        cells: rows and sums of confidence by bin.
    """

    log_loss: MeanLoss = field(default_factory=MeanLoss)
    brier: MeanLoss = field(default_factory=lambda: MeanLoss(most=1.0))
    cells: CalibrationCells = field(default_factory=lambda: CalibrationCells.empty(BINS))

    def add_probabilities(self, probabilities: Probabilities, gold: Ids, positive: int | None) -> None:
        """Add probabilities ``(n, n_labels)`` and gold ids ``(n,)``."""
        second = runner_up(probabilities)
        if probabilities.shape[1] > 2:
            self.brier.most = 2.0
        self.log_loss.add(log_losses(probabilities, gold), log_losses(probabilities, second))
        self.brier.add(brier_losses(probabilities, gold, positive), brier_losses(probabilities, second, positive))

    def add_confidence(self, confidence: Probabilities, right: npt.NDArray[np.bool_]) -> None:
        """Add probabilities ``(n,)`` of the predicted label; ``right`` ``(n,)`` is true if it is the gold one."""
        self.cells.add(confidence, right)

    def figures(self, *, resamples: int, seed: int) -> dict[str, Figure]:
        """``log_loss``, ``brier`` and ``ece``."""
        return {
            "log_loss": self.log_loss.figure(),
            "brier": self.brier.figure(),
            "ece": calibration_error(self.cells, resamples=resamples, seed=seed),
        }

    def reliability(self) -> tuple[ReliabilityBin, ...]:
        """The bins of the reliability diagram; empty if no confidence was added."""
        rows, sums = self.cells.counts.sum(axis=0), self.cells.sums.sum(axis=0)
        if not rows.sum():
            return ()
        edges = np.linspace(0, 1, BINS + 1).tolist()
        return tuple(
            ReliabilityBin(
                low=edges[place],
                high=edges[place + 1],
                rows=int(rows[place]),
                confidence=float(sums[place] / rows[place]) if rows[place] else None,
                accuracy=float(self.cells.counts[1, place] / rows[place]) if rows[place] else None,
            )
            for place in range(BINS)
        )


def runner_up(probabilities: Probabilities) -> Ids:
    """The second most probable label of each row, int ``(n,)``; the only one of a single label."""
    if probabilities.shape[1] == 1:
        return np.zeros(len(probabilities), np.int64)
    if probabilities.shape[1] == 2:
        return np.asarray(probabilities[:, 1] < probabilities[:, 0], np.int64)
    others = probabilities.copy()
    others[np.arange(len(others)), others.argmax(axis=1)] = -1.0
    return np.asarray(others.argmax(axis=1))


def log_losses(probabilities: Probabilities, gold: Ids) -> npt.NDArray[np.float64]:
    """Minus the natural logarithm of each gold label's probability, float64 ``(n,)``.

    Probabilities are kept from 0 by the machine epsilon of float32, as in scikit-learn's ``log_loss`` of the float32
    that ``score`` writes; so the same predictions have the same loss in every format.
    """
    least = float(np.finfo(np.float32).eps)
    own = probabilities[np.arange(len(gold)), gold].astype(np.float64)
    return np.asarray(-np.log(np.clip(own, least, 1 - least)))


def brier_losses(probabilities: Probabilities, gold: Ids, positive: int | None) -> npt.NDArray[np.float64]:
    """Squared distance of probabilities from the gold label, float64 ``(n,)``.

    With two labels the distance of the positive one's probability (Brier, 1950), from 0 to 1; with more the
    sum over all labels, from 0 to 2. Scaled as in scikit-learn's ``brier_score_loss``.
    """
    if probabilities.shape[1] == 2:
        label = 1 if positive is None else positive
        return np.asarray((probabilities[:, label].astype(np.float64) - (gold == label)) ** 2)
    losses = np.zeros(len(gold))
    for label in range(probabilities.shape[1]):
        losses += (probabilities[:, label].astype(np.float64) - (gold == label)) ** 2
    return losses


def calibration_error(cells: CalibrationCells, *, resamples: int, seed: int) -> Figure:
    """Expected calibration error: mean distance of confidence and accuracy over the bins, weighted by rows.

    Naeini et al., 2015; bins of equal width as in Guo et al., 2017, each ``(low, high]``.
    """
    if not cells.counts.sum():
        return NO_PROBABILITIES
    value = float(cells.error(cells.counts))
    interval = calibration_interval(cells, value, resamples=resamples, seed=seed)
    wrong, right = cells.counts.sum(axis=1).tolist()
    fewer = min((wrong, "wrong"), (right, "right"))
    few = counted(fewer[0], f"{fewer[1]} row") if fewer[0] < FEW_DECIDING else None
    return Figure(value, interval=with_warning(interval, wrong + right, few))


def calibration_interval(cells: CalibrationCells, value: float, *, resamples: int, seed: int) -> Interval:
    """Interval of the calibration error ``value`` by inverting a simulated test.

    Noise alone makes the error of a sample larger than the true one, so a bootstrap misses well calibrated
    models (Vaicenavicius et al., 2019, "Evaluating model calibration in classification", section 4). Instead likely
    distances of the bins are scaled down and up, noise is added to them, and the interval holds every true error
    for which ``value`` lies in the middle 95 % of the simulated ones. With few wrong or few right rows the distances
    say too little; then the interval reaches as far as the distance of the mean confidence from Wilson's interval of
    the accuracy, which no calibration error is below.
    """
    rows = cells.counts.sum(axis=0)
    filled = rows > 0
    rows = rows[filled]
    right = cells.counts[1][filled]
    sums = cells.sums.sum(axis=0)[filled]
    gaps = (right - sums) / rows
    # One right and one wrong row more, so that a bin with only right rows has noise too; and the number of rows of a
    # bin, which moves its distance to the total, is random as well.
    share = (right + 1) / (rows + 2)
    spread = np.sqrt((share * (1 - share) + gaps**2) / rows)
    noise = np.random.default_rng(seed).normal(size=(resamples, len(rows))) * spread
    weights = rows / rows.sum()
    likely = _likely_gaps(gaps, spread, sums / rows)
    of_one = likely / max(float(weights @ np.abs(likely)), 1e-300)

    def simulated(error: float, quantile: float) -> float:
        return float(np.quantile(np.abs(error * of_one + noise) @ weights, quantile))

    def error_at(quantile: float) -> float:
        """The true error whose simulated ones have ``value`` at ``quantile``."""
        low, high = 0.0, 1.0 if simulated(0.0, quantile) < value else 0.0
        for _ in range(20 if high else 0):
            middle = (low + high) / 2
            low, high = (middle, high) if simulated(middle, quantile) < value else (low, middle)
        return (low + high) / 2

    # An error that noise alone exceeds is never missed above, so that all 5 % are for the other side.
    low = error_at(0.95)
    if low > simulated(low, 0.025):
        low = error_at(0.975)
    high = error_at(0.025)
    n_rows, n_right = int(rows.sum()), int(right.sum())
    accuracy, confidence = wilson(n_right, n_rows), float(sums.sum()) / n_rows
    if accuracy is not None and min(n_right, n_rows - n_right) < _FEW_ROWS:
        high = max(high, confidence - accuracy.low, accuracy.high - confidence)
    return within(Interval(low, high, "simulation"), value, 0.0, 1.0)


def _likely_gaps(
    gaps: npt.NDArray[np.float64], spread: npt.NDArray[np.float64], confidence: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Distances of bins without most of their noise: ``gaps`` ``(n_bins,)`` drawn to a parabola over ``confidence``.

    ``spread`` is the standard deviation of each. How far they are drawn follows from how far they scatter around the
    parabola beyond that (DerSimonian and Laird, 1986, "Meta-analysis in clinical trials"). Noise that was left in
    would be counted twice.
    """
    if len(gaps) <= _TERMS or not gaps.any():
        return gaps if gaps.any() else np.ones(len(gaps))
    scale = 1 / spread
    terms = np.vander(confidence - confidence.mean(), _TERMS) * scale[:, np.newaxis]
    hat = terms @ np.linalg.pinv(terms)
    fit = hat @ (gaps * scale) * spread
    beyond = float((((gaps - fit) * scale) ** 2).sum()) - (len(gaps) - _TERMS)
    between = max(0.0, beyond / float((scale**2 * (1 - np.diag(hat))).sum()))
    return np.asarray(fit + (gaps - fit) * between / (between + spread**2))

"""Accuracy against coverage: the rows that are left if the least confident ones go to people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scorer.metrics.intervals import wilson
from scorer.metrics.values import Figure, Probabilities, Section

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
"""Shares of rows for people in the table."""

_CURVE_SHARES = tuple(step / 100 for step in range(100))

_NO_GOLD = "there are no gold labels"


@dataclass(frozen=True)
class CoverageRow(Section):
    """The rows that are left if people take a share of them, the least confident first.

    Attributes:
        share: of all rows that people take, in [0, 1).
        taken: number of these rows.
        threshold: the least confidence of a row that is left.
        accuracy: of the rows that are left, with its interval; undefined without gold labels.
        caught: share of all mistakes among the rows that people take; undefined without a mistake.
        expected: mean confidence of the rows that are left, the accuracy to expect if it is calibrated.
    """

    share: float
    taken: int
    threshold: float
    accuracy: Figure
    caught: Figure
    expected: float


@dataclass(frozen=True)
class CoverageCurve(Section):
    """Accuracy of the rows that are left and its band, by the share that people take.

    Attributes:
        share: of all rows that people take, rising, in [0, 1).
        accuracy, low, high: of the rest and the ends of its interval, one for each of ``share``.
    """

    share: tuple[float, ...]
    accuracy: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Coverage(Section):
    """Accuracy against coverage, also called the risk-coverage curve.

    El-Yaniv and Wiener, 2010, "On the Foundations of Noise-free Selective Classification"; the rows are ranked
    by the probability of the predicted label, as in Geifman and El-Yaniv, 2017, "Selective Classification for
    Deep Neural Networks".

    Attributes:
        rows: at :data:`SHARES`.
        curve: at up to 100 shares; ``None`` without gold labels.
    """

    rows: tuple[CoverageRow, ...]
    curve: CoverageCurve | None


def coverage_of(confidence: Probabilities, right: npt.NDArray[np.bool_] | None) -> Coverage | None:
    """Accuracy against coverage of rows; ``None`` if there are none.

    ``confidence`` ``(n_rows,)`` is the probability of the predicted label, ``right`` ``(n_rows,)`` true where that is
    the gold label, ``None`` without gold labels. Rows of the same confidence count by their mean, as if in any order.
    """
    if not len(confidence):
        return None
    order = np.argsort(confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    hits = None if right is None else right_before(ranked, right[order])
    total = np.concatenate([[0.0], np.cumsum(ranked)])
    rows = tuple(_row(share, ranked, total, hits) for share in SHARES if share == 0 or _taken(share, len(ranked)))
    return Coverage(rows, None if hits is None else _curve(hits))


def right_before(ranked: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Right rows among the first 0 … n ones, float64 ``(n_rows + 1,)``; within ties their mean share counts.

    ``ranked`` ``(n_rows,)`` are rising confidences, ``right`` belongs to them.
    """
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) + 1
    reached = np.cumsum(right)[ends - 1]
    return np.asarray(np.interp(np.arange(len(ranked) + 1), np.append(0, ends), np.append(0, reached)))


def rows_for_people(share: float, n_rows: int) -> int:
    """Number of rows that are ``share`` of ``n_rows``, rounded up."""
    # A share such as 0.1 is a little more than a tenth in binary.
    return int(np.ceil(round(share * n_rows, 9)))


def _taken(share: float, n_rows: int) -> int:
    return min(rows_for_people(share, n_rows), n_rows - 1)


def _row(
    share: float,
    ranked: npt.NDArray[np.float64],
    total: npt.NDArray[np.float64],
    hits: npt.NDArray[np.float64] | None,
) -> CoverageRow:
    n_rows = len(ranked)
    taken = _taken(share, n_rows)
    left = n_rows - taken
    accuracy = caught = Figure(None, _NO_GOLD)
    if hits is not None:
        right = float(hits[-1] - hits[taken])
        accuracy = replace(Figure(right / left), interval=wilson(right, left))
        wrong = n_rows - float(hits[-1])
        caught = Figure((taken - float(hits[taken])) / wrong) if wrong else Figure(None, "there are no mistakes")
    expected = float(total[-1] - total[taken]) / left
    return CoverageRow(share, taken, float(ranked[taken]), accuracy, caught, min(1.0, max(0.0, expected)))


def _curve(hits: npt.NDArray[np.float64]) -> CoverageCurve:
    n_rows = len(hits) - 1
    taken = sorted({_taken(share, n_rows) for share in _CURVE_SHARES})
    points = [(first / n_rows, float(hits[-1] - hits[first]), n_rows - first) for first in taken]
    bands = [wilson(right, left) for _, right, left in points]
    return CoverageCurve(
        share=tuple(share for share, _, _ in points),
        accuracy=tuple(right / left for _, right, left in points),
        low=tuple(0.0 if band is None else band.low for band in bands),
        high=tuple(1.0 if band is None else band.high for band in bands),
    )

"""Values that metrics return, each with a JSON form: figures, intervals, curves, bins."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int64]

Ids = npt.NDArray[np.integer]

Probabilities = npt.NDArray[np.floating]


class Section:
    """Base of the values in a report: a frozen dataclass with a JSON form."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {item.name: plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """``value`` as JSON: sections become objects, tuples become lists; numbers, strings and ``None`` stay."""
    if isinstance(value, Section):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Interval(Section):
    """A confidence interval of 95 %, or an approximate one.

    Attributes:
        low, high: its ends.
        method: such as ``wilson``, see :mod:`scorer.metrics.intervals`.
        warning: why it holds the true value less often than in 95 of 100 cases, so that it is only approximate;
            ``None`` if it is one of 95 %.
    """

    low: float
    high: float
    method: str
    warning: str | None = None


@dataclass(frozen=True)
class Figure(Section):
    """A finite value, or the reason why it is undefined; exactly one of the two is given.

    Attributes:
        value: in [0, 1], except for log loss, differences and Matthews' coefficient.
        reason: why the figure is undefined.
        interval: of the value, if one was computed; ignored when figures are compared.
    """

    value: float | None
    reason: str | None = None
    interval: Interval | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None) or (self.value is not None and not math.isfinite(self.value)):
            raise ValueError(f"a figure is a finite value or a reason, not {self.value!r} and {self.reason!r}")


def ratio(part: int, whole: int, reason: str) -> Figure:
    """``part / whole``, undefined for the given ``reason`` if ``whole`` is 0."""
    return Figure(part / whole) if whole else Figure(None, reason)


NO_PROBABILITIES = Figure(None, "there are no probabilities")
"""Takes the place of a figure that needs probabilities."""


@dataclass(frozen=True)
class LabelFigures(Section):
    """The figures of one label against all others.

    Attributes:
        label: its name.
        gold: rows with this gold label, called support in scikit-learn.
        predicted: rows that it was predicted for.
        precision: share of ``predicted`` that is right.
        recall: share of ``gold`` that was found.
        f1: harmonic mean of the two.
        roc_auc, average_precision: of its probability, if there are probabilities.
    """

    label: str
    gold: int
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure
    roc_auc: Figure = NO_PROBABILITIES
    average_precision: Figure = NO_PROBABILITIES


@dataclass(frozen=True)
class Curves(Section):
    """ROC and precision-recall points of one label against the others, reduced to a few hundred.

    Attributes:
        label: whose probability ranks the rows.
        roc_auc, average_precision: of all rows, not of the reduced points.
        false_positive_rate, true_positive_rate, roc_threshold: points of the ROC curve, from (0, 0) to
            (1, 1); the first point has the threshold ``None``, as no row reaches it.
        recall, precision, precision_recall_threshold: points from the lowest threshold to the highest;
            the last is (0, 1) and has the threshold ``None``.
    """

    label: str
    roc_auc: Figure
    average_precision: Figure
    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    roc_threshold: tuple[float | None, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    precision_recall_threshold: tuple[float | None, ...]


@dataclass(frozen=True)
class ReliabilityBin(Section):
    """Rows whose confidence lies in ``(low, high]``.

    Attributes:
        low, high: probabilities.
        rows: in the bin.
        confidence: mean probability of the predicted label; ``None`` for an empty bin.
        accuracy: share of right rows; ``None`` for an empty bin.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None

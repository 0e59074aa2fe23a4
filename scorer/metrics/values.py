"""Figures, intervals and curves: the values that metrics give, each with its JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval of 95 %.

    Attributes:
        low, high: its ends.
        method: ``wilson``, ``bootstrap``, ``normal`` or ``simulation``, see :mod:`scorer.metrics.intervals`.
    """

    low: float
    high: float
    method: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {"low": self.low, "high": self.high, "method": self.method}


@dataclass(frozen=True)
class Figure:
    """A finite value, or why there is none; exactly one of the two is given.

    Attributes:
        value: in [0, 1], but for log loss, differences and Matthews' coefficient.
        reason: why there is no value.
        interval: of the value, where one was made; two figures are equal whatever their intervals.
    """

    value: float | None
    reason: str | None = None
    interval: Interval | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None) or (self.value is not None and not math.isfinite(self.value)):
            raise ValueError(f"a figure is a finite value or a reason, not {self.value!r} and {self.reason!r}")

    def to_json(self) -> dict[str, Any]:
        """``{"value": …, "reason": …, "interval": …}``; value or reason is null."""
        interval = None if self.interval is None else self.interval.to_json()
        return {"value": self.value, "reason": self.reason, "interval": interval}


NO_PROBABILITIES = Figure(None, "there are no probabilities")
"""What takes the place of a figure that needs them."""


@dataclass(frozen=True)
class LabelFigures:
    """The figures of one label against all others.

    Attributes:
        label: its name.
        gold: rows that have it as gold label, which scikit-learn calls support.
        predicted: rows that it was predicted for.
        precision: share of ``predicted`` that is right.
        recall: share of ``gold`` that was found.
        f1: harmonic mean of the two.
        roc_auc, average_precision: of its probability, where there are probabilities.
    """

    label: str
    gold: int
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure
    roc_auc: Figure = NO_PROBABILITIES
    average_precision: Figure = NO_PROBABILITIES

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {
            "label": self.label,
            "gold": self.gold,
            "predicted": self.predicted,
            "precision": self.precision.to_json(),
            "recall": self.recall.to_json(),
            "f1": self.f1.to_json(),
            "roc_auc": self.roc_auc.to_json(),
            "average_precision": self.average_precision.to_json(),
        }


class Section:
    """Base of all parts: a frozen dataclass that knows its JSON form."""

    def to_json(self) -> dict[str, Any]:
        """A JSON object with one key per attribute."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Curves(Section):
    """ROC and precision-recall points of one label against the others, reduced to a few hundred.

    Attributes:
        label: whose probability ranks the rows.
        roc_auc, average_precision: of all rows, not of the reduced points.
        false_positive_rate, true_positive_rate, roc_threshold: points of the ROC curve, from (0, 0) to
            (1, 1); the threshold of the first point is ``None``, as nothing reaches it.
        recall, precision, precision_recall_threshold: points from the lowest threshold to the highest;
            the last is (0, 1) and has no threshold.
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
        confidence: mean probability of the predicted label; ``None`` where there are no rows.
        accuracy: share of right rows; ``None`` where there are no rows.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


def _plain(value: Any) -> Any:
    if isinstance(value, Section | Figure):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value

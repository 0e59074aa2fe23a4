"""What an evaluation found, as a value; :mod:`scorer.report.terminal` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scorer.errors import QualityGateError
from scorer.evaluation.sections import (
    Comparison,
    Drift,
    Histogram,
    Method,
    ReadFile,
    Review,
    SliceGroup,
    Suspect,
    Thresholds,
)
from scorer.metrics.values import Curves, Figure, LabelFigures, Matrix, ReliabilityBin

SCHEMA_VERSION = 2
"""Of the JSON form; it rises when a key changes its meaning or goes away."""

MAX_CURVES = 10
"""Labels that curves are kept of."""

FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "weighted_precision": "weighted precision",
    "weighted_recall": "weighted recall",
    "weighted_f1": "weighted F1",
    "mcc": "Matthews correlation",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
}
"""Headline figures in the order in which reports show them, with the names that people read."""


@dataclass(frozen=True)
class Gate:
    """A bound that a figure had to keep.

    Attributes:
        option: as it is typed, such as ``--min-f1``.
        name: of the figure.
        figure: as measured.
        bound: as demanded; a figure without a value does not keep it.
        kind: ``least`` or ``most``: ``bound`` is the least or the most that is allowed; ``drop``: the figure
            is a difference to a baseline, and may lie ``bound`` below zero.
        strict: the worse end of the interval decides, not the value.
    """

    option: str
    name: str
    figure: Figure
    bound: float
    kind: str = "least"
    strict: bool = False

    @property
    def measured(self) -> float | None:
        """The value that decides."""
        interval = self.figure.interval
        if not self.strict or interval is None:
            return self.figure.value
        return interval.high if self.kind == "most" else interval.low

    @property
    def passed(self) -> bool:
        """Whether the bound is kept."""
        value = self.measured
        if value is None:
            return False
        if self.kind == "drop":
            # Less than one row of any file; it absorbs the rounding of the subtraction.
            return value >= -self.bound - 1e-12
        return value <= self.bound if self.kind == "most" else value >= self.bound

    def __str__(self) -> str:
        demand = f"{self.option} {self.bound:g}"
        value = self.measured
        if value is None:
            verb = "allows" if self.kind == "most" else "demands"
            return f"{self.name} is undefined ({self.figure.reason}), {self.option} {verb} {self.bound:g}"
        name = f"{self.name}, lower end of its interval," if self.strict else self.name
        if self.kind == "drop":
            shown = _apart(-value, self.bound + 1e-12)
            return f"drop in {name} {shown} {'is within' if self.passed else 'is more than'} {demand}"
        if self.kind == "most":
            return f"{name} {_apart(value, self.bound)} {'is within' if self.passed else 'is above'} {demand}"
        return f"{name} {_apart(value, self.bound)} {'reaches' if self.passed else 'is below'} {demand}"

    def to_json(self) -> dict[str, Any]:
        """``option``, ``figure`` (its name), ``kind``, ``bound``, ``strict``, ``passed``, and the figure itself."""
        return {
            "option": self.option,
            "figure": self.name,
            "kind": self.kind,
            "bound": self.bound,
            "strict": self.strict,
            **self.figure.to_json(),
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Provenance:
    """Where the predictions and the labels came from.

    Attributes:
        files: that were evaluated.
        labels_file: with the gold labels, where they were joined.
        label_column: of the gold labels; ``None`` where there are none, as with ``--drift`` alone.
        model, precision, device: that scored the texts; ``None`` where the files had predictions.
        inputs: every file that was read.
        text_column: of the texts; ``None`` where there are none.
        version: of review-scorer.
    """

    files: tuple[str, ...]
    labels_file: str | None
    label_column: str | None
    model: str | None = None
    precision: str | None = None
    device: str | None = None
    inputs: tuple[ReadFile, ...] = ()
    text_column: str | None = None
    version: str = ""


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        provenance: of predictions and labels.
        labels: names in the order of their ids.
        positive: id of the positive label, or ``None`` where there is none.
        rows: of the evaluated files.
        unscored: rows with a gold label whose prediction is null, as for an empty text; in no figure.
        rows_unmatched: rows left out because their id has no gold label.
        labels_unmatched: gold labels left out because no row has their id.
        matrix: int64 ``(n_labels, n_labels)``, rows gold, columns predicted.
        figures: by name, see :data:`FIGURES`; without gold labels none has a value.
        by_label: figures of each label; empty without gold labels.
        gates: that were asked for.
        notes: what a reader should know about the figures.
        method: of the intervals.
        curves: of the positive label, or of every label (at most :data:`MAX_CURVES`) where there is no positive
            one; empty without probabilities.
        reliability: bins of equal width; empty without probabilities.
        histogram: of scores; ``None`` without probabilities.
        slices: by the columns that were asked for, then the built-in ones.
        mistakes: wrong rows, most confident first, at most as many as asked for.
        n_mistakes: wrong rows in all.
        thresholds: of the positive label; ``None`` without one or without probabilities.
        suspects: likely label errors, most suspect first.
        n_suspects: all of them.
        comparison: with ``--baseline``.
        drift: with ``--drift``.
    """

    provenance: Provenance
    labels: tuple[str, ...]
    positive: int | None
    rows: int
    unscored: int
    rows_unmatched: int
    labels_unmatched: int
    matrix: Matrix
    figures: Mapping[str, Figure]
    by_label: tuple[LabelFigures, ...]
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    method: Method = field(default_factory=Method)
    curves: tuple[Curves, ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()
    histogram: Histogram | None = None
    slices: tuple[SliceGroup, ...] = ()
    mistakes: tuple[Review, ...] = ()
    n_mistakes: int = 0
    thresholds: Thresholds | None = None
    suspects: tuple[Suspect, ...] = ()
    n_suspects: int = 0
    comparison: Comparison | None = None
    drift: Drift | None = None

    @property
    def labelled(self) -> bool:
        """Whether there are gold labels; without them there is drift alone."""
        return self.provenance.label_column is not None

    @property
    def evaluated(self) -> int:
        """Rows that the figures are of."""
        return int(self.matrix.sum())

    def gate_errors(self) -> tuple[QualityGateError, ...]:
        """An error for each gate that was not met, to be raised or shown."""
        where = ", ".join(self.provenance.files)
        return tuple(QualityGateError(str(gate), path=where) for gate in self.gates if not gate.passed)

    def to_json(self) -> dict[str, Any]:
        """A JSON object of plain values, without NaN and without a time."""
        where = self.provenance
        model = {"name": where.model, "precision": where.precision, "device": where.device}
        return {
            "schema": "review-scorer/evaluation",
            "schema_version": SCHEMA_VERSION,
            "version": where.version,
            "files": list(where.files),
            "labels_file": where.labels_file,
            "label_column": where.label_column,
            "text_column": where.text_column,
            "inputs": _all(where.inputs),
            "model": model if where.model is not None else None,
            "labels": list(self.labels),
            "positive": None if self.positive is None else self.labels[self.positive],
            "rows": {
                "total": self.rows,
                "evaluated": self.evaluated,
                "unscored": self.unscored,
                "unmatched": self.rows_unmatched,
                "labels_unmatched": self.labels_unmatched,
            },
            "method": self.method.to_json(),
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "by_label": _all(self.by_label),
            "confusion_matrix": self.matrix.tolist(),
            "curves": _all(self.curves),
            "reliability": _all(self.reliability),
            "histogram": None if self.histogram is None else self.histogram.to_json(),
            "slices": _all(self.slices),
            "mistakes": {"total": self.n_mistakes, "shown": _all(self.mistakes)},
            "thresholds": None if self.thresholds is None else self.thresholds.to_json(),
            "suspects": {"total": self.n_suspects, "shown": _all(self.suspects)},
            "comparison": None if self.comparison is None else self.comparison.to_json(),
            "drift": None if self.drift is None else self.drift.to_json(),
            "gates": _all(self.gates),
            "notes": list(self.notes),
        }


def _all(parts: Sequence[Any]) -> list[Any]:
    return [part.to_json() for part in parts]


def _apart(value: float, minimum: float) -> str:
    """``value`` with four digits, or with as many as it takes to be on the right side of ``minimum``."""
    for digits in range(4, 17):
        text = f"{value:z.{digits}f}"
        if (float(text) < minimum) == (value < minimum):
            return text
    return repr(value)

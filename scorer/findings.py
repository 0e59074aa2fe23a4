"""What an evaluation found, as a value; :mod:`scorer.report` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.errors import QualityGateError
from scorer.metrics import Figure, LabelFigures, Matrix

SCHEMA_VERSION = 1
"""Of the JSON form; it rises when a key changes its meaning or goes away."""


@dataclass(frozen=True)
class Gate:
    """A least value that a figure had to have.

    Attributes:
        option: as it is typed, such as ``--min-f1``.
        name: of the figure.
        figure: as measured.
        minimum: as demanded; a figure without a value does not meet it.
    """

    option: str
    name: str
    figure: Figure
    minimum: float

    @property
    def passed(self) -> bool:
        """Whether the figure is at least the minimum."""
        return self.figure.value is not None and self.figure.value >= self.minimum

    def __str__(self) -> str:
        if self.figure.value is None:
            return f"{self.name} is undefined ({self.figure.reason}), {self.option} demands {self.minimum:g}"
        relation = "reaches" if self.passed else "is below"
        return f"{self.name} {_apart(self.figure.value, self.minimum)} {relation} {self.option} {self.minimum:g}"

    def to_json(self) -> dict[str, Any]:
        """``option``, ``figure`` (its name), ``minimum``, ``value``, ``reason``, ``passed``."""
        return {
            "option": self.option,
            "figure": self.name,
            "minimum": self.minimum,
            **self.figure.to_json(),
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Provenance:
    """Where the predictions and the labels came from.

    Attributes:
        files: that were evaluated.
        labels_file: with the gold labels, where they were joined.
        label_column: of the gold labels.
        model, precision, device: that scored the texts; ``None`` where the files had predictions.
    """

    files: tuple[str, ...]
    labels_file: str | None
    label_column: str
    model: str | None = None
    precision: str | None = None
    device: str | None = None


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
        figures: by name, see :func:`scorer.metrics.headline_figures`.
        by_label: figures of each label.
        gates: that were asked for.
        notes: what a reader should know about the figures.
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
            "files": list(where.files),
            "labels_file": where.labels_file,
            "label_column": where.label_column,
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
            "figures": {name: figure.to_json() for name, figure in self.figures.items()},
            "by_label": [label.to_json() for label in self.by_label],
            "confusion_matrix": self.matrix.tolist(),
            "gates": [gate.to_json() for gate in self.gates],
            "notes": list(self.notes),
        }


def _apart(value: float, minimum: float) -> str:
    """``value`` with four digits, or with as many as it takes to be on the right side of ``minimum``."""
    for digits in range(4, 17):
        text = f"{value:.{digits}f}"
        if (float(text) < minimum) == (value < minimum):
            return text
    return repr(value)

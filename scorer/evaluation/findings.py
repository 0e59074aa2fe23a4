"""The result of an evaluation as a value; :mod:`scorer.report` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from scorer.errors import QualityGateError
from scorer.evaluation.coverage import Coverage
from scorer.evaluation.expectation import Expectation
from scorer.evaluation.gates import Gate
from scorer.evaluation.sections import Comparison, Drift, Histogram, Method, ReadFile, Review, Suspect
from scorer.evaluation.slices import SliceGroup
from scorer.evaluation.thresholds import Thresholds
from scorer.metrics.values import Curves, Figure, LabelFigures, Matrix, ReliabilityBin, plain
from scorer.safe_text import counted

_IN_A_LINE = ("accuracy", "f1", "macro_f1", "roc_auc")

SCHEMA_VERSION = 2
"""Version of the JSON form; it rises when a key changes its meaning or is removed."""

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
"""Headline figures in the order of reports, with the names that people read."""


@dataclass(frozen=True)
class Provenance:
    """Origin of the predictions and the gold labels.

    Attributes:
        files: the evaluated files.
        labels_file: file of the gold labels, or ``None`` if the evaluated files have them.
        label_column: column of the gold labels; ``None`` without any, as with ``--drift`` alone.
        model, precision, device, fingerprint: used to score the texts; ``None`` if the files had predictions.
        inputs: every file that was read.
        text_column: column of the texts; ``None`` without texts.
        version: of review-scorer.
    """

    files: tuple[str, ...]
    labels_file: str | None
    label_column: str | None
    model: str | None = None
    precision: str | None = None
    device: str | None = None
    fingerprint: str | None = None
    inputs: tuple[ReadFile, ...] = ()
    text_column: str | None = None
    version: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationReport:
    """The result of an evaluation.

    Attributes:
        provenance: of predictions and labels.
        labels: names in the order of their ids.
        positive: id of the positive label, or ``None``.
        rows: number of rows of the evaluated files.
        unscored: rows with a gold label but without a prediction, as for an empty text; in no figure.
        rows_unmatched: rows left out because their id has no gold label.
        labels_unmatched: gold labels left out because no row has their id.
        rows_unlabelled: rows left out because their gold label is null or empty.
        rows_left_out: rows left out because of ``--label-map``.
        matrix: int64 ``(n_labels, n_labels)``, rows gold, columns predicted.
        figures: by name, see :data:`FIGURES`; all undefined without gold labels.
        by_label: figures of each label; empty without gold labels.
        gates: asked for, with the figures that they bound.
        notes: remarks for the reader of the figures.
        method: of the intervals.
        curves: of the positive label, or of the first labels if none is positive; empty without probabilities.
        reliability: bins of equal width; empty without probabilities.
        histogram: of scores; ``None`` without probabilities.
        slices: by the columns asked for, then the built-in ones.
        mistakes: the most confident wrong rows, at most as many as asked for.
        n_mistakes: number of all wrong rows.
        thresholds: of the positive label; ``None`` without one or without probabilities.
        suspects: the most suspect gold labels, at most as many as asked for.
        n_suspects: number of all suspect labels.
        comparison: with ``--baseline``.
        drift: with ``--drift``.
        coverage: accuracy against coverage; ``None`` without confidences.
        expectation: accuracy to expect without gold labels; ``None`` without confidences.
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
    rows_unlabelled: int = 0
    rows_left_out: int = 0
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
    coverage: Coverage | None = None
    expectation: Expectation | None = None

    def __repr__(self) -> str:
        parts = [f"rows={self.rows}", f"labels={self.labels!r}"]
        parts += [f"{name}={value:.4f}" for name in _IN_A_LINE if (value := self._value(name)) is not None]
        if self.gates:
            parts.append(f"{sum(gate.passed for gate in self.gates)} of {len(self.gates)} gates met")
        return f"<EvaluationReport {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        """The figures and gates as a table, for notebooks."""
        rows = []
        warnings: dict[str, None] = {}
        for name, figure in self.figures.items():
            interval = figure.interval
            ends = "" if interval is None else f"{interval.low:.4f} to {interval.high:.4f}"
            if interval is not None and interval.warning:
                ends = f"~ {ends}"
                warnings[interval.warning] = None
            if figure.value is not None:
                rows.append(f"<tr><th>{FIGURES[name]}</th><td>{figure.value:.4f}</td><td>{ends}</td></tr>")
        if warnings:
            rows.append(f"<tr><td colspan=3>~ approximate, not 95 %: {escape('; '.join(warnings))}</td></tr>")
        for gate in self.gates:
            verdict = "met" if gate.passed else "NOT MET"
            rows.append(f"<tr><td colspan=3>gate {verdict}: {escape(str(gate))}</td></tr>")
        head = (
            f"{escape(', '.join(self.provenance.files))}: {self.evaluated:,} of {counted(self.rows, 'row')} evaluated"
        )
        if self.positive is not None:
            head += f", positive label {escape(self.labels[self.positive])}"
        return f"<table><caption>{head}</caption><tr><th></th><th>value</th><th>95 %</th></tr>{''.join(rows)}</table>"

    def _value(self, name: str) -> float | None:
        figure = self.figures.get(name)
        return None if figure is None else figure.value

    @property
    def labelled(self) -> bool:
        """True if there are gold labels."""
        return self.provenance.label_column is not None

    @property
    def evaluated(self) -> int:
        """Number of rows in the figures."""
        return int(self.matrix.sum())

    def gate_errors(self) -> tuple[QualityGateError, ...]:
        """An error for each gate that was not met, to raise or to show."""
        where = ", ".join(self.provenance.files)
        return tuple(QualityGateError(str(gate), path=where) for gate in self.gates if not gate.passed)

    def to_json(self) -> dict[str, Any]:
        """A JSON object of plain values, without NaN and without a time."""
        where = self.provenance
        model = {
            "name": where.model,
            "precision": where.precision,
            "device": where.device,
            "fingerprint": where.fingerprint,
        }
        return {
            "schema": "review-scorer/evaluation",
            "schema_version": SCHEMA_VERSION,
            "version": where.version,
            "files": list(where.files),
            "labels_file": where.labels_file,
            "label_column": where.label_column,
            "text_column": where.text_column,
            "inputs": plain(where.inputs),
            "model": model if where.model is not None else None,
            "labels": list(self.labels),
            "positive": None if self.positive is None else self.labels[self.positive],
            "rows": {
                "total": self.rows,
                "evaluated": self.evaluated,
                "unscored": self.unscored,
                "unmatched": self.rows_unmatched,
                "labels_unmatched": self.labels_unmatched,
                "unlabelled": self.rows_unlabelled,
                "left_out": self.rows_left_out,
            },
            "method": plain(self.method),
            "figures": plain(self.figures),
            "by_label": plain(self.by_label),
            "confusion_matrix": self.matrix.tolist(),
            "curves": plain(self.curves),
            "reliability": plain(self.reliability),
            "histogram": plain(self.histogram),
            "slices": plain(self.slices),
            "mistakes": {"total": self.n_mistakes, "shown": plain(self.mistakes)},
            "thresholds": plain(self.thresholds),
            "suspects": {"total": self.n_suspects, "shown": plain(self.suspects)},
            "comparison": plain(self.comparison),
            "drift": plain(self.drift),
            "coverage": plain(self.coverage),
            "expectation": plain(self.expectation),
            "gates": plain(self.gates),
            "notes": list(self.notes),
        }

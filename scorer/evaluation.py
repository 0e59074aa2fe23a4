"""Predictions beside gold labels -> :class:`EvaluationReport`; rows are counted chunk by chunk.

The files to evaluate have predictions, or text that is scored first. Labels are read and checked before
the first text is scored, so that a wrong label costs seconds and not the time of a whole run.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.columns import label_column, named_column, text_column
from scorer.errors import InputError, QualityGateError, UsageError
from scorer.joining import CHUNK_ROWS, JoinedLabels, join_labels, require_labels
from scorer.labels import LabelSet, LabelValues, label_strings, listed, to_ids, values_in_order
from scorer.metrics import Figure, LabelFigures, Matrix, confusion_matrix, headline_figures, label_figures
from scorer.reading import Source, open_source

if TYPE_CHECKING:
    from scorer.scoring import Scorer

TEXT_CHUNK_ROWS = 1024
"""Texts that are scored at a time."""

SCHEMA_VERSION = 1
"""Of the JSON form; it rises when a key changes its meaning or goes away."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, and how.

    Attributes:
        text_column: of the texts to score; default by name.
        label_column: of the gold labels; default by name.
        labels: a file with the gold labels, where the evaluated files do not have them.
        on: the column of ids that both have.
        allow_missing: leave out ids that only one of them has.
        positive: name or id of the label that precision, recall and F1 are of; default the second of two.
        prefix: of the columns with predictions.
        model: a bundle folder or Hub id that scores texts; default the embedded model.
        device, precision, threads, batch_tokens: as in :meth:`scorer.scoring.Scorer.load`.
        min_accuracy: gate, in [0, 1].
        min_f1: gate, in [0, 1], on the F1 of the positive label, or macro F1 where there is no such label.
    """

    text_column: str | None = None
    label_column: str | None = None
    labels: str | os.PathLike[str] | None = None
    on: str | None = None
    allow_missing: bool = False
    positive: str | int | None = None
    prefix: str = "pred_"
    model: str | os.PathLike[str] | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    batch_tokens: int | None = None
    min_accuracy: float | None = None
    min_f1: float | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and self.on is None:
            raise UsageError("--labels needs --on", hint="name the column of ids that both files have")
        if self.on is not None and self.labels is None:
            raise UsageError("--on needs --labels", hint="name the file with the gold labels")
        if self.allow_missing and self.labels is None:
            raise UsageError("--allow-missing needs --labels and --on", hint="it leaves out ids that do not match")
        if self.text_column is not None and self.labels is None and self.text_column == self.label_column:
            raise UsageError(f"--text-column and --label-column both name {self.text_column!r}")
        for name, value in (("--min-accuracy", self.min_accuracy), ("--min-f1", self.min_f1)):
            if value is not None and not 0 <= value <= 1:
                percent = f"; for {value:g} % pass {value / 100:g}" if 1 < value <= 100 else ""
                raise UsageError(f"{name} {value:g} is not between 0 and 1{percent}")


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

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        """The gates that were not met."""
        return tuple(gate for gate in self.gates if not gate.passed)

    def require_gates(self) -> None:
        """Do nothing if every gate was met.

        Raises:
            QualityGateError: one was not; its message names all that failed.
        """
        if self.failed_gates:
            raise QualityGateError("; ".join(str(gate) for gate in self.failed_gates), path=self.provenance.files[0])

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


def evaluate_labels(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    options: EvaluateOptions | None = None,
    *,
    advance: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> EvaluationReport:
    """Compare predictions with gold labels.

    Args:
        files: one or several, evaluated as one: all with predictions, or all with texts to score.
        options: what to evaluate, and how.
        advance: called with the rows done and the rows in all, after every chunk.
        settings: fields of :class:`EvaluateOptions`, in place of those of ``options``.

    Raises:
        InputError: a file cannot be read, lacks a column, or has labels or ids that do not fit.
        ModelError: the texts have to be scored and the model or device cannot be used.
        UsageError: the options do not fit each other or the files.
    """
    options = replace(options or EvaluateOptions(), **settings)
    plans = _plan([files] if isinstance(files, str | os.PathLike) else files, options)
    scorer = None if plans[0].predicted is not None else _load(options)
    gold = _read_gold(plans, options)
    labels, notes = _label_set(plans, options, scorer, gold.values)
    ids = labels.require_ids(gold.values, name=gold.column)
    positive = _positive(labels, options.positive)
    rows = _predicted_rows(plans, labels) if scorer is None else _scored_rows(plans, scorer)
    counts = _count(rows, gold, ids, len(labels.names), advance)
    figures = headline_figures(counts.matrix, labels.names, positive)
    return EvaluationReport(
        provenance=_provenance(plans, options, gold, scorer),
        labels=labels.names,
        positive=positive,
        rows=gold.rows,
        unscored=counts.unscored,
        rows_unmatched=gold.joined.rows_unmatched if gold.joined else 0,
        labels_unmatched=gold.joined.labels_unmatched if gold.joined else 0,
        matrix=counts.matrix,
        figures=figures,
        by_label=label_figures(counts.matrix, labels.names),
        gates=_gates(figures, positive, options),
        notes=notes,
    )


@dataclass(frozen=True)
class _Plan:
    """One file and its columns: predicted labels or texts, and gold labels unless they are joined."""

    source: Source
    predicted: str | None
    text: str | None
    gold: str | None
    labels: tuple[str, ...]


@dataclass
class _Gold:
    """Gold labels of all files: their values, and where each row's is to be found."""

    column: str
    values: LabelValues
    rows: int
    joined: JoinedLabels | None = None
    predicted: LabelValues = field(default_factory=LabelValues)


@dataclass(frozen=True)
class _Rows:
    """Rows of one file in order: predicted label ids int64, -1 where there are none, and the gold column."""

    plan: _Plan
    predicted: npt.NDArray[np.int64]
    gold: pa.ChunkedArray | None


@dataclass
class _Counts:
    matrix: Matrix
    unscored: int = 0


def _plan(files: Sequence[str | os.PathLike[str]], options: EvaluateOptions) -> list[_Plan]:
    if not files:
        raise UsageError("there is no file to evaluate")
    plans = [_plan_of(open_source(file), options) for file in files]
    first = plans[0]
    for plan in plans[1:]:
        if (plan.predicted is None) != (first.predicted is None):
            with_them, without = (first, plan) if first.predicted else (plan, first)
            raise InputError(
                f"has no {options.prefix}label, which {with_them.source.path} has",
                path=without.source.path,
                hint="evaluate files with predictions and files to be scored one after the other",
            )
        if plan.labels != first.labels:
            raise InputError(
                f"has probabilities of {listed(plan.labels) or 'no label'},"
                f" {first.source.path} of {listed(first.labels) or 'no label'}",
                path=plan.source.path,
                hint="evaluate predictions of one model at a time",
            )
    return plans


def _plan_of(source: Source, options: EvaluateOptions) -> _Plan:
    columns, path = source.schema.names, source.path
    prefix = options.prefix
    predicted = f"{prefix}label"
    if predicted not in columns and prefix != EvaluateOptions.prefix:
        named_column(columns, predicted, path)  # raises: a prefix was named, so predictions were meant
    added = {f"{prefix}{name}" for name in ("label", "score", "status")} if predicted in columns else set()
    probability = f"{prefix}prob_"
    labels = tuple(column.removeprefix(probability) for column in columns if column.startswith(probability))
    own = [column for column in columns if column not in added and not column.startswith(probability)]
    gold = None
    if options.labels is None:
        if options.label_column in added:
            raise UsageError(f"--label-column {options.label_column} holds predictions, not gold labels")
        gold = label_column(own, options.label_column, path)
    else:
        named_column(columns, str(options.on), path)
    if predicted in columns:
        if options.model is not None:
            raise UsageError(
                f"{path} has predictions in {predicted!r}, so --model would not be used",
                hint="evaluate the file without --model, or a file without predictions with it",
            )
        return _Plan(source, named_column(columns, predicted, path), None, gold, labels)
    text = _text_column(own, options, path, predicted, gold)
    return _Plan(source, None, text, gold, ())


def _text_column(columns: list[str], options: EvaluateOptions, path: str, predicted: str, gold: str | None) -> str:
    try:
        text = text_column(columns, options.text_column, path)
    except InputError as error:
        if options.text_column is not None:
            raise
        raise InputError(f"has no {predicted!r} to evaluate, and for scoring {error.message}", path=path, hint=error.hint) from None
    if text == gold:
        raise UsageError(f"column {text!r} of {path} cannot hold both the texts and the labels", hint="pass another --label-column")
    return text


def _load(options: EvaluateOptions) -> Scorer:
    from scorer.scoring import Scorer

    budget = {} if options.batch_tokens is None else {"batch_tokens": options.batch_tokens}
    return Scorer.load(
        options.model, device=options.device, precision=options.precision, threads=options.threads, **budget
    )


def _read_gold(plans: Sequence[_Plan], options: EvaluateOptions) -> _Gold:
    """Every gold label once, so that they are known to be right before anything is scored or counted."""
    if options.labels is not None:
        sources = [plan.source for plan in plans]
        joined = join_labels(
            sources,
            open_source(options.labels),
            on=str(options.on),
            label=options.label_column,
            allow_missing=options.allow_missing,
        )
        gold = _Gold(joined.column, joined.values, len(joined.codes), joined)
    else:
        gold = _Gold(str(plans[0].gold), LabelValues(), 0)
    wanted_values = plans[0].predicted is not None and not plans[0].labels
    if gold.joined and not wanted_values:
        return gold
    for plan in plans:
        start, path = 0, plan.source.path
        columns = [*([plan.gold] if plan.gold else []), *([plan.predicted] if wanted_values and plan.predicted else [])]
        for table in plan.source.chunks(CHUNK_ROWS, columns):
            if plan.gold:
                strings = label_strings(table[plan.gold], name=plan.gold, path=path)
                require_labels(strings, name=plan.gold, path=path, start=start)
                gold.values.add(strings, name=plan.gold, path=path, start=start)
            if wanted_values and plan.predicted:
                strings = label_strings(table[plan.predicted], name=plan.predicted, path=path)
                gold.predicted.add(strings, name=plan.predicted, path=path, start=start)
            start += table.num_rows
        if gold.joined is None:
            gold.rows += start
    if gold.rows == 0:
        raise InputError("holds no rows", path=plans[0].source.path)
    return gold


def _label_set(
    plans: Sequence[_Plan], options: EvaluateOptions, scorer: Scorer | None, gold: LabelValues
) -> tuple[LabelSet, tuple[str, ...]]:
    raise NotImplementedError

"""The files of an evaluation: which columns count, every gold label, and the labels that there can be.

All gold labels are read and checked before the first text is scored, so that a wrong one costs seconds
and not the time of a whole run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scorer.errors import InputError, UsageError
from scorer.evaluation.labels import (
    LabelSet,
    LabelValues,
    label_strings,
    listed,
    require_labels,
    shown,
    to_ids,
    values_in_order,
)
from scorer.evaluation.options import DEFAULT_PREFIX, EvaluateOptions
from scorer.files.columns import label_column, named_column, text_column
from scorer.files.opening import open_source
from scorer.files.source import Source, check_text_type

if TYPE_CHECKING:
    from scorer.evaluation.joining import JoinedLabels

CHUNK_ROWS = 65_536
"""Rows of label columns that are read at a time."""


@dataclass(frozen=True)
class EvaluatedFile:
    """One file and the columns of it that an evaluation reads.

    Attributes:
        source: the file.
        predicted: column of predicted labels, or ``None`` where the file has none.
        text: column to score where ``predicted`` is ``None``, else that of the texts beside the predictions,
            ``None`` where there is none.
        gold: column of gold labels, or ``None`` where they are joined from another file or there are none.
        labels: labels that its columns of probabilities name, in order.
        probabilities: these columns.
        score, status: columns of the predicted label's probability and of what was done to the text, if any.
    """

    source: Source
    predicted: str | None
    text: str | None
    gold: str | None
    labels: tuple[str, ...]
    probabilities: tuple[str, ...] = ()
    score: str | None = None
    status: str | None = None

    def without_text(self) -> EvaluatedFile:
        """The same, but that its texts are not read."""
        return replace(self, text=None)

    def predicted_strings(self, table: pa.Table) -> pa.Array:
        """The predicted labels of a chunk as large strings."""
        name = str(self.predicted)
        return label_strings(table.column(name), name=name, path=self.source.path, option="--prefix")

    def gold_strings(self, table: pa.Table) -> pa.Array:
        """The gold labels of a chunk as large strings."""
        name = str(self.gold)
        return label_strings(table.column(name), name=name, path=self.source.path)


@dataclass
class GoldLabels:
    """The gold labels of all files together.

    Attributes:
        column: their name; ``None`` where there are none.
        values: the different ones.
        rows: rows of the evaluated files.
        joined: the label of each row, where they come from another file.
        predicted: the different predicted labels, where no columns of probabilities name them.
    """

    column: str | None
    values: LabelValues = field(default_factory=LabelValues)
    rows: int = 0
    joined: JoinedLabels | None = None
    predicted: LabelValues = field(default_factory=lambda: LabelValues(option="--prefix"))

    def ids(self, file: EvaluatedFile, table: pa.Table, start: int, ids: dict[str, int]) -> npt.NDArray[np.int64]:
        """Label ids int64 of a chunk, -1 for rows without one; ``start`` rows of all files stand before it.

        Raises:
            InputError: the file is not what it was when its labels were first read.
        """
        if self.joined is None:
            found = to_ids(file.gold_strings(table), ids)
            if not (found >= 0).all():
                raise _changed(file)
            return found
        codes = self.joined.codes[start : start + table.num_rows]
        if len(codes) < table.num_rows:
            raise _changed(file)
        lookup = np.array([*(ids[value] for value in self.values.first), -1], dtype=np.int64)
        by_code: npt.NDArray[np.int64] = lookup[codes]
        return by_code


def open_files(files: Sequence[str | os.PathLike[str]], options: EvaluateOptions) -> list[EvaluatedFile]:
    """Open every file and find its columns.

    Raises:
        InputError: a file cannot be read, lacks a column, or does not fit the first.
        UsageError: an option does not fit a file.
    """
    if not files:
        raise UsageError("there is no file to evaluate")
    found = [_with_columns(open_source(file), options) for file in files]
    for file in found[1:]:
        _require_alike(found[0], file, options.prefix)
    for file in found:
        for name in options.slice_by:
            named_column(file.source.schema.names, name, file.source.path)
        if options.labels is None and options.on is not None:
            named_column(file.source.schema.names, options.on, file.source.path)
    return found


def open_predictions(path: str | os.PathLike[str], options: EvaluateOptions) -> EvaluatedFile:
    """Open a file of predictions to compare with; its gold labels do not matter.

    Raises:
        InputError: it cannot be read, or has no predictions.
    """
    source = open_source(path)
    predicted = f"{options.prefix}label"
    if predicted not in source.schema.names:
        raise InputError(
            f"has no column {predicted!r}, so it holds no predictions", path=source.path, hint="score it first"
        )
    return _with_predictions(source, options, text=_text_beside(source, options.text_column))


def read_gold(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> GoldLabels:
    """Read the label columns of ``files`` once, or join their labels from ``options.labels``.

    Raises:
        InputError: a label is null, there are no rows, or ids do not match, see
            :func:`scorer.evaluation.joining.join_labels`.
    """
    names = dict.fromkeys(file.gold for file in files if file.gold is not None)
    gold = GoldLabels(column=", ".join(names) or None)
    if options.labels is not None:
        from scorer.evaluation.joining import join_labels

        gold.joined = join_labels(
            [file.source for file in files],
            open_source(options.labels),
            on=str(options.on),
            label=options.label_column,
            allow_missing=options.allow_missing,
        )
        gold.column, gold.values = gold.joined.column, gold.joined.values
    unlabelled = gold.column is None
    counted = [_read_values(file, gold, count=unlabelled) for file in files]
    gold.rows = len(gold.joined.codes) if gold.joined else sum(counted)
    if gold.rows == 0:
        raise InputError("holds no rows", path=files[0].source.path, hint="there is nothing to evaluate")
    return gold


def labels_of(files: Sequence[EvaluatedFile], gold: GoldLabels) -> tuple[LabelSet, tuple[str, ...]]:
    """The labels that the predictions of ``files`` can have, and notes on how they were found.

    They are those of the columns of probabilities, in order. Without such columns they are the
    predicted labels, by alphabet; where only one was ever predicted, which no classifier knows
    alone, gold labels complete them.

    Raises:
        InputError: no row has a prediction.
    """
    first = files[0]
    if first.labels:
        return LabelSet(first.labels, "the predictions"), ()
    values = list(gold.predicted.first)
    if not values:
        raise InputError(f"no row has a value in {first.predicted!r}", path=first.source.path, hint="score it again")
    names = values_in_order(values)
    if len(values) == 1 and values[0] in gold.values.first:
        names = values_in_order(list(gold.values.first))
    labels = LabelSet(
        names, "the predictions", "keep the columns of probabilities, which name the labels never predicted"
    )
    if all(value in names for value in gold.values.first):
        return labels, ()
    numbered = ", ".join(f"{label} = {name}" for label, name in enumerate(names))
    return labels, (
        f"{first.source.path} has no columns of probabilities that give its labels an order,"
        f" so gold ids were read by alphabet: {numbered}",
    )


def _with_columns(source: Source, options: EvaluateOptions) -> EvaluatedFile:
    columns, path, prefix = source.schema.names, source.path, options.prefix
    predicted = f"{prefix}label"
    if predicted not in columns:
        if prefix != DEFAULT_PREFIX:
            named_column(columns, predicted, path)  # raises: who names a prefix means predictions
        gold = _gold_column(columns, (), options, path)
        return EvaluatedFile(source, None, _text_column(source, options, gold), gold, ())
    if options.model is not None and not options.model_of_the_machine:
        raise UsageError(
            f"has predictions in column {predicted!r}, so --model would not be used",
            path=path,
            hint="drop --model, or evaluate a file without predictions",
        )
    file = _with_predictions(source, options, text=None)
    added = {predicted, f"{prefix}score", f"{prefix}status", *file.probabilities}
    gold = _gold_column(columns, added, options, path)
    text = _text_beside(source, options.text_column)
    return replace(file, gold=gold, text=None if text == gold else text)


def _with_predictions(source: Source, options: EvaluateOptions, *, text: str | None) -> EvaluatedFile:
    columns, path, prefix = source.schema.names, source.path, options.prefix
    predicted = named_column(columns, f"{prefix}label", path)
    probability = f"{prefix}prob_"
    probabilities = tuple(named_column(columns, name, path) for name in columns if name.startswith(probability))
    score, status = (
        named_column(columns, name, path) if name in columns else None for name in (f"{prefix}score", f"{prefix}status")
    )
    labels = tuple(name.removeprefix(probability) for name in probabilities)
    return EvaluatedFile(source, predicted, text, None, labels, probabilities, score, status)


def _text_beside(source: Source, wanted: str | None) -> str | None:
    """The column of texts beside predictions; ``None`` where none is sure to be it."""
    columns, path = source.schema.names, source.path
    try:
        text = text_column(columns, wanted, path)
        check_text_type(source.schema.field(text), path)
    except InputError:
        if wanted is not None:
            raise
        return None
    return text


def _gold_column(
    columns: Sequence[str], added: set[str] | tuple[()], options: EvaluateOptions, path: str
) -> str | None:
    if options.labels is not None:
        named_column(columns, str(options.on), path)
        return None
    if options.label_column in added:
        raise UsageError(
            f"--label-column {options.label_column} holds predictions, not gold labels",
            path=path,
            hint="name the column of gold labels",
        )
    try:
        return label_column([name for name in columns if name not in added], options.label_column, path)
    except InputError:
        # Drift needs no labels, nor does the first night of it.
        compared = options.drift is not None or options.write_baseline is not None
        if compared and not options.needs_gold:
            return None
        raise


def _text_column(source: Source, options: EvaluateOptions, gold: str | None) -> str:
    columns, path = source.schema.names, source.path
    try:
        text = text_column(columns, options.text_column, path)
    except InputError as error:
        if options.text_column is not None:
            raise
        message = f"has no column '{options.prefix}label' to evaluate; and to score it first: {error.message}"
        raise InputError(message, path=path, hint=error.hint) from None
    if text == gold:
        raise UsageError(
            f"column {text!r} cannot hold both the texts and the gold labels", path=path, hint="pass --label-column"
        )
    check_text_type(source.schema.field(text), path)
    return text


def _require_alike(first: EvaluatedFile, file: EvaluatedFile, prefix: str) -> None:
    if (file.predicted is None) != (first.predicted is None):
        scored, plain = (file, first) if first.predicted is None else (first, file)
        raise InputError(
            f"has no column '{prefix}label', which {scored.source.path} has",
            path=plain.source.path,
            hint="evaluate files with predictions and files to be scored in separate runs",
        )
    if (file.gold is None) != (first.gold is None):
        with_gold, without = (first, file) if file.gold is None else (file, first)
        raise InputError(
            f"has no column of gold labels, {with_gold.source.path} has {with_gold.gold!r}",
            path=without.source.path,
            hint="evaluate them in separate runs",
        )
    if file.labels != first.labels:
        ours, theirs = (f"the labels {listed(each.labels)}" if each.labels else "no labels" for each in (file, first))
        raise InputError(
            f"its columns of probabilities name {ours}, those of {first.source.path} {theirs}",
            path=file.source.path,
            hint="evaluate the predictions of one model at a time",
        )


def require_two_labels(files: Sequence[EvaluatedFile], gold: GoldLabels, ids: Mapping[str, int]) -> None:
    """Refuse gold labels of one class only: hardly a figure would mean anything.

    Raises:
        InputError: all rows of ``files`` have the same gold label.
    """
    values = list(gold.values.first)
    if gold.joined is not None:
        codes = np.unique(gold.joined.codes)
        values = [values[code] for code in codes[codes >= 0]]
    if len({ids[value] for value in values}) < 2:
        raise InputError(
            f"column {gold.column!r} holds one class only: every gold label is {shown(values[0])}",
            path=", ".join(file.source.path for file in files),
            hint="evaluate rows of at least two classes",
        )


def _read_values(file: EvaluatedFile, gold: GoldLabels, *, count: bool) -> int:
    """Take the values of one file into ``gold``; returns the rows that were read for it."""
    path, start = file.source.path, 0
    wanted = [file.gold] if file.gold is not None else []
    if file.predicted is not None and not file.labels:
        wanted.append(file.predicted)
    if count and not wanted:
        wanted = [file.predicted or str(file.text)]
    if not wanted:
        return 0
    for table in file.source.tables(CHUNK_ROWS, wanted):
        if file.gold is not None:
            strings = file.gold_strings(table)
            require_labels(strings, name=file.gold, path=path, start=start)
            gold.values.add(strings, name=file.gold, path=path, start=start)
        if file.predicted in wanted and not file.labels:
            strings = file.predicted_strings(table)
            gold.predicted.add(strings, name=str(file.predicted), path=path, start=start)
        start += table.num_rows
    return start


def _changed(file: EvaluatedFile) -> InputError:
    return InputError("changed while it was read", path=file.source.path, hint="run again when it stands still")

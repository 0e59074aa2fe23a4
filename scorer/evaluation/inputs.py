"""The files of an evaluation: their columns, their gold labels, and the label set of their predictions.

All gold labels are read and checked before the first text is scored, so that a wrong one costs seconds
instead of the time of a whole run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scorer.disk.paths import identity_of, is_plain_file
from scorer.errors import InputError, UsageError
from scorer.evaluation.joining import join_labels
from scorer.evaluation.labels import (
    LABEL_CHUNK_ROWS,
    GoldLabels,
    LabelSet,
    LabelValues,
    gold_strings,
    label_strings,
    listed,
    no_label,
    shown,
    values_in_order,
)
from scorer.evaluation.options import EvaluateOptions
from scorer.files.columns import PREFIX, label_column, named_column, text_column
from scorer.files.formats import extension_of
from scorer.files.inputs import PROVENANCE_SUFFIX
from scorer.files.opening import check_fit, fitting, open_source
from scorer.files.source import ReadOptions, Source, check_text_type
from scorer.safe_text import quoted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluatedFile:
    """One file and the columns that an evaluation reads.

    Attributes:
        source: the file.
        predicted: column of predicted labels, or ``None``.
        text: column of texts, or ``None``; these are scored if ``predicted`` is ``None``.
        gold: column of gold labels, or ``None`` if they come from another file or do not exist.
        labels: labels with a column of probabilities, in order.
        probabilities: these columns.
        score, status: columns of the predicted label's probability and of the row's status, or ``None``.
    """

    source: Source
    predicted: str | None
    text: str | None
    gold: str | None
    labels: tuple[str, ...]
    probabilities: tuple[str, ...] = ()
    score: str | None = None
    status: str | None = None


def open_files(files: Sequence[str | os.PathLike[str]], options: EvaluateOptions) -> list[EvaluatedFile]:
    """Open every file and find its columns.

    Raises:
        InputError: a file cannot be read, lacks a column, or does not fit the first.
        UsageError: an option does not fit a file.
    """
    if not files:
        raise UsageError("no file to evaluate")
    _require_different(files)
    others = (path for path in (options.labels, options.baseline, options.drift) if path is not None)
    check_fit([*files, *others], ReadOptions(**options.file_options()))
    found = [_with_columns(_open(file, options), options) for file in files]
    for file in found[1:]:
        _require_alike(found[0], file, options.prefix)
    for file in found:
        for name in options.slice_by:
            named_column(file.source.schema.names, name, file.source.path)
        if options.labels is None and options.on is not None:
            named_column(file.source.schema.names, options.on, file.source.path)
    return found


def _require_different(files: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse a file that is given twice, also by a link or another path: its rows would count twice.

    Raises:
        UsageError: one is.
    """
    seen: dict[tuple[int, int], str] = {}
    for name in (os.fspath(file) for file in files):
        identity = identity_of(name)
        if identity in seen:
            what = "is given twice" if seen[identity] == name else f"is the same file as {seen[identity]}"
            raise UsageError(f"{what}, so its rows would count twice", path=name, hint="name each file once")
        if identity is not None:
            seen[identity] = name


def open_predictions(path: str | os.PathLike[str], options: EvaluateOptions, labels: Sequence[str]) -> EvaluatedFile:
    """Open a file of predictions to compare with; its gold labels are ignored.

    ``labels`` are those of the current predictions; empty if no columns of probabilities name them.

    Raises:
        InputError: it cannot be read, has no predictions, or has columns of probabilities of other labels.
    """
    source = _open(path, options)
    predicted = f"{options.prefix}label"
    if predicted not in source.schema.names:
        raise InputError(
            f"has no column {quoted(predicted)}, so it holds no predictions", path=source.path, hint="score it first"
        )
    file = _with_predictions(source, options)
    if labels and file.labels and set(labels) != set(file.labels):
        raise InputError(
            f"its columns of probabilities name the labels {listed(file.labels)},"
            f" but the current predictions have {listed(labels)}",
            path=source.path,
            hint="compare predictions of the same labels",
        )
    return file


def read_gold(files: Sequence[EvaluatedFile], options: EvaluateOptions) -> GoldLabels:
    """Read the label columns of ``files`` once, or join their labels from ``options.labels``.

    Raises:
        InputError: there are no rows, no row has a label although ``options`` need some, or ids do not match, see
            :func:`scorer.evaluation.joining.join_labels`.
    """
    if options.labels is not None:
        labels = _open(options.labels, options)
        with labels.advised():
            joined = join_labels(
                [file.source for file in files],
                labels,
                on=str(options.on),
                label=options.label_column,
                allow_missing=options.allow_missing,
            )
        for file in files:
            if file.predicted is not None and not file.labels:
                _read_values(file, joined.values, joined.predicted)
        return joined
    values, predicted = LabelValues(), LabelValues(predicted=True)
    rows = unlabelled = 0
    for file in files:
        read, without = _read_values(file, values, predicted)
        rows, unlabelled = rows + read, unlabelled + without
    first = files[0]
    if not rows:
        raise InputError("holds no rows", path=first.source.path, hint="there is nothing to evaluate")
    if first.gold is not None and not values.first:
        tells = first.predicted is None or bool(first.probabilities) or first.score is not None
        if not options.does_without_gold(tells=tells):
            raise no_label(first.gold, first.source.path)
        return GoldLabels(None, values, rows, predicted=predicted)
    names = dict.fromkeys(file.gold for file in files if file.gold is not None)
    return GoldLabels(", ".join(names) or None, values, rows, unlabelled, predicted=predicted)


def labels_of(
    files: Sequence[EvaluatedFile], gold: GoldLabels, label_map: Mapping[str, str]
) -> tuple[LabelSet, tuple[str, ...]]:
    """The label set of the predictions of ``files``, and notes on how it was found; ``label_map`` is of gold labels.

    It is that of the columns of probabilities, in order. Without such columns it is the predicted labels, by
    alphabet, and with them the gold labels that were never predicted, where gold labels are written as the predicted
    ones are.

    Raises:
        InputError: no row has a prediction.
    """
    first = files[0]
    if first.labels:
        return LabelSet(first.labels, "the predictions"), ()
    values = list(gold.predicted.first)
    if not values:
        raise InputError(f"no row has a value in {first.predicted!r}", path=first.source.path, hint="score it again")
    meant = [name for name in dict.fromkeys(gold.values.meant(label_map, values).values()) if name]
    unpredicted = [name for name in meant if name not in values]
    if not unpredicted:
        return LabelSet(values_in_order(values), "the predictions", complete=False), ()
    # A name in another case is a slip, no other class.
    folded = {value.strip().casefold() for value in values}
    if len(unpredicted) < len(meant) and folded.isdisjoint(name.strip().casefold() for name in unpredicted):
        note = f"{first.source.path}: gold labels that are never predicted: {listed(unpredicted)}"
        return LabelSet(values_in_order([*values, *unpredicted]), "the predictions", complete=False), (note,)
    names = values_in_order(values)
    numbered = ", ".join(f"{label} = {name}" for label, name in enumerate(names))
    return LabelSet(names, "the predictions", complete=False), (
        f"{first.source.path} has no columns of probabilities that give its labels an order,"
        f" so gold ids were read by alphabet: {numbered}",
    )


def _open(path: str | os.PathLike[str], options: EvaluateOptions) -> Source:
    """Open a file as ``options`` say; but predictions as ``score`` writes them, if it wrote them as text.

    It leaves the provenance beside them. Without that, they are those that have the column of predictions only so.
    """
    asked = fitting(path, ReadOptions(**options.file_options()))
    plain = ReadOptions(format=None if extension_of(os.fspath(path)).is_input else asked.format)
    predicted = f"{options.prefix}label"
    if asked == plain or not _has_column(predicted, path, plain):
        return open_source(path, asked)
    if not is_plain_file(f"{os.fspath(path)}{PROVENANCE_SUFFIX}") and _has_column(predicted, path, asked):
        return open_source(path, asked)
    source = open_source(path, plain)
    log.info("%s: read as `score` writes it, in UTF-8 and with the usual delimiter and quotes", source.path)
    return source


def _has_column(name: str, path: str | os.PathLike[str], options: ReadOptions) -> bool:
    try:
        return name in open_source(path, options).schema.names
    except InputError:
        return False


def _with_columns(source: Source, options: EvaluateOptions) -> EvaluatedFile:
    with source.advised():
        return _found_columns(source, options)


def _found_columns(source: Source, options: EvaluateOptions) -> EvaluatedFile:
    columns, path, prefix = source.schema.names, source.path, options.prefix
    predicted = f"{prefix}label"
    if predicted not in columns:
        if prefix != PREFIX:
            named_column(columns, predicted, path)  # raises: a prefix is only given for predictions
        gold = _gold_column(columns, options, path)
        return EvaluatedFile(source, None, _text_column(source, options, gold), gold, ())
    if options.model is not None and not options.model_of_the_machine:
        raise UsageError(
            f"has predictions in column {quoted(predicted)}, so --model would not be used",
            path=path,
            hint="drop --model, or evaluate a file without predictions",
        )
    file = _with_predictions(source, options)
    added = {predicted, f"{prefix}score", f"{prefix}status", *file.probabilities}
    tells = bool(file.probabilities) or file.score is not None
    gold = _gold_column(columns, options, path, added, tells=tells)
    return replace(file, gold=gold, text=None if file.text == gold else file.text)


def _with_predictions(source: Source, options: EvaluateOptions) -> EvaluatedFile:
    columns, path, prefix = source.schema.names, source.path, options.prefix
    predicted = named_column(columns, f"{prefix}label", path)
    probability = f"{prefix}prob_"
    probabilities = tuple(named_column(columns, name, path) for name in columns if name.startswith(probability))
    score, status = (
        named_column(columns, name, path) if name in columns else None for name in (f"{prefix}score", f"{prefix}status")
    )
    labels = tuple(name.removeprefix(probability) for name in probabilities)
    text = _text_beside(source, options.text_column)
    return EvaluatedFile(source, predicted, text, None, labels, probabilities, score, status)


def _text_beside(source: Source, wanted: str | None) -> str | None:
    """The column of texts beside predictions; ``None`` if it is uncertain which."""
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
    columns: Sequence[str], options: EvaluateOptions, path: str, added: Collection[str] = (), *, tells: bool = False
) -> str | None:
    """The column of gold labels, none of those ``added`` by scoring; ``None`` if they are elsewhere or not needed.

    They are not needed if ``tells`` is true: the probabilities tell what to expect.
    """
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
        if options.label_column is None and options.does_without_gold(tells=tells):
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
            f"column {quoted(text)} cannot hold both the texts and the gold labels",
            path=path,
            hint="pass --label-column",
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
            f"has no column of gold labels, {with_gold.source.path} has {quoted(with_gold.gold)}",
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
    """Refuse gold labels of a single class, for which hardly any figure means anything.

    Raises:
        InputError: all rows of ``files`` have the same gold label, or none that is not left out.
    """
    values = list(gold.values.first)
    if gold.codes is not None:
        codes = np.unique(gold.codes)
        values = [values[code] for code in codes[codes >= 0]]
    values = [value for value in values if ids[value] >= 0]
    if not values:
        raise no_label(str(gold.column), ", ".join(file.source.path for file in files))
    if len({ids[value] for value in values}) < 2:
        raise InputError(
            f"column {quoted(gold.column)} holds one class only: every gold label is {shown(values[0])}",
            path=", ".join(file.source.path for file in files),
            hint="evaluate rows of at least two classes",
        )


def _read_values(file: EvaluatedFile, gold: LabelValues, predicted: LabelValues) -> tuple[int, int]:
    """Add the gold labels of one file, and its predicted ones if it has no columns of probabilities.

    Returns the number of its rows, and that of those without a gold label if it has a column of them.
    """
    path, start, unlabelled = file.source.path, 0, 0
    unnamed = None if file.labels else file.predicted
    columns = [name for name in (file.gold, unnamed) if name is not None]
    for table in file.source.tables(LABEL_CHUNK_ROWS, columns or [file.predicted or str(file.text)]):
        if file.gold is not None:
            labels = gold_strings(table, file.gold, path)
            gold.add(labels, name=file.gold, path=path, start=start)
            unlabelled += labels.null_count
        if unnamed is not None:
            strings = label_strings(table, unnamed, path, predicted=True)
            predicted.add(strings, name=unnamed, path=path, start=start)
        start += table.num_rows
    return start, unlabelled

"""The files of an evaluation, opened, and the columns that it reads."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from scorer.disk.paths import identity_of, is_plain_file
from scorer.errors import InputError, UsageError
from scorer.evaluation.labels import listed
from scorer.evaluation.options import EvaluateOptions
from scorer.files.beside_outputs import PROVENANCE_SUFFIX
from scorer.files.columns import PREFIX, label_column, named_column, text_column
from scorer.files.formats import extension_of
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
    found = [_with_columns(open_as_written(file, options), options) for file in files]
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
    source = open_as_written(path, options)
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


def open_as_written(path: str | os.PathLike[str], options: EvaluateOptions) -> Source:
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

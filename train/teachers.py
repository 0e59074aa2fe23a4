"""Rows with a teacher's probabilities as their target, from predictions in the format of ``score`` or a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.errors import InputError, UsageError
from scorer.files.columns import PREFIX, text_column
from scorer.safe_text import counted, quoted
from train.data import LabelledReviews
from train.data_files import read_rows, read_texts, texts_of
from train.options import TrainOptions
from train.saving import saving
from train.teacher_checkpoints import is_checkpoint, label_texts
from train.unfinished import UnfinishedTraining

log = logging.getLogger(__name__)

_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class TeacherRows:
    """Texts and the probabilities of each label that a teacher gives them.

    Attributes:
        texts: as in the file; "" for null.
        probabilities: float64 ``(n, n_labels)``, rows sum to 1, columns in the order of the label
            names; NaN in a row without a prediction.
    """

    texts: list[str]
    probabilities: npt.NDArray[np.float64]


def teach(
    train_set: LabelledReviews, eval_set: LabelledReviews, options: TrainOptions, work: UnfinishedTraining
) -> LabelledReviews:
    """``train_set``, whose labels are vectors, followed by the rows of the teachers.

    The target of such a row is the teachers' mean probability times ``options.teacher_weight``, by which a
    loss that is linear in its target weighs the row. Rows with a text held out for validation are left out.
    Predictions of checkpoints are kept in ``work`` for a resumed run.

    Raises:
        ModelError: a checkpoint cannot be used.
        UsageError: ``options.unlabelled`` clashes with a file of predictions.
        InputError: a file of predictions cannot be used, or two hold different texts.
    """
    names = train_set.label_names
    taught = _averaged(_rows_by_teacher(train_set, options, work))
    held = set(eval_set.texts)
    predicted = ~np.isnan(taught.probabilities.sum(axis=1))
    usable = [row for row, text in enumerate(taught.texts) if predicted[row] and text.strip() and text not in held]
    if not usable:
        raise InputError("no row of the teacher can be used", path=", ".join(options.teacher))
    n_left_out = len(taught.texts) - len(usable)
    if options.max_teacher_samples is not None and options.max_teacher_samples < len(usable):
        drawn = np.random.default_rng(options.seed).choice(len(usable), options.max_teacher_samples, replace=False)
        usable = [usable[place] for place in sorted(drawn.tolist())]
    targets = taught.probabilities[usable] * options.teacher_weight
    log.info(
        "%d rows of the teacher beside %d labelled ones; %d left out (no prediction, or held out for validation)",
        len(usable),
        len(train_set),
        n_left_out,
    )
    texts = [*train_set.texts, *(taught.texts[row] for row in usable)]
    return LabelledReviews(texts, np.concatenate([train_set.labels, targets.astype(np.float32)]), names)


def _rows_by_teacher(
    train_set: LabelledReviews, options: TrainOptions, work: UnfinishedTraining
) -> list[tuple[str, TeacherRows]]:
    """Each teacher and its rows; checkpoints label the files' texts, else unlabelled ones, else the training's."""
    names = train_set.label_names
    files = [source for source in options.teacher if not is_checkpoint(source)]
    checkpoints = [source for source in options.teacher if is_checkpoint(source)]
    if options.unlabelled and (files or not checkpoints):
        raise UsageError(
            "--unlabelled needs a --teacher that is a checkpoint, and no file of predictions beside it",
            hint="a file of predictions holds the texts itself",
        )
    teachers = [(file, read_predictions(file, names, options)) for file in files]
    if files:
        texts = teachers[0][1].texts
    elif options.unlabelled:
        texts = read_texts(options.unlabelled, options)
    else:
        texts = train_set.texts
    for number, source in enumerate(checkpoints):
        kept = work.folder / f"teacher-{number}.npy"
        if options.resume and kept.is_file():
            probabilities = np.load(kept, allow_pickle=False)
        else:
            probabilities = label_texts(source, texts, names)
            work.begin()
            unfinished = kept.with_suffix(".unfinished")
            with saving(kept), unfinished.open("wb") as file:
                np.save(file, probabilities)
            unfinished.replace(kept)
        teachers.append((source, TeacherRows(texts, probabilities)))
    return teachers


def read_predictions(file: str, label_names: Sequence[str], options: TrainOptions) -> TeacherRows:
    """The texts and probabilities in ``file``; columns are found by their names.

    Raises:
        InputError: the file cannot be read, its labels are not ``label_names``, or the values of a row
            are not probabilities.
    """
    rows = read_rows((file,), "train")
    text = text_column(rows.column_names, options.text_column, file)
    columns = _probability_columns(rows.column_names, label_names, file)
    probabilities = np.stack([_column(rows[column].to_pylist(), column, file) for column in columns], axis=1)
    null = np.isnan(probabilities).any(axis=1)
    probabilities[null] = np.nan
    sums = probabilities.sum(axis=1)
    outside = ~null & ((probabilities < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE))
    if outside.any():
        row = int(outside.argmax())
        values = ", ".join(f"{value:g}" for value in probabilities[row])
        raise InputError(f"{values} are no probabilities that sum to 1", path=file, row=row + 1)
    return TeacherRows(texts_of(rows, text, file), probabilities / sums[:, None])


def _probability_columns(columns: Sequence[str], label_names: Sequence[str], file: str) -> list[str]:
    """``<prefix>prob_<label>`` of each label, with any prefix."""
    ending = f"prob_{label_names[0]}"
    prefixes = [column.removesuffix(ending) for column in columns if column.endswith(ending)]
    prefix = PREFIX if PREFIX in prefixes or not prefixes else prefixes[0]
    there = [column for column in columns if column.startswith(f"{prefix}prob_")]
    wanted = [f"{prefix}prob_{name}" for name in label_names]
    if sorted(there) != sorted(wanted):
        found = ", ".join(column.removeprefix(f"{prefix}prob_") for column in there) or "none"
        raise InputError(
            f"the labels of the predictions ({found}) are not those of the training ({', '.join(label_names)})",
            path=file,
            hint="score with a model of the same labels, or name them with --label-names",
        )
    return wanted


def _column(values: Sequence[object], column: str, file: str) -> npt.NDArray[np.float64]:
    try:
        return np.array([np.nan if value in (None, "") else value for value in values], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {quoted(column)} holds no numbers", path=file) from error


def _averaged(teachers: Sequence[tuple[str, TeacherRows]]) -> TeacherRows:
    """The mean of the teachers' probabilities.

    Raises:
        InputError: their texts differ.
    """
    first_file, first = teachers[0]
    hint = "teachers that are averaged need the same rows in the same order"
    for file, other in teachers[1:]:
        if len(other.texts) != len(first.texts):
            counts = f"holds {counted(len(other.texts), 'row')}, {first_file} holds {len(first.texts):,}"
            raise InputError(counts, path=file, hint=hint)
        pairs = zip(first.texts, other.texts, strict=True)
        differs = next((row for row, (one, two) in enumerate(pairs, start=1) if one != two), None)
        if differs is not None:
            raise InputError(f"has another text than {first_file}", path=file, row=differs, hint=hint)
    return TeacherRows(first.texts, np.mean([teacher.probabilities for _, teacher in teachers], axis=0))

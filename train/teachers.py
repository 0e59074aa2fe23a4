"""Rows whose target is what a teacher thinks of them: predictions in the format that ``score`` writes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
import numpy as np
import numpy.typing as npt

from scorer.columns import text_column
from scorer.errors import InputError
from train.data import LabelledReviews, read_rows
from train.options import TrainOptions

log = logging.getLogger(__name__)

_PREFIX = "pred_"
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class TeacherRows:
    """Texts and the probabilities of each label that a teacher gives them.

    Attributes:
        texts: as they stand in the file; a null text is an empty one.
        probabilities: float64 ``(n, n_labels)``, rows sum to 1, columns in the order of the label
            names; a row of NaN where the teacher said nothing.
    """

    texts: list[str]
    probabilities: npt.NDArray[np.float64]


def teach(train_set: LabelledReviews, eval_set: LabelledReviews, options: TrainOptions) -> LabelledReviews:
    """``train_set``, whose labels are vectors, with a row for each one of the teachers' behind its own.

    The target of such a row is the teachers' mean probability times ``options.teacher_weight``. A loss that is
    linear in its target weighs those rows by it. Teacher rows whose text is held out for validation
    are left out.

    Raises:
        InputError: a file of predictions cannot be used, or two are not about the same texts.
    """
    names = train_set.label_names
    gold = train_set.rows
    taught = _averaged([(file, read_predictions(file, names, options)) for file in options.teacher])
    held = set(eval_set.rows["text"])
    said = ~np.isnan(taught.probabilities.sum(axis=1))
    usable = [row for row, text in enumerate(taught.texts) if said[row] and text.strip() and text not in held]
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
        len(gold),
        n_left_out,
    )
    rows = datasets.Dataset.from_dict(
        {"text": [taught.texts[row] for row in usable], "labels": targets.astype(np.float32).tolist()},
        features=gold.features,
    )
    return LabelledReviews(datasets.concatenate_datasets([gold, rows]), names)


def read_predictions(file: str, label_names: Sequence[str], options: TrainOptions) -> TeacherRows:
    """The texts and probabilities in ``file``; columns are found by their names.

    Raises:
        InputError: the file cannot be read, its labels are not ``label_names``, or a row holds no
            probabilities.
    """
    rows = read_rows((file,), "train")
    text = text_column(rows.column_names, options.text_column, file)
    columns = _probability_columns(rows.column_names, label_names, file)
    probabilities = np.stack([_column(rows[column], column, file) for column in columns], axis=1)
    null = np.isnan(probabilities).any(axis=1)
    probabilities[null] = np.nan
    sums = probabilities.sum(axis=1)
    outside = ~null & ((probabilities < 0).any(axis=1) | (np.abs(sums - 1) > _SUM_TOLERANCE))
    if outside.any():
        row = int(outside.argmax())
        values = ", ".join(f"{value:g}" for value in probabilities[row])
        raise InputError(f"{values} are no probabilities that sum to 1", path=file, row=row + 1)
    return TeacherRows([value or "" for value in rows[text]], probabilities / sums[:, None])


def _probability_columns(columns: Sequence[str], label_names: Sequence[str], file: str) -> list[str]:
    """``<prefix>prob_<label>`` of each label; the prefix may be another than ``score``'s default."""
    ending = f"prob_{label_names[0]}"
    prefixes = [column.removesuffix(ending) for column in columns if column.endswith(ending)]
    prefix = _PREFIX if _PREFIX in prefixes or not prefixes else prefixes[0]
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
        raise InputError(f"column {column!r} holds no numbers", path=file) from error


def _averaged(teachers: Sequence[tuple[str, TeacherRows]]) -> TeacherRows:
    first_file, first = teachers[0]
    for file, other in teachers[1:]:
        if len(other.texts) != len(first.texts):
            raise InputError(
                f"holds {len(other.texts):,} rows, {first_file} holds {len(first.texts):,}",
                path=file,
                hint="teachers that are averaged need the same rows in the same order",
            )
        pairs = zip(first.texts, other.texts, strict=True)
        differs = next((row for row, (one, two) in enumerate(pairs, start=1) if one != two), None)
        if differs is not None:
            raise InputError(
                f"has another text than {first_file}",
                path=file,
                row=differs,
                hint="teachers that are averaged need the same rows in the same order",
            )
    return TeacherRows(first.texts, np.mean([teacher.probabilities for _, teacher in teachers], axis=0))

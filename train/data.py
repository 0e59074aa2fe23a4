"""Labelled reviews for training: texts, label ids and their names, and the part that is held out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from scorer.errors import InputError
from scorer.evaluation.labels import LabelSet, shown
from scorer.files.columns import label_column, named_column, text_column
from scorer.safe_text import quoted
from train.data_files import NO_ROWS, advised, check_options_fit, classes_of, read_rows, texts_of, validation_sources
from train.options import TrainOptions

_TWO_LABELS = "train on two or more"

_SHOWN_NAMES = 8
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_TRUTH_VALUES = {"false": "0", "true": "1"}


@dataclass(frozen=True)
class LabelledReviews:
    """Texts, "" for null, with a label each.

    Attributes:
        texts: of the rows, in order.
        labels: int64 ``(n,)`` ids, or float32 ``(n, n_labels)`` targets.
        label_names: in the order of the ids.
    """

    texts: list[str]
    labels: npt.NDArray[Any]
    label_names: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int]) -> LabelledReviews:
        """The rows with these numbers, in this order."""
        return LabelledReviews([self.texts[row] for row in rows], self.labels[list(rows)], self.label_names)


@dataclass(frozen=True)
class _Part:
    """The rows of files as read, and the names of two columns; ``where`` names the files in messages."""

    rows: pa.Table
    text: str
    label: str
    where: str

    @property
    def classes(self) -> list[str] | None:
        """The names of the label ids, if the data set states them, so that its labels are certainly ids."""
        return classes_of(self.rows, self.label)

    def label_texts(self) -> set[str]:
        """The different labels, as text."""
        return {text for text in map(_label_text, self.rows[self.label].unique().to_pylist()) if text is not None}


def load_splits(options: TrainOptions) -> tuple[LabelledReviews, LabelledReviews]:
    """Training and validation rows as ``options`` say, with the same label names.

    Raises:
        InputError: a file or data set cannot be read, lacks a column or holds unusable labels.
        UsageError: no rows to validate on were given.
    """
    train = _load(options.train, "train", options)
    names = _label_names(train, options)
    sources = validation_sources(options)
    parts = [train, *([_load(sources, "test", options)] if sources else [])]
    read = (*options.train, *options.eval, *options.unlabelled, *options.predict, *options.pretrain_on)
    check_options_fit(read, options)
    ids = _label_ids(parts, names)
    train_set, *others = (_labelled(part, ids, names) for part in parts)
    if others:
        (eval_set,) = others
    else:
        kept, held = _hold_out(train.rows, train_set.labels, options)
        train_set, eval_set = train_set.take(kept), train_set.take(held)
    if options.max_train_samples is not None and options.max_train_samples < len(train_set):
        drawn = np.random.default_rng(options.seed).permutation(len(train_set))
        train_set = train_set.take(drawn[: options.max_train_samples].tolist())
    present = np.unique(train_set.labels)
    if len(present) < 2:
        only = names[present[0]] if len(present) else "none"
        raise InputError(f"every training row has the one label {only!r}", path=train.where, hint=_TWO_LABELS)
    return train_set, eval_set


def unnamed(names: Sequence[str]) -> bool:
    """True if these are the names that labels have which are numbers, ``LABEL_0`` and so on."""
    return list(names) == [f"LABEL_{label}" for label in range(len(names))] != []


def shown_names(names: Sequence[str]) -> str:
    """The first few of the label names, and the number of the others."""
    more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _load(sources: Sequence[str], split: str, options: TrainOptions) -> _Part:
    where = ", ".join(sources)
    rows = read_rows(sources, split, options)
    with advised(sources, options):
        text = text_column(rows.column_names, options.text_column, where)
        label = label_column(rows.column_names, options.label_column, where)
    if pa.types.is_nested(rows.schema.field(label).type):
        raise InputError(f"column {quoted(label)} holds no labels", path=where, hint="name another with --label-column")
    return _Part(rows, text, label, where)


def _hold_out(rows: pa.Table, labels: npt.NDArray[Any], options: TrainOptions) -> tuple[list[int], list[int]]:
    """Row numbers of the kept and of the held-out rows: whole groups if there is a group column, else by label."""
    where = ", ".join(options.train)
    groups = None
    if options.group_column is not None:
        column = named_column(rows.column_names, options.group_column, where)
        groups = [str(value) for value in rows[column].to_pylist()]
    make = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    splitter = make(1, test_size=options.validation_split, random_state=options.seed)
    try:
        kept, held = next(splitter.split(np.zeros(rows.num_rows), labels, groups))
    except ValueError as error:
        raise InputError(f"cannot be split: {error}", path=where, hint="pass another --validation-split") from error
    return sorted(kept.tolist()), sorted(held.tolist())


def _label_names(train: _Part, options: TrainOptions) -> list[str]:
    """Names of the label ids, from ``--label-names``, the data set's own classes, or the values."""
    if options.label_names:
        return list(options.label_names)
    if train.classes is not None:
        return train.classes
    texts = train.label_texts()
    numbers = {float(text) for text in texts if _NUMBER.fullmatch(text)}
    are_ids = all(_NUMBER.fullmatch(text) for text in texts)
    if len(texts) == 1:
        only = next(iter(texts))
        said = only if are_ids else shown(only)
        raise InputError(f"every training row has the one label {said}", path=train.where, hint=_TWO_LABELS)
    if not are_ids:
        return sorted(texts)
    fraction = next((number for number in sorted(numbers) if not number.is_integer()), None)
    if fraction is not None:
        raise InputError(
            f"label {fraction:g} is neither a name nor a whole number",
            path=train.where,
            hint="number the labels from 0",
        )
    if numbers != set(range(len(numbers))):
        raise InputError(
            f"label ids are {', '.join(f'{number:.0f}' for number in sorted(numbers)[:8])}, not 0, 1, …",
            path=train.where,
            hint="number them from 0 or use names",
        )
    return [f"LABEL_{label}" for label in range(len(numbers))]


def _label_text(value: Any) -> str | None:
    """A label as text, of a number the shortest; ``None`` for null, NaN and "", which all mean no label."""
    if isinstance(value, str):
        return value.strip() or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | float | Decimal) and value % 1 == 0:
        return str(int(value))
    return str(value)


def _label_ids(parts: Iterable[_Part], names: Sequence[str]) -> dict[str, int | None]:
    """The label id of each label text; ``None`` for one that is neither a name nor an id.

    All rows, those for validation too, decide together whether numbers are names, as of 1 to 5 stars, or ids:
    where names hold numbers, the ids must begin with 0.
    """
    texts = {text for part in parts if part.classes is None for text in part.label_texts()}
    known = set(names)
    read = {text: text if text in known else _TRUTH_VALUES.get(text.casefold(), text) for text in texts}
    labels = LabelSet(tuple(names), "the training")
    ids, numbered = labels.ids_of([*read.values()]), labels.numbered([*read.values()])
    if None in ids.values() and None not in numbered.values() and 0 in numbered.values():
        ids = numbered
    return {text: ids[read[text]] for text in texts}


def _labelled(part: _Part, ids: Mapping[str, int | None], names: list[str]) -> LabelledReviews:
    if part.classes is not None:
        ids = {str(label): label for label in range(len(names))}
    labels: list[int] = []
    for number, value in enumerate(part.rows[part.label].to_pylist(), start=1):
        text = _label_text(value)
        if text is None:
            raise InputError("the label is null", path=part.where, row=number, hint="add a label, or drop the row")
        label = ids.get(text)
        if label is None:
            said = shown(value) if isinstance(value, str) else text
            raise InputError(
                f"unknown label {said}",
                path=part.where,
                row=number,
                hint=f"known: {shown_names(names)}",
            )
        labels.append(label)
    texts = texts_of(part.rows, part.text, part.where)
    if not any(value and value.strip() for value in texts):
        raise InputError(f"every text in column {quoted(part.text)} is empty", path=part.where, hint=NO_ROWS)
    return LabelledReviews(texts, np.asarray(labels, np.int64), names)

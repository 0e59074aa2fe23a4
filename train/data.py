"""Labelled reviews for training, read with the ``datasets`` library."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from scorer.columns import label_column, named_column, text_column
from scorer.encoding import TextEncoder
from scorer.errors import InputError, UsageError
from train.options import TrainOptions

_BUILDERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json"}

_NO_ROWS = "pass files with reviews in them"
_TWO_LABELS = "train on two or more"


@dataclass(frozen=True)
class LabelledReviews:
    """Rows with columns ``text`` (string) and ``labels`` (int64 label id), and the label names."""

    rows: datasets.Dataset
    label_names: list[str]


def load_splits(options: TrainOptions) -> tuple[LabelledReviews, LabelledReviews]:
    """Training and validation rows as ``options`` say, with the same label names.

    Raises:
        InputError: a file or data set cannot be read, lacks a column or holds unusable labels.
        UsageError: nothing to validate on was given.
    """
    where = ", ".join(options.train)
    rows, text, label = _load(options.train, "train", options)
    names = _label_names(rows, label, options)
    train_set = _labelled(rows, text, label, names, where)
    if options.eval or (options.train == ("imdb",) and not options.validation_split):
        sources = options.eval or ("imdb",)
        eval_rows, eval_text, eval_label = _load(sources, "test", options)
        eval_set = _labelled(eval_rows, eval_text, eval_label, names, ", ".join(sources))
    elif options.validation_split:
        kept, held = _hold_out(rows, train_set["labels"], options)
        train_set, eval_set = train_set.select(kept), train_set.select(held)
    else:
        raise UsageError("there is nothing to validate on", hint="pass --eval FILE or --validation-split 0.1")
    if options.max_train_samples is not None and options.max_train_samples < len(train_set):
        train_set = train_set.shuffle(seed=options.seed).select(range(options.max_train_samples))
    present = set(train_set["labels"])
    if len(present) < 2:
        only = names[next(iter(present))] if present else "none"
        raise InputError(f"every training row has the one label {only!r}", path=where, hint=_TWO_LABELS)
    return LabelledReviews(train_set, names), LabelledReviews(eval_set, names)


def encode_rows(rows: datasets.Dataset, encoder: TextEncoder) -> datasets.Dataset:
    """``rows`` with ``input_ids``, ``attention_mask`` and ``length`` in place of ``text``.

    An empty text becomes the special tokens alone, so that no row is lost.
    """
    empty = encoder.special_tokens

    def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        encoded = encoder.encode(batch["text"])
        ids = [empty] * encoded.n_rows
        for run, row in enumerate(encoded.rows):
            ids[row] = encoded.run(run).tolist()
        return {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            "length": [len(row) for row in ids],
        }

    return rows.map(encode, batched=True, remove_columns=["text"], desc="tokenizing", load_from_cache_file=False)


def read_rows(sources: Sequence[str], split: str) -> datasets.Dataset:
    """The rows of files, of folders of files, or of the ``split`` of one data set of the Hub.

    Raises:
        InputError: they cannot be read, or there are none.
    """
    where = ", ".join(sources)
    try:
        rows = _read(sources, split)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"cannot be read: {_reason(error)}", path=where) from error
    if len(rows) == 0:
        raise InputError("holds no rows", path=where, hint=_NO_ROWS)
    return rows


def _reason(error: BaseException) -> str:
    """Why the ``datasets`` library could not read files, in one line."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, datasets.table.CastError):
        return "the files do not have the same columns"
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]


def _load(sources: Sequence[str], split: str, options: TrainOptions) -> tuple[datasets.Dataset, str, str]:
    where = ", ".join(sources)
    rows = read_rows(sources, split)
    text = text_column(rows.column_names, options.text_column, where)
    label = label_column(rows.column_names, options.label_column, where)
    return rows, text, label


def _read(sources: Sequence[str], split: str) -> datasets.Dataset:
    files = [file for source in sources for file in data_files(source)]
    if files:
        builders = {_BUILDERS[file.suffix] for file in files}
        if len(builders) > 1:
            raise ValueError(f"the files are of several formats: {', '.join(sorted(builders))}")
        builder = builders.pop()
        more: dict[str, Any] = {}
        if builder == "csv":
            more = {"sep": "\t" if files[0].suffix == ".tsv" else ",", "keep_default_na": False}
        paths = [str(file) for file in files]
        _require_rows(builder, files)
        return datasets.load_dataset(builder, data_files={split: paths}, split=split, **more)
    if len(sources) != 1:
        raise ValueError("pass files, or the name of one data set")
    # The data set's old short name still works for people; the Hub has moved it.
    name = "stanfordnlp/imdb" if sources[0] == "imdb" else sources[0]
    try:
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the Hub's client raises whatever its transport does
        raise OSError(
            f"the data set {name} cannot be had from the Hub ({type(error).__name__}); "
            "without a network, pass --train and --eval with files"
        ) from None


def _require_rows(builder: str, files: Sequence[Path]) -> None:
    """Refuse files that the ``datasets`` library stumbles over: empty ones, and those without a row."""
    for file in files:
        if file.stat().st_size == 0:
            raise InputError("is empty (0 bytes)", path=file, hint=_NO_ROWS)
    if builder == "parquet":
        n_rows = sum(pq.read_metadata(file).num_rows for file in files)
    elif builder == "csv":
        n_rows = sum(1 for file in files for _ in _first_two_lines(file)) - len(files)
    else:
        return
    if n_rows <= 0:
        raise InputError("holds no rows", path=", ".join(map(str, files)), hint=_NO_ROWS)


def _first_two_lines(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        yield from islice((line for line in opened if line.strip()), 2)


def data_files(source: str) -> list[Path]:
    """The files that ``source`` means, a folder's in order of their names; none where it is a Hub id.

    Raises:
        ValueError: the format is unknown, or a folder holds no file of a known one.
        FileNotFoundError: there is no such file or folder.
    """
    path = Path(source)
    looks_like_a_path = source.startswith((".", "/", "~")) or source.endswith("/") or source.count("/") > 1
    if looks_like_a_path and not path.exists():
        raise FileNotFoundError("no such file or folder")
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in _BUILDERS and file.is_file())
        if not found:
            raise ValueError(f"the folder holds no {', '.join(_BUILDERS)} file")
        return found
    if path.suffix in _BUILDERS:
        if not path.is_file():
            raise FileNotFoundError("no such file")
        return [path]
    if path.exists():
        raise ValueError(f"unknown format {path.suffix!r}; pass one of {', '.join(_BUILDERS)}")
    return []


def _hold_out(rows: datasets.Dataset, labels: Sequence[int], options: TrainOptions) -> tuple[list[int], list[int]]:
    """Places of the kept and of the held-out rows: whole groups where there is a group column, else by label."""
    where = ", ".join(options.train)
    places = np.zeros(len(rows))
    splitter: GroupShuffleSplit | StratifiedShuffleSplit
    if options.group_column is not None:
        column = named_column(rows.column_names, options.group_column, where)
        groups = [str(value) for value in rows[column]]
        splitter = GroupShuffleSplit(1, test_size=options.validation_split, random_state=options.seed)
    else:
        groups = None
        splitter = StratifiedShuffleSplit(1, test_size=options.validation_split, random_state=options.seed)
    try:
        kept, held = next(splitter.split(places, list(labels), groups))
    except ValueError as error:
        raise InputError(f"cannot be split: {error}", path=where, hint="pass another --validation-split") from error
    return sorted(kept.tolist()), sorted(held.tolist())


def _label_names(rows: datasets.Dataset, label: str, options: TrainOptions) -> list[str]:
    """Names of the label ids, from ``--label-names``, the data set's own classes, or the values."""
    feature = rows.features[label]
    where = ", ".join(options.train)
    if not isinstance(feature, datasets.Value | datasets.ClassLabel):
        raise InputError(f"column {label!r} holds no labels", path=where, hint="name another with --label-column")
    if options.label_names:
        return list(options.label_names)
    if isinstance(feature, datasets.ClassLabel):
        return list(feature.names)
    values = {value for value in map(_plain, rows.unique(label)) if value is not None}
    if len(values) == 1:
        raise InputError(f"every training row has the one label {next(iter(values))!r}", path=where, hint=_TWO_LABELS)
    fraction = next((value for value in values if isinstance(value, float)), None)
    if fraction is not None:
        raise InputError(
            f"label {fraction:g} is neither a name nor a whole number", path=where, hint="number the labels from 0"
        )
    if all(isinstance(value, int) for value in values):
        if sorted(values) != list(range(len(values))):
            raise InputError(
                f"label ids are {sorted(values)[:8]}, not 0, 1, …", path=where, hint="number them from 0 or use names"
            )
        return [f"LABEL_{value}" for value in sorted(values)]
    return sorted(str(value) for value in values)


def _plain(value: Any) -> Any:
    """A label as an int, a str or ``None``: files of every format say 1, 1.0, true or "1", and nothing, NaN or ""."""
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isdecimal() else value or None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    return int(value) if isinstance(value, bool) else value


def _labelled(rows: datasets.Dataset, text: str, label: str, names: list[str], where: str) -> datasets.Dataset:
    ids = {name: index for index, name in enumerate(names)}
    labels: list[int] = []
    for number, value in enumerate(rows[label], start=1):
        plain = _plain(value)
        if isinstance(value, str) and value.strip() in ids:
            labels.append(ids[value.strip()])
        elif isinstance(plain, int) and 0 <= plain < len(names):
            labels.append(plain)
        elif plain is None:
            raise InputError("the label is null", path=where, row=number, hint="drop the row or label it")
        else:
            raise InputError(f"unknown label {value!r}", path=where, row=number, hint=f"known: {', '.join(names)}")
    texts = rows[text]
    if not all(isinstance(value, str) or value is None for value in texts[:1000]):
        raise InputError(f"column {text!r} holds no text", path=where, hint="name another with --text-column")
    if not any(value and value.strip() for value in texts):
        raise InputError(f"every text in column {text!r} is empty", path=where, hint=_NO_ROWS)
    return datasets.Dataset.from_dict(
        {"text": [value or "" for value in texts], "labels": labels},
        features=datasets.Features({"text": datasets.Value("large_string"), "labels": datasets.Value("int64")}),
    )

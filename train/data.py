"""Labelled reviews for training, read with the ``datasets`` library."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from scorer.errors import InputError, UsageError
from scorer.evaluation.labels import LabelSet, shown
from scorer.files.columns import label_column, named_column, text_column
from scorer.files.file_options import FileOptions
from scorer.files.formats import FORMATS, extension_of
from scorer.files.opening import check_fit, fitting, open_source
from scorer.files.source import ReadOptions
from scorer.model.token_runs import TextEncoder
from scorer.safe_text import first_line, quoted
from train.options import TrainOptions

_BUILDERS = {"parquet": "parquet", "csv": "csv", "tsv": "csv", "jsonl": "json"}

_NO_ROWS = "pass files with reviews in them"
_TWO_LABELS = "train on two or more"

_IMDB = ("imdb",)
_ROWS_AT_ONCE = 10_000
_SHOWN_NAMES = 8
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_TRUTH_VALUES = {"false": "0", "true": "1"}


@dataclass(frozen=True)
class LabelledReviews:
    """Rows with columns ``text`` (string) and ``labels`` (int64 label id), and the label names."""

    rows: datasets.Dataset
    label_names: list[str]


@dataclass(frozen=True)
class _Part:
    """The rows of files as read, and the names of two columns; ``where`` names the files in messages."""

    rows: datasets.Dataset
    text: str
    label: str
    where: str

    @property
    def has_class_ids(self) -> bool:
        """True if the data set names its label ids, so that its labels are certainly ids."""
        return isinstance(self.rows.features[self.label], datasets.ClassLabel)

    def label_texts(self) -> set[str]:
        """The different labels, as text."""
        return {text for text in map(_label_text, self.rows.unique(self.label)) if text is not None}


def load_splits(options: TrainOptions) -> tuple[LabelledReviews, LabelledReviews]:
    """Training and validation rows as ``options`` say, with the same label names.

    Raises:
        InputError: a file or data set cannot be read, lacks a column or holds unusable labels.
        UsageError: no rows to validate on were given.
    """
    train = _load(options.train, "train", options)
    names = _label_names(train, options)
    sources = options.eval or (_IMDB if _trains_on_the_hub_s_imdb(options) and not options.validation_split else ())
    if not sources and not options.validation_split:
        raise UsageError("there is nothing to validate on", hint="pass --eval FILE or --validation-split 0.1")
    parts = [train, *([_load(sources, "test", options)] if sources else [])]
    _check_options_fit(options)
    ids = _label_ids(parts, names)
    train_set, *others = (_labelled(part, ids, names) for part in parts)
    if others:
        (eval_set,) = others
    else:
        kept, held = _hold_out(train.rows, train_set["labels"], options)
        train_set, eval_set = train_set.select(kept), train_set.select(held)
    if options.max_train_samples is not None and options.max_train_samples < len(train_set):
        train_set = train_set.shuffle(seed=options.seed).select(range(options.max_train_samples))
    present = set(train_set["labels"])
    if len(present) < 2:
        only = names[next(iter(present))] if present else "none"
        raise InputError(f"every training row has the one label {only!r}", path=train.where, hint=_TWO_LABELS)
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


def read_rows(sources: Sequence[str], split: str, options: FileOptions | None = None) -> datasets.Dataset:
    """The rows of files, of folders of files, or of the ``split`` of one data set of the Hub, read as ``options`` say.

    Raises:
        InputError: they cannot be read, or are empty.
    """
    where = ", ".join(sources)
    try:
        rows = _read(sources, split, ReadOptions(**options.file_options()) if options else ReadOptions())
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise InputError(f"cannot be read: {_reason(error)}", path=where) from error
    if len(rows) == 0:
        raise InputError("holds no rows", path=where, hint=_NO_ROWS)
    return rows


def read_texts(sources: Sequence[str], options: TrainOptions) -> list[str]:
    """The texts of files without labels, "" for null.

    Raises:
        InputError: they cannot be read, or have no column of text.
    """
    where = ", ".join(sources)
    rows = read_rows(sources, "train", options)
    with advised(sources, options):
        column = text_column(rows.column_names, options.text_column, where)
    return texts_of(rows, column, where)


@contextmanager
def advised(sources: Sequence[str], options: FileOptions) -> Iterator[None]:
    """Look for columns in ``sources``: an error in the block says by which options a CSV file may have them."""
    try:
        yield
    except InputError as error:
        reading = ReadOptions(**options.file_options())
        for file in _files(sources):
            if _builder(file, fitting(file, reading)) == "csv":
                advice = open_source(file, fitting(file, reading)).advice()
                if advice is not None:
                    raise error.with_hint(advice) from error
        raise


def texts_of(rows: datasets.Dataset, column: str, where: str | None) -> list[str]:
    """The texts of a column, "" for null; ``where`` names the files in the message.

    Raises:
        InputError: the column holds values of another type.
    """
    values = rows[column][:]
    if not all(value is None or isinstance(value, str) for value in values):
        raise InputError(f"column {quoted(column)} holds no text", path=where, hint="name another with --text-column")
    return [value or "" for value in values]


def _reason(error: BaseException) -> str:
    """The reason in one line for which the ``datasets`` library could not read files."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, datasets.table.CastError):
        return "the files do not have the same columns"
    return first_line(cause)


def _load(sources: Sequence[str], split: str, options: TrainOptions) -> _Part:
    where = ", ".join(sources)
    rows = read_rows(sources, split, options)
    with advised(sources, options):
        text = text_column(rows.column_names, options.text_column, where)
        label = label_column(rows.column_names, options.label_column, where)
    if not isinstance(rows.features[label], datasets.Value | datasets.ClassLabel):
        raise InputError(f"column {quoted(label)} holds no labels", path=where, hint="name another with --label-column")
    return _Part(rows, text, label, where)


def _trains_on_the_hub_s_imdb(options: TrainOptions) -> bool:
    """True for the data set with a test split of its own."""
    return options.train == _IMDB and not data_files(*_IMDB)


def _check_options_fit(options: TrainOptions) -> None:
    reading = ReadOptions(**options.file_options())
    if reading != ReadOptions():
        sources = (*options.train, *options.eval, *options.unlabelled, *options.predict, *options.pretrain_on)
        check_fit([*_files(sources)], reading)


def _files(sources: Iterable[str]) -> Iterator[Path]:
    for source in sources:
        with suppress(OSError, ValueError):  # reading them tells
            yield from data_files(source)


def _builder(file: Path, reading: ReadOptions) -> str:
    kind = reading.format or extension_of(file.name).kind
    if kind not in _BUILDERS:
        raise ValueError(f"unknown format {file.suffix!r}; pass one of {', '.join(FORMATS)}, or pass --format")
    return _BUILDERS[kind]


def _read(sources: Sequence[str], split: str, options: ReadOptions) -> datasets.Dataset:
    files = {file: fitting(file, options) for source in sources for file in data_files(source)}
    if files:
        builders = {_builder(file, reading) for file, reading in files.items()}
        if len(builders) > 1:
            raise ValueError(f"the files are of several formats: {', '.join(sorted(builders))}")
        return _read_files(files, builders.pop(), split)
    if len(sources) != 1:
        raise ValueError("pass files, or the name of one data set")
    # The data set's old short name still works for people; the Hub has moved it.
    name = "stanfordnlp/imdb" if sources[0] == "imdb" else sources[0]
    try:
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the Hub's client raises whatever its transport does
        raise OSError(
            f"the data set {name} could not be downloaded from the Hub ({type(error).__name__}); "
            "without a network, pass --train and --eval with files"
        ) from None


def _read_files(files: Mapping[Path, ReadOptions], builder: str, split: str) -> datasets.Dataset:
    for file in files:
        if file.stat().st_size == 0:
            raise InputError("is empty (0 bytes)", path=file, hint=_NO_ROWS)
    # A cache of its own, removed at once: the library takes a file of the same name and time for the one in its
    # cache. Files mapped into memory stay readable; a system that cannot remove those keeps them.
    with TemporaryDirectory(prefix="train-model-", ignore_cleanup_errors=True) as cache:
        paths = list(files)
        if builder == "csv":
            builder = "parquet"
            paths = [
                _as_parquet(file, reading, Path(cache, f"{number}.parquet"))
                for number, (file, reading) in enumerate(files.items())
            ]
        if builder == "parquet" and not any(pq.read_metadata(path).num_rows for path in paths):
            raise InputError("holds no rows", path=", ".join(map(str, files)), hint=_NO_ROWS)
        data = {split: [str(path) for path in paths]}
        encoding = next((reading.encoding for reading in files.values()), None) if builder == "json" else None
        settings = {} if encoding is None else {"encoding": encoding}
        return datasets.load_dataset(builder, data_files=data, split=split, cache_dir=cache, **settings)


def _as_parquet(file: Path, reading: ReadOptions, target: Path) -> Path:
    """Write ``file``, CSV or TSV, to ``target`` as ``score`` reads it: strictly, and every value as text.

    Raises:
        InputError: it has a bad row, or several columns of one name.
    """
    source = open_source(file, reading)
    names = [name or f"Unnamed: {place}" for place, name in enumerate(source.schema.names)]
    for name in names:
        named_column(names, name, source.path)
    with pq.ParquetWriter(target, pa.schema([(name, pa.string()) for name in names])) as writer:
        for chunk in source.chunks(_ROWS_AT_ONCE):
            writer.write_table(chunk.rows.rename_columns(names))
    return target


def data_files(source: str) -> list[Path]:
    """The files of ``source``, a folder's in order of their names; empty for a Hub id.

    Raises:
        ValueError: a folder holds no file of a known format.
        FileNotFoundError: the file or folder does not exist.
    """
    path = Path(source)
    looks_like_a_path = source.startswith((".", "/", "~")) or source.endswith("/") or source.count("/") > 1
    if looks_like_a_path and not path.exists():
        raise FileNotFoundError("no such file or folder")
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if extension_of(file.name).is_input and file.is_file())
        if not found:
            raise ValueError(f"the folder holds no {', '.join(FORMATS)} file")
        return found
    if extension_of(path.name).is_input and not path.is_file():
        raise FileNotFoundError("no such file")
    return [path] if path.is_file() else []


def _hold_out(rows: datasets.Dataset, labels: Sequence[int], options: TrainOptions) -> tuple[list[int], list[int]]:
    """Row numbers of the kept and of the held-out rows: whole groups if there is a group column, else by label."""
    where = ", ".join(options.train)
    groups = None
    if options.group_column is not None:
        column = named_column(rows.column_names, options.group_column, where)
        groups = [str(value) for value in rows[column]]
    make = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    splitter = make(1, test_size=options.validation_split, random_state=options.seed)
    try:
        kept, held = next(splitter.split(np.zeros(len(rows)), list(labels), groups))
    except ValueError as error:
        raise InputError(f"cannot be split: {error}", path=where, hint="pass another --validation-split") from error
    return sorted(kept.tolist()), sorted(held.tolist())


def _label_names(train: _Part, options: TrainOptions) -> list[str]:
    """Names of the label ids, from ``--label-names``, the data set's own classes, or the values."""
    if options.label_names:
        return list(options.label_names)
    if train.has_class_ids:
        return list(train.rows.features[train.label].names)
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
            f"label ids are {[int(number) for number in sorted(numbers)[:8]]}, not 0, 1, …",
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
    texts = {text for part in parts if not part.has_class_ids for text in part.label_texts()}
    known = set(names)
    read = {text: text if text in known else _TRUTH_VALUES.get(text.casefold(), text) for text in texts}
    labels = LabelSet(tuple(names), "the training")
    ids, numbered = labels.ids_of([*read.values()]), labels.numbered([*read.values()])
    if None in ids.values() and None not in numbered.values() and 0 in numbered.values():
        ids = numbered
    return {text: ids[read[text]] for text in texts}


def _labelled(part: _Part, ids: Mapping[str, int | None], names: Sequence[str]) -> datasets.Dataset:
    if part.has_class_ids:
        ids = {str(label): label for label in range(len(names))}
    labels: list[int] = []
    for number, value in enumerate(part.rows[part.label], start=1):
        text = _label_text(value)
        if text is None:
            raise InputError("the label is null", path=part.where, row=number, hint="add a label, or drop the row")
        label = ids.get(text)
        if label is None:
            said = shown(value) if isinstance(value, str) else text
            more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
            raise InputError(
                f"unknown label {said}",
                path=part.where,
                row=number,
                hint=f"known: {', '.join(names[:_SHOWN_NAMES])}{more}",
            )
        labels.append(label)
    texts = texts_of(part.rows, part.text, part.where)
    if not any(value and value.strip() for value in texts):
        raise InputError(f"every text in column {quoted(part.text)} is empty", path=part.where, hint=_NO_ROWS)
    return datasets.Dataset.from_dict(
        {"text": texts, "labels": labels},
        features=datasets.Features({"text": datasets.Value("large_string"), "labels": datasets.Value("int64")}),
    )

"""The record of a training's data: hashes of its files, its split, and texts on both sides of it."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.disk.checksums import sha256_of
from scorer.errors import InputError, UsageError
from train.data import LabelledReviews
from train.data_files import data_files
from train.options import TrainOptions, short_names

log = logging.getLogger(__name__)

_MORE_FILES = ("teachers", "unlabelled", "pretraining")


def record_data(train_set: LabelledReviews, eval_set: LabelledReviews, options: TrainOptions) -> dict[str, Any]:
    """A JSON object for the history: ``train``, ``eval``, ``split``, ``duplicates``, ``teachers`` and ``pretraining``.

    Duplicates are counted in rows; two texts are the same if their words are, in any case and
    with any white space. A warning tells of those on both sides of the split.

    Raises:
        InputError: a file is missing or of an unknown format.
    """
    sources = (*options.train, *options.eval, *options.teacher, *options.unlabelled, *options.pretrain_on)
    names = short_names(str(file) for source in sources for file in _files(source))
    duplicates = _duplicates(train_set, eval_set)
    both = duplicates["validation_rows_in_training"]
    if both:
        log.warning("%d of the %d validation texts stand in the training part too", both, len(eval_set))
    if duplicates["with_another_label"]:
        log.warning("%d of them with another label", duplicates["with_another_label"])
    if duplicates["training_rows_repeated"]:
        log.info("%d training texts repeat an earlier one", duplicates["training_rows_repeated"])
    split = {"share": options.validation_split, "group_column": options.group_column, "seed": options.seed}
    split["held_out_sha256"] = _rows_hash(eval_set)
    return {
        "labels": train_set.label_names,
        "train": _record_of(train_set, options.train, names),
        "eval": _record_of(eval_set, options.eval or options.train, names),
        "split": split if options.validation_split else None,
        "duplicates": duplicates,
        "teachers": _file_hashes(options.teacher, names),
        "unlabelled": _file_hashes(options.unlabelled, names),
        "pretraining": _file_hashes(options.pretrain_on, names),
    }


def files_of(record: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by name of all files in a record of :func:`record_data`."""
    parts = (record["train"]["files"], record["eval"]["files"], *(record[key] for key in _MORE_FILES))
    return {name: sha256 for part in parts for name, sha256 in part.items()}


def require_same_data(before: Mapping[str, Any], now: Mapping[str, Any], output: Path) -> None:
    """Require that figures join the table in ``output`` of a training of the same rows.

    ``before`` and ``now`` are records of :func:`record_data`; an empty ``before`` fits any.

    Raises:
        UsageError: labels, files or validation rows differ.
    """
    if not before:
        return
    there, here = _compared(before), _compared(now)
    for what in here:
        if there[what] != here[what]:
            raise UsageError(
                f"its training had other {what}", path=output, hint="pass the data and the split of that training"
            )


def _compared(data: Mapping[str, Any]) -> dict[str, Any]:
    validation = data["eval"]
    held_out = (data["split"] or {}).get("held_out_sha256")
    return {
        "labels": data["labels"],
        "training files": sorted(data["train"]["files"].values()),
        "validation rows": (held_out, sorted(validation["files"].values()), validation["rows_per_label"]),
    }


def _record_of(part: LabelledReviews, sources: Iterable[str], names: Mapping[str, str]) -> dict[str, Any]:
    counts = Counter(part.labels.tolist())
    return {
        "files": _file_hashes(sources, names),
        "rows": len(part),
        "rows_per_label": {name: counts[label] for label, name in enumerate(part.label_names)},
    }


def _files(source: str) -> list[Path]:
    """The files of a source; of a checkpoint, its weights."""
    folder = Path(source)
    weights = sorted(folder.glob("*.safetensors")) if (folder / "config.json").is_file() else []
    try:
        return weights or data_files(source)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=source) from error


def _file_hashes(sources: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    return {names[str(file)]: sha256 for source in sources for file in _files(source) for sha256 in [sha256_of(file)]}


def hashes_by_name(files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of those that exist, by base name."""
    return {file.name: sha256_of(file) for file in files if file.is_file()}


def _rows_hash(part: LabelledReviews) -> str:
    """SHA-256 over the rows in order; with lengths, so that the end of a row cannot pass for the start of the next."""
    digest = hashlib.sha256()
    for text, label in zip(part.texts, part.labels.tolist(), strict=True):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)} {label} ".encode())
        digest.update(encoded)
    return digest.hexdigest()


def _duplicates(train_set: LabelledReviews, eval_set: LabelledReviews) -> dict[str, int]:
    def words_and_labels(part: LabelledReviews) -> Iterator[tuple[str, int]]:
        for text, label in zip(part.texts, part.labels.tolist(), strict=True):
            yield " ".join(text.casefold().split()), label

    seen: dict[str, set[int]] = {}
    for words, label in words_and_labels(train_set):
        seen.setdefault(words, set()).add(label)
    both = [(seen[words], label) for words, label in words_and_labels(eval_set) if words in seen]
    return {
        "validation_rows_in_training": len(both),
        "with_another_label": sum(label not in labels for labels, label in both),
        "training_rows_repeated": len(train_set) - len(seen),
    }

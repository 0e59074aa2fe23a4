"""What a training was made from: hashes of its files, its split, and texts that stand on both sides."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scorer.errors import InputError
from train.data import LabelledReviews, data_files
from train.options import TrainOptions

log = logging.getLogger(__name__)


def record_data(train_set: LabelledReviews, eval_set: LabelledReviews, options: TrainOptions) -> dict[str, Any]:
    """A JSON object for the history: ``train``, ``eval``, ``split``, ``duplicates``, ``teachers`` and ``pretraining``.

    Duplicates are counted in rows; two texts are the same where their words are, in any case and
    with any white space. Those on both sides of the split are said on stderr as well.

    Raises:
        InputError: a file is not there or of no known format.
    """
    duplicates = _duplicates(train_set, eval_set)
    both = duplicates["validation_rows_in_training"]
    if both:
        log.warning("%d of the %d validation texts stand in the training part too", both, len(eval_set.rows))
    if duplicates["with_another_label"]:
        log.warning("%d of them with another label", duplicates["with_another_label"])
    if duplicates["training_rows_repeated"]:
        log.info("%d training texts repeat an earlier one", duplicates["training_rows_repeated"])
    return {
        "labels": train_set.label_names,
        "train": _part(options.train, train_set),
        "eval": _part(options.eval or options.train, eval_set),
        "split": None
        if not options.validation_split
        else {
            "share": options.validation_split,
            "group_column": options.group_column,
            "seed": options.seed,
            "held_out_sha256": _rows_hash(eval_set),
        },
        "duplicates": duplicates,
        "teachers": _file_hashes(options.teacher),
        "unlabelled": _file_hashes(options.unlabelled),
        "pretraining": _file_hashes(options.pretrain_on),
    }


def _part(sources: Iterable[str], part: LabelledReviews) -> dict[str, Any]:
    counts = Counter(part.rows["labels"])
    return {
        "files": _file_hashes(sources),
        "rows": len(part.rows),
        "rows_per_label": {name: counts[label] for label, name in enumerate(part.label_names)},
    }


def _file_hashes(sources: Iterable[str]) -> dict[str, str]:
    """SHA-256 by base name; the name alone for what is no file."""
    hashes: dict[str, str] = {}
    for source in sources:
        folder = Path(source)
        weights = sorted(folder.glob("*.safetensors")) if (folder / "config.json").is_file() else []
        try:
            files = weights or data_files(source)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", path=source) from error
        for file in files:
            with file.open("rb") as opened:
                hashes[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return hashes


def _rows_hash(part: LabelledReviews) -> str:
    """SHA-256 over the rows in order; lengths keep one row's end from passing for the next one's start."""
    digest = hashlib.sha256()
    for text, label in zip(part.rows["text"], part.rows["labels"], strict=True):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(f"{len(encoded)} {label} ".encode())
        digest.update(encoded)
    return digest.hexdigest()


def _duplicates(train_set: LabelledReviews, eval_set: LabelledReviews) -> dict[str, int]:
    seen: dict[str, set[int]] = {}
    repeated = 0
    for text, label in zip(train_set.rows["text"], train_set.rows["labels"], strict=True):
        key = " ".join(text.casefold().split())
        repeated += key in seen
        seen.setdefault(key, set()).add(label)
    both = contrary = 0
    for text, label in zip(eval_set.rows["text"], eval_set.rows["labels"], strict=True):
        labels = seen.get(" ".join(text.casefold().split()))
        both += labels is not None
        contrary += labels is not None and label not in labels
    return {
        "validation_rows_in_training": both,
        "with_another_label": contrary,
        "training_rows_repeated": repeated,
    }

"""Labels and sizes of a classifier, as ``config.json`` and ``tokenizer_config.json`` of ``transformers`` state them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from scorer.errors import ModelError
from scorer.safe_text import counted

Activation = Literal["softmax", "sigmoid", "none"]
"""``none`` is that of a graph which ends in probabilities."""


def labels_of(config: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    """The names of ``id2label``; numbers are names too.

    A model of one logit has two labels: those of ``label2id`` if it has two, else ``not NAME`` and ``NAME``.

    Raises:
        ModelError: ``id2label`` is no object that names the labels 0, 1, …, each in another way.
    """
    names = config.get("id2label")
    if names is None:
        # transformers leaves the default, two unnamed labels, out of config.json.
        return _labels_by_name(config) or ("LABEL_0", "LABEL_1")
    path = folder / "config.json"
    if not isinstance(names, dict) or not names or not all(map(_is_name, names.values())):
        raise ModelError("id2label is not an object of names", path=path)
    if sorted(names) != sorted(str(number) for number in range(len(names))):
        raise ModelError(f"id2label does not number its {counted(len(names), 'label')} 0, 1, …", path=path)
    labels = tuple(str(names[str(number)]) for number in range(len(names)))
    if len(set(labels)) < len(labels):
        raise ModelError("id2label gives two labels the same name", path=path)
    if len(labels) == 1:
        both = _labels_by_name(config)
        return both if len(both) == 2 else (f"not {labels[0]}", labels[0])
    return labels


def _is_name(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _labels_by_name(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of ``label2id`` in the order of their ids; none unless it numbers them 0, 1, …."""
    ids = config.get("label2id")
    names = {str(label): name for name, label in ids.items()} if isinstance(ids, dict) else {}
    in_order = tuple(names.get(str(label), "") for label in range(len(names)))
    return in_order if all(in_order) and len(names) == len(ids or ()) else ()


def has_one_logit(config: Mapping[str, Any]) -> bool:
    """True if one label is named, whose probability is the sigmoid of the only logit."""
    names = config.get("id2label")
    return isinstance(names, dict) and len(names) == 1


def activation_of(config: Mapping[str, Any], folder: Path) -> Activation:
    """As the pipelines of ``transformers`` choose it: sigmoid for labels that go together.

    That of one logit is the softmax of 0 and the logit.

    Raises:
        ModelError: it is a regression model.
    """
    problem = config.get("problem_type")
    if problem == "regression":
        raise ModelError("is a regression model, not a classifier", path=folder)
    return "sigmoid" if problem == "multi_label_classification" and not has_one_logit(config) else "softmax"


def max_positions_of(config: Mapping[str, Any]) -> int | None:
    """Tokens that the model has positions for; ``None`` where it does not say."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or isinstance(positions, bool) or positions < 3:
        return None
    # These count positions from behind the padding id.
    offset = 2 if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet") else 0
    return positions - offset


def max_length_of(config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> int:
    """Tokens that a folder without ``bundle.json`` can read: the least of its own statements and 512."""
    stated = tokenizer_config.get("model_max_length")
    limits = [512]
    # An unknown length is stated as 1e30.
    if isinstance(stated, int) and not isinstance(stated, bool) and 3 <= stated < 10**6:
        limits.append(stated)
    positions = max_positions_of(config)
    if positions is not None:
        limits.append(positions)
    return min(limits)

"""Checkpoints of transformers: loading one to start from, saving one for every library that reads them."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from scorer.errors import ModelError
from scorer.model.configuration import max_positions_of
from scorer.model.own_code import refuse_own_code
from scorer.safe_text import first_line
from train.bert_layout import distilbert_from_bert
from train.encoders import attention_of, dropout_settings, require_encoder
from train.preflight import require_model_folder


def load_classifier(
    model: str,
    label_names: list[str],
    *,
    dropout: float | None = None,
    attention_dropout: float | None = None,
    keep_layout: bool = False,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A classifier with one logit per label, and its tokenizer.

    ``model`` is a folder or a Hub id. Weights of BERT's layout are rearranged by
    :func:`train.bert_layout.distilbert_from_bert` unless ``keep_layout``; the classifier's head is new
    unless the checkpoint has one of the same number of labels.

    Raises:
        ModelError: it is missing, cannot be read, asks for code of its own, or is of an unknown architecture.
    """
    require_model_folder(model)
    refuse_own_code(model)
    labels: dict[str, Any] = {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: label for label, name in enumerate(label_names)},
        "problem_type": "single_label_classification",  # the checkpoint's own head may have had another
    }
    try:
        config = AutoConfig.from_pretrained(model)
        require_encoder(config, model)
        tokenizer = _load_tokenizer(model)
        if tokenizer.pad_token is None:
            raise ModelError("its tokenizer has no padding token", path=model, hint="save the tokenizer with one")
        rearranged = config.model_type == "bert" and not keep_layout
        settings = dropout_settings(
            DistilBertConfig() if rearranged else config, dropout=dropout, attention_dropout=attention_dropout
        )
        if rearranged:
            return _rearranged(model, labels, settings), tokenizer
        classifier, info = AutoModelForSequenceClassification.from_pretrained(
            model,
            dtype=torch.float32,
            attn_implementation=attention_of(config),
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **({"reference_compile": False} if config.model_type == "modernbert" else {}),
            **labels,
            **settings,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"cannot be loaded: {first_line(error)}",
            path=model,
            hint="pass --model FOLDER with config.json, tokenizer.json and weights",
        ) from error
    # A head of another number of labels is replaced by a new one; nothing else may be. Some have a pooler in it.
    wrong = [name for name in info["mismatched_keys"] if _of_encoder(name, classifier)]
    if wrong:
        raise ModelError(f"its weights {wrong[0]} do not have the size that config.json states", path=model)
    require_weights((name for name in info["missing_keys"] if _of_encoder(name, classifier)), model)
    return classifier, tokenizer


def _of_encoder(name: str, classifier: PreTrainedModel) -> bool:
    return name.startswith(f"{classifier.base_model_prefix}.") and ".pooler." not in name


def _rearranged(model: str, labels: dict[str, Any], settings: dict[str, Any]) -> DistilBertForSequenceClassification:
    """The checkpoint ``model`` of BERT's layout as a DistilBERT classifier with a new head."""
    bert, info = BertModel.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
    require_weights(info["missing_keys"], model, but=("pooler.",))
    distilbert = distilbert_from_bert(bert, **settings)
    config = DistilBertConfig.from_dict({**distilbert.config.to_dict(), **labels})
    classifier = DistilBertForSequenceClassification(config)
    classifier.distilbert.load_state_dict(distilbert.state_dict())
    return classifier


def save_classifier(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write both into ``folder``, for the loaders of other libraries too.

    The tokenizer gives the inputs that the model takes: one that came with BERT's layout would add
    ``token_type_ids``, which DistilBERT refuses and of which RoBERTa has only one. It cuts texts at
    the model's positions, which some tokenizers do not know.
    """
    config = model.config.to_dict()
    takes = set(inspect.signature(model.forward).parameters)
    if config.get("type_vocab_size", 2) < 2:
        takes.discard("token_type_ids")
    tokenizer.model_input_names = [name for name in tokenizer.model_input_names if name in takes]
    tokenizer.init_kwargs["model_input_names"] = tokenizer.model_input_names
    positions = max_positions_of(config)
    if positions is not None:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    mode = (folder / "config.json").stat().st_mode
    for weights in folder.glob("*.safetensors"):  # safetensors lets nobody else read them
        weights.chmod(mode)


def require_weights(missing: Iterable[str], model: str, *, but: tuple[str, ...] = ()) -> None:
    """Refuse a checkpoint that lacks tensors, except those whose names begin with ``but``: they would be random.

    Raises:
        ModelError: it lacks some.
    """
    names = sorted(name for name in missing if not name.startswith(but))
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise ModelError(
            f"has no weights for {', '.join(names[:3])}{more}",
            path=model,
            hint="copy or save it again, with the names that transformers gives them",
        )


def _load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(model, use_fast=True)
    except Exception as error:  # where files are missing, transformers raises whatever it stumbles over
        raise ModelError(f"its tokenizer cannot be loaded: {first_line(error)}", path=model) from error


def backend_tokenizer(tokenizer: PreTrainedTokenizerBase, model: str) -> Tokenizer:
    """The ``tokenizers`` object inside a fast ``tokenizer``.

    Raises:
        ModelError: the tokenizer is a slow one.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError("has no fast tokenizer (tokenizer.json)", path=model)
    return backend


def last_whole_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint in ``work``; incomplete ones, which a kill can leave, are removed."""
    found: list[tuple[int, Path]] = []
    for folder in work.glob("checkpoint-*"):
        try:
            found.append((int(json.loads((folder / "trainer_state.json").read_bytes())["global_step"]), folder))
        except (OSError, ValueError, KeyError, TypeError):
            shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None

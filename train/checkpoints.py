"""Checkpoints of transformers: loading one to start from, BERT's layout rearranged into DistilBERT's, saving one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from scorer.errors import ModelError, OutputError
from scorer.model.own_code import refuse_own_code
from scorer.safe_text import first_line

_DISTILBERT_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}
"""Each module of a BERT layer and its name in a DistilBERT layer (``transformers`` 4.57)."""


def load_classifier(
    model: str, label_names: list[str], *, dropout: float | None = None, attention_dropout: float | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A DistilBERT classifier with one logit per label, and its tokenizer.

    ``model`` is a folder or a Hub id. Weights of BERT's layout are rearranged by
    :func:`distilbert_from_bert`; the classifier's head is new unless the checkpoint has one of the
    same number of labels.

    Raises:
        ModelError: it is missing, cannot be read, asks for code of its own, or is of another architecture.
    """
    if not Path(model).is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise ModelError("no such folder", path=model, hint="pass a checkpoint folder or a Hub id")
    if Path(model).exists() and not (Path(model) / "config.json").is_file():
        raise ModelError("has no config.json, so it is not a checkpoint", path=model, hint="pass a folder that has one")
    refuse_own_code(model)
    given = {"dropout": dropout, "attention_dropout": attention_dropout}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    labels: dict[str, Any] = {
        "num_labels": len(label_names),
        "id2label": dict(enumerate(label_names)),
        "label2id": {name: label for label, name in enumerate(label_names)},
        "problem_type": "single_label_classification",  # the checkpoint's own head may have had another
    }
    try:
        config = AutoConfig.from_pretrained(model)
        tokenizer = _load_tokenizer(model)
        if config.model_type == "bert":
            bert, info = BertModel.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
            require_weights(info["missing_keys"], model, but=("pooler.",))
            distilbert = distilbert_from_bert(bert, **overrides)
            classifier_config = DistilBertConfig.from_dict({**distilbert.config.to_dict(), **labels})
            classifier = DistilBertForSequenceClassification(classifier_config)
            classifier.distilbert.load_state_dict(distilbert.state_dict())
        elif config.model_type == "distilbert":
            classifier, info = DistilBertForSequenceClassification.from_pretrained(
                model,
                dtype=torch.float32,
                attn_implementation="eager",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **labels,
                **overrides,
            )
            # A head of another number of labels is replaced by a new one; nothing else may be.
            wrong = [name for name in info["mismatched_keys"] if not name.startswith("classifier.")]
            if wrong:
                raise ModelError(f"its weights {wrong[0]} do not have the size that config.json states", path=model)
            require_weights(info["missing_keys"], model, but=("pre_classifier.", "classifier."))
        else:
            raise ModelError(
                f"is a {config.model_type} checkpoint", path=model, hint="pass one of DistilBERT's or BERT's layout"
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"cannot be loaded: {first_line(error)}",
            path=model,
            hint="where the Hub cannot be reached, pass --model FOLDER with config.json, tokenizer.json and weights",
        ) from error
    return classifier, tokenizer


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


def distilbert_from_bert(bert: BertModel, **overrides: Any) -> DistilBertModel:
    """The DistilBERT that computes exactly what ``bert`` computes for single texts.

    Matrices and layer norms map one to one. BERT adds ``token_type_embeddings[0]`` to every
    position of a single text; DistilBERT has no token types, so it is added to each position
    embedding. The pooler has no counterpart and is left out. ``overrides`` replace values of the
    new configuration.

    Raises:
        ModelError: DistilBERT's layout cannot express the configuration.
    """
    config = bert.config
    _require_expressible(config)
    settings: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_position_embeddings,
        "n_layers": config.num_hidden_layers,
        "n_heads": config.num_attention_heads,
        "dim": config.hidden_size,
        "hidden_dim": config.intermediate_size,
        "activation": config.hidden_act,
        "dropout": config.hidden_dropout_prob,
        "attention_dropout": config.attention_probs_dropout_prob,
        "initializer_range": config.initializer_range,
        "pad_token_id": config.pad_token_id,
        "attn_implementation": "eager",
    }
    distilbert = DistilBertModel(DistilBertConfig(**{**settings, **overrides}))
    source = bert.state_dict()
    positions = source["embeddings.position_embeddings.weight"]
    state = {
        "embeddings.word_embeddings.weight": source["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": positions + source["embeddings.token_type_embeddings.weight"][0],
    }
    renamed = {"embeddings.LayerNorm": "embeddings.LayerNorm"} | {
        f"encoder.layer.{layer}.{old}": f"transformer.layer.{layer}.{new}"
        for layer in range(config.num_hidden_layers)
        for old, new in _DISTILBERT_LAYER.items()
    }
    for old, new in renamed.items():
        for part in ("weight", "bias"):
            state[f"{new}.{part}"] = source[f"{old}.{part}"]
    distilbert.load_state_dict(state)
    return distilbert


def _require_expressible(config: BertConfig) -> None:
    # DistilBERT fixes these two; any other value would change every hidden state a little.
    if config.layer_norm_eps != 1e-12:
        raise ModelError(f"layer_norm_eps {config.layer_norm_eps} does not fit DistilBERT's layout (1e-12)")
    position_type = getattr(config, "position_embedding_type", "absolute") or "absolute"
    if position_type != "absolute":
        raise ModelError(f"{position_type} positions do not fit DistilBERT's layout")
    if config.hidden_act not in ("gelu", "relu"):
        raise ModelError(f"activation {config.hidden_act!r} does not fit DistilBERT's layout")


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


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn the errors with which each library fails to save a part of ``path`` into one of ours.

    Raises:
        OutputError: it could not be written.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(
            f"the checkpoint could not be written: {reason}",
            path=path,
            hint="make room, then run the same command with --resume",
        ) from error

"""Encoders that can be fine-tuned, and the names by which each kind calls its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from scorer.errors import ModelError


@dataclass(frozen=True)
class MaskedWordsHead:
    """Names of the parts of a head for masked words; each has a weight and, but for ModernBERT's, a bias."""

    dense: str
    norm: str
    bias: str


_BERT_HEAD = MaskedWordsHead(
    "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"
)
_ROBERTA_HEAD = MaskedWordsHead("lm_head.dense", "lm_head.layer_norm", "lm_head.bias")

ENCODERS: Mapping[str, MaskedWordsHead] = {
    "distilbert": MaskedWordsHead("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
    "bert": _BERT_HEAD,
    "roberta": _ROBERTA_HEAD,
    "xlm-roberta": _ROBERTA_HEAD,
    "camembert": _ROBERTA_HEAD,
    "mpnet": _ROBERTA_HEAD,
    "electra": MaskedWordsHead(
        "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias"
    ),
    "modernbert": MaskedWordsHead("head.dense", "head.norm", "decoder.bias"),
    "deberta": _BERT_HEAD,
    "deberta-v2": _BERT_HEAD,
    "albert": MaskedWordsHead("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
}
"""The ``model_type`` of each encoder that ``train-model`` takes, as ``transformers`` 4.57 names their parts.

``export-model`` exports all of them.
"""

FLOAT32_ONLY = frozenset({"deberta"})
"""Kinds that mask attention scores with the least float32, for which narrower floats have no value."""

_DROPOUT = ("dropout", "hidden_dropout_prob", "embedding_dropout", "mlp_dropout")
_ATTENTION_DROPOUT = ("attention_dropout", "attention_probs_dropout_prob")

_LAYER = re.compile(r"\.(?:layer|layers|albert_layer_groups)\.(\d+)\.")


def require_encoder(config: PretrainedConfig, model: str) -> None:
    """Require that ``model`` is of a kind in :data:`ENCODERS`.

    Raises:
        ModelError: it is of another.
    """
    if config.model_type not in ENCODERS:
        raise ModelError(
            f"is a {config.model_type} checkpoint, which train-model does not know",
            path=model,
            hint=f"pass one of: {', '.join(ENCODERS)}",
        )


def dropout_settings(
    config: PretrainedConfig, *, dropout: float | None, attention_dropout: float | None
) -> dict[str, float]:
    """The values of ``config`` that set both dropouts, by this architecture's names; ``None`` changes nothing."""
    given = ((_DROPOUT, dropout), (_ATTENTION_DROPOUT, attention_dropout))
    return {name: value for names, value in given if value is not None for name in names if hasattr(config, name)}


def attention_of(config: PretrainedConfig) -> str:
    """PyTorch's fused attention on CUDA where ``transformers`` has it for this architecture, else ``eager``.

    On a CPU no gain was measured, and with eager attention the weights of a recipe stay what they were.
    """
    architecture = AutoModelForSequenceClassification._model_mapping[type(config)]
    return "sdpa" if torch.cuda.is_available() and architecture._supports_sdpa else "eager"


def depths(model: PreTrainedModel) -> dict[str, int]:
    """The distance of each parameter from the head, by its name: 0 is the head, 1 the last layer.

    The embeddings come behind the first layer. ALBERT's layers share their weights and count as one.
    """
    names = [name for name, _ in model.named_parameters()]
    layers = {name: int(found[1]) for name in names if (found := _LAYER.search(name))}
    n_layers = max(layers.values(), default=-1) + 1
    return {
        name: n_layers - layers[name] if name in layers else n_layers + 1 if "embedding" in name else 0
        for name in names
    }

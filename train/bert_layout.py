"""BERT's layout rearranged into DistilBERT's, which computes the same with fewer parts."""

from __future__ import annotations

from typing import Any

from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from scorer.errors import ModelError

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

_KEEP = "pass --keep-layout to leave it as it is"


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
        raise ModelError(f"layer_norm_eps {config.layer_norm_eps} does not fit DistilBERT's layout (1e-12)", hint=_KEEP)
    position_type = getattr(config, "position_embedding_type", "absolute") or "absolute"
    if position_type != "absolute":
        raise ModelError(f"{position_type} positions do not fit DistilBERT's layout", hint=_KEEP)
    if config.hidden_act not in ("gelu", "relu"):
        raise ModelError(f"activation {config.hidden_act!r} does not fit DistilBERT's layout", hint=_KEEP)

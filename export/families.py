"""Encoder families that can be exported, and the fused nodes that a complete fusion of each has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PretrainedConfig

from scorer.errors import ModelError


@dataclass(frozen=True)
class Family:
    """One ``model_type`` of transformers.

    Attributes:
        attention: the implementation in PyTorch with an ONNX graph that onnxruntime recognises.
        attention_fuses: True if onnxruntime has a fused node for its attention.
        unfused_layers: layers, the first ones, for which it does not use that node.
        head_gelus: Gelu nodes of the classifier's head.
        other_norms: layer normalizations beside the two of each layer.
    """

    attention: str = "sdpa"
    attention_fuses: bool = True
    unfused_layers: int = 0
    head_gelus: int = 0
    other_norms: int = 1


FAMILIES: Mapping[str, Family] = {
    "distilbert": Family(),
    "bert": Family(),
    "roberta": Family(),
    "xlm-roberta": Family(),
    "camembert": Family(),
    # transformers 4.57 has no scaled_dot_product_attention for ELECTRA.
    "electra": Family(attention="eager", head_gelus=1),
    # onnxruntime 1.31 fuses no attention with rotary positions and a sliding window. The first layer has only one
    # normalization; the embeddings, the encoder's end and the head have one each.
    "modernbert": Family(attention="eager", attention_fuses=False, head_gelus=1, other_norms=2),
    # Nor any that adds a term for the distance of two tokens.
    "mpnet": Family(attention="eager", attention_fuses=False),
    "deberta": Family(attention="eager", attention_fuses=False, head_gelus=1),
    "deberta-v2": Family(attention="eager", attention_fuses=False, head_gelus=1),
    # What its first layer reads is no normalization, which the fusion looks for.
    "albert": Family(unfused_layers=1),
}

_EXACT_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new",)


@dataclass(frozen=True)
class FusedNodes:
    """Counts of fused nodes in a graph.

    Attributes:
        attention: whole attention blocks, the projections of queries, keys and values included.
        gelu: with or without a bias added; exact ones, unless the model's own is the approximation by tanh.
        layer_norm: layer normalizations, with or without the addition before them.
    """

    attention: int
    gelu: int
    layer_norm: int

    def __str__(self) -> str:
        return f"{self.attention} Attention, {self.gelu} Gelu, {self.layer_norm} LayerNormalization"


def family_of(config: PretrainedConfig, source: str) -> Family:
    """The family of a checkpoint.

    Raises:
        ModelError: its fusions are unknown, or its activation has no exact fused form.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ModelError(
            f"is a {config.model_type} checkpoint, whose fusions are not known here",
            path=source,
            hint=f"known: {', '.join(FAMILIES)}; a folder that optimum-cli exports can be scored as it is",
        )
    activation = _activation(config)
    if activation not in (*_EXACT_GELU, *_TANH_GELU, "relu"):
        raise ModelError(f"has the activation {activation!r}; gelu, gelu_new and relu can be exported", path=source)
    return family


def complete_fusion(config: PretrainedConfig) -> FusedNodes:
    """Fused nodes of the whole model: in each layer one attention block, one activation and two normalizations.

    Attention without a fused form counts 0 blocks. The embeddings' normalization and those of a head
    come on top.
    """
    family = FAMILIES[config.model_type]
    layers = int(config.num_hidden_layers)
    gelus = layers if _activation(config) != "relu" else 0
    return FusedNodes(
        attention=layers - family.unfused_layers if family.attention_fuses else 0,
        gelu=gelus + family.head_gelus,
        layer_norm=2 * layers + family.other_norms,
    )


def has_tanh_gelu(config: PretrainedConfig) -> bool:
    """True if the model was trained with the approximation of Gelu by tanh, as ALBERT was."""
    return _activation(config) in _TANH_GELU


def _activation(config: PretrainedConfig) -> str:
    # ModernBERT calls it hidden_activation, DistilBERT activation.
    names = ("hidden_act", "hidden_activation", "activation")
    return next((str(value) for name in names if (value := getattr(config, name, None))), "")

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
        attention: the implementation in PyTorch whose ONNX graph onnxruntime recognises.
        head_gelus: Gelu nodes of the classifier's head.
    """

    attention: str = "sdpa"
    head_gelus: int = 0


FAMILIES: Mapping[str, Family] = {
    "distilbert": Family(),
    "bert": Family(),
    "roberta": Family(),
    "xlm-roberta": Family(),
    "camembert": Family(),
    # transformers 4.57 has no scaled_dot_product_attention for ELECTRA.
    "electra": Family(attention="eager", head_gelus=1),
}

_EXACT_GELU = ("gelu", "gelu_python")


@dataclass(frozen=True)
class FusedNodes:
    """Counts of fused nodes in a graph.

    Attributes:
        attention: whole attention blocks, the projections of queries, keys and values included.
        gelu: exact ones, with or without a bias added.
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
        ModelError: it is none whose fusion is known, or its activation has no exact fused form.
    """
    family = FAMILIES.get(config.model_type)
    if family is None:
        raise ModelError(
            f"is a {config.model_type} checkpoint, whose fusions are not known here",
            path=source,
            hint=f"known: {', '.join(FAMILIES)}; a folder that optimum-cli exports can be scored as it is",
        )
    activation = _activation(config)
    if activation not in (*_EXACT_GELU, "relu"):
        raise ModelError(f"has the activation {activation!r}; gelu and relu can be exported", path=source)
    return family


def complete_fusion(config: PretrainedConfig) -> FusedNodes:
    """What every layer of this model fuses to: one attention block, one activation, two normalizations.

    One more normalization follows the embeddings.
    """
    layers = int(config.num_hidden_layers)
    gelus = layers if _activation(config) in _EXACT_GELU else 0
    return FusedNodes(attention=layers, gelu=gelus + FAMILIES[config.model_type].head_gelus, layer_norm=2 * layers + 1)


def _activation(config: PretrainedConfig) -> str:
    # DistilBERT calls it activation.
    return str(getattr(config, "hidden_act", None) or getattr(config, "activation", ""))

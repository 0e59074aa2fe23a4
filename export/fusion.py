"""A plain ONNX graph to one of fused transformer nodes, counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
from optimum.onnxruntime import OptimizationConfig, ORTOptimizer
from transformers import PretrainedConfig

from export.families import FusedNodes, complete_fusion, has_tanh_gelu
from export.library_noise import quiet_libraries
from scorer.errors import QualityGateError

_ATTENTION = ("Attention", "QAttention", "MultiHeadAttention")
_GELU = ("Gelu", "BiasGelu")
_APPROXIMATE_GELU = ("FastGelu", "QuickGelu")
_LAYER_NORM = ("LayerNormalization", "SkipLayerNormalization")


def fuse(source: Path, config: PretrainedConfig, folder: Path, *, skip_layer_norm: bool) -> Path:
    """Fuse attention, Gelu and layer normalization of the fp32 graph ``source``; returns the new file in ``folder``.

    ``skip_layer_norm`` also fuses the addition before a normalization into it: that is faster on CUDA
    and slower on the CPU. Gelu stays exact. The fused attention reads a mask as the number of its
    ones, so padding has to be on the right. The embeddings are not fused: quantization would
    then turn the weights of their normalization into int8.

    Raises:
        QualityGateError: a fusion was missed.
    """
    optimization = OptimizationConfig(
        optimization_level=1,
        disable_embed_layer_norm_fusion=True,
        disable_skip_layer_norm_fusion=not skip_layer_norm,
        disable_bias_skip_layer_norm_fusion=not skip_layer_norm,
        enable_gelu_approximation=False,
    )
    suffix = "skip" if skip_layer_norm else "plain"
    with quiet_libraries():
        ORTOptimizer([source], config).optimize(optimization, folder, file_suffix=suffix)
    fused = folder / f"{source.stem}_{suffix}.onnx"
    require_fusion(onnx.load(fused), config)
    return fused


def count_fused(model: onnx.ModelProto, *, tanh_gelu: bool = False) -> FusedNodes:
    """Fused nodes of ``model``, quantized ones included; those of Gelu are exact, or approximate if ``tanh_gelu``."""
    counts = Counter(node.op_type for node in model.graph.node)

    def of(names: tuple[str, ...]) -> int:
        return sum(counts[name] for name in names)

    return FusedNodes(of(_ATTENTION), of(_APPROXIMATE_GELU if tanh_gelu else _GELU), of(_LAYER_NORM))


def require_fusion(model: onnx.ModelProto, config: PretrainedConfig) -> FusedNodes:
    """Require a complete fusion of ``model``; returns its counts.

    Raises:
        QualityGateError: a fusion was missed, or Gelu was approximated.
    """
    tanh_gelu = has_tanh_gelu(config)
    found, expected = count_fused(model, tanh_gelu=tanh_gelu), complete_fusion(config)
    if found != expected:
        raise QualityGateError(
            f"a fusion was missed: the graph has {found}, this model should have {expected}",
            hint="try another --opset, or the versions of onnxruntime and transformers in constraints.txt",
        )
    approximate = sorted({node.op_type for node in model.graph.node} & set(_APPROXIMATE_GELU))
    if approximate and not tanh_gelu:
        raise QualityGateError(f"the fused graph approximates Gelu by {', '.join(approximate)}")
    return found

"""Exact rewrites of a fused fp32 graph: what each returns computes the same logits, in another way.

They run between fusion and the conversion to another precision, in the order that
:mod:`export.variants` lists them for each variant.
"""

from __future__ import annotations

import onnx
from onnxruntime.transformers.onnx_model_bert import BertOnnxModel

MASKED_SCORE = -10000.0
"""Added to the scores of padding. ``exp`` of it is 0 in float32, and it is finite in float16."""


def finite_masks(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the lowest float32, which is minus infinity in float16, where attention masks padding."""
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "mask_filter_value":
                attribute.f = MASKED_SCORE
    return model


def int32_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take ids and masks as int32, the type in which the fused nodes read them: half the bytes to copy."""
    graph = BertOnnxModel(model)
    graph.change_graph_inputs_to_int32()
    return graph.model

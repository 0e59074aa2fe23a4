"""A fused fp32 graph to float16, except for the parts that float16 cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.transformers.onnx_model import OnnxModel

from scorer.errors import QualityGateError

LARGEST = float(np.finfo(np.float16).max)


def save_as_float16(model: onnx.ModelProto, target: Path) -> None:
    """Write ``model`` to ``target`` with weights and arithmetic in float16; the logits stay float32.

    Two parts stay in float32: the node that gives the logits, and the angles of rotary positions, which
    would be wrong by an eighth at position 500.

    Raises:
        QualityGateError: a weight is larger than any float16; the converter would silently clip it.
    """
    _require_range(model)
    angles = _angles(model.graph)
    shapes = {item.name: item for item in onnx.shape_inference.infer_shapes(model).graph.value_info} if angles else {}
    # Hidden from the converter: their results become inputs of the graph, and their arguments outputs.
    for node in angles:
        model.graph.node.remove(node)
    given = _names(angles, "output") & _names(model.graph.node, "input")
    taken = _names(angles, "input") & _names(model.graph.node, "output")
    constants = [tensor for tensor in model.graph.initializer if tensor.name in _names(angles, "input")]
    model.graph.input.extend(shapes[name] for name in sorted(given))
    model.graph.output.extend(shapes[name] for name in sorted(taken))
    graph = OnnxModel(model)
    last = [node.name for node in graph.nodes() if "logits" in node.output]
    graph.convert_float_to_float16(keep_io_types=True, node_block_list=last, max_finite_val=LARGEST)
    converted = graph.model.graph
    for items, names in ((converted.input, given), (converted.output, taken)):
        for item in [item for item in items if item.name in names]:
            items.remove(item)
    left = {tensor.name for tensor in converted.initializer}
    converted.initializer.extend(tensor for tensor in constants if tensor.name not in left)
    converted.node.extend(angles)
    graph.save_model_to_file(str(target))


def _names(nodes: Iterable[onnx.NodeProto], side: str) -> set[str]:
    return {name for node in nodes for name in getattr(node, side)}


def _require_range(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        largest = float(np.abs(numpy_helper.to_array(tensor)).max(initial=0))
        if not largest <= LARGEST:
            raise QualityGateError(
                f"fp16: the weights {tensor.name} reach {largest:.4g}, and float16 ends at {LARGEST:g}",
                hint="leave fp16 out with --precision",
            )


def _angles(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that compute sines and cosines, and all before them that only they need, in order."""
    readers: dict[str, list[int]] = {}
    for place, node in enumerate(graph.node):
        for name in node.input:
            readers.setdefault(name, []).append(place)
    chosen: set[int] = set()
    for place in reversed(range(len(graph.node))):  # a graph is sorted: readers of a result come after its node
        node = graph.node[place]
        reading = [reader for name in node.output for reader in readers.get(name, ())]
        if node.op_type in ("Sin", "Cos") or (reading and chosen.issuperset(reading)):
            chosen.add(place)
    return [onnx.NodeProto.FromString(graph.node[place].SerializeToString()) for place in sorted(chosen)]

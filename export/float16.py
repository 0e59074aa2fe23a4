"""A fused fp32 graph to float16, except for the parts that float16 cannot hold."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime.transformers.onnx_model import OnnxModel

from export.rewrites import reads
from scorer.errors import QualityGateError

LARGEST = float(np.finfo(np.float16).max)

_WHOLE = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)


def save_as_float16(model: onnx.ModelProto, target: Path) -> None:
    """Write ``model`` to ``target`` with weights and arithmetic in float16; the logits stay float32.

    Three parts stay in float32: the node that gives the logits, the angles of rotary positions, which
    would be wrong by an eighth at position 500, and what is rounded to the number of a row, such as the
    distance of two tokens.

    Raises:
        QualityGateError: a weight is larger than any float16; the converter would silently clip it.
    """
    _require_range(model)
    shapes = {item.name: item for item in onnx.shape_inference.infer_shapes(model).graph.value_info}
    exact = _exact(model.graph, {name for name, item in shapes.items() if _is_float(item)})
    # Hidden from the converter: their results become inputs of the graph, and their arguments outputs.
    for node in exact:
        model.graph.node.remove(node)
    given = _names(exact, "output") & _names(model.graph.node, "input")
    taken = _names(exact, "input") & _names(model.graph.node, "output")
    constants = [tensor for tensor in model.graph.initializer if tensor.name in _names(exact, "input")]
    model.graph.input.extend(shapes[name] for name in sorted(given))
    model.graph.output.extend(shapes[name] for name in sorted(taken))
    graph = OnnxModel(model)
    last = [node for node in graph.nodes() if "logits" in node.output]
    # The converter casts what such a node reads if it knows the type; it infers none in a graph with branches.
    known = {item.name for item in (*model.graph.value_info, *model.graph.initializer)}
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for node in last
        for name in node.input
        if name not in known
    )
    graph.convert_float_to_float16(
        keep_io_types=True, node_block_list=[node.name for node in last], max_finite_val=LARGEST
    )
    converted = graph.model.graph
    for items, names in ((converted.input, given), (converted.output, taken)):
        for item in [item for item in items if item.name in names]:
            items.remove(item)
    left = {tensor.name for tensor in converted.initializer}
    converted.initializer.extend(tensor for tensor in constants if tensor.name not in left)
    converted.node.extend(exact)
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


def _exact(graph: onnx.GraphProto, floats: Container[str]) -> list[onnx.NodeProto]:
    """The nodes that compute sines, cosines and whole numbers, and all before them that only they need, in order.

    ``floats`` are the names of results in float32.
    """
    readers: dict[str, list[int]] = {}
    for place, node in enumerate(graph.node):
        for name in reads(node):
            readers.setdefault(name, []).append(place)
    chosen: set[int] = set()
    for place in reversed(range(len(graph.node))):  # a graph is sorted: readers of a result come after its node
        node = graph.node[place]
        reading = [reader for name in node.output for reader in readers.get(name, ())]
        whole = node.op_type == "Cast" and _is_whole(node) and node.input[0] in floats
        if node.op_type in ("Sin", "Cos") or whole or (reading and chosen.issuperset(reading)):
            chosen.add(place)
    return [onnx.NodeProto.FromString(graph.node[place].SerializeToString()) for place in sorted(chosen)]


def _is_whole(cast: onnx.NodeProto) -> bool:
    return any(attribute.name == "to" and attribute.i in _WHOLE for attribute in cast.attribute)


def _is_float(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT)

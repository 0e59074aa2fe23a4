"""Exact rewrites of a fused fp32 graph, each to another graph with the same logits.

They run between fusion and the conversion to another precision, in the order of the lists in
:mod:`export.variants`, which also compares the logits before and after.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnxruntime.transformers.onnx_model_bert import BertOnnxModel

MASKED_SCORE = -10000.0
"""Added to the scores of padding: ``exp`` of it is 0 in float32, and it is finite in float16."""

_FUSED_DOMAIN = "com.microsoft"  # of onnxruntime's own operators

# With constants for the other inputs, each computes a row of its output from the same row of one input.
_ROW_WISE = (
    *("MatMul", "Add", "Sum", "Mul", "BiasGelu", "Gelu", "FastGelu", "Relu", "Cast", "Dropout"),
    *("LayerNormalization", "SkipLayerNormalization"),
)

_ATTENTION = ("Attention", "MultiHeadAttention")


def reads(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those inside its branches included."""
    branches = [part for attribute in node.attribute for part in (attribute.g, *attribute.graphs)]
    return set(node.input).union(*(reads(inner) for branch in branches for inner in branch.node))


def finite_masks(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the lowest float32, which is minus infinity in float16, where attention masks padding.

    Even the lowest float16 is too low: plus a negative score it is minus infinity again, and a row of
    those is NaN after softmax. In fused attention it is an attribute, else a constant.
    """
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "mask_filter_value":
                attribute.f = MASKED_SCORE
            elif node.op_type == "Constant" and attribute.name == "value":
                _raise_to_mask(attribute.t)
    for tensor in model.graph.initializer:
        _raise_to_mask(tensor)
    return model


def _raise_to_mask(tensor: onnx.TensorProto) -> None:
    if tensor.data_type != onnx.TensorProto.FLOAT or len([size for size in tensor.dims if size > 1]) > 0:
        return
    values = numpy_helper.to_array(tensor)
    if values.size and values.min() <= np.finfo(np.float32).min:
        tensor.CopyFrom(numpy_helper.from_array(np.maximum(values, np.float32(MASKED_SCORE)), tensor.name))


def int32_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take ids and masks as int32, the type that the fused nodes read: half the bytes to copy."""
    graph = BertOnnxModel(model)
    graph.change_graph_inputs_to_int32()
    return graph.model


def without_mask(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the attention mask, which tells nothing when each review runs alone and unpadded.

    A session of a graph without the input ``attention_mask`` never pads. A graph in which more than fused
    attention reads the mask is returned unchanged.
    """
    masked = onnx.ModelProto.FromString(model.SerializeToString())
    for node in masked.graph.node:
        if node.op_type == "Attention" and len(node.input) > 3:
            node.input[3] = ""
    pruned = _pruned(masked)
    return model if any(item.name == "attention_mask" for item in pruned.graph.input) else pruned


def separate_projections(model: onnx.ModelProto) -> onnx.ModelProto:
    """Split ``Attention`` nodes without a mask into three projections and ``MultiHeadAttention``.

    On the CPU that node takes the flash path, and a quantized projection is then one product over
    the whole width, where the quantized ``Attention`` multiplies head by head.
    """
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += _projected(model, node) if _is_plain_attention(node) else [node]
    _replace_nodes(model, nodes)
    return _pruned(model)


def first_token_last(model: onnx.ModelProto) -> onnx.ModelProto:
    """In the last block, compute for the first token alone what the classifier reads of it.

    Behind a whole ``Attention`` node, that is all that follows it; where the projections are separate, the
    queries too. A graph is returned unchanged if its last block does not end in a choice of the first token,
    or mixes rows on the way there.
    """
    attention = next((node for node in reversed(model.graph.node) if node.op_type in _ATTENTION), None)
    if attention is None:
        return model
    producer = {name: node for node in model.graph.node for name in node.output}
    projection = None
    if attention.op_type == "MultiHeadAttention":
        projection = _matmul_of(producer[attention.input[0]], producer)
        if projection is None:
            return model
    hidden = attention.input[0] if projection is None else projection.input[0]
    block = _rows_behind(model, attention, hidden)
    if block is None:
        return model
    first = f"{attention.name}_first_token"
    index = _constant(model, f"{first}_index", np.asarray([0], np.int64))
    cut = {hidden: first}
    if projection is None:
        cut[attention.output[0]] = f"{first}_attended"
    for node in block if projection is None else (projection, *block):
        for place, name in enumerate(node.input):
            node.input[place] = cut.get(name, name)
    nodes = list(model.graph.node)
    for whole, part in cut.items():
        # With an index of one dimension the axis stays, at length 1, and the classifier's own choice still fits.
        gather = helper.make_node("Gather", [whole, index], [part], name=part, axis=1)
        nodes.insert(nodes.index(projection or attention) + (projection is None), gather)
    _replace_nodes(model, nodes)
    return model


def separate_gelu_bias(model: onnx.ModelProto) -> onnx.ModelProto:
    """Split ``BiasGelu`` into addition and ``Gelu``: a quantized product adds the bias as it scales its sums."""
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "BiasGelu":
            nodes.append(node)
            continue
        total = f"{node.output[0]}_biased"
        nodes.append(helper.make_node("Add", list(node.input), [total], name=f"{node.name}_bias"))
        nodes.append(helper.make_node("Gelu", [total], list(node.output), name=node.name, domain=_FUSED_DOMAIN))
    _replace_nodes(model, nodes)
    return model


def separate_residuals(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write the addition before a layer normalization as ``Sum``, which onnxruntime does not fuse when it loads.

    It would turn ``Add`` into ``SkipLayerNormalization``, which takes several times as long on the CPU.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    normalized = {node.input[0] for node in model.graph.node if node.op_type == "LayerNormalization"}
    for node in model.graph.node:
        if node.op_type == "Add" and node.output[0] in normalized and not constants & set(node.input):
            node.op_type = "Sum"
    return model


def _is_plain_attention(node: onnx.NodeProto) -> bool:
    """True for bidirectional self-attention of one width without a mask, a bias of positions or a past."""
    if node.op_type != "Attention" or any(node.input[3:]):
        return False
    unusual = ("unidirectional", "qkv_hidden_sizes", "past_present_share_buffer", "do_rotary")
    return not any(attribute.name in unusual and (attribute.i or attribute.ints) for attribute in node.attribute)


def _projected(model: onnx.ModelProto, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    hidden = node.input[0]
    weights = np.split(_value(model, node.input[1]), 3, axis=1)
    biases = np.split(_value(model, node.input[2]), 3)
    names = []
    for part, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True):
        name = f"{node.name}_{part}"
        matrix = _constant(model, f"{name}_weight", weight)
        added = _constant(model, f"{name}_bias", bias)
        yield helper.make_node("MatMul", [hidden, matrix], [f"{name}_product"], name=f"{name}_MatMul")
        yield helper.make_node("Add", [f"{name}_product", added], [name], name=f"{name}_Add")
        names.append(name)
    kept = [attribute for attribute in node.attribute if attribute.name in ("num_heads", "scale")]
    fused = helper.make_node("MultiHeadAttention", names, list(node.output), name=node.name, domain=_FUSED_DOMAIN)
    fused.attribute.extend(kept)
    yield fused


def _matmul_of(node: onnx.NodeProto, producer: dict[str, onnx.NodeProto]) -> onnx.NodeProto | None:
    """The product before a projection's addition of its bias."""
    products = [producer[name] for name in node.input if name in producer and producer[name].op_type == "MatMul"]
    return products[0] if node.op_type == "Add" and len(products) == 1 else None


def _rows_behind(model: onnx.ModelProto, attention: onnx.NodeProto, hidden: str) -> list[onnx.NodeProto] | None:
    """The nodes between ``attention`` and the choice of the first token; ``None`` if other nodes mix rows there."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    outputs = {item.name for item in model.graph.output}
    rows = set(attention.output)
    block: list[onnx.NodeProto] = []
    chosen = False
    for node in model.graph.node:
        if not rows & set(node.input):
            continue
        if node.op_type == "Gather" and _takes_first_token(node, constants):
            chosen = True
            continue
        others = [name for name in node.input if name and name not in rows and name not in constants]
        if node.op_type not in _ROW_WISE or any(name != hidden for name in others) or outputs & set(node.output):
            return None
        # A constant with a row for each token would have to be cut as well.
        if any(name in constants and not _fits_every_row(node, constants[name]) for name in node.input):
            return None
        rows |= set(node.output)
        block.append(node)
    return block if chosen else None


def _takes_first_token(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    index = constants.get(node.input[1])
    return axis == 1 and index is not None and not index.dims and int(numpy_helper.to_array(index)) == 0


def _fits_every_row(node: onnx.NodeProto, tensor: onnx.TensorProto) -> bool:
    return node.op_type == "MatMul" or len([size for size in tensor.dims if size != 1]) <= 1


def _value(model: onnx.ModelProto, name: str) -> npt.NDArray[np.float32]:
    return np.asarray(next(numpy_helper.to_array(item) for item in model.graph.initializer if item.name == name))


def _constant(model: onnx.ModelProto, name: str, value: npt.NDArray[np.generic]) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def _replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _pruned(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` without the nodes, constants and inputs that no output needs, and without stale shapes."""
    graph = model.graph
    needed = {item.name for item in graph.output}
    kept = []
    for node in reversed(graph.node):  # a graph is sorted: readers of a result come after its node
        if needed & set(node.output):
            kept.append(node)
            needed |= reads(node)
    _replace_nodes(model, kept[::-1])
    for items in (graph.initializer, graph.input):
        for item in [item for item in items if item.name not in needed]:
            items.remove(item)
    del graph.value_info[:]
    return model

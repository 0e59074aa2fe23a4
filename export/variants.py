"""From the fp32 graph to each file of a bundle: fuse, rewrite, convert."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import PretrainedConfig

from export.families import FusedNodes
from export.float16 import save_as_float16
from export.fusion import fuse, require_fusion
from export.library_noise import quiet_libraries
from export.rewrites import (
    finite_masks,
    first_token_last,
    int32_inputs,
    separate_gelu_bias,
    separate_projections,
    separate_residuals,
    without_mask,
)
from scorer.errors import QualityGateError
from scorer.model.model_folder import VARIANT_FILES
from scorer.safe_text import counted, first_line

log = logging.getLogger(__name__)

Rewrite = Callable[[onnx.ModelProto], onnx.ModelProto]

REWRITES: Mapping[str, tuple[Rewrite, ...]] = {
    "fp16": (finite_masks, first_token_last, int32_inputs),
    "int8": (without_mask, separate_projections, first_token_last, separate_gelu_bias, separate_residuals),
}
"""Rewrites of the fused graph before its weights are converted, in order.

The int8 file is for the CPU, where each review runs alone and unpadded, so it has no mask;
``docs/performance.md`` has the gain of each step.
"""

_QUANTIZED = ("MatMul", "Gemm", "Gather", "Attention")

EXACTNESS = 1e-5
"""Largest difference of a logit that rewrites may make in float32, as a share of the largest logit or of 1."""

INT8_SETTINGS: Mapping[str, bool] = {"per_channel": True, "reduce_range": True}
"""One scale per column of a weight matrix, and seven of the eight bits.

Products of uint8 and seven-bit weights cannot saturate the 16-bit sums of processors without VNNI
instructions, so that accuracy does not depend on the machine. Measured on a 384-wide model: root mean
square error of the logits 0.076 against 0.081 with all eight bits, and 0.235 with one scale per matrix.
"""


def build_variant(precision: str, source: Path, config: PretrainedConfig, work: Path, folder: Path) -> FusedNodes:
    """Write the fp16 or int8 file of the fp32 graph ``source`` into ``folder``, with files of ``work`` on the way.

    Inputs int64 (int8) or int32 (fp16) ``(batch, sequence)``, logits float32 ``(batch, labels)``.

    Raises:
        QualityGateError: a fusion was missed, a rewrite is not exact, or weights were left in float32.
    """
    log.info("converting to %s", precision)
    fused = fuse(source, config, work, skip_layer_norm=precision == "fp16")
    model = onnx.load(fused)
    for rewrite in REWRITES[precision]:
        model = rewrite(model)
    require_exact(model, fused, config)
    target = folder / VARIANT_FILES[precision][0]
    with quiet_libraries():
        (save_as_float16 if precision == "fp16" else _to_int8)(model, target)
    written = onnx.load(target)
    _require_converted(written, precision)
    return require_fusion(written, config)


def require_exact(rewritten: onnx.ModelProto, fused: Path, config: PretrainedConfig) -> float:
    """The largest difference of a logit between both float32 graphs, on random tokens run alone and unpadded.

    Raises:
        QualityGateError: it is larger than :data:`EXACTNESS`, or the rewritten graph does not run.
    """
    random = np.random.default_rng(0)
    before, after = _session(fused), _session(rewritten.SerializeToString())
    largest = 0.0
    for length in (3, 16, 61):
        # Low ids are special in most vocabularies, and padding moves RoBERTa's positions.
        ids = random.integers(min(10, config.vocab_size // 2), config.vocab_size, (2, length))
        expected, found = _logits(before, ids), _logits(after, ids)
        if not np.isfinite(expected).all():
            continue  # a fault of the checkpoint, which the comparison with PyTorch reports
        scale = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(found - expected).max()) / scale
        # In this form NaN does not pass.
        if not difference <= EXACTNESS:
            raise QualityGateError(
                f"a rewrite of the graph is not exact: a logit differs by {difference:.3g} of the largest;"
                f" the tolerance is {EXACTNESS:g}",
                hint="try the versions of onnxruntime and transformers in constraints.txt",
            )
        largest = max(largest, difference)
    return largest


def _session(model: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class of their own
        raise QualityGateError(f"a rewritten graph does not run: {first_line(error)}") from error


def _logits(session: onnxruntime.InferenceSession, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    feeds = {}
    for item in session.get_inputs():
        kind = np.int32 if item.type == "tensor(int32)" else np.int64
        feeds[item.name] = (
            ids.astype(kind) if item.name == "input_ids" else np.full(ids.shape, item.name == "attention_mask", kind)
        )
    return np.asarray(session.run(["logits"], feeds)[0])


def _to_int8(model: onnx.ModelProto, target: Path) -> None:
    """Quantize weights to int8, the embedding tables included, and activations at run time.

    Optimum's quantizer does not fit a fused graph: it does not tell onnxruntime the types of the fused
    nodes' outputs, and it quantizes the products inside unfused attention.
    """
    quantize_dynamic(
        model,
        target,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT, "MatMulConstBOnly": True},
        **INT8_SETTINGS,
    )


def _require_converted(model: onnx.ModelProto, precision: str) -> None:
    """Require that no matrix is left in float32 except that of the logits themselves.

    In int8, that is none of a product or a look-up: the positions that DeBERTa adds to its tokens are sums.
    """
    last = {name for node in model.graph.node if "logits" in node.output for name in node.input}
    read = {
        name for node in model.graph.node if precision != "int8" or node.op_type in _QUANTIZED for name in node.input
    }
    left = [
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name in read - last and _is_matrix(tensor)
    ]
    if left:
        raise QualityGateError(
            f"{precision}: {counted(len(left), 'matrix', 'matrices')} still float32, such as {left[0]!r}"
        )


def _is_matrix(tensor: onnx.TensorProto) -> bool:
    return len([size for size in tensor.dims if size > 1]) > 1

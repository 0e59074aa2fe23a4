"""Each exact rewrite of the int8 variant, by itself and together, against the graph it started from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from transformers import AutoConfig

from export.fusion import fuse
from export.rewrites import (
    first_token_last,
    separate_gelu_bias,
    separate_projections,
    without_mask,
)
from export.variants import EXACTNESS, REWRITES, require_exact
from scorer.errors import QualityGateError
from tests.conftest import save_tiny_distilbert

ALL = REWRITES["int8"]


@pytest.fixture(scope="module")
def fused(tiny_checkpoint: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused")
    return fuse(tiny_bundle / "model.onnx", AutoConfig.from_pretrained(tiny_checkpoint), folder, skip_layer_norm=False)


def rewritten(path: Path, *rewrites: Callable[[onnx.ModelProto], onnx.ModelProto]) -> onnx.ModelProto:
    model = onnx.load(path)
    for rewrite in rewrites:
        model = rewrite(model)
    onnx.checker.check_model(copy.deepcopy(model))
    return model


def logits(model: onnx.ModelProto | Path, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    source = model if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    (found,) = session.run(["logits"], {item.name: feeds[item.name] for item in session.get_inputs()})
    return np.asarray(found)


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("steps", range(1, len(ALL) + 1))
@pytest.mark.parametrize("length", [3, 40, 512])
def test_logits_are_the_same_after_each_step(fused: Path, steps: int, length: int) -> None:
    ids = np.random.default_rng(length).integers(5, 300, (2, length))
    before, after = logits(fused, ids), logits(rewritten(fused, *ALL[:steps]), ids)
    assert np.ptp(before) > 0
    assert np.abs(after - before).max() <= 2e-6 * max(1.0, np.abs(before).max())


def test_the_mask_and_what_computed_it_are_gone(fused: Path) -> None:
    model = rewritten(fused, without_mask)
    assert [item.name for item in model.graph.input] == ["input_ids"]
    assert "ReduceSum" in operators(onnx.load(fused))
    assert not {"ReduceSum", "Cast"} & set(operators(model))


def test_one_attention_with_a_mask_is_left_as_it_is(fused: Path) -> None:
    assert operators(rewritten(fused, separate_projections)) == operators(onnx.load(fused))


def test_the_last_block_computes_the_first_token_alone(fused: Path) -> None:
    model = rewritten(fused, without_mask, separate_projections, first_token_last)
    found = widths(model, "LayerNormalization", {"input_ids": np.full((1, 9), 7, np.int64)})
    # After the embeddings, two in the first block, and two in the second, which is the last.
    assert found == [9, 9, 9, 1, 1]


def widths(model: onnx.ModelProto, kind: str, feeds: dict[str, npt.NDArray[np.generic]]) -> list[int]:
    """Tokens of the outputs of all nodes of ``kind``, in their order."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    names = [node.output[0] for node in model.graph.node if node.op_type == kind]
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [value.shape[1] for value in session.run(names, feeds)]


def test_behind_a_whole_attention_the_first_token_goes_on_alone(
    tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    config = AutoConfig.from_pretrained(tiny_checkpoint)
    path = fuse(tiny_bundle / "model.onnx", config, tmp_path, skip_layer_norm=True)
    model = onnx.load(path)
    for rewrite in REWRITES["fp16"]:
        model = rewrite(model)
    ids = np.random.default_rng(2).integers(5, 300, (3, 9), dtype=np.int32)
    mask = (np.arange(9) < np.asarray([[9], [4], [1]])).astype(np.int32)
    wide = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
    (before,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["logits"], wide)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (after,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    assert np.ptp(before) > 0
    assert after == pytest.approx(before, abs=2e-6 * max(1.0, float(np.abs(before).max())))
    found = widths(model, "SkipLayerNormalization", {"input_ids": ids, "attention_mask": mask})
    # Two in the first block, two in the second, which is the last.
    assert found[-4:] == [9, 9, 1, 1]


def test_a_block_that_mixes_tokens_is_left_as_it_is(fused: Path) -> None:
    model = rewritten(fused, without_mask, separate_projections)
    last = next(node for node in reversed(model.graph.node) if node.op_type == "LayerNormalization")
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] == last.output[0]:
            node.input[0] = "mixed"
            place = list(model.graph.node).index(node)
    model.graph.node.insert(place, helper.make_node("CumSum", [last.output[0], "one"], ["mixed"]))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(1, np.int64), "one"))
    before = model.SerializeToString()
    assert first_token_last(model).SerializeToString() == before


def test_the_last_token_is_not_taken_for_the_first(fused: Path) -> None:
    model = rewritten(fused, without_mask, separate_projections)
    gather = next(node for node in reversed(model.graph.node) if node.op_type == "Gather")
    gather.input[1] = "last"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(-1, np.int64), "last"))
    before = model.SerializeToString()
    assert first_token_last(model).SerializeToString() == before


def test_a_graph_without_attention_is_left_as_it_is() -> None:
    value = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1])
    source = helper.make_tensor_value_info("input_ids", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["input_ids"], ["logits"])], "plain", [source], [value])
    model = helper.make_model(graph)
    for rewrite in ALL:
        assert operators(rewrite(model)) == ["Relu"]


def test_bias_and_gelu_are_apart(fused: Path) -> None:
    names = operators(rewritten(fused, separate_gelu_bias))
    assert "BiasGelu" not in names
    assert names.count("Gelu") == 2


def test_a_rewrite_that_moves_a_logit_is_refused(fused: Path, tiny_checkpoint: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_checkpoint)
    model = rewritten(fused, *ALL)
    assert require_exact(model, fused, config) <= 2e-6
    for tensor in model.graph.initializer:
        if tensor.name == "classifier.bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.01), tensor.name))
    with pytest.raises(QualityGateError, match=f"a logit differs by 0.0.*; the tolerance is {EXACTNESS:g}"):
        require_exact(model, fused, config)
    del model.graph.node[3:]
    with pytest.raises(QualityGateError, match="does not run"):
        require_exact(model, fused, config)


def test_one_layer_and_three_labels(tmp_path: Path) -> None:
    """The block after the embeddings is the last as well."""
    from transformers import DistilBertForSequenceClassification

    from export.onnx_export import export_fp32

    save_tiny_distilbert(tmp_path / "checkpoint", ("a", "b", "c"))
    model = DistilBertForSequenceClassification.from_pretrained(tmp_path / "checkpoint", n_layers=1).eval()
    (tmp_path / "folder").mkdir()
    (tmp_path / "work").mkdir()
    plain = export_fp32(model, tmp_path / "folder", tmp_path / "work", None)
    source = fuse(plain, model.config, tmp_path / "work", skip_layer_norm=False)
    ids = np.random.default_rng(0).integers(5, 300, (3, 20))
    assert logits(rewritten(source, *ALL), ids) == pytest.approx(logits(plain, ids), abs=1e-5)


def test_onnxruntime_does_not_fuse_the_residuals_when_it_loads(tiny_bundle: Path, tmp_path: Path) -> None:
    def loaded(model: onnx.ModelProto) -> list[str]:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return operators(onnx.load(tmp_path / "loaded.onnx"))

    model = onnx.load(tiny_bundle / "model_int8.onnx")
    assert operators(model).count("Sum") == 5
    assert "SkipLayerNormalization" not in loaded(model)
    for node in model.graph.node:
        node.op_type = "Add" if node.op_type == "Sum" else node.op_type
    assert "SkipLayerNormalization" in loaded(model)

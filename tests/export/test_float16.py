"""The limits of float16: long padding beside long texts, weights past its end, angles of late positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from transformers import AutoModelForSequenceClassification, ModernBertConfig, ModernBertForSequenceClassification
from transformers import PreTrainedTokenizerFast as Tokenizer

from export.exporting import export_model
from export.float16 import LARGEST, save_as_float16
from export.options import ExportOptions
from export.rewrites import MASKED_SCORE
from scorer.errors import QualityGateError
from scorer.model.bundle import ModelBundle
from scorer.model.options import ModelOptions
from scorer.model.scoring import Scorer
from scorer.model.session import ModelSession
from tests.conftest import VOCABULARY_TEXTS, tiny_tokenizer


@pytest.fixture(scope="module")
def modernbert_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random ModernBERT with rotary positions, a sliding window of 16 tokens and one global layer."""
    folder = tmp_path_factory.mktemp("modernbert")
    torch.manual_seed(5)
    config = ModernBertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=600,
        initializer_range=0.2,
        local_attention=16,
        global_attn_every_n_layers=2,
        pad_token_id=0,
        cls_token_id=2,
        bos_token_id=2,
        sep_token_id=3,
        eos_token_id=3,
        num_labels=3,
    )
    ModernBertForSequenceClassification(config).save_pretrained(folder / "checkpoint")
    Tokenizer(tokenizer_object=tiny_tokenizer()).save_pretrained(folder / "checkpoint")
    options = ExportOptions(str(folder / "checkpoint"), folder / "bundle", precisions=("fp32", "fp16"), threads=1)
    export_model(options)
    return folder / "bundle"


LONG = " ".join(VOCABULARY_TEXTS) * 4
SHORT = ["Good.", "no", *VOCABULARY_TEXTS[:10]]


@pytest.mark.parametrize("bundle", ["tiny_bundle", "modernbert_bundle"])
def test_short_reviews_padded_to_a_long_one_give_what_they_give_alone(
    bundle: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(bundle)
    scorer = Scorer.load(folder, precision="fp16", device="cpu", threads=1)
    encoded = scorer.encode([*SHORT, LONG, *SHORT])
    assert encoded.lengths.max() == 512
    assert (encoded.lengths < 40).sum() > 20
    logits = {}
    for batching, tokens in (("alone", 1), ("tokens", 512 * len(encoded.rows))):
        options = ModelOptions("cpu", "fp16", 1, batching, tokens)  # type: ignore[arg-type]
        logits[batching] = ModelSession(ModelBundle.load(folder), options).logits(encoded)
    assert np.isfinite(logits["tokens"]).all()
    assert np.abs(logits["tokens"] - logits["alone"]).max() < 2e-3 * max(1.0, np.ptp(logits["alone"]))
    in_float32 = Scorer.load(folder, precision="fp32", device="cpu", threads=1).session.logits(encoded)
    assert np.abs(logits["tokens"] - in_float32).max() < 0.01 * max(1.0, np.ptp(in_float32))


def test_masks_stay_far_from_the_end_of_float16(modernbert_bundle: Path) -> None:
    """The lowest float16 and a negative score are minus infinity together, and a row of those is NaN."""
    graph = onnx.load(modernbert_bundle / "model_fp16.onnx").graph
    constants = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    floats = [value for value in constants if value.dtype.kind == "f" and value.size]
    assert min(float(value.min()) for value in floats) == MASKED_SCORE
    assert all(np.isfinite(value).all() for value in floats)


def test_angles_are_not_rounded(modernbert_bundle: Path) -> None:
    model = onnx.load(modernbert_bundle / "model_fp16.onnx")
    types = {
        item.name: item.type.tensor_type.elem_type for item in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    waves = [node for node in model.graph.node if node.op_type in ("Sin", "Cos")]
    assert len(waves) == 4
    assert {types[node.input[0]] for node in waves} == {onnx.TensorProto.FLOAT}
    assert {item.name for item in model.graph.input} == {"input_ids", "attention_mask"}
    assert [item.name for item in model.graph.output] == ["logits"]


@pytest.mark.parametrize("largest", [65504.0, 65505.0, 1e30])
def test_a_weight_that_float16_does_not_reach_is_refused(largest: float, tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.array([[1.0, -largest]], dtype=np.float32), "huge.weight")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "huge.weight"], ["y"], "product"),
            helper.make_node("Relu", ["y"], ["logits"]),
        ],
        "graph",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 2])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    if largest <= LARGEST:
        save_as_float16(model, tmp_path / "m.onnx")
        return
    with pytest.raises(QualityGateError, match=r"fp16: the weights huge\.weight reach .*, and float16 ends at 65504"):
        save_as_float16(model, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_what_scoring_gives_is_what_transformers_gives(modernbert_bundle: Path) -> None:
    checkpoint = modernbert_bundle.parent / "checkpoint"
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = Tokenizer.from_pretrained(checkpoint)
    texts = [*VOCABULARY_TEXTS, LONG]
    scored = Scorer.load(modernbert_bundle, precision="fp32", threads=1).score(texts)
    for row, text in enumerate(texts):
        batch = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
        with torch.inference_mode():
            expected = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[0].softmax(0)
        found = [scored.column(f"pred_prob_LABEL_{label}")[row].as_py() for label in range(3)]
        assert found == pytest.approx(expected.tolist(), abs=1e-5)

"""A variant that differs from its checkpoint is refused, and an older bundle stays as it was."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
)

import export.variants
from export.families import complete_fusion
from export.fusion import require_fusion
from export.parity import prove, reference_logits
from export.proof_texts import PROOF_TEXTS
from export.quality import PER_BUCKET
from scorer.errors import QualityGateError
from scorer.model.preprocessing import Preprocessing
from scorer.model.scoring import Scorer
from scorer.model.token_runs import TextEncoder
from tests.conftest import VOCABULARY_TEXTS, tiny_tokenizer
from tests.helpers.exports import exit_code, state_of


def changed(checkpoint: Path, folder: Path, **factors: float) -> Path:
    """A copy of ``checkpoint`` in which the weights whose name ends like a key are multiplied by its value."""
    shutil.copytree(checkpoint, folder)
    weights = load_file(folder / "model.safetensors")
    for ending, factor in factors.items():
        names = [name for name in weights if name.replace(".", "_").endswith(ending)]
        assert names
        for name in names:
            weights[name] = weights[name] * factor
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("factors", "message", "without"),
    [
        ({"classifier_bias": float("nan")}, "classifier.bias are not all finite", ""),
        # The first matrix of a feed-forward block gives more than 65504, the second makes it small again.
        (
            {"ffn_lin1_weight": 5e4, "ffn_lin2_weight": 1e-3},
            "fp16 in float16 arithmetic: logits that are not finite; "
            "leave this precision out with --precision, or look at the checkpoint's weights",
            "int8",
        ),
        (
            {"ffn_lin1_weight": 1e6, "ffn_lin2_weight": 1e-6},
            "float16 ends at 65504; leave fp16 out with --precision",
            "int8",
        ),
    ],
    ids=["NaN in the checkpoint", "activations too large for float16", "weights too large"],
)
def test_bad_weights_are_exit_8_and_the_old_bundle_stays(
    factors: dict[str, float],
    message: str,
    without: str,
    tiny_checkpoint: Path,
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = changed(tiny_checkpoint, tmp_path / "checkpoint", **factors)
    out = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    before = state_of(tmp_path)
    assert exit_code(checkpoint, "-o", out, "--overwrite", "-q") == 8
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert state_of(tmp_path) == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "bundle"}
    if without:
        assert exit_code(checkpoint, "-o", out, "--overwrite", "-q", "--precision", without) == 0


def test_logits_that_are_infinite_in_pytorch_are_told(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = changed(tiny_checkpoint, tmp_path / "checkpoint", classifier_weight=1e38)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    encoded = TextEncoder(tiny_tokenizer(), Preprocessing()).encode(["Good."])
    with pytest.raises(QualityGateError, match="my-model: its logits are not finite in PyTorch"):
        reference_logits(model, encoded, name="my-model")


def negated_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    last = next(node for node in model.graph.node if "logits" in node.output)
    for tensor in model.graph.initializer:
        if tensor.name in last.input:
            tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    return model


def nan_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    last = next(node for node in model.graph.node if "logits" in node.output)
    for tensor in model.graph.initializer:
        if tensor.name == last.input[-1]:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32("nan"), tensor.name))
    return model


@pytest.mark.parametrize(
    ("rewrite", "precision", "message"),
    [(negated_logits, "int8", "is not exact: a logit differs by"), (nan_logits, "fp16", "differs by nan")],
)
def test_a_rewrite_that_is_not_exact_is_exit_8_and_the_old_bundle_stays(
    rewrite: export.variants.Rewrite,
    precision: str,
    message: str,
    tiny_checkpoint: Path,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    before = state_of(tmp_path)
    monkeypatch.setattr(export.variants, "REWRITES", {precision: (rewrite,)})
    assert exit_code(tiny_checkpoint, "-o", out, "--overwrite", "--precision", precision) == 8
    assert message in capsys.readouterr().err
    assert state_of(tmp_path) == before


def test_a_slightly_wrong_variant_is_refused_by_its_logits_alone(
    tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """No label flips, and yet it is not the model that was trained."""
    out = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (out / "bundle.json").unlink()
    weights = onnx.load(out / "model.onnx")
    for tensor in weights.graph.initializer:
        if tensor.name == "classifier.bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.5), tensor.name))
    onnx.save(weights, out / "model.onnx")
    scorer = Scorer.load(out, precision="fp32", threads=1)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint).eval()
    reference = reference_logits(model, scorer.encode(list(PROOF_TEXTS)), name="checkpoint")
    with pytest.raises(QualityGateError, match=r"fp32 alone: a logit differs from PyTorch's by 0\.5; the tolerance is"):
        prove(scorer.bundle, "fp32", reference, model, threads=1)


def test_a_missed_fusion_is_an_error(tiny_checkpoint: Path, tiny_bundle: Path) -> None:
    config = AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint).config
    assert require_fusion(onnx.load(tiny_bundle / "model_int8.onnx"), config) == complete_fusion(config)
    with pytest.raises(QualityGateError, match=r"the graph has 0 Attention, 0 Gelu, 5 LayerNormalization, this model"):
        require_fusion(onnx.load(tiny_bundle / "model.onnx"), config)


def labelled_file(path: Path, texts: list[str], labels: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    return path


def test_the_quality_gate(
    tiny_checkpoint: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = " ".join(VOCABULARY_TEXTS).split()
    texts = [" ".join(np.random.default_rng(seed).choice(words, 12)) for seed in range(600)]
    gold, quantized = (
        Scorer.load(tiny_bundle, precision=precision, threads=1).score(texts).column("pred_label").to_pylist()
        for precision in ("fp32", "int8")
    )
    lost = [place for place in range(len(texts)) if gold[place] != quantized[place]]
    n_proofs = len(PROOF_TEXTS)
    assert lost, "the texts have to hold some on which int8 errs"

    everything = labelled_file(tmp_path / "all.csv", texts, gold)
    drop = len(lost) / len(texts)
    options = ["--precision", "int8", "--eval", everything]
    assert exit_code(tiny_checkpoint, "-o", tmp_path / "a", *options, "--max-drop", drop) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["variant", "size", "agreement", "max", "difference", "accuracy", "reviews/s"]
    assert [line.split()[0] for line in lines[1:3]] == ["(fp32)", "int8"]
    assert "1.0000" in lines[1]
    assert f"{1 - drop:.4f}" in lines[2]
    # Some texts of the file itself are compared with PyTorch as well.
    parity = json.loads((tmp_path / "a" / "bundle.json").read_text())["export"]["variants"]["int8"]["parity"]
    assert n_proofs + PER_BUCKET <= parity["texts"] <= n_proofs + 2 * PER_BUCKET

    hard = labelled_file(tmp_path / "hard.csv", [texts[place] for place in lost], [gold[place] for place in lost])
    assert exit_code(tiny_checkpoint, "-o", tmp_path / "b", "--precision", "int8", "--eval", hard, "-q") == 8
    assert capsys.readouterr().err == (
        f"error: {hard}: int8 has an accuracy of 0.0000, but fp32 has 1.0000: a drop of 1.0000; --max-drop is 0.005; "
        "leave this precision out with --precision, or allow more with --max-drop\n"
    )
    assert not (tmp_path / "b").exists()
    # As the hint says.
    for way in (("--precision", "int8", "--max-drop", 1), ("--precision", "fp32")):
        assert exit_code(tiny_checkpoint, "-o", tmp_path / "b", "--overwrite", "--eval", hard, *way, "-q") == 0


def test_a_labelled_file_that_does_not_fit_is_known_before_the_long_work(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [tiny_checkpoint, "-o", tmp_path / "bundle", "--eval"]
    assert exit_code(*arguments, tmp_path / "missing.csv") == 3
    assert capsys.readouterr().err == (f"error: {tmp_path / 'missing.csv'}: no such file; check the path\n")
    assert exit_code(*arguments, labelled_file(tmp_path / "other.csv", ["Good."], ["spam"])) == 3
    assert "'spam' in column 'label' is not a label of the model" in capsys.readouterr().err
    scored = tmp_path / "scored.csv"
    scored.write_text("text,label,pred_label\nGood.,positive,positive\n")
    assert exit_code(*arguments, scored) == 2
    assert "has predictions" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()

"""`export-model` from a checkpoint to a bundle that scores like PyTorch, for every family of encoders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from export.exporting import export_model
from export.families import FusedNodes
from export.options import ExportOptions
from export.parity import TOLERANCES
from export.proof_texts import PROOF_TEXTS
from scorer.errors import ModelError, OutputExistsError
from scorer.model.bundle import ModelBundle
from scorer.model.model_folder import VARIANT_FILES
from scorer.model.preprocessing import Preprocessing, save_preprocessing
from scorer.model.scoring import Scorer
from tests.conftest import tiny_tokenizer
from tests.helpers.exports import exit_code, state_of

TEXTS = ["Good.", "A warm, funny film <br /> and a dull second half", "terrible, awful, boring! " * 30, "Five stars"]


def torch_logits(checkpoint: Path, texts: list[str]) -> npt.NDArray[np.float32]:
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    with torch.inference_mode():
        return np.asarray(model(**tokenizer(texts, padding=True, truncation=True, return_tensors="pt")).logits)


@pytest.mark.parametrize(("precision", "file"), [("fp32", "model"), ("fp16", "model_fp16"), ("int8", "model_int8")])
def test_what_transformers_gives(tiny_checkpoint: Path, tiny_bundle: Path, precision: str, file: str) -> None:
    session = onnxruntime.InferenceSession(tiny_bundle / f"{file}.onnx", providers=["CPUExecutionProvider"])
    types = {item.name: np.int32 if "int32" in item.type else np.int64 for item in session.get_inputs()}
    tokenizer = AutoTokenizer.from_pretrained(tiny_checkpoint)
    # The int8 graph has no mask, so each text has to run alone there.
    batches = [TEXTS] if "attention_mask" in types else [[text] for text in TEXTS]
    encoded = [tokenizer(batch, padding=True, truncation=True, return_tensors="np") for batch in batches]
    logits = np.concatenate(
        [
            session.run(["logits"], {name: batch[name].astype(kind) for name, kind in types.items()})[0]
            for batch in encoded
        ]
    )
    expected = torch_logits(tiny_checkpoint, TEXTS)
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() <= TOLERANCES[precision] * np.ptp(expected)


def test_a_bundle_holds_what_scoring_needs_and_nothing_else(tiny_bundle: Path) -> None:
    assert {path.name for path in tiny_bundle.iterdir()} == {
        "bundle.json",
        "config.json",
        "model.onnx",
        "model_fp16.onnx",
        "model_int8.onnx",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    bundle = ModelBundle.load(tiny_bundle)
    assert bundle.labels == ("negative", "positive")
    assert bundle.preprocessing == Preprocessing(max_length=512)
    assert set(bundle.checksums) == {path.name for path in tiny_bundle.iterdir()} - {"bundle.json"}
    for precision in bundle.variants:
        bundle.variant(precision)


def test_the_verdict_is_in_bundle_json(tiny_bundle: Path, tiny_checkpoint: Path) -> None:
    text = (tiny_bundle / "bundle.json").read_text(encoding="utf-8")
    assert str(tiny_checkpoint.parent) not in text
    export_part = json.loads(text)["export"]
    assert export_part["checkpoint"] == "checkpoint"
    assert set(export_part["variants"]) == {"fp32", "fp16", "int8"}
    for precision, verdict in export_part["variants"].items():
        parity = verdict["parity"]
        assert parity["texts"] == len(PROOF_TEXTS)
        assert parity["agreement"] >= 0.9
        assert ("padded" in parity) == (precision != "int8")
        assert verdict["size"] == (tiny_bundle / VARIANT_FILES[precision][0]).stat().st_size
        assert parity["reviews_per_second"] > 0
        buckets = parity["tokens"]
        assert list(buckets) == ["1-32", "33-128", "129-256", "257-512"]
        assert sum(bucket["texts"] for bucket in buckets.values()) == len(PROOF_TEXTS)
        for bucket in buckets.values():
            assert bucket["texts"] >= 5
            assert 0 < bucket["mean_probability"] <= bucket["max_probability"] < 0.1
            assert bucket["agreement"] >= 0.8
        for way in {"alone", "padded"} & parity.keys():
            assert 0 < parity[way]["mean_logit"] <= parity[way]["max_logit"] <= parity["tolerance"]
        if precision != "fp32":
            assert verdict["fused"] == {"attention": 2, "gelu": 2, "layer_norm": 5}
    fp16 = export_part["variants"]["fp16"]["parity"]
    assert fp16["provider"] != "CPUExecutionProvider" or fp16["float16_arithmetic"]["max_logit"] > 0


def test_int8_holds_the_embeddings_as_bytes_and_fp16_keeps_its_logits_wide(tiny_bundle: Path) -> None:
    int8 = onnx.load(tiny_bundle / "model_int8.onnx")
    tables = {tensor.name: tensor for tensor in int8.graph.initializer if len(tensor.dims) == 2}
    gathered = [
        tables[node.input[0]] for node in int8.graph.node if node.op_type == "Gather" and node.input[0] in tables
    ]
    assert sorted(table.dims[0] for table in gathered) == sorted([512, tiny_tokenizer().get_vocab_size()])
    assert {table.data_type for table in gathered} <= {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    fp16 = onnx.load(tiny_bundle / "model_fp16.onnx")
    assert [item.type.tensor_type.elem_type for item in fp16.graph.output] == [onnx.TensorProto.FLOAT]
    masks = [a.f for node in fp16.graph.node for a in node.attribute if a.name == "mask_filter_value"]
    assert masks
    assert np.isfinite(np.float16(masks)).all()


def test_three_labels_are_scored_as_transformers_scores_them(
    three_label_checkpoint: Path, three_label_bundle: Path
) -> None:
    names = ("negative", "neutral", "positive")
    expected = [names[label] for label in torch_logits(three_label_checkpoint, TEXTS).argmax(axis=1)]
    scored = Scorer.load(three_label_bundle, precision="fp32", threads=1).score(TEXTS)
    assert scored.column("pred_label").to_pylist() == expected


def tiny_model(family: str, n_labels: int) -> PreTrainedModel:
    size: dict[str, Any] = {
        "vocab_size": tiny_tokenizer().get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 130,
        "initializer_range": 0.2,
        "pad_token_id": 0,
        "num_labels": n_labels,
    }
    torch.manual_seed(3)
    if family == "bert":
        return BertForSequenceClassification(BertConfig(**size))
    if family == "roberta":
        return RobertaForSequenceClassification(RobertaConfig(**size))
    if family == "electra":
        return ElectraForSequenceClassification(ElectraConfig(**size, embedding_size=16))
    if family == "modernbert":
        special = {"bos_token_id": 2, "cls_token_id": 2, "eos_token_id": 3, "sep_token_id": 3}
        return ModernBertForSequenceClassification(ModernBertConfig(**size, **special, local_attention=16))
    config = DistilBertConfig(
        vocab_size=size["vocab_size"],
        dim=32,
        hidden_dim=64,
        n_layers=1,
        n_heads=2,
        activation="relu",
        num_labels=n_labels,
        initializer_range=0.2,
    )
    return DistilBertForSequenceClassification(config)


@pytest.mark.parametrize(
    ("family", "n_labels", "fused"),
    [
        ("bert", 5, FusedNodes(attention=2, gelu=2, layer_norm=5)),
        ("roberta", 3, FusedNodes(attention=2, gelu=2, layer_norm=5)),
        ("electra", 2, FusedNodes(attention=2, gelu=3, layer_norm=5)),
        # onnxruntime has no fused node for its attention.
        ("modernbert", 2, FusedNodes(attention=0, gelu=3, layer_norm=6)),
        ("distilbert with relu and one layer", 1, FusedNodes(attention=1, gelu=0, layer_norm=3)),
    ],
)
def test_other_encoders_export_with_fusions_of_their_own_and_score(
    family: str, n_labels: int, fused: FusedNodes, tmp_path: Path
) -> None:
    model = tiny_model(family, n_labels).eval()
    model.save_pretrained(tmp_path / "checkpoint")
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer()).save_pretrained(tmp_path / "checkpoint")
    report = export_model(ExportOptions(str(tmp_path / "checkpoint"), tmp_path / "bundle", threads=1))
    assert [(variant.precision, variant.fused, variant.kept) for variant in report.variants] == [
        ("fp32", None, False),
        ("fp16", fused, True),
        ("int8", fused, True),
    ]
    bundle = ModelBundle.load(tmp_path / "bundle")
    assert set(bundle.variants) == {"fp16", "int8"}
    # RoBERTa counts positions from behind the padding id.
    lengths = {"bert": 130, "roberta": 128, "electra": 130, "modernbert": 130}
    assert bundle.preprocessing.max_length == lengths.get(family, 512)
    scored = Scorer.load(tmp_path / "bundle", precision="fp16", device="cpu", threads=1).score(TEXTS[:2])
    for row, text in enumerate(TEXTS[:2]):
        ids = torch.tensor([tiny_tokenizer().encode(text).ids])
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        expected = (torch.sigmoid(logits) if n_labels == 1 else torch.softmax(logits, 0)).tolist()
        found = [scored.column(f"pred_prob_LABEL_{label}")[row].as_py() for label in range(n_labels)]
        assert found == pytest.approx(expected, abs=5e-3)


def test_an_encoder_without_a_head_is_refused(tiny_bert_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a finished classifier: it has no weights for classifier\.bias"):
        export_model(ExportOptions(str(tiny_bert_checkpoint), tmp_path / "bundle"))
    assert not any(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_loaded_is_exit_4(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bundle"
    assert exit_code(tmp_path / "nowhere", "-o", out) == 4
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'nowhere'}: no such checkpoint folder; pass a folder that train-model wrote\n"
    )
    assert exit_code(tiny_checkpoint / "config.json", "-o", out) == 4
    assert "is a file, not a checkpoint folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert exit_code(tmp_path / "empty", "-o", out) == 4
    assert "has no config.json" in capsys.readouterr().err

    for name, damage in {
        "cut": lambda folder: (folder / "model.safetensors").write_bytes(b"\x10" * 100),
        "pickled": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "wordless": lambda folder: [(folder / file).unlink() for file in ("tokenizer.json", "vocab.txt")],
        "foreign": lambda folder: (folder / "config.json").write_text('{"model_type": "gpt2"}'),
        "scrambled": lambda folder: (folder / "config.json").write_text("{"),
    }.items():
        broken = shutil.copytree(tiny_checkpoint, tmp_path / name)
        damage(broken)
        assert exit_code(broken, "-o", out) == 4, name
        error = capsys.readouterr().err
        assert error.startswith(f"error: {broken}"), name
        assert error.count("\n") == 1, name
    assert not out.exists()


def test_a_longer_preprocessing_than_positions_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    save_preprocessing(Preprocessing(max_length=600), checkpoint)
    with pytest.raises(ModelError, match=r"reads 600 tokens by its preprocessing\.json and has 512 positions"):
        export_model(ExportOptions(str(checkpoint), tmp_path / "bundle"))


def test_preprocessing_and_training_travel_with_the_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint")
    preprocessing = Preprocessing(max_length=64, long_text="head-tail", stride=16, clean=("html-breaks",))
    save_preprocessing(preprocessing, checkpoint)
    start = {"name": "first", "base_model": "some-encoder"}
    history = {"best_epoch": 2.0, "start": start, "settings": {"train": [str(tmp_path / "train.csv"), "imdb"]}}
    (checkpoint / "history.json").write_text(json.dumps(history))
    options = ExportOptions(str(checkpoint), tmp_path / "bundle", precisions=("int8",), license="MIT", threads=1)
    report = export_model(options)
    bundle = ModelBundle.load(tmp_path / "bundle")
    assert bundle.preprocessing == preprocessing
    assert bundle.description["base_model"] == {"name": "some-encoder", "license": "MIT"}
    assert bundle.description["training"] == {
        "best_epoch": 2.0,
        "start": start,
        "settings": {"train": ["train.csv", "imdb"]},
    }
    assert str(tmp_path) not in (tmp_path / "bundle" / "bundle.json").read_text()
    assert report.size == sum(path.stat().st_size for path in (tmp_path / "bundle").iterdir())
    assert set(tmp_path.iterdir()) == {checkpoint, tmp_path / "bundle"}


def test_what_stands_at_the_output_is_left_alone(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "notes"
    out.mkdir()
    (out / "diary.txt").write_text("dear diary")
    before = state_of(tmp_path)
    assert exit_code(tiny_checkpoint, "-o", out) == 2
    assert capsys.readouterr().err == f"error: {out}: already exists; pass --overwrite to replace it\n"
    assert exit_code(tiny_checkpoint, "-o", out, "--overwrite") == 2
    assert capsys.readouterr().err == (
        f"error: {out}: is not a bundle (no bundle.json), so it was not replaced; choose another name\n"
    )
    assert exit_code(tiny_checkpoint, "-o", tmp_path / "no" / "bundle") == 5
    assert state_of(tmp_path) == before


def test_overwrite_replaces_a_bundle(three_label_bundle: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    out = shutil.copytree(three_label_bundle, tmp_path / "bundle")
    with pytest.raises(OutputExistsError):
        export_model(ExportOptions(str(tiny_checkpoint), out))
    export_model(ExportOptions(str(tiny_checkpoint), out, precisions=("int8",), overwrite=True, threads=1))
    assert set(ModelBundle.load(out).variants) == {"int8"}
    assert ModelBundle.load(out).labels == ("negative", "positive")
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "fp8"], "unknown precision 'fp8'; choose among fp32, fp16, int8"),
        (["--precision", ","], "no precision to export; choose among fp32, fp16, int8"),
        (["--precision", "int8,int8"], "precision int8 is named twice"),
        (["--max-drop", "5"], "--max-drop 5 must be between 0 and 1; pass a number from 0 to 1"),
        (["--text-column", "review"], "--text-column needs --eval; it names a column of the labelled file"),
        (["--opset", "13"], "--opset 13 is not supported; pass 14 to 20, or leave it out"),
        (["--opset", "99"], "--opset 99 is not supported; pass 14 to 20, or leave it out"),
    ],
)
def test_usage_errors(
    arguments: list[str],
    message: str,
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(tiny_checkpoint, "-o", tmp_path / "bundle", "-q", *arguments) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not any(tmp_path.iterdir())


def test_the_command_end_to_end(tiny_checkpoint: Path, tmp_path: Path) -> None:
    script = "import sys; from export.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny_checkpoint), "-o", "bundle", "--precision", "int8"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "EXPORT_MODEL_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["variant", "(fp32)", "int8", "labels"]
    assert lines[3] == "labels and logits compared with PyTorch's on 67 texts of all lengths"
    assert max(map(len, lines)) <= 80
    assert lines[5].split() == [
        "variant", "tokens", "texts", "agreement", "max", "difference", "mean", "difference",
    ]  # fmt: skip
    assert [line.split()[:2] for line in lines[6:14]] == [
        [name, bucket] for name in ("(fp32)", "int8") for bucket in ("1-32", "33-128", "129-256", "257-512")
    ]
    assert lines[-1] == "fused: int8 2 Attention, 2 Gelu, 5 LayerNormalization"
    size = sum(path.stat().st_size for path in (tmp_path / "bundle").iterdir()) / 1e6
    assert done.stderr.splitlines() == [
        "exporting checkpoint to ONNX",
        "converting to int8",
        "comparing fp32, int8 with PyTorch on 67 texts: 268 runs",
        f"wrote bundle ({size:.1f} MB)",
        "next: score REVIEWS.csv -o preds.csv --model bundle",
    ]
    scored = Scorer.load(tmp_path / "bundle", threads=1).score(["Good.", None])
    assert scored.column("pred_status").to_pylist() == ["ok", "empty"]

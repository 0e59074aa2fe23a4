"""Checkpoints of `train-model` and bundles of `export-model` in the loaders of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline

from export.exporting import export_model
from export.options import ExportOptions
from scorer.model.bundle import ModelBundle
from scorer.model.scoring import Scorer
from tests.helpers.trainings import train_tiny

# The second is longer than any model here reads.
TEXTS = ["a great loved film", "dull and bad, " * 300, "Five stars"]

FILES = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}


@pytest.fixture(scope="module", params=["rearranged", "own layout"])
def checkpoint(
    request: pytest.FixtureRequest,
    tiny_bert_checkpoint: Path,
    labelled_texts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A checkpoint that began from BERT's layout, whose tokenizer gives ``token_type_ids``."""
    more = {"keep_layout": True} if request.param == "own layout" else {}
    return train_tiny(tiny_bert_checkpoint, labelled_texts, tmp_path_factory.mktemp("trained") / "checkpoint", **more)


@pytest.fixture(scope="module")
def bundle(checkpoint: Path) -> Path:
    folder = checkpoint.with_name("bundle")
    export_model(ExportOptions(str(checkpoint), folder, precisions=tuple(FILES), threads=1))
    return folder


def of_score(bundle: Path, precision: str) -> np.ndarray[Any, Any]:
    """The difference of both logits of each text, by `score`, as the model gives them: without the temperature."""
    scored = Scorer.load(bundle, precision=precision, device="cpu", threads=1).score(TEXTS)
    first, second = (np.asarray(scored.column(f"pred_prob_LABEL_{label}"), np.float64) for label in (0, 1))
    return np.log(second / first) * ModelBundle.load(bundle).temperature


def of_pipeline(found: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    second = np.array([one["score"] if one["label"] == "LABEL_1" else 1 - one["score"] for one in found])
    return np.log(second / (1 - second))


def test_a_checkpoint_in_a_pipeline_of_transformers(checkpoint: Path, bundle: Path) -> None:
    found = pipeline("text-classification", model=str(checkpoint), device="cpu")(TEXTS, truncation=True, batch_size=3)
    assert of_pipeline(found) == pytest.approx(of_score(bundle, "fp32"), abs=1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2), ("int8", 1e-4)])
def test_each_file_of_a_bundle_in_optimum(bundle: Path, precision: str, tolerance: float) -> None:
    model = ORTModelForSequenceClassification.from_pretrained(bundle, file_name=FILES[precision])
    runs = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(bundle), device="cpu")
    # The int8 file has no mask for padding: it takes texts one by one, as `score` does.
    found = runs(TEXTS, truncation=True, batch_size=1 if precision == "int8" else 3)
    assert of_pipeline(found) == pytest.approx(of_score(bundle, precision), abs=tolerance)


def test_a_checkpoint_is_exported_by_optimum_as_it_stands(checkpoint: Path, bundle: Path) -> None:
    model = ORTModelForSequenceClassification.from_pretrained(checkpoint, export=True)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    logits = model(**tokenizer(TEXTS, truncation=True, padding=True, return_tensors="np")).logits
    assert logits[:, 1] - logits[:, 0] == pytest.approx(of_score(bundle, "fp32"), abs=1e-4)


def test_a_checkpoint_in_the_cross_encoder_of_sentence_transformers(checkpoint: Path, bundle: Path) -> None:
    model = pytest.importorskip("sentence_transformers").CrossEncoder(str(checkpoint), device="cpu")
    logits = np.array([model.predict(text) for text in TEXTS])  # of a list of texts it makes one pair
    assert logits[:, 1] - logits[:, 0] == pytest.approx(of_score(bundle, "fp32"), abs=1e-4)
    pairs = model.predict([(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[0])])
    inputs = [{"text": TEXTS[0], "text_pair": TEXTS[1]}, {"text": TEXTS[2], "text_pair": TEXTS[0]}]
    of_transformers = pipeline("text-classification", model=str(checkpoint), device="cpu")(inputs, truncation=True)
    assert pairs[:, 1] - pairs[:, 0] == pytest.approx(of_pipeline(of_transformers), abs=1e-4)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 1e-2), ("int8", 1e-4)])
def test_each_file_of_a_bundle_in_the_cross_encoder(bundle: Path, precision: str, tolerance: float) -> None:
    cross_encoder = pytest.importorskip("sentence_transformers").CrossEncoder
    settings = {"file_name": FILES[precision], "provider": "CPUExecutionProvider"}
    model = cross_encoder(str(bundle), backend="onnx", device="cpu", model_kwargs=settings)
    logits = np.array([model.predict(text) for text in TEXTS])
    assert logits[:, 1] - logits[:, 0] == pytest.approx(of_score(bundle, precision), abs=tolerance)

"""The usual alternatives to scoring with this package: pipelines of transformers and of Optimum, and their models."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch
from optimum.onnxruntime import AutoQuantizationConfig, ORTModelForSequenceClassification, ORTQuantizer
from tokenizers import Tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    DistilBertTokenizerFast,
    pipeline,
)

from export.library_noise import quiet_libraries
from export.onnx_export import export_fp32
from export.variants import build_variant
from scorer.model.bundle_writer import write_description
from scorer.model.model_folder import DEFAULT_MODEL

WIDTHS = {"tiny": (32, 2, 1), "384": (384, 12, 6), "base": (768, 12, 6)}
"""Width, heads and layers of the random-weight models."""

DEFAULT_PIPELINE = "transformers pipeline, fp32, batch 1"

_INT8_FILE = "model_quantized.onnx"

Classify = Callable[[list[str]], object]


def random_model(size: str, folder: Path) -> Path:
    """A random-weight DistilBERT of ``size`` in ``folder``: ``checkpoint``, ``bundle`` and Optimum's ``optimum``.

    A complete one is used again. Returns ``folder``.
    """
    if (folder / "optimum" / _INT8_FILE).exists():
        return folder
    click.echo(f"making a random-weight model of size {size}", err=True)
    shutil.rmtree(folder, ignore_errors=True)  # an earlier attempt that was stopped
    width, heads, layers = WIDTHS[size]
    checkpoint, bundle, work = folder / "checkpoint", folder / "bundle", folder / "work"
    for path in (checkpoint, bundle, work):
        path.mkdir(parents=True)
    torch.manual_seed(0)
    config = DistilBertConfig(dim=width, hidden_dim=4 * width, n_heads=heads, n_layers=layers)
    model = DistilBertForSequenceClassification(config).eval()
    words = Tokenizer.from_file(str(DEFAULT_MODEL / "tokenizer.json"))
    tokenizer = DistilBertTokenizerFast(tokenizer_object=words, model_max_length=512)
    model.save_pretrained(checkpoint)
    tokenizer.save_pretrained(checkpoint)
    fp32 = export_fp32(model, bundle, work, None)
    tokenizer.save_pretrained(bundle)
    optimum = Path(shutil.copytree(bundle, folder / "optimum"))
    build_variant("int8", fp32, model.config, work, bundle)
    write_description(bundle, {"export": {"checkpoint": "random weights"}})
    shutil.rmtree(work)
    with quiet_libraries():
        quantizer = ORTQuantizer.from_pretrained(optimum)
        settings = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False)
        quantizer.quantize(save_dir=optimum, quantization_config=settings)
    return folder


def pipelines(folder: Path) -> Iterator[tuple[str, Classify]]:
    """Pipelines at batch 1 and 32 over the models that :func:`random_model` wrote into ``folder``."""
    tokenizer = DistilBertTokenizerFast.from_pretrained(folder / "checkpoint")
    models: dict[str, Any] = {
        "transformers pipeline, fp32": AutoModelForSequenceClassification.from_pretrained(folder / "checkpoint").eval(),
        "Optimum ORT pipeline, fp32": _ort_model(folder, "model.onnx"),
        "Optimum ORT pipeline, int8": _ort_model(folder, _INT8_FILE),
    }
    for name, model in models.items():
        with quiet_libraries():
            classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
        for size in (1, 32):
            yield f"{name}, batch {size}", _classify(classifier, size)


def _ort_model(folder: Path, name: str) -> Any:
    with quiet_libraries():
        return ORTModelForSequenceClassification.from_pretrained(folder / "optimum", file_name=name)


def _classify(classifier: Any, batch_size: int) -> Classify:
    return lambda texts: classifier(texts, batch_size=batch_size, truncation=True, max_length=512)

"""PyTorch to a plain fp32 ONNX graph, through Optimum."""

from __future__ import annotations

from pathlib import Path

from optimum.exporters.onnx import onnx_export_from_model
from transformers import PreTrainedModel

from export.library_noise import quiet_libraries
from scorer.errors import ModelError
from scorer.safe_text import first_line

FP32_FILE = "model.onnx"
CONFIG_FILE = "config.json"


def export_fp32(model: PreTrainedModel, folder: Path, work: Path, opset: int | None) -> Path:
    """Write ``model.onnx``, inputs int64 ``(batch, sequence)``, logits float32 ``(batch, labels)``, and its config.

    They go into ``folder``; ``work`` takes what else Optimum writes.

    Optimum's own validation is left out: :mod:`export.parity` compares more texts, and strictly.

    Raises:
        ModelError: Optimum cannot export this architecture, or the graph is too large for one file.
    """
    try:
        with quiet_libraries():
            onnx_export_from_model(model, work, task="text-classification", opset=opset, do_validation=False)
    except Exception as error:  # Optimum and torch's exporter share no base class
        reason = first_line(error)
        raise ModelError(f"Optimum cannot export it to ONNX: {reason}", path=model.config.model_type) from error
    if any(path.name.startswith(FP32_FILE) and path.name != FP32_FILE for path in work.iterdir()):
        raise ModelError("is too large for one ONNX file of 2 GiB", path=model.config.model_type)
    for name in (FP32_FILE, CONFIG_FILE):
        (work / name).rename(folder / name)
    return folder / FP32_FILE

"""Bare sessions of onnxruntime on one thread of the CPU, as scoring runs its models there, and what feeds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort


def one_thread_options() -> ort.SessionOptions:
    """Options for one thread, without warnings."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return options


def model_session(model: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    """A session of a model of a bundle on the CPU, with the fusions that scoring uses."""
    disabled = ["SkipLayerNormFusion"]
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=disabled)


def feeds_of(session: ort.InferenceSession, ids: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[Any]]:
    """Inputs of ``session`` for one unpadded review with token ids ``(length,)``."""
    feeds = {}
    for item in session.get_inputs():
        values = ids if item.name == "input_ids" else np.full(len(ids), item.name == "attention_mask")
        feeds[item.name] = values[np.newaxis, :].astype(np.int32 if "int32" in item.type else np.int64)
    return feeds

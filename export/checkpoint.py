"""The PyTorch side: a fine-tuned classifier, its tokenizer, and the records of its training."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from export.families import family_of
from export.library_noise import quiet_libraries
from export.preflight import require_checkpoint
from scorer.errors import ModelError
from scorer.metrics.calibration import temperature_of
from scorer.model.json_files import read_object
from scorer.model.own_code import refuse_own_code
from scorer.model.preprocessing import Preprocessing, load_preprocessing
from scorer.safe_text import first_line

HISTORY_FILE = "history.json"
"""Written by ``train-model``: settings, versions and the table of epochs."""


@dataclass(frozen=True)
class Checkpoint:
    """A fine-tuned sequence classifier.

    Attributes:
        name: base name of its folder, or its Hub id.
        model: float32, on the CPU, in evaluation mode.
        tokenizer: a fast one.
        preprocessing: of texts in training; ``None`` if the checkpoint does not tell.
        training: the training's history, with base names for local paths; ``None`` without a history.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    preprocessing: Preprocessing | None
    training: dict[str, Any] | None

    @property
    def base_model(self) -> str | None:
        """The pretrained model at the beginning of the line of trainings, as far as the checkpoint tells."""
        return self._of_start("base_model")

    @property
    def license(self) -> str | None:
        """The licence of that model, as its README stated it at the time of the training."""
        return self._of_start("license")

    @property
    def temperature(self) -> float:
        """The temperature that the training fitted on its validation rows; 1 without one."""
        return temperature_of(self.training)

    def _of_start(self, key: str) -> str | None:
        start = (self.training or {}).get("start")
        value = start.get(key) if isinstance(start, dict) else None
        return value if isinstance(value, str) else None


def load_checkpoint(source: str) -> Checkpoint:
    """Load ``source``, a folder or a Hub id, from safetensors weights alone and without running its code.

    Raises:
        ModelError: it is missing or damaged, asks for code of its own, or lacks a classifier's head or a fast
            tokenizer.
    """
    require_checkpoint(source)
    refuse_own_code(source)
    model = _load_model(source)
    tokenizer = _load_tokenizer(source)
    folder = Path(source)
    local = folder.is_dir()
    return Checkpoint(
        name=folder.resolve().name if local else source,
        model=model,
        tokenizer=tokenizer,
        preprocessing=load_preprocessing(folder) if local else None,
        training=_load_training(folder) if local else None,
    )


def _load_model(source: str) -> PreTrainedModel:
    try:
        with quiet_libraries():
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            family = family_of(config, source)
            model, info = AutoModelForSequenceClassification.from_pretrained(
                source,
                torch_dtype=torch.float32,
                attn_implementation=family.attention,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except ModelError:
        raise
    except Exception as error:  # transformers, torch, safetensors and the Hub's client share no base class
        raise ModelError(
            f"cannot be loaded: {first_line(error).rstrip('.')}",
            path=source,
            hint="pass a folder with config.json, model.safetensors and tokenizer.json",
        ) from error
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"is not a finished classifier: it has no weights for {missing[0]}{more}",
            path=source,
            hint="fine-tune it with train-model first",
        )
    return model.eval()


def _load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
    except Exception as error:  # as above
        raise ModelError(f"its tokenizer cannot be loaded: {first_line(error).rstrip('.')}", path=source) from error
    if not isinstance(getattr(tokenizer, "backend_tokenizer", None), Tokenizer):
        raise ModelError("has no fast tokenizer", path=source, hint="save one with a tokenizer.json")
    return tokenizer


def _load_training(folder: Path) -> dict[str, Any] | None:
    value = read_object(folder / HISTORY_FILE)
    if value is None:
        return None
    value.pop("steps", None)  # hundreds of lines that only the training's report draws
    cleaned: dict[str, Any] = _without_local_paths(value)
    return cleaned


def _without_local_paths(value: Any) -> Any:
    """``value`` with base names in place of paths of this machine: a bundle is given to others."""
    if isinstance(value, dict):
        return {key: _without_local_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_local_paths(item) for item in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "./", "../", "\\")) or value[1:3] in (":\\", ":/")):
        return PurePath(value.replace("\\", os.sep)).name
    return value

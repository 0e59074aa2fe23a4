"""Trainings that are interrupted, and compared with those that were not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import Trainer

import train.training
from train.options import TrainOptions


def interrupt(monkeypatch: pytest.MonkeyPatch, *, before_step: int) -> None:
    """Raise Ctrl-C before a step of the next training, or before its publishing if it ends earlier."""
    plain_step = Trainer.training_step

    def step(self: Trainer, *arguments: object, **more: object) -> torch.Tensor:
        if self.state.global_step + 1 == before_step:
            raise KeyboardInterrupt
        return plain_step(self, *arguments, **more)

    def publish(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "training_step", step)
    monkeypatch.setattr(train.training, "_publish", publish)


def assert_same_training(whole: Path, resumed: Path) -> None:
    """Require equal weights and equal figures."""
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    histories = [json.loads((folder / "history.json").read_text()) for folder in (whole, resumed)]
    assert histories[0]["rows"] == histories[1]["rows"]
    assert histories[0]["best_epoch"] == histories[1]["best_epoch"]
    steps = [[(step["step"], step["loss"]) for step in history["steps"]] for history in histories]
    assert steps[0] == steps[1]


def train_tiny(model: Path, labelled: Path, output: Path, **more: object) -> Path:
    """Fine-tune ``model`` for one epoch; returns ``output``."""
    options = {"validation_split": 0.25, "epochs": 1.0, "batch_size": 8, "learning_rate": 1e-3, "bf16": False}
    train.training.train_model(
        TrainOptions(output=output, model=str(model), train=(str(labelled),), **(options | more))
    )
    return output

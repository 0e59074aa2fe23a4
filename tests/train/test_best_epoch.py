"""The epoch that is kept, and the place that a resumed training continues from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerState

from tests.conftest import Call
from tests.helpers.trainings import interrupt
from train.best_epoch import place_of_best
from train.callbacks import epochs_without_gain


@pytest.mark.parametrize(
    ("metric", "figures", "best"),
    [
        ("f1", [(0.9, 0.5), (0.9, 0.3), (0.9, 0.3), (0.8, 0.1)], 1),
        ("f1", [(0.7, 0.2), (0.9, 0.5)], 1),
        ("loss", [(0.7, 0.2), (0.9, 0.5), (0.9, 0.2)], 0),
    ],
)
def test_of_equal_epochs_the_one_with_the_lower_loss_is_the_best(
    metric: str, figures: list[tuple[float, float]], best: int
) -> None:
    evaluated = [{"eval_f1": f1, "eval_loss": loss} for f1, loss in figures]
    assert place_of_best(evaluated, metric) == best
    assert epochs_without_gain(TrainerState(log_history=evaluated), metric) == len(figures) - 1 - best


def test_of_epochs_with_equal_f1_the_weights_of_the_lower_loss_are_kept(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    for metric in ("f1", "loss"):
        code, _, err = call_train(
            "-o", tmp_path / metric, "--model", tiny_checkpoint, "--train", labelled_texts,
            "--validation-split", "0.25", "--epochs", "3", "--learning-rate", "1e-5", "--batch-size", "16",
            "--max-length", "16", "--no-bf16", "--threads", "1", "--metric", metric,
        )  # fmt: skip
        assert code == 0, err
    history = json.loads((tmp_path / "f1" / "history.json").read_text())
    assert len({row["f1"] for row in history["rows"]}) == 1  # or this test would prove nothing
    best = min(history["rows"], key=lambda row: row["validation_loss"])["epoch"]
    assert history["best_epoch"] == best > 1
    one, other = (load_file(tmp_path / metric / "model.safetensors") for metric in ("f1", "loss"))
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert history["settings"]["machine"]["threads"] == 1
    assert torch.get_num_threads() == threads


def test_a_resumed_training_says_where_it_goes_on(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (
        "-o", tmp_path / "model", "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25",
        "--epochs", "2", "--batch-size", "8", "--max-length", "16", "--no-bf16",
    )  # fmt: skip
    interrupt(monkeypatch, before_step=12)
    assert call_train(*line)[0] == 130
    monkeypatch.undo()
    code, _, err = call_train(*line, "--resume", "--threads", "1")
    assert code == 0, err
    assert "resuming behind epoch 1.00, step 9 of 18" in err

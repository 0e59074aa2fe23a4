"""Batches of tokens, batches made by other processes, mixed precision and the time left, as a CPU shows them."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig

import train.callbacks
import train.encoders
import train.trainer
from scorer.errors import UsageError
from tests.conftest import Call
from tests.helpers.trainings import assert_same_training, interrupt, train_tiny
from train.callbacks import LogProgress
from train.device import loading, mixed_precision
from train.encoders import attention_of
from train.epoch_order import TokenBatches
from train.history import History
from train.options import TrainOptions

LENGTHS = [5, 9, 16, 17, 3, 60, 33, 8, 8, 8, 40, 12, 12, 12, 7, 25]


def test_batches_hold_so_many_tokens_and_every_row_once() -> None:
    torch.manual_seed(1)
    batches = TokenBatches(LENGTHS, 64)
    epochs = [list(batches) for _ in range(3)]
    assert {len(epoch) for epoch in epochs} == {len(batches)}
    for epoch in epochs:
        assert sorted(row for batch in epoch for row in batch) == list(range(len(LENGTHS)))
        widths = [-(-max(LENGTHS[row] for row in batch) // 8) * 8 for batch in epoch]
        assert all(width * len(batch) <= 64 for width, batch in zip(widths, epoch, strict=True))
        assert widths[0] == max(widths)
    assert epochs[0] != epochs[1]
    assert sorted(map(len, TokenBatches([100, 4, 4], 64))) == [1, 2]


@pytest.mark.parametrize("stop", [4, 12])
def test_a_training_in_batches_of_tokens_resumes_to_the_same_weights(
    stop: int, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"batch_size": 4, "batch_tokens": 64, "epochs": 2.0, "save_steps": 3}
    whole = train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "whole", **recipe)
    assert "--batch-tokens 64" in History.load(whole).settings["command"]
    interrupt(monkeypatch, before_step=stop)
    with pytest.raises(KeyboardInterrupt):
        train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "halved", **recipe)
    monkeypatch.undo()
    resumed = train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "halved", **recipe, resume=True)
    assert_same_training(whole, resumed)


@pytest.mark.parametrize("more", [{}, {"batch_size": 4, "batch_tokens": 64}])
def test_batches_that_other_processes_make_are_the_same(
    more: dict[str, object],
    tiny_checkpoint: Path,
    labelled_texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = {"epochs": 2.0, "pretrain_on": (str(labelled_texts),), "pretrain_max_length": 16, **more}
    alone = train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "alone", **recipe)
    # All but the pinned memory, which needs CUDA.
    settings = {**loading(cuda=True), "dataloader_pin_memory": False}
    assert settings["dataloader_num_workers"] > 0
    monkeypatch.setattr(train.trainer, "loading", lambda **_: settings)
    assert_same_training(alone, train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "helped", **recipe))


@pytest.mark.parametrize(
    ("given", "cuda", "bfloat16", "expected"),
    [
        ({}, True, True, "bf16"),
        ({}, True, False, "fp16"),
        ({"fp16": True}, True, True, "fp16"),
        ({"bf16": False}, True, True, "fp16"),
        ({"fp16": False}, True, True, "bf16"),
        ({"fp16": False}, True, False, ""),
        ({"fp16": False, "bf16": False}, True, True, ""),
        ({"bf16": True}, True, False, "bf16"),
        ({}, False, True, "bf16"),
        ({}, False, False, ""),
        ({"bf16": False}, False, True, ""),
        ({"bf16": True}, False, False, "bf16"),
    ],
)
def test_mixed_precision(given: dict[str, bool], cuda: bool, bfloat16: bool, expected: str) -> None:
    chosen = mixed_precision(TrainOptions(output=Path("a"), **given), "bert", cuda=cuda, bfloat16=bfloat16)
    assert chosen == {"fp16": expected == "fp16", "bf16": expected == "bf16"}


def test_float16_needs_cuda() -> None:
    with pytest.raises(UsageError, match="--fp16 needs CUDA"):
        mixed_precision(TrainOptions(output=Path("a"), fp16=True), "bert", cuda=False, bfloat16=True)


@pytest.mark.parametrize("given", [{"bf16": True}, {"fp16": True}])
def test_an_encoder_of_float32_alone_refuses_narrower_floats(given: dict[str, bool]) -> None:
    assert mixed_precision(TrainOptions(output=Path("a")), "deberta", cuda=True, bfloat16=True) == {
        "fp16": False,
        "bf16": False,
    }
    with pytest.raises(UsageError, match=f"--{next(iter(given))} cannot be used with a deberta encoder"):
        mixed_precision(TrainOptions(output=Path("a"), **given), "deberta", cuda=True, bfloat16=True)


def test_a_training_does_not_take_the_precision_of_the_one_before(
    tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    alone = train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "alone")
    train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "bfloat16", bf16=True)
    assert_same_training(alone, train_tiny(tiny_checkpoint, labelled_texts, tmp_path / "after"))


def test_attention_on_cuda_is_fused_where_transformers_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("distilbert", "roberta", "modernbert", "electra", "deberta-v2")
    assert {attention_of(AutoConfig.for_model(kind)) for kind in kinds} == {"eager"}
    monkeypatch.setattr(train.encoders.torch.cuda, "is_available", lambda: True)
    found = [attention_of(AutoConfig.for_model(kind)) for kind in kinds]
    assert found == ["sdpa", "sdpa", "sdpa", "eager", "eager"]


def test_the_time_that_is_left_comes_from_the_steps_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    monkeypatch.setattr(train.callbacks.time, "monotonic", lambda: now)
    callback = LogProgress()
    state = SimpleNamespace(global_step=0, max_steps=130, num_input_tokens_seen=0, log_history=[{}])
    callback.on_train_begin(None, state, None)
    now = 500.0  # the first step waits for the libraries
    for step in range(1, 11):
        now += 60.0
        state.global_step = step
        callback.on_step_end(None, state, None)
        if step == 5:
            now += 3000.0
            callback.on_evaluate(None, state, None)
    with caplog.at_level(logging.INFO, logger="train.callbacks"):
        callback.on_log(None, state, None, logs={"loss": 0.5, "epoch": 1.0})
    assert caplog.messages == ["step 10 of 130, epoch 1.00, loss 0.5000, 120 min left"]


def test_rows_and_tokens_of_a_batch_exclude_one_another(call_train: Call, tmp_path: Path) -> None:
    code, _, err = call_train("-o", tmp_path / "a", "--train", "a.csv", "--batch-size", "8", "--batch-tokens", "99")
    assert (code, err) == (2, "error: --batch-size and --batch-tokens cannot be combined; pass one of them\n")

"""Adaptation by masked words: what it computes, what it learns, and that it can be stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import DistilBertForMaskedLM, Trainer

from tests.conftest import WORDS, Call
from train.pretraining import MaskedWords, _copy_head


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts in which every word is followed by the one after it: a masked word can be told from its neighbours."""
    draw = random.Random(2)
    words = " ".join(WORDS).split()
    starts = [draw.randrange(len(words)) for _ in range(150)]
    texts = [" ".join(words[(start + place) % len(words)] for place in range(10)) for start in starts]
    path = tmp_path_factory.mktemp("unlabelled") / "texts.parquet"
    pq.write_table(pa.table({"review": [*texts, None, " "]}), path)
    return path


def test_the_loss_is_that_of_transformers(tiny_checkpoint: Path, tmp_path: Path) -> None:
    torch.manual_seed(4)
    reference = DistilBertForMaskedLM.from_pretrained(tiny_checkpoint).eval()
    with torch.no_grad():
        reference.vocab_projector.bias.normal_()
    reference.save_pretrained(tmp_path)
    masked = MaskedWords(reference.distilbert).eval()
    _copy_head(masked, str(tmp_path))
    ids = torch.randint(5, 50, (4, 16))
    labels = torch.where(torch.rand(4, 16) < 0.3, torch.randint(5, 50, (4, 16)), -100)
    mask = torch.ones_like(ids)
    with torch.no_grad():
        expected = reference(input_ids=ids, attention_mask=mask, labels=labels).loss
        got = masked(ids, mask, labels)["loss"]
        nothing = masked(ids, mask, torch.full_like(labels, -100))["loss"]
    assert torch.allclose(got, expected, atol=1e-5)
    assert nothing == 0


def recipe(checkpoint: Path, labelled: Path, unlabelled: Path) -> tuple[object, ...]:
    return (
        "--model", checkpoint, "--train", labelled, "--validation-split", "0.25", "--epochs", "1", "--batch-size", "8",
        "--max-length", "16", "--no-bf16", "--save-steps", "4", "--pretrain-on", unlabelled, "--pretrain-epochs", "2",
        "--pretrain-batch-size", "16", "--pretrain-max-length", "8", "--pretrain-learning-rate", "0.01",
    )  # fmt: skip


def test_a_stopped_adaptation_ends_with_the_same_weights(
    call_train: Call,
    tiny_bert_checkpoint: Path,
    labelled_texts: Path,
    unlabelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = recipe(tiny_bert_checkpoint, labelled_texts, unlabelled)
    code, _, err = call_train("-o", tmp_path / "whole", *options)
    assert code == 0, err
    result = json.loads((tmp_path / "whole" / "history.json").read_text())["data"]["pretraining_result"]
    # Two blocks of each text at least: all of it is read. How many depends on the tokenizer of this test session.
    assert result["texts"] >= 300
    assert result["loss"] < 3.5

    plain_step = Trainer.training_step

    def stops(adapting: bool, at: int) -> Callable[..., torch.Tensor]:
        steps = 0

        def step(self: Trainer, model: torch.nn.Module, *arguments: object, **more: object) -> torch.Tensor:
            nonlocal steps
            steps += isinstance(model, MaskedWords) is adapting
            if steps == at:
                raise KeyboardInterrupt
            return plain_step(self, model, *arguments, **more)

        return step

    # In both epochs of the adaptation and within the fine-tuning, each time between two checkpoints.
    again: tuple[str, ...] = ()
    for adapting, at in ((True, 15), (True, 7), (True, 15), (False, 7)):
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "training_step", stops(adapting, at))
            assert call_train("-o", tmp_path / "halved", *options, *again)[0] == 130
        again = ("--resume",)
    code, _, err = call_train("-o", tmp_path / "halved", *options, "--resume")
    assert code == 0, err
    assert "adapting" not in err
    whole, halved = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "halved"))
    assert all(torch.equal(whole[name], halved[name]) for name in whole)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "halved"}


def test_an_adaptation_for_a_part_of_an_epoch_is_not_exceeded(
    call_train: Call,
    tiny_checkpoint: Path,
    labelled_texts: Path,
    unlabelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ("-o", tmp_path / "o", *recipe(tiny_checkpoint, labelled_texts, unlabelled), "--pretrain-epochs", "0.5")

    def save(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("train.pretraining.save_file", save)
        assert call_train(*options)[0] == 130
    steps = max(int(folder.name.split("-")[1]) for folder in (tmp_path / "o.training").glob("pretraining/checkpoint-*"))
    code, _, err = call_train(*options, "--resume")
    assert code == 0, err
    result = json.loads((tmp_path / "o" / "history.json").read_text())["data"]["pretraining_result"]
    assert result["steps"] == steps


def test_more_tokens_than_positions(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, unlabelled: Path, tmp_path: Path
) -> None:
    options = recipe(tiny_checkpoint, labelled_texts, unlabelled)
    code, _, err = call_train("-o", tmp_path / "o", *options, "--pretrain-max-length", "513")
    assert (code, err.splitlines()[-1]) == (
        2, "error: --pretrain-max-length 513 is more than the model's 512 positions"
    )  # fmt: skip


def test_texts_that_cannot_be_adapted_to(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"text": pa.array([None, " "], pa.string())}), tmp_path / "empty.parquet")
    code, _, err = call_train(
        "-o", tmp_path / "o", *recipe(tiny_checkpoint, labelled_texts, tmp_path / "empty.parquet")
    )
    assert code == 3
    assert "empty.parquet: holds no text to adapt to" in err

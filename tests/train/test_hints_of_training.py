"""Each hint of a training is followed as it stands, by a training that then succeeds."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.conftest import Call

SHORT = "--validation-split 0.25 --batch-size 32 --epochs 1 --max-length 16 --threads 1"
PLAIN = f"-o m --model checkpoint --train many.parquet {SHORT} --no-bf16"
NAMED = f"{PLAIN} --label-names negative,positive"


@dataclass(frozen=True)
class Case:
    """A command line that fails with a hint, and one that does what the hint says."""

    hint: str
    fails: str
    follows: str


CASES = [
    Case("drop --resume", f"{PLAIN} --resume", PLAIN),
    Case("drop it, or pass --bf16", f"{PLAIN} --fp16", f"{PLAIN} --bf16"),
    Case("lower --learning-rate or pass --no-fp16", f"{PLAIN} --learning-rate 1e30", f"{PLAIN} --learning-rate 1e-4"),
    Case(
        "lower --min-f1, or add labelled rows",
        "--baseline --train odd.parquet --validation-split 0.25 --min-f1 1",
        "--baseline --train odd.parquet --validation-split 0.25 --min-f1 0",
    ),
    Case("pass --teacher FILE", f"{NAMED} --teacher-weight 2", f"{NAMED} --teacher-weight 2 --teacher preds.parquet"),
    Case(
        "score with a model of the same labels, or name them with --label-names",
        f"{PLAIN} --teacher preds.parquet",
        f"{NAMED} --teacher preds.parquet",
    ),
    Case(
        "name the training's with --label-names",
        f"{PLAIN} --teacher checkpoint",
        f"{NAMED} --teacher checkpoint",
    ),
    Case(
        "pass --keep-layout to leave it as it is",
        f"{PLAIN} --model bert",
        f"{PLAIN} --model bert --keep-layout",
    ),
    Case(
        "leave --pretrain-on out", f"{PLAIN} --model maskless --pretrain-on many.parquet", f"{PLAIN} --model maskless"
    ),
]
"""The hints of :mod:`train` that name an option and take a training; the others are where they are tested."""


@pytest.fixture
def folder(
    tiny_checkpoint: Path,
    tiny_bert_checkpoint: Path,
    labelled_texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("checkpoint").symlink_to(tiny_checkpoint)
    shutil.copy(labelled_texts, "many.parquet")
    pq.write_table(pa.table({"text": ["the same film"] * 40, "label": [0, 1] * 20}), "odd.parquet")
    predicted = {"text": ["new one", "new two"], "pred_prob_negative": [0.1, 0.9], "pred_prob_positive": [0.9, 0.1]}
    pq.write_table(pa.table(predicted), "preds.parquet")
    change(shutil.copytree(tiny_bert_checkpoint, tmp_path / "bert") / "config.json", hidden_act="gelu_new")
    change(shutil.copytree(tiny_checkpoint, tmp_path / "maskless") / "tokenizer_config.json", mask_token=None)
    return tmp_path


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.hint)
def test_a_hint_works_as_it_stands(case: Case, folder: Path, call_train: Call) -> None:
    if "--fp16" in case.fails and torch.cuda.is_available():
        pytest.skip("CUDA is here, so --fp16 is no mistake")
    code, _, err = call_train(*case.fails.split())
    assert code in (2, 3, 4, 8), err
    assert err.splitlines()[-1].endswith(f"; {case.hint}"), err
    code, _, err = call_train(*case.follows.split())
    assert code == 0, err

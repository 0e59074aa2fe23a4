"""Each hint of a training is followed as it stands, by a training that then succeeds."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.run.score_file import score_file
from tests.conftest import Call

SHORT = "--validation-split 0.25 --batch-size 32 --epochs 1 --max-length 16 --threads 1"
RECIPE = f"--model checkpoint --train many.parquet {SHORT} --no-bf16"
PLAIN = f"-o m {RECIPE}"
BASELINE = "--baseline --train odd.parquet --validation-split 0.25"
NAMED = f"{PLAIN} --label-names negative,positive"


@dataclass(frozen=True)
class Case:
    """A command line that fails with a hint, and those that do what the hint says, each in one of its ways."""

    hint: str
    fails: str
    follows: tuple[str, ...]


CASES = [
    Case(
        f"type: train-model {RECIPE} -o my-model",
        RECIPE,
        (f"{RECIPE} -o my-model",),
    ),
    Case("drop --resume", f"{PLAIN} --resume", (PLAIN,)),
    Case("drop it, or pass --bf16", f"{PLAIN} --fp16", (PLAIN, f"{PLAIN} --bf16")),
    Case("lower --learning-rate", f"{PLAIN} --learning-rate 1e30", (f"{PLAIN} --learning-rate 1e-4",)),
    Case(
        "lower --min-f1, or add labelled rows",
        f"{BASELINE} --min-f1 0.8",
        (f"{BASELINE} --min-f1 0", f"{BASELINE} --train many.parquet --min-f1 0.8"),
    ),
    Case(
        "pass --teacher FILE",
        f"{NAMED} --teacher-weight 2",
        (f"{NAMED} --teacher-weight 2 --teacher preds.parquet",),
    ),
    Case(
        "score with a model of the same labels, or name them with --label-names",
        f"{PLAIN} --teacher preds.parquet",
        (f"{NAMED} --teacher preds.parquet",),
    ),
    Case(
        "score with a model of the same labels, or name them with --label-names",
        f"{NAMED} --teacher other.parquet",
        (f"{NAMED} --teacher scored.parquet",),
    ),
    Case("name the training's with --label-names", f"{PLAIN} --teacher checkpoint", (f"{NAMED} --teacher checkpoint",)),
    Case(
        "pass --keep-layout to leave it as it is",
        f"{PLAIN} --model bert",
        (f"{PLAIN} --model bert --keep-layout",),
    ),
    Case(
        "leave --pretrain-on out",
        f"{PLAIN} --model maskless --pretrain-on many.parquet",
        (f"{PLAIN} --model maskless",),
    ),
    Case(
        "pass --model FOLDER with config.json, tokenizer.json and weights",
        f"{PLAIN} --model damaged",
        (f"{PLAIN} --model checkpoint",),
    ),
]
"""The hints of :mod:`train` that name an option and take a training; the others are where they are tested."""


@pytest.fixture
def folder(
    tiny_checkpoint: Path,
    tiny_bundle: Path,
    tiny_bert_checkpoint: Path,
    labelled_texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("checkpoint").symlink_to(tiny_checkpoint)
    shutil.copy(labelled_texts, "many.parquet")
    pq.write_table(pa.table({"text": ["the same film"] * 8, "label": [0, 1] * 4, "film": range(8)}), "odd.parquet")
    predicted = {"text": ["new one", "new two"], "pred_prob_negative": [0.1, 0.9], "pred_prob_positive": [0.9, 0.1]}
    pq.write_table(pa.table(predicted), "preds.parquet")
    pq.write_table(pa.table(predicted).rename_columns(["text", "pred_prob_bad", "pred_prob_good"]), "other.parquet")
    score_file("many.parquet", "scored.parquet", model=str(tiny_bundle), threads=1)
    (shutil.copytree(tiny_checkpoint, tmp_path / "damaged") / "model.safetensors").write_bytes(b"nonsense")
    change(shutil.copytree(tiny_bert_checkpoint, tmp_path / "bert") / "config.json", hidden_act="gelu_new")
    change(shutil.copytree(tiny_checkpoint, tmp_path / "maskless") / "tokenizer_config.json", mask_token=None)
    return tmp_path


def change(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.hint)
def test_a_hint_works_as_it_stands(case: Case, folder: Path, call_train: Call) -> None:
    import torch

    if "--fp16" in case.fails and torch.cuda.is_available():
        pytest.skip("CUDA is here, so --fp16 is no mistake")
    code, _, err = call_train(*case.fails.split())
    assert code in (2, 3, 4, 8), err
    assert err.splitlines()[-1].endswith(f"; {case.hint}"), err
    for line in case.follows:
        shutil.rmtree("m", ignore_errors=True)
        code, _, err = call_train(*line.split())
        assert code == 0, (line, err)

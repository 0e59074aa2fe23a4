"""The commands of the guide to training, from a CSV to a bundle that `score` uses, with tiny encoders."""

from __future__ import annotations

import csv
import importlib.util
import random
import re
import shlex
from pathlib import Path

import click
import polars as pl
import pytest

from export.card_cli import model_card
from export.cli import export_model
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from tests.conftest import WORDS, InProcess
from tests.helpers.encoders import save_tiny_encoder
from tests.helpers.pages import python_blocks
from tests.helpers.processes import ROOT
from train.cli import train_model

COMMANDS: dict[str, tuple[click.Command, str]] = {
    "train-model": (train_model, "TRAIN_MODEL"),
    "export-model": (export_model, "EXPORT_MODEL"),
    "score": (score, "SCORER"),
    "evaluate-labels": (evaluate_labels, "SCORER"),
    "model-card": (model_card, "MODEL_CARD"),
}

ENCODERS = {
    "distilbert-base-uncased": "distilbert",
    "sentence-transformers/all-MiniLM-L6-v2": "bert",
    "FacebookAI/xlm-roberta-base": "xlm-roberta",
}


def lines_of(step: str) -> list[list[str]]:
    """The words of the commands in a step of the guide."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split(f"\n## {step}")[1], flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]


TRAININGS = {
    words[words.index("--model") + 1] if "--model" in words else "distilbert-base-uncased": words
    for words in lines_of("3.")
}


def test_the_guide_has_three_encoders() -> None:
    assert TRAININGS.keys() == ENCODERS.keys()


def write_reviews(path: Path, n: int) -> None:
    draw = random.Random(n)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["review", "sentiment", "movie"])
        for number in range(n):
            words = draw.choices(WORDS[number % 2].split(), k=4)
            rows.writerow([" ".join(words), ("negative", "positive")[number % 2], f"film {number // 6}"])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_from_a_csv_to_a_bundle_that_score_uses(
    encoder: str, tmp_path: Path, in_process: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny_encoder(ENCODERS[encoder], Path(encoder))
    for name in ("reviews.csv", "new-reviews.csv", "labelled.csv"):
        write_reviews(Path(name), 96)
    # The tiny encoder has few positions, and learns at a higher rate than the guide's.
    monkeypatch.setenv("TRAIN_MODEL_MAX_LENGTH", "64")
    monkeypatch.setenv("TRAIN_MODEL_LEARNING_RATE", "0.003")
    monkeypatch.setenv("EXPORT_MODEL_THREADS", "1")
    for words in [*lines_of("2."), TRAININGS[encoder], *lines_of("4.")]:
        command, prefix = COMMANDS[words[0]]
        code, _, err = in_process(command, prefix)(*words[1:])
        assert code == 0, (words, err)
    scored = pl.read_csv("scored.csv")
    assert set(scored["pred_label"]) <= {"negative", "positive"}
    assert (scored["pred_label"] == scored["sentiment"]).mean() > 0.8
    assert "TF-IDF" in Path("model-card.md").read_text(encoding="utf-8")
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".training", ".partial")]
    if importlib.util.find_spec("sentence_transformers") is not None:
        (block,) = python_blocks(ROOT / "docs" / "training.md", "In other libraries")
        exec(block, {})

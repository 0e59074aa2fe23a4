"""The linear baseline: its row, its probabilities, its file of predictions."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.errors import InputError
from scorer.model.preprocessing import Preprocessing
from tests.conftest import Call
from tests.helpers.processes import ROOT
from train.baseline import LinearBaseline
from train.history import History

HEADER = "epoch  training loss  validation loss  accuracy      F1"


@pytest.fixture
def data(labelled_texts: Path) -> tuple[object, ...]:
    return ("--train", labelled_texts, "--validation-split", "0.25", "--label-names", "negative,positive")


def test_its_row_stands_in_the_same_table(call_train: Call, data: tuple[object, ...]) -> None:
    code, out, err = call_train("--baseline", *data, "--group-column", "film")
    assert code == 0, err
    header, row, about = out.splitlines()
    assert header == HEADER
    assert re.fullmatch(r"svm: TF-IDF of 1- to 3-grams, linear SVM, \d+ s", about)
    assert max(map(len, out.splitlines())) <= 80
    found = re.fullmatch(r"  svm +- +(0\.\d{4}) +(\d\.\d{4}) +(\d\.\d{4})", row)
    assert found is not None, row
    assert float(found[1]) < 0.5
    assert (float(found[2]), float(found[3])) == (1.0, 1.0)


def test_its_row_joins_the_history_of_a_checkpoint(call_train: Call, data: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    History((), 2.0, "f1", {"seed": 42}).save(tmp_path / "model")
    assert call_train("--baseline", *data, "-o", tmp_path / "model")[0] == 0
    history = History.load(tmp_path / "model")
    assert history.baseline is not None
    assert (history.best_epoch, history.baseline.accuracy, history.baseline.eval_rows) == (2.0, 1.0, 24)
    assert json.loads((tmp_path / "model" / "history.json").read_text())["settings"] == {"seed": 42}


# train-model, where no package of [train] can be imported but scikit-learn and what that needs.
WITHOUT_TORCH = """
import sys

MISSING = ("torch", "transformers", "datasets", "evaluate", "accelerate", "safetensors", "huggingface_hub", "pandas")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Missing())
from train.cli import main
main()
"""


def test_it_needs_scikit_learn_alone(data: tuple[object, ...], tmp_path: Path) -> None:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", WITHOUT_TORCH, "--baseline", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    History((), 2.0, "f1", {}).save(tmp_path)
    done = call(*data, "-o", tmp_path, "--predictions", "predictions.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(HEADER)
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) == 24
    assert (tmp_path / "report.html").is_file()
    hub = call("--validation-split", "0.1")
    assert (hub.returncode, hub.stderr) == (
        2,
        'error: the data set imdb of the Hub needs datasets; pip install "review-scorer[train]", or pass files\n',
    )


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_its_predictions_are_those_of_score(
    call_train: Call, data: tuple[object, ...], tmp_path: Path, suffix: str
) -> None:
    texts = ["a great loved film", None, "so dull and awful", "  "]
    pl.DataFrame({"id": [7, 8, 9, 10], "review": texts}).write_parquet(tmp_path / "new.parquet")
    output = tmp_path / f"predictions.{suffix}"
    code, _, err = call_train("--baseline", *data, "--predict", tmp_path / "new.parquet", "--predictions", output)
    assert code == 0, err
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[suffix]
    rows = read(output)
    assert rows.columns == [
        "id", "review", "pred_label", "pred_score", "pred_prob_negative", "pred_prob_positive", "pred_status"
    ]  # fmt: skip
    assert rows["pred_label"].to_list() == ["positive", None, "negative", None]
    assert rows["pred_status"].to_list() == ["ok", "empty", "ok", "empty"]
    assert rows["pred_prob_positive"][1] is None
    total = rows["pred_prob_negative"] + rows["pred_prob_positive"]
    assert total.drop_nulls().to_list() == pytest.approx([1, 1], abs=1e-6)
    # And a training takes it for a teacher; see tests/train/test_teachers.py for what follows.
    assert "already exists" in call_train("--baseline", *data, "--predictions", output)[2]


def test_lists_go_into_no_csv(call_train: Call, data: tuple[object, ...], tmp_path: Path) -> None:
    pl.DataFrame({"text": ["good"], "tags": [["a", "b"]]}).write_parquet(tmp_path / "new.parquet")
    given = ("--baseline", *data, "--predict", tmp_path / "new.parquet", "--predictions")
    code, out, err = call_train(*given, tmp_path / "p.csv", "-q")
    assert (code, out) == (2, "")
    assert err == (
        f"error: {tmp_path / 'p.csv'}: column 'tags' holds lists or objects, which CSV cannot hold; "
        "choose .parquet or .jsonl, or drop it first\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["new.parquet"]
    for suffix in ("parquet", "jsonl"):
        assert call_train(*given, tmp_path / f"p.{suffix}")[0] == 0


def test_predictions_of_the_validation_rows_can_be_evaluated(
    call_train: Call, data: tuple[object, ...], tmp_path: Path
) -> None:
    assert call_train("--baseline", *data, "--predictions", tmp_path / "held.parquet")[0] == 0
    rows = pl.read_parquet(tmp_path / "held.parquet")
    assert len(rows) == 24
    assert rows["pred_label"].to_list() == rows["label"].to_list()


def test_a_text_that_it_was_fitted_to_is_judged_by_a_model_without_it() -> None:
    draw = random.Random(5)
    words = [f"w{number}" for number in range(300)]
    labels = [number % 2 for number in range(120)]
    # One word tells the label three times out of four; the others are noise that can be learnt by heart.
    signs = [label if draw.random() < 0.75 else 1 - label for label in labels]
    texts = [" ".join([["bad", "good"][sign], *draw.choices(words, k=12)]) for sign in signs]
    model = LinearBaseline(Preprocessing(), 42).fit(texts, labels)

    def accuracy(given: list[str]) -> float:
        return float((model.probabilities(given).argmax(axis=1) == np.array(labels)).mean())

    assert accuracy(texts) < 0.85
    assert accuracy([f"{text} ." for text in texts]) > 0.95


def test_three_labels() -> None:
    texts = [f"{word} film {number}" for number in range(12) for word in ("good", "fair", "bad")]
    model = LinearBaseline(Preprocessing(), 42).fit(texts, [0, 1, 2] * 12)
    assert model.probabilities(["a good one", "a bad one"]).argmax(axis=1).tolist() == [0, 2]


def test_a_label_that_training_lacks_has_no_probability(call_train: Call, tmp_path: Path) -> None:
    texts = [f"{word} film {number}" for number in range(12) for word in ("good", "bad")]
    model = LinearBaseline(Preprocessing(), 42).fit(texts, [2, 0] * 12, 4)
    found = model.probabilities(["a good one", texts[1]])
    assert found.shape == (2, 4)
    assert found[:, [1, 3]].tolist() == [[0, 0], [0, 0]]
    assert found.sum(axis=1).tolist() == pytest.approx([1, 1])
    # Every row of one label is of one group, which the split holds out.
    films = ["so-so" if number % 5 == 0 else ("good", "bad")[number % 2] for number in range(10)]
    rows = [{"text": f"{name} film {number}", "label": name, "film": name if name == "so-so" else number}
            for number, name in enumerate(films * 4)]  # fmt: skip
    pl.DataFrame({name: [str(row[name]) for row in rows] for name in rows[0]}).write_csv(tmp_path / "a.csv")
    given = ("--baseline", "--train", tmp_path / "a.csv", "--label-names", "bad,good,never,so-so")
    split = ("--validation-split", "0.2", "--group-column", "film", "--seed", "8")
    code, _, err = call_train(*given, *split, "--predictions", tmp_path / "held.csv")
    assert code == 0, err
    held = pl.read_csv(tmp_path / "held.csv")
    assert "so-so" in held["label"]
    assert held["pred_prob_so-so"].sum() == 0


def test_its_row_joins_no_table_of_other_rows(call_train: Call, tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name, first in (("a", "good"), ("b", "great")):
        rows = [{"text": f"{(first, 'bad')[n % 2]} film {n}", "label": n % 2} for n in range(40)]
        pl.DataFrame(rows).write_parquet(tmp_path / f"{name}.parquet")
    a, split = ("--train", tmp_path / "a.parquet"), ("--validation-split", "0.25")
    small = ("--model", tiny_checkpoint, "--epochs", "1", "--batch-size", "16", "--max-length", "8", "--no-bf16")
    assert call_train("-o", tmp_path / "model", *a, *split, *small)[0] == 0
    before = (tmp_path / "model" / "history.json").read_bytes()
    for other, what in (
        ((*a, *split, "--label-names", "bad,good"), "labels"),
        (("--train", tmp_path / "b.parquet", *split), "training files"),
        ((*a, *split, "--seed", "7"), "validation rows"),
        ((*a, "--eval", tmp_path / "b.parquet"), "validation rows"),
    ):
        code, out, err = call_train("--baseline", "-o", tmp_path / "model", *other, "-q")
        assert (code, out) == (2, "")
        assert err.removeprefix(f"error: {tmp_path / 'model'}: ") == (
            f"its training had other {what}; pass the data and the split of that training\n"
        )
    assert (tmp_path / "model" / "history.json").read_bytes() == before
    assert call_train("--baseline", "-o", tmp_path / "model", *a, *split)[0] == 0


def test_what_it_cannot_be_fitted_to() -> None:
    with pytest.raises(InputError, match="fewer than two training rows"):
        LinearBaseline(Preprocessing(), 42).fit(["one", "two", "three"], [0, 0, 1])
    with pytest.raises(InputError, match="nothing to learn from"):
        LinearBaseline(Preprocessing(), 42).fit(["!", "?", "!", "?"], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--predictions", "x.parquet"), 2, "--predictions needs --baseline"),
        ((), 2, "Missing option '-o' / '--output'; type: train-model --train "),
        (("--baseline", "--predict", "x.csv"), 2, "--predict needs --predictions"),
        (("--baseline", "--predictions", "x.txt"), 2, "choose .parquet, .csv, .jsonl"),
        (("--baseline", "-o", "nowhere"), 2, "nowhere/history.json: no such file"),
        (("--baseline", "--predictions", "no-folder/x.csv"), 5, "no such folder"),
    ],
)
def test_what_is_refused(
    call_train: Call, data: tuple[object, ...], options: tuple[str, ...], code: int, says: str
) -> None:
    got, _, err = call_train(*data, *options)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (got, len(errors)) == (code, 1), err
    assert says in errors[0]

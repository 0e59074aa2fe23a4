"""The end of a training: what it says of a collapse, the gate on F1, the next command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Call
from train.calibration import Calibration
from train.history import EpochRow, History
from train.metrics import ClassificationMetrics
from train.options import TrainOptions
from train.verdict import collapse_of, next_command, way_out


@pytest.fixture
def recipe(tiny_checkpoint: Path, labelled_texts: Path) -> tuple[object, ...]:
    return (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "1",
        "--batch-size", "8", "--max-length", "16", "--no-bf16", "--label-names", "bad,good",
    )  # fmt: skip


COLLAPSED = "the training collapsed: every validation row got the label "


def test_a_collapsed_training_says_so_and_its_gate_writes_nothing(
    call_train: Call, recipe: tuple[object, ...], tmp_path: Path
) -> None:
    output = tmp_path / "model"
    code, out, err = call_train("-o", output, *recipe, "--learning-rate", "0.5", "--min-f1", "0.1")
    assert (code, out) == (8, "")
    assert f"error: {output}: {COLLAPSED}" in err
    hint = "change the recipe and pass --overwrite; to keep this training, leave --min-f1 out and pass --resume"
    assert f"; {hint}\n" in err
    assert "epoch  training loss  validation loss  accuracy      F1" in err.splitlines()
    assert not output.exists()
    # Without the gate the same training is finished from where it is, and still says what it is.
    code, out, err = call_train("-o", output, *recipe, "--learning-rate", "0.5", "--resume")
    assert code == 0
    assert COLLAPSED in err
    assert " --learning-rate 0.125 " in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith(f"next: train-model -o {output} ")
    page = (output / "report.html").read_text()
    assert "<strong>The training collapsed:</strong> every validation row got the label " in page
    assert "lower --learning-rate, or pass --warmup-ratio 0.06" in err
    # At such a rate, whichever: the number of threads decides.
    assert History.load(output).rows[0].only_label in ("bad", "good")
    assert out.splitlines()[1].endswith(" *")
    changed = ("--learning-rate", "0.003", "--min-f1", "0.1", "--overwrite")
    assert call_train("-o", output, *recipe, *changed)[0] == 0


def test_a_gate_that_is_met_and_one_that_is_not(call_train: Call, recipe: tuple[object, ...], tmp_path: Path) -> None:
    rate = ("--learning-rate", "0.003")
    code, _, err = call_train("-o", tmp_path / "model", *recipe, *rate, "--min-f1", "0.2")
    assert code == 0, err
    assert err.endswith(f"next: export-model {tmp_path / 'model'} -o {tmp_path / 'model'}-bundle\n")
    before = (tmp_path / "model" / "model.safetensors").read_bytes()
    code, _, err = call_train(
        "-o", tmp_path / "model", *recipe, "--overwrite", "--learning-rate", "1e-6", "--min-f1", "1"
    )
    assert code == 8
    assert " is below --min-f1 1; change the recipe" in err or COLLAPSED[:22] in err
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == before


def test_the_baseline_has_the_same_gate_and_names_the_training_that_has_to_beat_it(
    call_train: Call, recipe: tuple[object, ...], labelled_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ("--train", labelled_texts, "--validation-split", "0.25")
    code, _, err = call_train("--baseline", *data, "--min-f1", "0.9")
    assert code == 0
    typed = (
        f"train-model -o my-model --model sentence-transformers/all-MiniLM-L6-v2 --train {labelled_texts}"
        " --validation-split 0.25 --learning-rate 0.0001 --batch-size 8 --epochs 6 --metric loss --min-f1 0.9"
    )
    assert err.splitlines()[-1] == f"next: {typed}"
    (tmp_path / "a.csv").write_text("text,label\n" + "the same film,bad\nthe same film,good\n" * 20)
    data = ("--train", "a.csv", "--validation-split", "0.25", "--predictions", "p.csv")
    code, _, err = call_train("--baseline", *data, "--min-f1", "1")
    assert code == 8
    assert "below --min-f1 1; lower --min-f1, or add labelled rows" in err
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def row(f1: float, only_label: str | None = None) -> EpochRow:
    return EpochRow(1.0, 0.7, 0.7, 0.5, f1, only_label)


@pytest.mark.parametrize(
    ("kept", "temperature", "says"),
    [
        (row(0.9), 5.0, None),
        (row(0.0), 1.0, "F1 is 0"),
        (row(0.67, "good"), 1.0, "every validation row got the label good"),
        (
            row(0.0, "bad"),
            4.99,
            "every validation row got the label bad, F1 is 0, the temperature is at its bound of 5",
        ),
        (row(0.67, "good"), 0.2005, "every validation row got the label good, the temperature is at its bound of 0.2"),
    ],
)
def test_signs_of_a_collapse(kept: EpochRow, temperature: float, says: str | None) -> None:
    history = History((kept,), 1.0, "f1", {}, calibration=Calibration(temperature, 0.1, 0.1))
    assert collapse_of(history) == says


def test_one_label_in_predictions_is_a_sign_only_where_the_rows_have_several() -> None:
    metrics, logits = ClassificationMetrics(2), np.array([[1.0, 0.0], [2.0, 0.0]])
    assert metrics((logits, np.array([0, 1])))["only_label"] == 0
    assert metrics((logits, np.array([0, 0])))["only_label"] == -1
    assert metrics((logits[:, ::-1] * [[1], [-1]], np.array([0, 1])))["only_label"] == -1


def test_the_next_command_measures_the_bundle_on_the_validation_file(tmp_path: Path) -> None:
    (tmp_path / "my dev.csv").touch()
    options = TrainOptions(output=Path("a model"), train=("a.csv",), eval=(str(tmp_path / "my dev.csv"),))
    history = History((row(0.9),), 1.0, "f1", {})
    assert next_command(options, history) == (
        f"export-model 'a model' -o 'a model-bundle' --eval '{tmp_path / 'my dev.csv'}'"
    )


@pytest.mark.parametrize(
    ("losses", "advice", "change"),
    [
        ((0.69, 0.67), "its loss was still falling, so pass more --epochs", "--epochs 4"),
        ((0.68,), "its loss was still falling, so pass more --epochs", "--epochs 4"),
        ((0.67, 0.69), "lower --learning-rate, or pass --warmup-ratio 0.06", "--learning-rate 5e-06"),
        ((1.5, 0.7), "lower --learning-rate, or pass --warmup-ratio 0.06", "--learning-rate 5e-06"),
    ],
)
def test_a_training_that_ended_too_early_needs_more_epochs_and_another_smaller_steps(
    losses: tuple[float, ...], advice: str, change: str
) -> None:
    rows = tuple(EpochRow(n + 1.0, loss, loss, 0.5, 0.65, "good") for n, loss in enumerate(losses))
    history = History(rows, 1.0, "f1", {}, data={"labels": ["bad", "good"]})
    assert way_out(history) == advice
    options = TrainOptions(output=Path("m"), train=("a.csv",), validation_split=0.25)
    assert (
        next_command(options, history) == f"train-model -o m --train a.csv --validation-split 0.25 {change} --overwrite"
    )
    assert next_command(replace(options, baseline=True), history) is None

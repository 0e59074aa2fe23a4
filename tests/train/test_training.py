"""`train-model` for real, on a tiny checkpoint: the table, the files, resume, bad options."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from scorer.commands.console import run
from scorer.errors import InputError
from scorer.model.preprocessing import Preprocessing, load_preprocessing
from tests.conftest import Call
from tests.helpers.trainings import assert_same_training, interrupt
from train.checkpoints import last_whole_checkpoint
from train.cli import train_model
from train.epoch_order import ORDER_FILE, EpochOrder, load_epoch_order
from train.history import EpochRow, History
from train.metrics import ClassificationMetrics
from train.training import _optimizer


def test_a_training_learns_and_writes_what_it_says(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    code, out, err = call_train(
        "-o", output, "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25",
        "--group-column", "film", "--label-names", "negative,positive", "--learning-rate", "0.003",
        "--epochs", "3", "--batch-size", "8", "--max-length", "64", "--train-max-length", "16",
        "--long-text", "head-tail", "--clean", "html-breaks", "--no-bf16", "--warmup-ratio", "0.1",
    )  # fmt: skip
    assert code == 0, err
    lines = out.splitlines()
    table = lines[lines.index("epoch  training loss  validation loss  accuracy      F1") :]
    assert len(table) == 4
    assert sum(line.endswith(" *") for line in table) == 1
    history = json.loads((output / "history.json").read_text())
    assert [row["epoch"] for row in history["rows"]] == [1, 2, 3]
    assert history["rows"][-1]["training_loss"] < history["rows"][0]["training_loss"]
    assert max(row["accuracy"] for row in history["rows"]) > 0.9
    assert history["best_epoch"] == max(history["rows"], key=lambda row: (row["f1"], -row["validation_loss"]))["epoch"]
    assert history["data"]["split"]["group_column"] == "film"
    assert len(history["data"]["split"]["held_out_sha256"]) == 64
    assert history["data"]["eval"]["rows_per_label"] == {"negative": 12, "positive": 12}
    assert list(history["data"]["train"]["files"]) == ["labelled.parquet"]
    assert history["calibration"]["ece_after"] <= 1
    assert 0.2 <= history["calibration"]["temperature"] <= 5
    assert all(step["tokens_per_second"] > 0 and step["learning_rate"] >= 0 for step in history["steps"])
    assert History.load(output).table() == "\n".join(table)
    assert load_preprocessing(output) == Preprocessing(64, "head-tail", 31, ("html-breaks",))
    assert json.loads((output / "config.json").read_text())["id2label"] == {"0": "negative", "1": "positive"}
    assert (output / "tokenizer.json").is_file()
    assert len({path.stat().st_mode for path in output.iterdir() if path.is_file()}) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"model"}


Recipe = tuple[object, ...]


@pytest.fixture(
    scope="module",
    params=[
        ("--save-steps", "4"),
        ("--save-steps", "3", "--average", "0.9", "--patience", "1"),
        ("--save-steps", "4", "--no-group-by-length"),
        ("--save-steps", "4", "--class-weights", "balanced", "--grad-accumulation", "2"),
    ],
)
def uninterrupted(
    request: pytest.FixtureRequest,
    tiny_checkpoint: Path,
    labelled_texts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Recipe, Path]:
    """A recipe of 27 steps, 9 in an epoch, and what it ends in."""
    recipe = (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "3",
        "--batch-size", "8", "--max-length", "16", "--no-bf16", "--learning-rate", "1e-3", *request.param,
    )  # fmt: skip
    whole = tmp_path_factory.mktemp("uninterrupted") / "whole"
    with pytest.raises(SystemExit) as left:
        run(train_model, ["-o", str(whole), *map(str, recipe)], env_prefix="TRAIN_MODEL")
    assert left.value.code == 0
    return recipe, whole


@pytest.mark.parametrize("stop", [7, 10, 14, 24, 28])  # the last one: at the end
def test_resume_ends_in_the_same_weights_wherever_it_goes_on(
    call_train: Call,
    uninterrupted: tuple[Recipe, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
) -> None:
    recipe, whole = uninterrupted
    interrupt(monkeypatch, before_step=stop)
    code, _, err = call_train("-o", tmp_path / "halved", *recipe)
    assert (code, "is kept: the same command with --resume goes on" in err) == (130, True)
    assert not (tmp_path / "halved").exists()
    monkeypatch.undo()
    assert call_train("-o", tmp_path / "halved", *recipe, "--resume")[0] == 0
    assert_same_training(whole, tmp_path / "halved")


# train-model, whose process dies before a step: its first argument.
KILLED = """
import os, signal, sys
from transformers import Trainer
from train.cli import main

step, last = Trainer.training_step, int(sys.argv.pop(1))

def training_step(self, *arguments, **more):
    if self.state.global_step + 1 == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *arguments, **more)

Trainer.training_step = training_step
main()
"""


def test_a_killed_training_with_a_teacher_and_an_average_ends_with_the_same_weights(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    table = pq.read_table(labelled_texts)
    positive = pa.array([0.2 + 0.6 * label for label in table["label"].to_pylist()])
    texts = pa.array([f"{text} film" for text in table["text"].to_pylist()])
    negative = pa.array([1 - value for value in positive.to_pylist()])
    teacher = {"text": texts, "pred_prob_negative": negative, "pred_prob_positive": positive}
    pq.write_table(pa.table(teacher), tmp_path / "teacher.parquet")
    recipe = [
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "2",
        "--batch-size", "4", "--max-length", "16", "--no-bf16", "--save-steps", "8", "--average", "0.95",
        "--teacher", tmp_path / "teacher.parquet", "--label-names", "negative,positive", "--train-max-length", "12",
    ]  # fmt: skip
    assert call_train("-o", tmp_path / "whole", *recipe)[0] == 0
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "21", "-o", tmp_path / "killed", *map(str, recipe)],
        # An export has set the threads of this process; the same weights are promised for the same number.
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "killed").exists()
    code, _, err = call_train("-o", tmp_path / "killed", *recipe, "--resume", "--seed", "7")
    assert code == 2
    assert "--seed was 42 and is 7; resume with the command that started the run" in err
    assert call_train("-o", tmp_path / "killed", *recipe, "--resume")[0] == 0
    whole, killed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "killed", "teacher.parquet"}


def test_the_order_of_an_epoch_that_is_damaged(tmp_path: Path) -> None:
    assert load_epoch_order(tmp_path) is None
    order = EpochOrder([3, 1, 2, 5, 4, 6], 2)
    first = list(order)
    order.save(tmp_path)
    assert list(EpochOrder([3, 1, 2, 5, 4, 6], 2, began=load_epoch_order(tmp_path))) == first
    save_file({"state": torch.zeros(8)}, tmp_path / "other")
    save_file({"more": torch.zeros(8)}, tmp_path / "another")
    others = [(tmp_path / name).read_bytes() for name in ("other", "another")]
    for content in (b"", b"no tensor", (tmp_path / ORDER_FILE).read_bytes()[:-100], *others):
        (tmp_path / ORDER_FILE).write_bytes(content)
        with pytest.raises(InputError, match="is not an order of rows to resume with; start over with --overwrite"):
            load_epoch_order(tmp_path)


def test_a_checkpoint_that_a_kill_left_unfinished_is_passed_over(tmp_path: Path) -> None:
    for step, state in ((4, '{"global_step": 4}'), (8, '{"global_st'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_checkpoint(tmp_path) == tmp_path / "checkpoint-4"


def test_the_average_is_what_is_kept(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    recipe = (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "1",
        "--batch-size", "8", "--max-length", "16", "--no-bf16", "--learning-rate", "0.003",
    )  # fmt: skip
    assert call_train("-o", tmp_path / "plain", *recipe)[0] == 0
    assert call_train("-o", tmp_path / "tiny", *recipe, "--average", "1e-9")[0] == 0
    assert call_train("-o", tmp_path / "half", *recipe, "--average", "0.999")[0] == 0
    plain, tiny, half = (load_file(tmp_path / name / "model.safetensors") for name in ("plain", "tiny", "half"))
    name = "classifier.weight"
    assert torch.allclose(plain[name], tiny[name], atol=1e-6)
    assert not torch.allclose(plain[name], half[name], atol=1e-4)


def test_patience_stops_a_run_that_gets_no_better_and_the_first_best_epoch_is_kept(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard", reason="--report-to needs it")
    code, out, err = call_train(
        "-o", tmp_path / "model", "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25",
        "--epochs", "9", "--patience", "2", "--learning-rate", "1e-12", "--batch-size", "16", "--max-length", "16",
        "--no-bf16", "--report-to", "tensorboard",
    )  # fmt: skip
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()] == ["epoch", "1", "2", "3"]
    assert out.splitlines()[1].endswith(" *")
    assert f": epoch 1, the best in F1\nnext: export-model {tmp_path / 'model'} " in err
    assert list((tmp_path / "model" / "runs").glob("events.out.tfevents.*"))


def test_texts_on_both_sides_are_reported(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    held = pa.table({"text": ["WARM  film", "a new one", "dull"], "label": [1, 0, 0]})
    pq.write_table(held, tmp_path / "eval.parquet")
    train = pa.table({"text": ["warm film", "dull", "Dull ", "other"], "label": [1, 1, 1, 0]})
    pq.write_table(train, tmp_path / "train.parquet")
    code, _, err = call_train(
        "-o", tmp_path / "out", "--model", tiny_checkpoint, "--train", tmp_path / "train.parquet",
        "--eval", tmp_path / "eval.parquet", "--epochs", "1", "--max-length", "16",
    )  # fmt: skip
    assert code == 0, err
    assert "2 of the 3 validation texts stand in the training part too" in err
    assert "1 of them with another label" in err
    assert json.loads((tmp_path / "out" / "history.json").read_text())["data"]["duplicates"] == {
        "validation_rows_in_training": 2,
        "with_another_label": 1,
        "training_rows_repeated": 1,
    }


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--metric", "f2"), 2, "Invalid value for '--metric': 'f2' is not one of 'f1', 'accuracy', 'loss'"),
        (("--fp16",), 2, "--fp16 needs CUDA, and none was found"),
        (("--eval", "x.csv"), 2, "--eval and --validation-split cannot be combined"),
        (("--max-length", "513"), 2, "--max-length 513 is more than the model's 512 positions"),
        (("--train-max-length", "513"), 2, "--train-max-length 513 is more than the model's 512 positions"),
        (("-o", "."), 2, ".: is not a valid name for a new folder"),
        (("-o", ".."), 2, "..: is not a valid name for a new folder"),
        (("--resume",), 2, "there is no checkpoint to resume from"),
        (("--learning-rate", "-1"), 2, "--learning-rate -1.0 must be more than 0"),
        (("--learning-rate", "inf"), 2, "--learning-rate inf must be more than 0 and finite"),
        (("--weight-decay", "nan"), 2, "--weight-decay nan must be finite and not negative"),
        (("--seed", "-1"), 2, "--seed -1 is out of range"),
        (("--label-names", "a,a"), 2, "--label-names a,a does not name two labels or more, each once"),
        (("--model", "./nowhere"), 4, "./nowhere: no such folder"),
        (("--label-column", "gold"), 3, "no column 'gold'"),
        (("--teacher", "none.parquet"), 3, "none.parquet: no such file"),
        (("--average", "1"), 2, "--average 1.0 must be from 0 to below 1"),
        (("--label-smoothing", "1"), 2, "--label-smoothing 1.0 must be less than 1"),
        (("--class-weights", "so-so=2"), 2, "does not name each label once"),
        (("--unlabelled", "x.csv"), 2, "--unlabelled needs --teacher"),
        (("--learning-rate", "1e30", "--warmup-ratio", "0"), 3, "loss is nan"),
    ],
)
def test_what_cannot_be_trained(
    call_train: Call,
    tiny_checkpoint: Path,
    labelled_texts: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    if "--fp16" in options and torch.cuda.is_available():
        pytest.skip("CUDA is here, so --fp16 is no mistake")
    recipe = ("--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25")
    got, _, err = call_train("-o", tmp_path / "out", *recipe, *options)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (got, len(errors)) == (code, 1), err
    assert says in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_smoothing_and_rates_of_layers_leave_the_figures_comparable(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    recipe = (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "1",
        "--batch-size", "16", "--max-length", "16", "--no-bf16", "--learning-rate", "1e-12", "--weight-decay", "0.1",
    )  # fmt: skip
    assert call_train("-o", tmp_path / "plain", *recipe)[0] == 0
    assert call_train("-o", tmp_path / "other", *recipe, "--label-smoothing", "0.3", "--layer-decay", "0.5")[0] == 0
    plain, other = (History.load(tmp_path / name) for name in ("plain", "other"))
    assert other.rows[0].training_loss != pytest.approx(plain.rows[0].training_loss)
    assert other.rows[0].validation_loss == pytest.approx(plain.rows[0].validation_loss)
    assert [step["learning_rate"] for step in other.steps] == [step["learning_rate"] for step in plain.steps]


@pytest.mark.parametrize("problem", ["regression", "multi_label_classification"])
def test_a_checkpoint_for_another_problem_is_trained_to_classify(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path, problem: str
) -> None:
    other = shutil.copytree(tiny_checkpoint, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "problem_type": problem}))
    recipe = (
        "--train", labelled_texts, "--validation-split", "0.25", "--epochs", "0.2", "--batch-size", "16",
        "--max-length", "16", "--no-bf16",
    )  # fmt: skip
    assert call_train("-o", tmp_path / "plain", "--model", tiny_checkpoint, *recipe)[0] == 0
    assert call_train("-o", tmp_path / "model", "--model", other, *recipe)[0] == 0
    assert_same_training(tmp_path / "plain", tmp_path / "model")


def test_an_output_that_stands_already(
    call_train: Call, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    recipe = (
        "-o",
        tmp_path / "out",
        "--model",
        tiny_checkpoint,
        "--train",
        labelled_texts,
        "--validation-split",
        "0.25",
    )
    assert "pass --overwrite" in call_train(*recipe)[2]
    assert "is not a checkpoint, so it was not replaced" in call_train(*recipe, "--overwrite")[2]
    assert (tmp_path / "out" / "mine.txt").read_text() == "x"


def test_the_table() -> None:
    log = [
        {"loss": 0.6, "epoch": 0.75, "step": 30},
        {"loss": 0.2, "epoch": 1.0, "step": 40},
        {"eval_loss": 0.3747, "eval_accuracy": 0.845, "eval_f1": 0.8447, "epoch": 1.0, "step": 40},
        {"loss": 0.2, "epoch": 2.0, "step": 80},
        {"eval_loss": 0.501, "eval_accuracy": 0.85, "eval_f1": 0.8501, "epoch": 2.0, "step": 80},
    ]
    history = History.from_log(log, metric="f1", best_epoch=2.0, settings={})
    assert history.rows[0] == EpochRow(1.0, 0.5, 0.3747, 0.845, 0.8447)
    assert history.table() == (
        "epoch  training loss  validation loss  accuracy      F1\n"
        "    1         0.5000           0.3747    0.8450  0.8447\n"
        "    2         0.2000           0.5010    0.8500  0.8501 *"
    )


def test_metrics_are_those_of_scikit_learn() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 2.0], [4.0, 0.0]]).numpy()
    figures = ClassificationMetrics(2)((logits, torch.tensor([0, 1, 0, 1]).numpy()))
    assert (figures["accuracy"], figures["f1"]) == (0.5, 0.5)


def test_rates_fall_from_layer_to_layer(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from train.checkpoints import load_classifier
    from train.options import TrainOptions

    model, _ = load_classifier(str(tiny_checkpoint), ["a", "b"])
    options = TrainOptions(output=tmp_path, learning_rate=1.0, layer_decay=0.5, weight_decay=0.1)
    rates = {}
    for group in _optimizer(model, options).param_groups:
        for parameter in group["params"]:
            name = next(name for name, value in model.named_parameters() if value is parameter)
            rates[name] = (group["lr"], group["weight_decay"])
    assert len(rates) == len(list(model.named_parameters()))
    assert rates["classifier.weight"] == (1.0, 0.1)
    assert rates["classifier.bias"] == (1.0, 0.0)
    assert rates["distilbert.transformer.layer.1.ffn.lin1.weight"] == (0.5, 0.1)
    assert rates["distilbert.transformer.layer.0.ffn.lin1.weight"] == (0.25, 0.1)
    assert rates["distilbert.transformer.layer.0.sa_layer_norm.weight"] == (0.25, 0.0)
    assert rates["distilbert.embeddings.word_embeddings.weight"] == (0.125, 0.1)

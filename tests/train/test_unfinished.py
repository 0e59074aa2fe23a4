"""`OUTPUT.training`: what is resumed, from wherever; what is refused; and what is never deleted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import train.training
from scorer.disk.locking import locked
from tests.conftest import Call
from tests.helpers.trainings import assert_same_training, interrupt
from train.averaging import AVERAGE_FILE
from train.callbacks import LogAtEpochEnd
from train.epoch_order import ORDER_FILE

Recipe = tuple[object, ...]

NOT_REACHED = 1000
"""A step behind the end: the run is stopped as it is to be published."""


@pytest.fixture
def recipe(tiny_checkpoint: Path, labelled_texts: Path) -> Recipe:
    """Nine steps an epoch."""
    return (
        "--model", tiny_checkpoint, "--train", labelled_texts, "--validation-split", "0.25", "--batch-size", "8",
        "--max-length", "16", "--no-bf16", "--learning-rate", "0.003", "--epochs", "1",
    )  # fmt: skip


def stopped(call_train: Call, before_step: int, *arguments: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, before_step=before_step)
        assert call_train(*arguments)[0] == 130


@pytest.mark.parametrize("more", [(), ("--average", "0.5")])
def test_the_best_epoch_is_kept_though_the_folder_has_moved(
    call_train: Call,
    recipe: Recipe,
    labelled_texts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
) -> None:
    # Validated on the opposite of what it learns, so that the first epoch is the best.
    rows = pq.read_table(labelled_texts)
    opposite = pa.array([1 - label for label in rows["label"].to_pylist()])
    pq.write_table(pa.table({"text": rows["text"], "label": opposite}), tmp_path / "opposite.parquet")
    recipe = tuple({"--validation-split": "--eval", "0.25": tmp_path / "opposite.parquet"}.get(x, x) for x in recipe)
    recipe = (*recipe, "--epochs", "4", *more)
    assert call_train("-o", tmp_path / "whole", *recipe)[0] == 0
    assert json.loads((tmp_path / "whole" / "history.json").read_text())["best_epoch"] < 4
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    stopped(call_train, NOT_REACHED, "-o", "here/model", *recipe)
    (tmp_path / "here").rename(tmp_path / "there")
    output = tmp_path / "there" / "model"
    lost = shutil.copytree(tmp_path / "there", tmp_path / "lost")
    assert call_train("-o", output, *recipe, "--resume")[0] == 0
    assert_same_training(tmp_path / "whole", output)

    best = min(lost.glob("*/checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    (best / "model.safetensors").unlink()
    code, _, err = call_train("-o", lost / "model", *recipe, "--resume")
    assert code == 3
    assert f"{best}: has lost the weights of the best epoch; start over with --overwrite" in err
    assert not (lost / "model").exists()


def test_a_run_that_replaces_a_checkpoint_is_resumed(call_train: Call, recipe: Recipe, tmp_path: Path) -> None:
    output = tmp_path / "model"
    assert call_train("-o", output, *recipe)[0] == 0
    before = (output / "history.json").read_bytes()
    recipe = (*recipe, "--seed", "7", "--save-steps", "3")
    assert call_train("-o", tmp_path / "whole", *recipe)[0] == 0
    stopped(call_train, 8, "-o", output, *recipe, "--overwrite")
    assert (output / "history.json").read_bytes() == before
    assert "already exists; pass --overwrite" in call_train("-o", output, *recipe, "--resume")[2]
    assert call_train("-o", output, *recipe, "--resume", "--overwrite")[0] == 0
    assert_same_training(tmp_path / "whole", output)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "whole"}


@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--resume",)])
def test_a_folder_of_somebody_else_is_left_alone(
    call_train: Call, recipe: Recipe, tmp_path: Path, more: tuple[str, ...]
) -> None:
    (tmp_path / "model.training" / "checkpoint-4").mkdir(parents=True)
    (tmp_path / "model.training" / "checkpoint-4" / "trainer_state.json").write_text("{}")
    code, _, err = call_train("-o", tmp_path / "model", *recipe, *more)
    assert (code, err) == (
        2, f"error: {tmp_path}/model.training: is in the way: unfinished work is kept under this name;"
        " move or rename it\n"
    )  # fmt: skip
    assert (tmp_path / "model.training" / "checkpoint-4" / "trainer_state.json").read_text() == "{}"


def test_an_unfinished_training_is_dropped_on_demand_alone(
    call_train: Call, recipe: Recipe, labelled_texts: Path, tmp_path: Path
) -> None:
    work = tmp_path / "model.training"
    recipe = ("-o", tmp_path / "model", *recipe)
    stopped(call_train, 8, *recipe, "--save-steps", "3")
    checkpoints = sorted(work.rglob("*"))
    code, _, err = call_train(*recipe, "--save-steps", "3")
    line = f"{work}: holds an unfinished training; pass --resume to continue it, or --overwrite to start over"
    assert (code, err) == (2, f"error: {line}\n")
    for wrong, expected in (
        (("--max-length", "513"), 2),
        (("--label-column", "gold"), 3),
        (("--teacher", labelled_texts), 3),
        (("--pretrain-on", labelled_texts, "--text-column", "film"), 3),
    ):
        assert call_train(*recipe, "--overwrite", *wrong)[0] == expected
        assert sorted(work.rglob("*")) == checkpoints
    shutil.copytree(work, tmp_path / "kept")
    code, _, err = call_train(*recipe, "--overwrite")
    assert code == 0
    assert f"{work}: dropping the unfinished training" in err
    assert {path.name for path in tmp_path.iterdir()} == {"model", "kept"}
    (tmp_path / "model").rename(tmp_path / "first")
    (tmp_path / "kept").rename(work)
    assert call_train(*recipe, "--save-steps", "3", "--resume")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"model", "first"}


def test_what_appears_at_the_output_meanwhile_stands(
    call_train: Call, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "model"
    publish = train.training._publish

    def appears(*arguments: object) -> None:
        output.mkdir()
        (output / "mine.txt").write_text("x")
        publish(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(train.training, "_publish", appears)
        code, _, err = call_train("-o", output, *recipe)
    assert code == 2
    assert f"error: {output}: already exists; pass --overwrite to replace it" in err
    assert (output / "mine.txt").read_text() == "x"
    output.rename(tmp_path / "aside")
    assert call_train("-o", output, *recipe, "--resume")[0] == 0
    assert (output / "model.safetensors").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "aside"}


def test_the_second_of_two_runs_leaves_at_once(call_train: Call, recipe: Recipe, tmp_path: Path) -> None:
    with locked(tmp_path / "model"):
        code, _, err = call_train("-o", tmp_path / "model", *recipe)
    assert (code, err) == (6, f"error: {tmp_path}/model: another run holds this output; wait for it to end\n")
    assert list(tmp_path.iterdir()) == []


def test_data_that_have_changed_are_not_resumed_with(
    call_train: Call, recipe: Recipe, tiny_checkpoint: Path, labelled_texts: Path, tmp_path: Path
) -> None:
    data = shutil.copy(labelled_texts, tmp_path / "data.parquet")
    recipe = ("-o", tmp_path / "model", *recipe, "--train", data, "--save-steps", "3")
    recipe = (*recipe, "--teacher", tiny_checkpoint, "--label-names", "negative,positive")
    stopped(call_train, 8, *recipe)
    pq.write_table(pq.read_table(labelled_texts).slice(8), data)
    code, _, err = call_train(*recipe, "--resume")
    line = "data.parquet: has changed since this training began"
    assert (code, err.splitlines()[-1]) == (3, f"error: {line}; restore it and resume, or start over with --overwrite")
    shutil.copytree(tmp_path / "model.training", tmp_path / "kept")
    assert call_train(*recipe, "--overwrite")[0] == 0
    (tmp_path / "model").rename(tmp_path / "other")
    (tmp_path / "kept").rename(tmp_path / "model.training")
    shutil.copy(labelled_texts, data)
    assert call_train(*recipe, "--resume")[0] == 0


@pytest.mark.parametrize(
    ("name", "says"),
    [(AVERAGE_FILE, "has no average of this model's weights"), (ORDER_FILE, "is not an order of rows to resume with")],
)
def test_a_checkpoint_with_a_damaged_file(
    call_train: Call, recipe: Recipe, tmp_path: Path, name: str, says: str
) -> None:
    recipe = ("-o", tmp_path / "model", *recipe, "--save-steps", "3", "--average", "0.5")
    stopped(call_train, 8, *recipe)
    file = tmp_path / "model.training" / "checkpoint-6" / name
    file.write_bytes(file.read_bytes()[:-1])
    code, _, err = call_train(*recipe, "--resume")
    assert (code, err.splitlines()[-1]) == (3, f"error: {file}: {says}; start over with --overwrite")
    assert call_train(*recipe, "--overwrite")[0] == 0


@pytest.mark.parametrize("epochs", ["1.5", "0.7"])
@pytest.mark.parametrize("where", ["publishing", "evaluation"])
def test_a_part_of_an_epoch_is_not_exceeded(
    call_train: Call, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs: str, where: str
) -> None:
    recipe = (*recipe, "--epochs", epochs, "--save-steps", "7")  # the last of 14 steps, and of 7
    assert call_train("-o", tmp_path / "whole", *recipe)[0] == 0
    if where == "publishing":
        stopped(call_train, NOT_REACHED, "-o", tmp_path / "halved", *recipe)
        again = ("--resume",)
    else:
        plain = LogAtEpochEnd.on_epoch_end

        def on_epoch_end(self: LogAtEpochEnd, args: object, state: object, control: object, **more: object) -> None:
            if state.global_step == state.max_steps:  # type: ignore[attr-defined]
                raise KeyboardInterrupt
            plain(self, args, state, control, **more)

        with monkeypatch.context() as patch:
            patch.setattr(LogAtEpochEnd, "on_epoch_end", on_epoch_end)
            assert call_train("-o", tmp_path / "halved", *recipe)[0] == 130
        again = ("--resume",) if (tmp_path / "halved.training").exists() else ()
    assert call_train("-o", tmp_path / "halved", *recipe, *again)[0] == 0
    assert_same_training(tmp_path / "whole", tmp_path / "halved")


def test_a_disk_that_is_full(call_train: Call, recipe: Recipe, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    recipe = ("-o", tmp_path / "model", *recipe, "--save-steps", "3")

    def full_at(checkpoint: str, *more: str) -> str:
        # Every file of a checkpoint that holds tensors is larger.
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
        try:
            code, _, err = call_train(*recipe, *more)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        last = err.splitlines()[-1]
        assert code == 5
        path = f"{tmp_path}/model.training/{checkpoint}"
        assert last.startswith(f"error: {path}: the checkpoint could not be written: ")
        assert "File too large" in last
        return last.partition("; ")[2]

    assert full_at("checkpoint-3") == "make room, then run the same command again"
    assert list(tmp_path.iterdir()) == []
    stopped(call_train, 8, *recipe)  # the same command again, up to there
    assert full_at("checkpoint-9", "--resume") == "make room, then run the same command with --resume"
    assert call_train(*recipe, "--resume")[0] == 0


def test_a_folder_that_a_kill_left_without_a_checkpoint(call_train: Call, recipe: Recipe, tmp_path: Path) -> None:
    work = tmp_path / "model.training"
    stopped(call_train, 2, "-o", tmp_path / "model", *recipe)
    assert not work.exists()
    work.mkdir()
    (work / ".options.json.tmp").write_text("{")
    assert "there is no checkpoint to resume from" in call_train("-o", tmp_path / "model", *recipe, "--resume")[2]
    assert call_train("-o", tmp_path / "model", *recipe)[0] == 0


def test_what_stood_there_comes_back_after_a_kill_between_two_renames(
    call_train: Call, recipe: Recipe, tmp_path: Path
) -> None:
    output = tmp_path / "model"
    assert call_train("-o", output, *recipe)[0] == 0
    before = {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()}
    stopped(call_train, NOT_REACHED, "-o", output, *recipe, "--overwrite")
    output.rename(tmp_path / "model.training" / "replaced")  # as it lies there in between
    code, _, err = call_train("-o", output, *recipe)
    assert (code, "model: already exists" in err) == (2, True)
    assert {path.name: path.read_bytes() for path in output.iterdir() if path.is_file()} == before
    assert call_train("-o", output, *recipe, "--resume", "--overwrite")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"model"}

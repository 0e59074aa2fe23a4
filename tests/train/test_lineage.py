"""The line of commands from a first training to a student's card, run for real on tiny models."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from export.cli import export_model as export_command
from export.exporting import export_model
from export.model_card import render_card
from export.options import ExportOptions
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.job.verification import verify_output
from scorer.model.preprocessing import Preprocessing
from tests.conftest import InProcess
from train.history import History
from train.lineage import lineage_of, start_of
from train.options import TrainOptions, short_names

Call = Callable[..., tuple[int, str, str]]

README = "---\nlicense: apache-2.0\nlanguage: en\n---\n# An encoder\n"


@pytest.fixture(scope="module")
def pretrained(tiny_bert_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shutil.copytree(tiny_bert_checkpoint, tmp_path_factory.mktemp("pretrained") / "some-encoder")
    (folder / "README.md").write_text(README)
    return folder


def score(*arguments: object) -> None:
    from scorer.commands.score import score as command

    with pytest.raises(SystemExit) as left:
        run(command, [str(argument) for argument in arguments], env_prefix="SCORER")
    assert left.value.code == 0


def test_the_card_of_a_student_shows_every_command(
    call_train: Call, pretrained: Path, labelled_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(labelled_texts, "reviews.parquet")
    texts = [f"{text} film" for text in pl.read_parquet("reviews.parquet")["text"]]
    pl.DataFrame({"text": texts}).write_parquet("unlabelled.parquet")
    data = ["--train", "reviews.parquet", "--validation-split", "0.25", "--group-column", "film"]
    data += ["--label-names", "negative,positive"]
    small = ["--epochs", "1", "--batch-size", "16", "--max-length", "16", "--no-bf16"]

    assert call_train("-o", "first", "--model", pretrained, *data, *small)[0] == 0
    assert call_train("--baseline", "-o", "first", *data)[0] == 0
    export_model(ExportOptions("first", Path("first-bundle"), precisions=("int8",), threads=1))
    score("unlabelled.parquet", "-o", "by-encoder.parquet", "--model", "first-bundle", "--threads", "1", "-q")
    predict = ["--predict", "unlabelled.parquet", "--predictions"]
    assert call_train("--baseline", *data, *predict, tmp_path / "by-svm.csv")[0] == 0
    teachers = ["--teacher", "by-encoder.parquet", "--teacher", "by-svm.csv"]
    assert call_train("-o", "student", "--model", "first", *data, *small, *teachers)[0] == 0
    export_model(ExportOptions("student", Path("student-bundle"), precisions=("int8",), threads=1))
    figures = {"files": ["reviews.parquet"], "rows": {"evaluated": 96}, "figures": {}, "label_column": "label"}
    Path("figures.json").write_text(json.dumps({**figures, "model": {"name": "student-bundle", "precision": "int8"}}))

    card = render_card(Path("student-bundle"), metrics=[Path("figures.json")])
    commands = card[card.index("```sh") : card.rindex("```")].splitlines()[1:]
    on = "--train reviews.parquet --validation-split 0.25 --group-column film --label-names negative,positive"
    how = "--batch-size 16 --epochs 1 --no-bf16"
    assert commands == [
        f"train-model -o first --model some-encoder {on} {how} --max-length 16",
        f"train-model -o first {on} --baseline",
        "export-model first -o first-bundle --precision int8 --max-drop 0.005 --base-model some-encoder"
        " --license apache-2.0",
        "score unlabelled.parquet -o by-encoder.parquet --model first-bundle --precision int8 --text-column text"
        " --max-length 16 --long-text truncate",
        f"train-model {on} --baseline --predict unlabelled.parquet --predictions by-svm.csv",
        f"train-model -o student --model first {on} {how} --teacher by-encoder.parquet --teacher by-svm.csv"
        " --max-length 16",
        "export-model student -o student-bundle --precision int8 --max-drop 0.005 --base-model some-encoder"
        " --license apache-2.0",
        "evaluate-labels reviews.parquet --model student-bundle --precision int8 --label-column label"
        " --json figures.json",
        "model-card student-bundle --metrics figures.json",
    ]
    assert "| Pretrained model | some-encoder |" in card
    assert "| Its licence | apache-2.0 |" in card
    assert "| Training began from | first |" in card
    assert "No command was recorded" not in card
    files = ["reviews.parquet", "unlabelled.parquet", "by-encoder.parquet", "by-svm.csv", "first/model.safetensors"]
    for name in files:
        assert f"| {name} | `{sha256(Path(name).read_bytes()).hexdigest()}` |" in card, name
    weights = (pretrained / "model.safetensors").read_bytes()
    assert f"| some-encoder/model.safetensors | `{sha256(weights).hexdigest()}` |" in card
    assert str(tmp_path) not in card
    assert str(tmp_path) not in (tmp_path / "student-bundle" / "bundle.json").read_text()
    steps = {one["makes"]: one for one in History.load(Path("student")).lineage}
    assert steps["by-encoder.parquet"]["inputs"].keys() == {"unlabelled.parquet"}
    assert len(steps["by-encoder.parquet"]["model"]) == 64
    assert verify_output(Path("by-svm.csv")).startswith("by-svm.csv: whole, 96 rows")


def test_commands_on_columns_with_names_of_their_own_can_be_run_again(
    in_process: InProcess, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_checkpoint, "model")
    rows = {"my words": ["A warm film.", "Dull."] * 4, "verdict": ["positive", "negative"] * 4}
    pl.DataFrame(rows).write_csv("dev.csv")
    commands = {
        "export-model": in_process(export_command, "EXPORT_MODEL"),
        "evaluate-labels": in_process(evaluate_labels),
    }
    lines = [
        "export-model model -o bundle --precision int8 --eval dev.csv --text-column 'my words' --label-column verdict"
        " --max-drop 0.9",
        "evaluate-labels dev.csv --model bundle --precision int8 --text-column 'my words' --label-column verdict"
        " --json figures.json",
    ]
    for line in lines:
        name, *arguments = shlex.split(line)
        code, _, err = commands[name](*arguments)
        assert code == 0, err
    card = render_card(Path("bundle"), metrics=[Path("figures.json")]).splitlines()
    assert [line.replace(" --base-model model", "") for line in card if line.startswith(tuple(commands))] == lines


def test_what_nobody_recorded_is_a_step_without_a_command(tiny_checkpoint: Path, tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a"], "pred_prob_a": [0.5], "pred_prob_b": [0.5]}).write_parquet(tmp_path / "p.parquet")
    options = TrainOptions(
        tmp_path / "o", model=str(tiny_checkpoint), teacher=(str(tmp_path / "p.parquet"), str(tiny_checkpoint))
    )
    first, second = lineage_of(options)
    assert (first["makes"], first["command"], list(first["sha256"])) == ("p.parquet", None, ["p.parquet"])
    assert (second["makes"], second["command"], list(second["sha256"])) == ("checkpoint", None, ["model.safetensors"])
    start = start_of(str(tiny_checkpoint))
    assert (start["name"], start["base_model"], start["license"]) == ("checkpoint", "checkpoint", None)


def test_a_history_of_another_shape_tells_nothing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "odd")
    for odd in ({"lineage": 5, "settings": {"validation_split": 7}, "start": "x", "baseline": 7}, {"rows": []}):
        (folder / "history.json").write_text(json.dumps(odd))
        assert start_of(str(folder))["base_model"] is None
        (step,) = lineage_of(TrainOptions(tmp_path / "o", model=str(folder)))
        assert (step["makes"], step["command"]) == ("odd", None)


def test_files_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_names(["a/x.csv", "b/x.csv", "c/y.csv", "./c/y.csv"]) == {
        "a/x.csv": "a/x.csv", "b/x.csv": "b/x.csv", "c/y.csv": "y.csv", "./c/y.csv": "y.csv",
    }  # fmt: skip
    Path("data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    options = TrainOptions(
        Path("m"), train=(".",), preprocessing=Preprocessing(max_length=64, stride=16), group_by_length=False
    )
    assert options.command() == "train-model -o m --train data --no-group-by-length --max-length 64"
    cut = Preprocessing(max_length=256, long_text="head-tail", stride=64, clean=("html-breaks",))
    options = TrainOptions(
        Path("m"), train=("x.csv",), label_names=("bad", "good"), learning_rate=6e-5, preprocessing=cut
    )
    assert options.command() == (
        "train-model -o m --train x.csv --label-names bad,good --learning-rate 6e-05 --max-length 256"
        " --long-text head-tail --clean html-breaks"
    )

"""The model card of a bundle: what was recorded, and nothing that was not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from export.card_cli import main
from export.checkpoint import Checkpoint
from export.lineage import lineage_of_bundle
from export.model_card import render_card
from scorer.errors import InputError, ModelError
from scorer.model.bundle_writer import write_description
from scorer.model.options import PRECISIONS
from scorer.run.score_file import score_file

TRAINING = {
    "rows": [{"epoch": 1.0, "training_loss": 0.31, "validation_loss": 0.29, "accuracy": 0.8741, "f1": 0.8796}],
    "best_epoch": 1.0,
    "settings": {"command": "train-model -o m --train train.parquet", "machine": {"device": "cpu"}},
    "baseline": {"name": "linear SVM", "validation_loss": 0.2, "accuracy": 0.91, "f1": 0.9, "seconds": 74.2},
    "calibration": {"temperature": 1.37, "ece_before": 0.051, "ece_after": 0.012},
    "data": {
        "train": {"files": {"train.parquet": "ab" * 32}, "rows": 24150, "rows_per_label": {"negative": 12}},
        "eval": {"files": {"train.parquet": "ab" * 32}, "rows": 850, "rows_per_label": {"negative": 4, "positive": 5}},
        "split": {"share": 0.04, "group_column": "movie", "seed": 42, "held_out_sha256": "cd" * 32},
        "duplicates": {"validation_rows_in_training": 2},
        "teachers": {"teacher.parquet": "ef" * 32},
    },
}


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for path in tiny_bundle.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    described = json.loads((folder / "bundle.json").read_text())
    for key in ("files", "format", "lineage"):
        described.pop(key)
    license_ = {"name": "some/encoder", "license": "Apache-2.0"}
    described |= {"training": TRAINING, "temperature": 1.37, "base_model": license_}
    write_description(folder, {**described, "lineage": lineage_of_bundle("bundle", described)})
    return folder


def metrics(path: Path) -> Path:
    interval = {"low": 0.925, "high": 0.935, "method": "wilson"}
    figures = {"accuracy": {"value": 0.93, "interval": interval}, "f1": {"value": 0.92, "interval": None}}
    figures["ece"] = {"value": 0.08, "interval": {"low": 0.0, "high": 0.14, "warning": "11 wrong rows"}}
    value = {"files": ["/somewhere/test.parquet"], "rows": {"evaluated": 12552}, "figures": figures}
    path.write_text(json.dumps(value))
    return path


def test_what_was_recorded_stands_in_it(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("## Limits\n\nEnglish alone.\n")
    card = render_card(bundle, metrics=[metrics(tmp_path / "m.json")], notes=tmp_path / "notes.md")
    for line in (
        "| Pretrained model | some/encoder |",
        "| Its licence | Apache-2.0 |",
        "| test.parquet | 12,552 | 0.9300 [0.9250, 0.9350] | 0.9200 | - | 0.0800 [~ 0.0000, 0.1400] | - |",
        "| 1 (kept) | 0.3100 | 0.2900 | 0.8741 | 0.8796 |",
        "| baseline: linear SVM, 74 s | - | 0.2000 | 0.9100 | 0.9000 |",
        "train-model -o m --train train.parquet",
        "| teacher.parquet | `" + "ef" * 32 + "` |",
        "Validation texts that stand in the training part too: 2.",
        "English alone.",
    ):
        assert line in card.splitlines(), line
    assert "divided by 1.370" in card
    assert "0.0510 before, 0.0120 after" in card
    assert "4.0% of the training rows, whole groups of `movie`, seed 42" in card
    assert "/somewhere" not in card
    variants = [line for line in card.splitlines() if line.startswith(("| fp32", "| fp16", "| int8"))]
    assert [len([line for line in variants if line.startswith(f"| {name} |")]) for name in PRECISIONS] == [5, 5, 5]


def test_the_commands_name_the_scoring_behind_the_figures(bundle: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["A warm film.", "Dull."], "label": [1, 0]}), tmp_path / "test.parquet")
    predictions = tmp_path / "preds.parquet"
    score_file(tmp_path / "test.parquet", predictions, model=bundle)
    file = metrics(tmp_path / "m.json")
    sha256 = hashlib.sha256(predictions.read_bytes()).hexdigest()
    value = {**json.loads(file.read_text()), "files": ["preds.parquet"], "label_column": "label"}
    value["inputs"] = [{"path": "preds.parquet", "role": "evaluated", "sha256": sha256}]
    file.write_text(json.dumps(value))

    def commands() -> list[str]:
        lines = render_card(bundle, metrics=[file]).splitlines()
        return [line for line in lines if line.startswith(("score ", "evaluate-labels ", "model-card "))]

    length = json.loads((bundle / "bundle.json").read_text())["preprocessing"]["max_length"]
    assert commands() == [
        "score test.parquet -o preds.parquet --model bundle --precision int8 --text-column text "
        f"--max-length {length} --long-text truncate",
        "evaluate-labels preds.parquet --label-column label --json m.json",
        "model-card bundle --metrics m.json",
    ]
    predictions.write_bytes(predictions.read_bytes()[:-1] + b"?")  # another file than the one that was measured
    assert [line.split()[0] for line in commands()] == ["evaluate-labels", "model-card"]


def test_what_was_not_recorded_is_left_out(tiny_bundle: Path) -> None:
    card = render_card(tiny_bundle)
    assert "| Its licence | not recorded |" in card
    assert "No command was recorded for: checkpoint." in card
    for title in ("## Training", "## Calibration", "## Data", "## Figures"):
        assert title not in card


def test_what_no_card_can_be_made_of(optimum_folder: Path, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nothing was recorded"):
        render_card(optimum_folder)
    (tmp_path / "m.json").write_text("{}")
    with pytest.raises(InputError, match="is not what evaluate-labels --json writes"):
        render_card(bundle, metrics=[tmp_path / "m.json"])


def test_the_command(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = tmp_path / "card.md"

    def call(*more: str) -> tuple[object, str]:
        monkeypatch.setattr("sys.argv", ["model_card", str(bundle), "-o", str(card), *more])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code, capsys.readouterr().err

    assert call() == (0, f"wrote {card}\n")
    assert card.read_text() == render_card(bundle)
    card.write_text("with words of my own")
    assert call() == (2, f"error: {card}: already exists; pass --overwrite to replace it\n")
    assert card.read_text() == "with words of my own"
    assert call("--overwrite") == (0, f"wrote {card}\n")
    assert card.read_text() == render_card(bundle)


def test_the_temperature_of_a_training_is_the_bundle_s() -> None:
    def temperature(training: dict[str, Any] | None) -> float:
        return Checkpoint("m", None, None, None, training).temperature  # type: ignore[arg-type]

    assert temperature(TRAINING) == 1.37
    for nothing in (None, {}, {"calibration": None}, {"calibration": {"temperature": float("nan")}}):
        assert temperature(nothing) == 1.0

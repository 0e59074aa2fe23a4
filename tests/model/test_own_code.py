"""Models whose configuration asks for code: every command refuses them before a library could run it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import ModelError
from scorer.model.own_code import refuse_own_code
from tests.conftest import Call, InProcess

KERNEL = "someone/kernels"

ASKING = [
    {"auto_map": {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}},
    {"auto_map": {"AutoConfig": "someone/else--own.Config"}},
    {"trust_remote_code": True},
    {"custom_pipelines": {"reviews": {"impl": "own.Pipeline", "pt": ["AutoModel"]}}},
    {"configuration_files": ["config.4.0.0.json"]},
    {"_attn_implementation": KERNEL},
    {"_attn_implementation_internal": KERNEL},
    {"attn_implementation": f"{KERNEL}@v1:attend"},
    {"_attn_implementation": {"": "eager", "text_config": KERNEL}},
    {"text_config": {"_attn_implementation_internal": KERNEL}},
    {"parts": [{"deeper": [{"auto_map": {"AutoModel": "own.Model"}}]}]},
]

HARMLESS = [
    {"auto_map": {}},
    {"auto_map": None},
    {"trust_remote_code": False},
    {"_attn_implementation": "sdpa"},
    {"attn_implementation": None},
    {"_name_or_path": "someone/model"},
    {"id2label": {"0": "auto_map", "1": "a/b"}},
]


def change(path: Path, values: dict[str, Any]) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **values}))


@pytest.mark.parametrize("values", ASKING)
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_requests_for_code_are_refused(tmp_path: Path, values: dict[str, Any], name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    change(tmp_path / name, values)
    with pytest.raises(ModelError, match=rf"{name}: asks for code of its own: '.*'; no command runs that"):
        refuse_own_code(tmp_path)


@pytest.mark.parametrize("values", HARMLESS)
def test_what_asks_for_nothing_is_fine(tmp_path: Path, values: dict[str, Any]) -> None:
    change(tmp_path / "config.json", values)
    refuse_own_code(tmp_path)


def test_a_model_of_the_hub_is_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(hub_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((hub_id, revision, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    change(tmp_path / "config.json", ASKING[0])
    with pytest.raises(ModelError, match="auto_map"):
        refuse_own_code("someone/model")
    assert asked == [("someone/model", None, ["config.json", "tokenizer_config.json"])]


@pytest.fixture
def asking(tiny_bundle: Path, tiny_checkpoint: Path, tmp_path: Path) -> Callable[[dict[str, Any], str], Path]:
    """Make a folder that is a bundle and a checkpoint, and whose module would write a file beside it if it ran."""

    def make(values: dict[str, Any], name: str) -> Path:
        folder = shutil.copytree(tiny_bundle, tmp_path / "asking")
        (folder / "bundle.json").unlink()
        shutil.copytree(tiny_checkpoint, folder, dirs_exist_ok=True)
        (folder / "own.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w').close()\n")
        change(folder / name, values)
        return folder

    return make


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (ASKING[0], "config.json"),
        ({"auto_map": {"AutoTokenizer": ["own.Slow", "own.Fast"]}}, "tokenizer_config.json"),
        ({"_attn_implementation_internal": KERNEL}, "config.json"),
    ],
)
def test_every_command_refuses_them(
    asking: Callable[[dict[str, Any], str], Path],
    values: dict[str, Any],
    name: str,
    labelled_texts: Path,
    call_train: Call,
    in_process: InProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from export.cli import export_model
    from scorer.commands.evaluate_labels import evaluate_labels
    from scorer.commands.score import score

    folder, out = asking(values, name), tmp_path / "out.parquet"
    # A yes to every question, as a script's stdin could be.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    training = ("--train", labelled_texts, "--validation-split", 0.25, "--epochs", 1, "-o", tmp_path / "trained")
    calls = [
        (in_process(score), (labelled_texts, "-o", out, "--model", folder)),
        (in_process(evaluate_labels), (labelled_texts, "--model", folder)),
        (in_process(export_model, "EXPORT_MODEL"), (folder, "-o", tmp_path / "bundle")),
        (call_train, ("--model", folder, *training)),
    ]
    key = next(iter(values))
    expected = f"error: {folder / name}: asks for code of its own: {key!r}; no command runs that; if the architecture"
    for call, arguments in calls:
        code, stdout, stderr = call(*arguments)
        assert (code, stdout) == (4, ""), stderr
        assert expected in stderr
    assert not (tmp_path / "was-run").exists()
    assert not out.exists()
    assert not (tmp_path / "bundle").exists()


def test_a_teacher_that_asks_for_code_is_refused(
    asking: Callable[[dict[str, Any], str], Path],
    tiny_bert_checkpoint: Path,
    labelled_texts: Path,
    call_train: Call,
    tmp_path: Path,
) -> None:
    folder = asking(ASKING[0], "config.json")
    training = ("--train", labelled_texts, "--validation-split", 0.25, "-o", tmp_path / "trained")
    names = ("--label-names", "negative,positive")
    code, _, stderr = call_train("--model", tiny_bert_checkpoint, "--teacher", folder, *names, *training)
    assert code == 4
    assert f"{folder / 'config.json'}: asks for code of its own: 'auto_map'" in stderr
    assert not (tmp_path / "was-run").exists()

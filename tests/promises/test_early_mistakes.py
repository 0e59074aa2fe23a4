"""A mistake that a look at files shows is found before torch and its like are loaded, which takes many seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import environment

HEAVY = {"torch", "transformers", "datasets", "evaluate", "onnx", "sklearn"}

CODE = """
import sys
from {module} import main
try:
    main()
finally:
    print(*(name for name in sys.modules if "." not in name))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text("text,label\ngood,1\nbad,0\n")
    (tmp_path / "there").mkdir()
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("module", "arguments", "code", "message"),
    [
        ("train.cli", "-o new --train none.csv --eval a.csv", 3, "none.csv: no such file; check the path"),
        ("train.cli", "-o new --train a.csv --eval none.csv", 3, "none.csv: no such file; check the path"),
        ("train.cli", "-o new --train ./none --eval a.csv", 3, "./none: no such file or folder; check the path"),
        ("train.cli", "-o new --train a.csv --eval a.csv --pretrain-on b.jsonl", 3, "b.jsonl: no such file; check"),
        ("train.cli", "-o new --train a.csv --eval a.csv --teacher p.parquet", 3, "p.parquet: no such file; check"),
        ("train.cli", "-o new --train a.csv --eval a.csv --model ./none", 4, "./none: no such folder; pass a"),
        ("train.cli", "-o new --train a.csv", 2, "there is nothing to validate on; pass --eval FILE or"),
        (
            "train.cli",
            "-o there --train a.csv --eval a.csv",
            2,
            "there: already exists; pass --overwrite to replace it",
        ),
        ("train.cli", "-o new --resume --train a.csv --eval a.csv", 2, "new.training: there is no checkpoint to"),
        ("train.cli", "-o none/new --train a.csv --eval a.csv", 5, "no such folder; make it first"),
        ("train.cli", "--baseline --train none.csv --eval a.csv", 3, "none.csv: no such file; check the path"),
        ("train.cli", "--baseline --train a.csv --eval a.csv --predictions a.csv", 2, "a.csv: already exists; pass"),
        ("export.cli", "none -o new", 4, "none: no such checkpoint folder; pass a folder that train-model wrote"),
        ("export.cli", "there -o new", 4, "there: has no config.json; pass a folder that train-model wrote"),
        ("export.cli", "checkpoint -o there", 2, "there: already exists; pass --overwrite"),
        ("export.cli", "checkpoint -o none/new", 5, "no such folder; make it first"),
        ("export.cli", "checkpoint -o new --eval none.csv", 3, "none.csv: no such file; check the path"),
        ("export.cli", "checkpoint -o new --eval a.csv --label-column x", 3, "a.csv: no column 'x'; its columns: text"),
    ],
)
def test_before_torch(folder: Path, module: str, arguments: str, code: int, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module), *arguments.split()],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert HEAVY.isdisjoint(done.stdout.split())
    assert {path.name for path in folder.iterdir()} == {"a.csv", "there", "checkpoint"}

"""A mistake that a look at files shows is found before torch and its like are loaded, which takes many seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.helpers.processes import environment

HEAVY = {"torch", "transformers", "datasets", "evaluate", "onnx", "sklearn"}

# Commands in one process: of each, the exit code, stderr, and the packages that are loaded by then.
CODE = """
import contextlib, importlib, io, json, sys
for module, arguments in json.load(sys.stdin):
    sys.argv[1:] = arguments.split()
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            importlib.import_module(module).main()
        except SystemExit as left:
            code = left.code
    print(json.dumps([code, err.getvalue(), [name for name in sys.modules if "." not in name]]))
"""

CASES = [
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
]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, list[str]]]:
    """What each command came to, in one folder, which they leave as it is."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "a.csv").write_text("text,label\ngood,1\nbad,0\n")
    (folder / "there").mkdir()
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "config.json").write_text("{}")
    before = set(folder.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps([case[:2] for case in CASES]),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(folder.rglob("*")) == before
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_before_torch(outcomes: list[tuple[int, str, list[str]]], number: int) -> None:
    module, arguments, expected, message = CASES[number]
    code, err, loaded = outcomes[number]
    assert (code, message in err) == (expected, True), (module, arguments, err)
    assert HEAVY.isdisjoint(loaded), (module, arguments)

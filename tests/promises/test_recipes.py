"""The recipes and the guide to Python run as the documentation shows them."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from tests.conftest import InProcess
from tests.helpers.pages import python_blocks
from tests.helpers.processes import ROOT, environment


def test_duckdb(tmp_path: Path) -> None:
    if importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed")
    shutil.copy(ROOT / "sample_data" / "reviews.parquet", tmp_path)
    code = "\n".join(python_blocks(ROOT / "docs" / "recipes.md", "DuckDB"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counted = re.findall(r"│ (negative|positive|NULL) +│ +(\d+) │", done.stdout)
    assert {label for label, _ in counted} >= {"negative", "positive"}
    assert sum(int(count) for _, count in counted) == 50
    assert len(re.findall(r"│ +\d │ (?:negative|positive)", done.stdout)) == 3


def test_the_guide_to_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "sample_data" / "reviews.parquet", tmp_path)
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in python_blocks(ROOT / "docs" / "python.md"):
        exec(block.replace('text_column="review"', 'text_column="text"'), names)
    assert names["summary"].counts.rows == 300  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "text 0 has type int, not str or None; pass None for a text that is missing\n"


def test_the_first_lines_of_the_guide_to_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: InProcess
) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    block = page.partition("```sh\n")[2].partition("```")[0]
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(lines) > 5
    for name, *arguments in lines:
        command = {"score": score, "evaluate-labels": evaluate_labels}[name]
        code, out, err = in_process(command)(*arguments)
        assert code == 0, err
    assert "216 rows evaluated, gold labels from column 'label'" in out
    assert "84 rows unmatched: the id has no gold label, left out" in out
    code, _, err = in_process(evaluate_labels)(*arguments[:-1])
    assert (code, "84 of 300 ids have no label in sample_data/labelled.parquet" in err) == (3, True)

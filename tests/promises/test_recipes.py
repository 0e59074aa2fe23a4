"""The recipes of the documentation run as they stand there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "recipes.md"


def blocks(heading: str, page: Path = PAGE) -> list[str]:
    """The Python of one section of a page."""
    section = page.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


def test_duckdb(tmp_path: Path) -> None:
    if importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed")
    shutil.copy(ROOT / "sample_data" / "reviews.parquet", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("DuckDB"))], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted = re.findall(r"│ (negative|positive|NULL) +│ +(\d+) │", done.stdout)
    assert {label for label, _ in counted} >= {"negative", "positive"}
    assert sum(int(count) for _, count in counted) == 50
    assert len(re.findall(r"│ +\d │ (?:negative|positive)", done.stdout)) == 3


def test_the_guide_to_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "python.md"
    shutil.copy(ROOT / "sample_data" / "reviews.parquet", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        exec(block.replace('text_column="review"', 'text_column="text"'), names)
    assert names["summary"].counts.rows == 300  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "text 0 is a int, not a string or None\n"

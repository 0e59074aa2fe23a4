"""A number in a message has its noun in the singular where it is 1."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

from scorer.safe_text import counted
from tests.helpers.processes import ROOT

NOUNS = (
    "rows|files|texts|labels|reviews|chunks|steps|tokens|ids|columns|bytes|threads|seconds|minutes|hours|days|mistakes"
    "|epochs|cores|lines|fields|windows|objects|nodes|processes|times|outputs|groups|slices|predictions|words"
    "|characters|matrices|inputs|packages|versions|models|bins|draws|pairs|failures|errors|tries|samples|weights"
    "|classes|positions|variants|digits|parts|rejects"
)
PLURAL = re.compile(rf" (?:[a-z]+ )?(?:{NOUNS})\b")

NEVER_ONE = {
    "_BOMB_RATIO", "_TRIES + 1", "MAX_VALUES", "MAX_LABELS", "CHECKED_ROWS", "UNCERTAIN_ROWS", "TEXT_CHARACTERS",
    "min(length, TEXT_CHARACTERS)", "length", "n_bins", "own", "count", "records.n_lines", "graph.rows", "times",
    "len(report.labels)", "len(names)", "len(value)", "high", "shape[1]", "tokens", "positions", "position_type",
    "self.max_positions", "self.max_length", "own.max_length", "plain.max_positions", "len(certain)",
    "row.num_rows", "len(reference.logits)", "len(rows)", "len(others)",
}  # fmt: skip
"""Expressions that are at least 2 where the message is made, or whose noun follows "1 of"."""

NO_NUMBERS = {
    "quoted(name)",
    "'the baseline has' if current.lengths else 'these predictions have'",
    "options.label_column",
    "quoted(on)",
    "quoted(text)",
}


def found_in(path: Path) -> list[str]:
    wrong = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for number, noun in pairwise(parts):
            if isinstance(number, ast.FormattedValue) and isinstance(noun, ast.Constant):
                expression = ast.unparse(number.value)
                if PLURAL.match(str(noun.value)) and expression not in NEVER_ONE | NO_NUMBERS:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {{{expression}}}{noun.value}")
    return wrong


@pytest.mark.parametrize("package", ["scorer", "train", "export"])
def test_every_number_with_a_noun_is_counted(package: str) -> None:
    wrong = [line for path in sorted((ROOT / package).rglob("*.py")) for line in found_in(path)]
    assert not wrong, "write these with scorer.safe_text.counted:\n" + "\n".join(wrong)


def test_the_finder_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    (tmp_path / "x.py").write_text('f"{n:,} rows" + f"{len(a)} bad rows" + f"{counted(n, 1)} rowsy"')
    assert len(found_in(tmp_path / "x.py")) == 2


def test_one_and_many() -> None:
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(n, "matrix", "matrices") for n in (1, 2)] == ["1 matrix", "2 matrices"]

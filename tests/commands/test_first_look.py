"""`score --text`, `score -V` and `python -m scorer`: what is typed first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scorer import Scorer
from scorer.version import package_version
from tests.conftest import Call
from tests.helpers.processes import environment


def test_one_text_shows_its_label_and_the_probability_of_each(call_score: Call) -> None:
    code, out, err = call_score("--text", "A warm, quiet film.")
    assert (code, err) == (0, "")
    label, *lines = out.splitlines()
    shares = {name: float(share) for name, share in map(str.split, lines)}
    assert set(shares) == {"negative", "positive"}
    assert label == max(shares, key=lambda name: shares[name]) == next(iter(shares))
    assert sum(shares.values()) == pytest.approx(1, abs=2e-4)


def test_several_texts_have_a_line_each(call_score: Call, tiny_bundle: object) -> None:
    code, out, _ = call_score("--text", "A warm film.", "--text", " ", "--text", "dull\x1b[2J")
    assert code == 0
    scored = Scorer.load(str(tiny_bundle)).score(["A warm film.", "dull"]).to_pylist()
    first, empty, last = out.splitlines()
    assert first == f"{scored[0]['pred_label']}  {scored[0]['pred_score']:.4f}  A warm film."
    assert empty.split() == ["(empty)"]
    assert last.endswith("dull\\x1b[2J")


def test_rows_for_programs(call_score: Call) -> None:
    code, out, _ = call_score("--text", "A warm film.", "--output-format", "jsonl")
    row = json.loads(out)
    assert (code, row["text"], row["pred_status"]) == (0, "A warm film.", "ok")
    assert call_score("--text", "x", "--output-format", "csv")[1].splitlines()[0].startswith("text,pred_label,")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.csv",), "--text cannot be combined with 'INPUT...'; drop one"),
        (("-o", "b.csv"), "--text cannot be combined with '-o' / '--output'; drop one"),
        (("--output-format", "parquet"), "--output-format parquet with --text; pass jsonl, csv or tsv"),
    ],
)
def test_what_does_not_go_with_a_text(call_score: Call, arguments: tuple[str, ...], message: str) -> None:
    assert call_score("--text", "x", *arguments) == (2, "", f"error: {message}\n")


def test_an_empty_text_is_said_to_be_one(call_score: Call) -> None:
    assert call_score("--text", "") == (0, "the text is empty\n", "")


def test_a_variable_makes_no_first_look(call_score: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCORER_TEXT", "x")
    assert call_score("-o", "b.csv")[2].startswith("error: Missing argument")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_module_is_the_command(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scorer", option], capture_output=True, text=True, env=environment(), check=False
    )
    assert (done.returncode, done.stdout) == (0, f"review-scorer, version {package_version()}\n")

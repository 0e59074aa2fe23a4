"""`score --text`, `score -V` and `python -m scorer`: what is typed first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


def test_a_threshold_that_chose_a_less_likely_label_is_said(call_score: Call) -> None:
    lines = call_score("--text", "A warm film.", "--threshold", "1")[1].splitlines()
    usual = call_score("--text", "A warm film.", "--threshold", "0.5")[1].splitlines()
    if usual[0] == "negative":  # the threshold is that of the second label
        lines = call_score("--text", "A warm film.", "--threshold", "0")[1].splitlines()
        assert lines == ["positive (by the threshold 0)", *usual[1:]]
    else:
        assert lines == ["negative (by the threshold 1)", *usual[1:]]


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


@pytest.mark.parametrize(
    "arguments",
    [
        "--metrics-file m.prom",
        "--summary s.json",
        "--dry-run",
        "--engine ray",
        "--encoding foo",
        "--columns x",
        "--overwrite",
        "--no-resume",
        "--prune --yes",
        "--since 3d",
        "--format csv",
        "--on-bad-row reject",
        "--verify x.csv",
        "--doctor",
    ],
)
@pytest.mark.parametrize("text_first", [True, False])
def test_an_option_that_means_nothing_beside_a_text_is_named(
    call_score: Call, arguments: str, text_first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, text = arguments.split(), ["--text", "x"]
    code, out, err = call_score(*text, *words) if text_first else call_score(*words, *text)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: --text cannot be combined with ")
    assert words[0] in err


def test_variables_of_a_nightly_job_leave_a_first_look_as_it_is(
    call_score: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = call_score("--text", "A warm film.")
    nightly = {
        "OUTPUT": "scored/",
        "OUTPUT_FORMAT": "parquet",
        "METRICS_FILE": str(tmp_path / "m.prom"),
        "SUMMARY": str(tmp_path / "s.json"),
        "PRUNE": "1",
        "SINCE": "3d",
        "ENCODING": "latin-1",
        "ON_BAD_ROW": "reject",
        "COLUMNS": "id",
        "REUSE": "a.parquet",
        "RESUME": "0",
    }
    for name, value in nightly.items():
        monkeypatch.setenv(f"SCORER_{name}", value)
    assert call_score("--text", "A warm film.") == plain
    assert plain[0] == 0
    assert not list(tmp_path.glob("*.prom"))


def test_a_formula_is_escaped_for_a_spreadsheet(call_score: Call) -> None:
    code, out, _ = call_score("--text", "=cmd()", "--csv-safe", "--output-format", "csv")
    assert (code, out.splitlines()[1].partition(",")[0]) == (0, "'=cmd()")


def test_a_text_that_is_not_utf_8_is_said_to_be_one(call_score: Call) -> None:
    hint = "type it in UTF-8, or score a file with --encoding"
    code, out, err = call_score("--text", "bad \udcff bytes")
    assert (code, out, err) == (2, "", f"error: --text 'bad \\udcff bytes' is not UTF-8; {hint}\n")


def test_an_emoji_is_shown_and_other_invisible_characters_are_escaped(call_score: Call) -> None:
    family, flag = "👨\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈"
    shown = [line.split("  ")[-1] for line in call_score("--text", family, "--text", flag)[1].splitlines()]
    assert shown == [family, flag]
    shown = [
        line.split("  ")[-1] for line in call_score("--text", "a\u200db👨\u200d", "--text", "a\u200b")[1].splitlines()
    ]
    assert shown == ["a\\u200db👨\\u200d", "a\\u200b"]


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

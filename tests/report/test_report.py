"""A report as JSON of its schema, as Markdown, and as text: with all parts, and with hostile names and texts."""

from __future__ import annotations

import json
from importlib import resources
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import evaluate_labels
from scorer.commands.evaluate_labels import evaluate_labels as command_of
from scorer.evaluation.findings import FIGURES, SCHEMA_VERSION
from scorer.report.files import to_json_text
from scorer.report.markdown import to_markdown
from scorer.report.terminal import to_text

HOSTILE = "<script>alert(1)</script> | `x` [a](http://b) *bold* \x1b[31m\nnew line @someone " + "y" * 500


@pytest.fixture
def everything(tmp_path, monkeypatch):
    """Predictions with hostile texts, slices and a baseline; returns the options that give every part."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(9)
    gold = rng.integers(2, size=120)
    names = np.array(["neg|ative", "<b>positive"])
    for file, noise in (("new", 0.3), ("old", 0.5)):
        positive = np.clip(gold * 0.6 + 0.2 + rng.normal(size=120) * noise, 0, 1).astype(np.float32)
        columns = {"id": np.arange(120), "text": [HOSTILE] * 120, "kind": rng.choice(["a", "[red]b"], 120)}
        columns |= {"label": names[gold], "pred_label": names[(positive >= 0.5).astype(int)]}
        columns |= {"pred_prob_neg|ative": 1 - positive, "pred_prob_<b>positive": positive}
        pq.write_table(pa.table(columns), f"{file}.parquet")
    return {
        "slice_by": "kind",
        "baseline": "old.parquet",
        "drift": "old.parquet",
        "on": "id",
        "max_drop": 0.5,
        "max_psi": 0.0,
        "min_f1": 0.99,
        "at_precision": 0.9,
    }


def schema() -> dict:
    return json.loads(resources.files("scorer.evaluation").joinpath("report.schema.json").read_text(encoding="utf-8"))


def valid(report) -> dict:
    value = json.loads(to_json_text(report))
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(value)
    assert value["schema_version"] == SCHEMA_VERSION == schema()["properties"]["schema_version"]["const"]
    return value


def test_a_report_with_every_part_is_valid(everything):
    value = valid(evaluate_labels("new.parquet", **everything))
    assert list(value["figures"]) == list(FIGURES)
    assert value["comparison"]["paired_by"] == "id"
    assert value["drift"]["vocabulary"]["distance"]["value"] == 0
    assert value["thresholds"]["wanted"][0]["figure"] == "precision"
    assert [item["role"] for item in value["inputs"]] == ["evaluated", "baseline", "drift"]
    assert len(value["inputs"][0]["sha256"]) == 64


def test_reports_with_few_parts_are_valid(everything, tiny_bundle):
    valid(evaluate_labels("new.parquet"))
    valid(evaluate_labels("new.parquet", mistakes=0))
    held = pq.read_table("new.parquet")
    pq.write_table(held.select(["pred_label"]), "bare.parquet")
    assert valid(evaluate_labels("bare.parquet", drift="bare.parquet"))["label_column"] is None
    pq.write_table(held.select(["pred_label", "label"]), "bare.parquet")
    assert valid(evaluate_labels("bare.parquet"))["thresholds"] is None
    pq.write_table(pa.table({"text": ["a film", "a book"], "label": [0, 1]}), "plain.parquet")
    assert valid(evaluate_labels("plain.parquet", model=tiny_bundle))["model"]["precision"] == "int8"


def test_the_schema_refuses_anything_but_a_report(everything):
    value = valid(evaluate_labels("new.parquet"))
    for broken in (
        {**value, "schema_version": 1},
        {**value, "more": 1},
        {key: item for key, item in value.items() if key != "gates"},
        {**value, "figures": {**value["figures"], "f1": {"value": None, "reason": None, "interval": None}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema()).validate(broken)


def test_the_same_evaluation_gives_the_same_bytes(everything):
    once, twice = (to_json_text(evaluate_labels("new.parquet", **everything)) for _ in range(2))
    assert once == twice


def test_markdown_holds_every_part_and_no_markup_of_others(everything):
    report = evaluate_labels("new.parquet", **everything)
    text = to_markdown(report)
    lines = text.splitlines()
    assert lines[0] == "# Evaluation"
    for heading in ("## against old.parquet", "## by kind, weakest first", "## by length, weakest first"):
        assert heading in lines
    assert "<script>" not in text
    assert "<b>" not in text
    assert "\x1b" not in text
    assert "](http" not in text
    assert " @someone" not in text
    assert "y" * 300 not in text
    tables = [line for line in lines if line.startswith("|")]
    for line, rule in pairwise(tables):
        if set(rule) <= set("|-: "):
            assert unescaped_bars(line) == unescaped_bars(rule)
    assert "gate NOT MET: f1 " in text


def unescaped_bars(line: str) -> int:
    return line.replace("\\|", "").count("|")


def test_text_has_one_line_for_each_row_and_no_control_characters(everything):
    text = to_text(evaluate_labels("new.parquet", **everything), in_full=True)
    assert all(char.isprintable() or char == "\n" for char in text)
    assert max(len(line) for line in text.splitlines()) < 400
    assert "\n[red]b " in text


@pytest.fixture
def command(everything, in_process):
    return in_process(command_of)


def test_the_command_writes_both_files_and_replaces_them_whole(command):
    Path("report.md").write_text("old")
    options = ("--slice-by", "kind", "--slice-by", "label", "--json", "report.json", "--markdown", "report.md")
    code, out, err = command("new.parquet", *options, "--min-f1", "1")
    assert code == 8
    assert err.startswith("wrote report.json\nwrote report.md\nerror: ")
    assert err.count("\n") == 3
    report = json.loads(Path("report.json").read_text())
    assert [group["by"] for group in report["slices"]][:2] == ["kind", "label"]
    assert Path("report.md").read_text().startswith("# Evaluation\n")
    assert "\ngate NOT MET: f1 " in out
    assert not list(Path().glob(".*.tmp"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--markdown", "old.parquet", "--baseline", "old.parquet"], 2, "--markdown names a file that is read"),
        (["--markdown", "nowhere/r.md"], 5, "no such folder; make it first"),
        (["--json", "r", "--slice-by", "genre"], 3, "new.parquet: no column 'genre'; its columns: id, text, kind"),
        (["--max-drop", "0.1"], 2, "--max-drop needs --baseline"),
        (["--at-recall", "2"], 2, "--at-recall 2 must be between 0 and 1; for 2 % pass 0.02"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(command, arguments, code, message):
    before = sorted(Path().iterdir())
    left, out, err = command("new.parquet", *arguments)
    assert (left, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before

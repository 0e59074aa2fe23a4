"""`--log-format json`: every line on stderr is one JSON object, and none holds a review's text."""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from scorer import progress
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.log_setup import set_up_logging
from scorer.commands.score import score
from scorer.commands.shared_options import log_format_option
from scorer.log_lines import JsonLines
from tests.conftest import Call
from tests.helpers.processes import CODE
from tests.helpers.terminal import on_a_terminal

SECRET = "marmalade"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    yield
    run_quietly = click.Command("nothing", callback=lambda: set_up_logging(quiet=False, verbose=0))
    with pytest.raises(SystemExit):
        run(run_quietly, [], env_prefix="NOTHING")
    logging.captureWarnings(False)


def objects(err: str) -> list[dict[str, Any]]:
    """The lines, each checked for what all have."""
    found = [json.loads(line) for line in err.splitlines()]
    for value in found:
        assert list(value)[:4] == ["time", "level", "event", "message"]
        assert TIME.fullmatch(value["time"])
        assert value["level"] in ("debug", "info", "warning", "error")
        assert value["message"].isprintable()
    assert SECRET not in err
    return found


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text(f"text,n\ngood {SECRET},1\n,2\n")
    (folder / "bad.csv").write_text(f"text,n\n{SECRET},1\n{SECRET},{SECRET},{SECRET}\n")
    return folder


def test_a_run_with_failures(call_score: Call, incoming: Path) -> None:
    code, out, err = call_score("in", "-o", "scored", "--log-format", "json")
    assert (code, out) == (3, "")
    loaded, scored, failed, *ending, last = objects(err)
    assert {one["event"] for one in ending} == {"ending"}
    assert (loaded["event"], loaded["precision"], loaded["device"]) == ("model_loaded", "int8", "cpu")
    assert (scored["event"], scored["file"], scored["output"]) == ("file_scored", "in/a.csv", "scored/a.csv")
    assert {name: scored[name] for name in scored if name.startswith("rows_")} == {
        "rows_in": 2, "rows_out": 2, "rows_scored": 1, "rows_empty": 1, "rows_error": 0, "rows_rejected": 0,
        "rows_resumed": 0, "rows_reused": 0,
    }  # fmt: skip
    assert (failed["level"], failed["event"], failed["file"], failed["row"], failed["line"]) == (
        "error", "file_failed", "in/bad.csv", 2, 3,
    )  # fmt: skip
    said = "3 fields, but the header has 2; fix the row, or pass --on-bad-row reject"
    assert failed["message"] == f"in/bad.csv: row 2 (line 3): {said}"
    assert failed["hint"] == "fix the row, or pass --on-bad-row reject"
    assert (failed["exit_code"], failed["error"]) == (3, "InputError")
    assert (last["level"], last["event"], last["exit_code"]) == ("error", "error", 3)
    assert last["message"] == "1 of 2 files could not be scored: in/bad.csv; the other 1 is done"


def test_a_run_that_ends_well(call_score: Call, incoming: Path) -> None:
    arguments = ("in", "-o", "scored", "--on-bad-row", "reject", "--log-format=json")
    code, _, err = call_score(*arguments, "-v")
    assert code == 0
    last = objects(err)[-1]
    assert last["event"] == "run_ended"
    assert {name: last[name] for name in ("exit_code", "files_done", "files_failed", "rows_in", "rows_rejected")} == {
        "exit_code": 0, "files_done": 2, "files_failed": 0, "rows_in": 4, "rows_rejected": 1,
    }  # fmt: skip
    assert call_score(*arguments, "-q")[2] == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--log-format", "json", "--bogus"), 2, "No such option '--bogus'"),
        (
            ("in/a.csv", "--log-format=json"),
            2,
            "Missing option '-o' / '--output'; type: score in/a.csv --log-format=json -o in/a.preds.csv",
        ),
        (("in/a.csv", "-o", "b.csv", "--log-format", "json", "--threads", "0"), 2, "Invalid value for '--threads'"),
        (("in/a.csv", "-o", "b.csv", "--since", "x", "--log-format", "json"), 2, "--since 'x' is neither a time"),
        (("gone\n\x1b.csv", "-o", "b.csv", "--log-format", "json"), 3, "gone\\n\\x1b.csv: no such file"),
        (("--verify", "in/a.csv", "--log-format", "json"), 3, "in/a.csv: cannot be verified"),
    ],
)
def test_errors(call_score: Call, incoming: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    got, _, err = call_score(*arguments)
    (value,) = objects(err)
    assert (got, value["exit_code"], value["level"], value["event"]) == (code, code, "error", "error")
    assert value["message"].startswith(says)


@pytest.mark.parametrize(
    "arguments",
    [("--log-format", "xml"), ("--log-format", "text", "--bogus"), ("--bogus", "--", "--log-format", "json")],
)
def test_text_where_json_was_not_asked_for(call_score: Call, arguments: tuple[str, ...]) -> None:
    code, _, err = call_score("in/a.csv", "-o", "b.csv", *arguments)
    assert (code, err.startswith("error: ")) == (2, True)


def test_the_environment_asks_for_both_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("SCORER_LOG_FORMAT", "json")
    for command in (score, evaluate_labels):
        with pytest.raises(SystemExit):
            run(command, [str(tmp_path / "gone.csv"), "--bogus"], env_prefix="SCORER")
        (value,) = objects(capsys.readouterr().err)
        assert value["message"].startswith("No such option '--bogus'")
        with pytest.raises(SystemExit):
            run(command, ["--log-format", "text", "--bogus"], env_prefix="SCORER")
        assert capsys.readouterr().err.startswith("error: No such option")


def test_gates_of_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "preds.csv").write_text("pred_label,label\na,a\nb,b\nb,a\na,b\n")
    arguments = [str(tmp_path / "preds.csv"), "--min-accuracy", "0.9", "--min-f1", "0.9", "--log-format", "json"]
    with pytest.raises(SystemExit) as left:
        run(evaluate_labels, arguments, env_prefix="SCORER")
    assert left.value.code == 8
    values = objects(capsys.readouterr().err)
    assert [(value["error"], value["exit_code"]) for value in values] == [("QualityGateError", 8)] * 2


def test_a_traceback_is_a_field(call_score: Call) -> None:
    _, _, err = call_score("gone.csv", "-o", "b.csv", "--log-format", "json", "--debug")
    (value,) = objects(err)
    assert value["traceback"].startswith("Traceback (most recent call last):\n")
    assert "InputError" in value["traceback"]


def test_faults_and_warnings_of_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @log_format_option
    def command() -> None:
        set_up_logging(quiet=False, verbose=0)
        warnings.simplefilter("always")
        warnings.warn("something is odd", stacklevel=1)
        raise ValueError("broken\nin two lines")

    logging.captureWarnings(False)
    with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
        run(command, ["--log-format", "json"], env_prefix="TEST")
    assert left.value.code == 1
    warning, error = objects(capsys.readouterr().err)
    assert (warning["level"], "something is odd" in warning["message"]) == ("warning", True)
    assert (error["error"], error["exit_code"]) == ("ValueError", 1)
    assert error["message"].startswith("internal error (please report it): ValueError: broken; ")


def test_the_periodic_line(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LINE_EVERY_SECONDS", 0.0)
    (tmp_path / "in").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "in" / name).write_text('{"text":"good"}\n' * 5)
    _, _, err = call_score("in", "-o", "scored", "--chunk-rows", "2", "--log-format", "json")
    lines = [value for value in objects(err) if value["event"] == "progress"]
    rows = [value["rows"] for value in lines]
    assert set(rows) >= {2, 4, 5}
    second = rows.index(5, 0) + rows[rows.index(5) :].index(min(rows))  # the other file begins anew
    assert rows[:second] == sorted(rows[:second])
    assert rows[second:] == sorted(rows[second:])
    assert rows[-1] == 5
    assert all(value["rows_per_second"] > 0 and value["tokens_per_second"] > 0 for value in lines)


def test_no_bar_between_the_objects_on_a_terminal(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "good film\n" * 300)
    arguments = ["a.csv", "-o", "b.csv", "--chunk-rows", "10", "--log-format", "json", "--model", tiny_bundle]
    code, seen = on_a_terminal(CODE, *arguments, cwd=tmp_path)
    assert code == 0
    assert objects(seen)[-1]["event"] == "run_ended"


def test_fields_never_replace_what_every_line_has() -> None:
    record = logging.makeLogRecord({"msg": "said", "levelno": 20, "levelname": "INFO", "fields": {"message": "x"}})
    assert json.loads(JsonLines().format(record))["message"] == "said"


def test_a_name_that_is_no_unicode(call_score: Call, tmp_path: Path) -> None:
    name = os.fsdecode(b"in-\xff.csv")
    (tmp_path / name).write_text("text\n")
    code, _, err = call_score(name, "-o", "no/such.csv", "--log-format", "json")
    assert code == 5
    objects(err)

"""The lines of an error: colour and a hint on a terminal, the variable behind a value, the page that explains it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from export.cli import export_model
from scorer.commands.error_pages import HOLE, SECTIONS, anchor_of, table
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.grouped_help import GroupedOption
from scorer.commands.score import score
from scorer.version import DOCUMENTATION
from tests.conftest import Call, InProcess
from tests.helpers.messages import modules
from tests.helpers.processes import CODE, EVALUATE, ROOT
from tests.helpers.terminal import on_a_terminal
from train.cli import train_model


def test_on_a_terminal_the_hint_has_a_line_of_its_own(tmp_path: Path) -> None:
    code, shown = on_a_terminal(CODE, "none.csv", "-o", "b.csv", cwd=tmp_path)
    assert code == 3
    assert shown == "\x1b[31m\x1b[1merror:\x1b[0m none.csv: no such file\n\x1b[36m\x1b[1mhint:\x1b[0m check the path\n"


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("command", [CODE, EVALUATE])
def test_no_colour_where_it_is_not_wanted(tmp_path: Path, env: dict[str, str], command: str) -> None:
    shown = on_a_terminal(command, "none.csv", *(("-o", "b.csv") if command == CODE else ()), cwd=tmp_path, env=env)[1]
    assert shown == "error: none.csv: no such file\nhint: check the path\n"


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        (
            {"SCORER_THREADS": "x"},
            (),
            "Invalid value for '--threads': 'x' is not a valid integer range (set by SCORER_",
        ),
        ({"SCORER_MODEL": "./none"}, (), "none: no such model folder; pass a bundle folder or a Hub id such as"),
        (
            {"SCORER_MAX_BAD": "5"},
            (),
            "--max-bad does nothing with --on-bad-row fail; pass --on-bad-row reject or keep",
        ),
        ({"SCORER_DEVICE": "gpu"}, (), "unknown device 'gpu'; choose auto, cpu, cuda or cuda:N"),
    ],
)
def test_the_variable_behind_a_value_is_named(
    call_score: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    monkeypatch.delenv("SCORER_MODEL", raising=False)
    (name,) = variables
    monkeypatch.setenv(name, variables[name])
    err = call_score("a.csv", "-o", "b.csv", *arguments)[2]
    assert err.startswith(f"error: {message}")
    option = f"--{name.removeprefix('SCORER_').lower().replace('_', '-')}"
    assert f"(set by {name})" in err or err.endswith(f"; {option} is set by {name}\n")


def test_a_variable_that_an_option_replaces_is_not_named(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    monkeypatch.setenv("SCORER_DEVICE", "gpu")
    assert "SCORER_DEVICE" not in call_score("a.csv", "-o", "b.csv", "--device", "x")[2]


def test_a_number_of_a_variable_is_not_taken_for_a_quoted_value(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("text,label,pred_label\ngood,1,1\n")
    monkeypatch.setenv("SCORER_THREADS", "1")
    code, _, err = in_process(evaluate_labels)(tmp_path / "a.csv", "--label-map", "1=bad,1=good")
    assert (code, err) == (2, "error: --label-map maps '1' twice; drop one of them\n")


def test_verbose_says_what_was_found_and_where_an_error_is_explained(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("id,Review\n1,good\n")
    code, _, err = call_score("a.csv", "-o", "b.csv", "-v")
    assert code == 0
    assert "a.csv: the texts are in column 'Review'\n" in err
    assert re.search(r"loaded .*: labels negative, positive, tokens by \w+\n", err)
    assert "Review" not in call_score("a.csv", "-o", "c.csv")[2]
    err = call_score("none.csv", "-o", "d.csv", "-v")[2]
    explained = f"see {DOCUMENTATION}/errors.md#3-no-such-file\n"
    assert err.endswith(f"error: none.csv: no such file; check the path\n{explained}")
    assert "--model is set by SCORER_MODEL\n" in err


def test_a_file_of_many_has_its_variable_and_its_page(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / f"{name}.csv").write_text("id,text\n1,good\n")
    monkeypatch.setenv("SCORER_TEXT_COLUMN", "foo")
    monkeypatch.setenv("SCORER_VERBOSE", "1")
    code, _, err = call_score("in", "-o", "out")
    assert code == 3
    for name in "ab":
        assert f"error: in/{name}.csv: no column 'foo'; its columns: id, text; --text-column is set by SCORER_" in err
    assert err.count("errors.md#3-no-column\n") == 2


def test_a_variable_asks_for_a_traceback(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, shown in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("SCORER_DEBUG", value)
        assert ("Traceback" in call_score("none.csv", "-o", "b.csv")[2]) is shown


REFUSED = ("nonsense/none.x", "-5", "memory://x/y.z", "1e30")
"""Values of which each option that can refuse one refuses at least one."""


@pytest.mark.parametrize("name", ["score", "evaluate-labels", "train-model", "export-model"])
def test_every_refusal_of_a_variable_s_value_names_it(
    name: str, in_process: InProcess, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("id,text,label\n" + "1,good,positive\n2,bad,negative\n" * 4)
    monkeypatch.delenv("SCORER_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    command, prefix, words = {
        "score": (score, "SCORER", ["a.csv", "-o", "b.csv", "--model", str(tiny_bundle)]),
        "evaluate-labels": (evaluate_labels, "SCORER", ["a.csv", "--model", str(tiny_bundle)]),
        "train-model": (
            train_model,
            "TRAIN_MODEL",
            ["-o", "m", "--train", "a.csv", "--eval", "a.csv", "--model=/none"],
        ),
        "export-model": (export_model, "EXPORT_MODEL", ["/none", "-o", "bundle"]),
    }[name]
    call = in_process(command, prefix)
    refused = 0
    for option in command.params:
        if not isinstance(option, GroupedOption) or {*option.opts} & {*words, "--model", "--tokenizer"}:
            continue
        variable = option.variable(prefix)
        for value in REFUSED:
            monkeypatch.setenv(variable, value)
            code, _, err = call(*words)
            monkeypatch.delenv(variable)
            (tmp_path / "b.csv").unlink(missing_ok=True)
            last = next((line for line in reversed(err.splitlines()) if line.startswith("error: ")), "")
            if code and "/none" not in last:
                assert code in (2, 3, 4, 5), err
                assert variable in last, err
                refused += 1
    assert refused > 15


@pytest.mark.parametrize(
    ("message", "code", "anchor"),
    [
        ("already exists", 2, "2-already-exists"),
        ("no column 'x'", 3, "3-no-column"),
        ("2 fields, but the header has 3", 3, "3-but-the-header-has"),
        ("No such option '--x'. (Did you mean '--y'?)", 2, "2-no-such-option"),
        ("Missing option '-o' / '--output'", 2, "2-missing-option"),
        ("Invalid value for '--threads': 'x' is not a valid integer (set by Y)", 2, "2-invalid-value-for"),
        ("internal error (please report it): ValueError: x", 1, "1-internal-error-please-report-it"),
        ("words that no message has", 6, "6-another-run-holds-the-output"),
    ],
)
def test_the_anchor_of_a_message(message: str, code: int, anchor: str) -> None:
    assert anchor_of(message, code) == anchor


def test_every_message_of_the_source_leads_to_its_own_row() -> None:
    rows = {(code, template): anchor for code, anchor, template in table()}
    wrong = []
    for message in (message for module in modules(ROOT) for message in module.messages()):
        own = rows.get((message.exit_code, message.template))
        found = anchor_of(message.template.replace(HOLE, "'x y' 7"), message.exit_code)
        if own is not None and found != own:
            wrong.append((message.template, found))
    assert wrong == []


def test_every_address_that_an_error_names_is_on_the_page() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert anchors >= set(SECTIONS.values())
    of_rows = re.findall(r'<a id="([^"]+)"></a>', page)
    assert len(of_rows) == len(set(of_rows)) > 400
    assert [anchor for _, anchor, _ in table()] == of_rows

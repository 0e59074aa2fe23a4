"""The lines of an error: colour and a hint on a terminal, the variable behind a value, the page that explains it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scorer.commands.outcomes import PAGES
from scorer.version import DOCUMENTATION
from tests.conftest import Call
from tests.helpers.processes import CODE, EVALUATE, ROOT
from tests.helpers.terminal import on_a_terminal


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
    explained = f"see {DOCUMENTATION}/errors.md#3-bad-input-data\n"
    assert err.endswith(f"error: none.csv: no such file; check the path\n{explained}")
    assert "--model is set by SCORER_MODEL\n" in err


def test_every_page_that_an_error_names_exists() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    headings = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert anchors >= set(PAGES.values())

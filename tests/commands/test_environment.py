"""Variables that set options, and shell completion, as docs/environment.md tells them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from export.card_cli import model_card
from export.cli import export_model
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.grouped_help import GroupedOption
from scorer.commands.outcomes import with_variables
from scorer.commands.score import score
from scorer.errors import InputError
from scorer.model.model_folder import DEFAULT_MODEL
from tests.helpers.processes import ROOT, environment
from train.cli import train_model

PAGE = ROOT / "docs" / "environment.md"

COMMANDS = {
    "score": (score, "SCORER", "scorer/commands/score.py"),
    "evaluate-labels": (evaluate_labels, "SCORER", "scorer/commands/evaluate_labels.py"),
    "train-model": (train_model, "TRAIN_MODEL", "train/cli.py"),
    "export-model": (export_model, "EXPORT_MODEL", "export/cli.py"),
    "model-card": (model_card, "MODEL_CARD", "export/card_cli.py"),
}
"""Click command, prefix, and the file that starts it."""

SHELLS = {
    "bash": """
eval "$(_SCORE_COMPLETE=bash_source score)"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
compopt() {{ echo "files"; }}
_score_completion score
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """
eval "$(env COMP_WORDS="{words}" COMP_CWORD={last} _SCORE_COMPLETE=zsh_complete score | sed 's/^/print -- /')"
""",
    "fish": """
_SCORE_COMPLETE=fish_source score | source
complete -C "{words}"
""",
}
"""Programs that complete the last of the words, as each shell does when Tab is pressed."""


@pytest.fixture
def commands(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that finds the commands of this source tree."""
    for name, (_, _, file) in COMMANDS.items():
        module, main = file.removesuffix(".py").replace("/", "."), {"score": "score_main"}.get(name, "main")
        main = "evaluate_main" if name == "evaluate-labels" else main
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from {module} import {main}; {main}()" "$@"\n')
        path.chmod(0o755)
    variables = environment()
    return {**variables, "PATH": f"{tmp_path / 'bin'}:{variables['PATH']}", "HOME": str(tmp_path)}


def options_of(command: click.Command) -> list[GroupedOption]:
    return [parameter for parameter in command.params if isinstance(parameter, GroupedOption)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_the_variable_of_its_own_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, prefix, file = COMMANDS[name]
    assert f'env_prefix="{prefix}"' in (ROOT / file).read_text(encoding="utf-8")
    assert len(options_of(command)) > 5
    for option in options_of(command):
        if not option.allow_from_autoenv:
            continue  # --text and --verify choose what the command does
        long = next(word for word in option.opts if word.startswith("--"))
        variable = f"{prefix}_{long[2:].upper().replace('-', '_')}"
        monkeypatch.setenv(variable, "1")
        context = click.Context(command, auto_envvar_prefix=prefix)
        assert option.resolve_envvar_value(context) == "1", variable
        monkeypatch.setenv(variable, "")
        assert option.resolve_envvar_value(context) is None, variable


def test_a_variable_sets_an_option_and_the_command_line_wins(commands: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text\ngood\n")
    run = ["score", "reviews.csv", "-o"]
    variables = {**commands, "SCORER_PREFIX": "mine_", "SCORER_QUIET": "1"}
    subprocess.run([*run, "a.csv"], cwd=tmp_path, env=variables, check=True)
    subprocess.run([*run, "b.csv", "--prefix", "yours_"], cwd=tmp_path, env=variables, check=True)
    assert (tmp_path / "a.csv").read_text().startswith("text,mine_label,")
    assert (tmp_path / "b.csv").read_text().startswith("text,yours_label,")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("score --prec", "--precision"),
        ("score --on-bad-row k", "keep"),
        ("score --device cu", "cuda"),
        ("score rev", "file"),
    ],
)
def test_tab_completes_options_choices_and_files(
    shell: str, words: str, wanted: str, commands: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "reviews.csv").touch()
    program = SHELLS[shell].format(words=words, last=len(shlex.split(words)) - 1)
    done = subprocess.run(
        [shell, "-c", program], cwd=tmp_path, env=commands, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(wanted if wanted != "file" else r"files?|reviews\.csv", done.stdout), done.stdout


def test_the_lines_of_the_page_are_those_of_the_commands(commands: dict[str, str], tmp_path: Path) -> None:
    (block,) = re.findall(r"\*\*bash\*\*.*?```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shown = "; ".join(f"complete -p {name}" for name in COMMANDS)
    done = subprocess.run(
        ["bash", "-c", f"set -e; {block}\n{shown}"],
        env=commands,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("complete -o nosort -F _") == len(COMMANDS)


def test_the_page_lists_no_variable_that_does_nothing() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| `--", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    works = {
        option.variable(prefix)
        for command, prefix, _ in COMMANDS.values()
        for option in options_of(command)
        if option.allow_from_autoenv
    }
    assert listed == works
    assert not listed & {"SCORER_TEXT", "SCORER_VERIFY"}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(("value", "wanted"), [("true", 1), ("True", 1), ("1", 1), ("2", 2), ("false", 0), ("0", 0)])
def test_an_option_that_counts_takes_true_from_its_variable(
    name: str, value: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, prefix, _ = COMMANDS[name]
    monkeypatch.setenv(f"{prefix}_VERBOSE", value)
    context = click.Context(command, auto_envvar_prefix=prefix)
    (verbose,) = (option for option in options_of(command) if option.name == "verbose")
    assert verbose.consume_value(context, {})[0] is not None
    assert verbose.handle_parse_result(context, {}, [])[0] == wanted


def test_a_variable_of_several_values_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = InputError("no column 'b'", path=tmp_path / "a.csv")
    monkeypatch.setenv("SCORER_SLICE_BY", "a b")
    told = with_variables(error, evaluate_labels, ["a.csv"], "SCORER")
    assert str(told).endswith("--slice-by is set by SCORER_SLICE_BY")


@pytest.mark.parametrize("option", ["--metrics", "--notes"])
def test_a_missing_file_of_a_model_card_is_said_as_elsewhere(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "nope"
    with pytest.raises(SystemExit) as left:
        run(model_card, [str(DEFAULT_MODEL), option, str(missing)], env_prefix="NONE")
    assert left.value.code == 3
    assert capsys.readouterr().err == f"error: {missing}: no such file; check the path\n"
    assert "3 " in str(model_card.epilog)


def test_a_missing_folder_of_a_model_card_is_said_as_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(model_card, [str(DEFAULT_MODEL), "-o", str(tmp_path / "nope" / "a.md")], env_prefix="NONE")
    assert left.value.code == 5
    assert capsys.readouterr().err == f"error: {tmp_path / 'nope'}: no such folder; make it first\n"

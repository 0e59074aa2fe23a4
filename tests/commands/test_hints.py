"""A hint names only options of the command that gives it."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from export.cli import export_model
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.outcomes import with_own_options
from scorer.commands.score import score
from scorer.errors import InputError
from scorer.files.file_options import FileOptions
from scorer.keyword_words import words_of_a_shell
from tests.helpers.messages import Module, modules
from train.cli import train_model

ROOT = Path(__file__).parents[2]

OF_ROOMS = {
    "scorer/errors.py": (score, evaluate_labels, train_model),
    "scorer/memory.py": (score, evaluate_labels),
    "scorer/files": (score, evaluate_labels, train_model),
    "scorer/model": (score, evaluate_labels),
    "scorer/job": (score,),
    "scorer/cluster": (score,),
    "scorer/run": (score,),
    "scorer/evaluation": (evaluate_labels,),
    "scorer/report": (evaluate_labels,),
    "train": (train_model,),
    "export": (export_model,),
}
"""The commands that reach a room with an error; hints of others go through the same sieve."""

OF_SCORE_ALONE = ("--columns", "--max-bad", "--output-format", "--stride")
"""Options of messages in shared rooms that only what these options ask for can cause."""

OF_EVALUATE_ALONE = ("--positive",)

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*(?![…\w-])")


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def hints() -> list[tuple[str, str]]:
    """Place and text of every hint that names an option."""
    return [
        (f"{module.path.relative_to(ROOT)}:{line}", text)
        for module in modules(ROOT)
        for line, text in hints_of(module)
        if OPTION.search(text)
    ]


def hints_of(module: Module) -> list[tuple[int, str]]:
    return [(line, text) for line, texts in module.keyword_texts("hint") for text in texts]


def commands_for(place: str, hint: str) -> tuple[click.Command, ...]:
    commands = next(commands for room, commands in OF_ROOMS.items() if place.startswith(room))
    if any(option in hint for option in OF_SCORE_ALONE):
        return (score,)
    return (evaluate_labels,) if any(option in hint for option in OF_EVALUATE_ALONE) else commands


@pytest.mark.parametrize(("place", "hint"), [one for one in hints() if not one[0].startswith(("bench", "scorer/comm"))])
def test_hints_name_options_of_the_command(place: str, hint: str) -> None:
    commands = commands_for(place, hint)
    for command in commands:
        with words_of_a_shell():
            said = with_own_options(InputError("x", hint=hint), command)
            assert isinstance(said, InputError)
            left = said.hint
        assert left, f"{place}: nothing is left of {hint!r} for {command.name}"
        if len(commands) == 1:
            assert left == hint, f"{place}: {command.name} lacks an option of {hint!r}"
        own = re.sub("(export-model|optimum-cli).*", "", left)
        assert set(OPTION.findall(own)) <= options_of(command)


def test_there_are_hints() -> None:
    assert len(hints()) > 60


@pytest.mark.parametrize("command", [score, evaluate_labels, train_model])
def test_three_commands_have_the_same_reading_options(command: click.Command) -> None:
    names = {f"--{name.replace('_', '-')}" for name in FileOptions().file_options()}
    assert names == {"--format", "--encoding", "--delimiter", "--quote", "--escape", "--no-header"}
    assert names <= options_of(command)


def test_the_line_of_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,good\nb\n")

    def said(command: click.Command, *arguments: str, prefix: str) -> str:
        with pytest.raises(SystemExit) as left:
            run(command, arguments, env_prefix=prefix)
        assert left.value.code == 3
        return capsys.readouterr().err.splitlines()[-1]

    path = str(tmp_path / "a.csv")
    what = f"error: {path}: row 2 (line 3): 1 field, but the header has 2; fix the row"
    assert said(evaluate_labels, path, prefix="SCORER") == what
    assert said(train_model, "-o", str(tmp_path / "m"), "--train", path, "--eval", path, prefix="T") == what

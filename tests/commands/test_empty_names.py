"""An empty path, as of a variable of a script that is unset, is refused in place of meaning the working folder."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from export.card_cli import model_card
from export.cli import export_model
from scorer import Scorer
from scorer.commands.console import run
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.score import score
from scorer.errors import UsageError
from train.cli import train_model

COMMANDS = (score, evaluate_labels, train_model, export_model, model_card)

WORDS = ("PATH", "FILE", "FOLDER", "BUNDLE", "OUTPUT", "CHECKPOINT", "INPUT", "PREDS")
"""Words for paths in the help."""


def paths_of(command: click.Command) -> list[str]:
    """The long option, or nothing for the argument, of everything whose value is a path by the help."""
    context = click.Context(command)
    return [
        parameter.opts[-1] if isinstance(parameter, click.Option) else ""
        for parameter in command.params
        if any(word in parameter.make_metavar(context).split("=")[-1].upper() for word in WORDS)
        and parameter.opts[-1] != "--output-format"
    ]


CASES = [(command, name) for command in COMMANDS for name in paths_of(command)]


@pytest.mark.parametrize(("command", "name"), CASES, ids=[f"{command.name}{name}" for command, name in CASES])
def test_an_empty_path_is_refused(
    command: click.Command,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = {score: ["a.csv", "-o", "b.csv"], evaluate_labels: ["a.csv"], train_model: ["-o", "m"]}
    needed |= {export_model: ["a", "-o", "b"], model_card: ["a"]}
    words = [f"{name}=", *needed[command]] if name else ["", *needed[command][1:]]
    if name == "--output":
        words = [word for word in words if word not in ("-o", "b.csv", "b", "m")]
    with pytest.raises(SystemExit) as left:
        run(command, words, env_prefix="NONE")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(" has an empty name; is a variable unset?")
    assert left.value.code == 2
    assert not list(tmp_path.iterdir())


def test_every_command_has_paths() -> None:
    assert {command.name for command, _ in CASES} == {command.name for command in COMMANDS}
    assert len(CASES) > 25


def test_an_empty_model_is_refused_in_python() -> None:
    with pytest.raises(UsageError, match="the model has an empty name"):
        Scorer.load("")

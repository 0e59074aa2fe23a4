"""The help of every command: options in groups, each with a line of help, and fast."""

from __future__ import annotations

import click
import pytest

from export.card_cli import model_card
from export.cli import export_model
from scorer.commands.evaluate_labels import evaluate_labels
from scorer.commands.grouped_help import GENERAL, GroupedOption
from scorer.commands.score import score
from train.cli import train_model

COMMANDS = [score, evaluate_labels, train_model, export_model, model_card]


def shown(command: click.Command, width: int) -> str:
    context = command.make_context(str(command.name), [], resilient_parsing=True, terminal_width=width)
    return command.get_help(context)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_group(command: click.Command) -> None:
    without = [
        parameter.opts
        for parameter in command.params
        if isinstance(parameter, click.Option) and not isinstance(parameter, GroupedOption)
    ]
    assert without == [["-V", "--version"]], "declare it by scorer.commands.grouped_help.option, with a group"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_heading_for_each_group_and_the_general_options_last(command: click.Command) -> None:
    headings = [line[:-1] for line in shown(command, 80).splitlines() if line.endswith(":") and line[:1].isupper()]
    groups = list(dict.fromkeys(p.group for p in command.params if isinstance(p, GroupedOption) and p.group != GENERAL))
    assert [heading for heading in headings if heading != "Examples"] == [*groups, GENERAL]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [80, 100])
def test_the_help_fits_the_terminal(command: click.Command, width: int) -> None:
    assert [line for line in shown(command, width).splitlines() if len(line) > width] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_stands_without_a_word(command: click.Command) -> None:
    lines = shown(command, 80).splitlines()
    arguments = [parameter.make_metavar(click.Context(command)) for parameter in command.params[:1]]
    assert not {line.strip() for line in lines}.intersection(arguments)


def test_options_of_all_groups_begin_their_help_in_one_column() -> None:
    columns = {
        line.index(text)
        for line in shown(score, 100).splitlines()
        for text in (
            "Escape cells",
            "Maximum number of bad",
            "Replace an existing",
            "Write a summary",
            "Show a traceback",
        )
        if text in line
    }
    assert len(columns) == 1

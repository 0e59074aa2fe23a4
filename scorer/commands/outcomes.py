"""The outcome of a command that failed: the exit code, and the words and the hint of its error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from scorer.commands.grouped_help import GroupedCommand, GroupedOption
from scorer.disk.durable import DISK_IS_FULL
from scorer.errors import OutOfMemoryError, OutputError, ScorerError, explained
from scorer.files.urls import without_secrets
from scorer.interrupts import Terminated, arrived

READER_GONE = 141  # 128 + SIGPIPE: the reader of stdout has left, as head does

_SIGNALLED = {
    KeyboardInterrupt: (130, "interrupted"),
    click.Abort: (130, "interrupted"),
    Terminated: (143, "terminated"),
}

_CODES = {
    0: "done",
    1: "internal error",
    2: "usage",
    3: "bad input data",
    4: "bad model or device",
    5: "output could not be written",
    6: "another run holds the output",
    7: "out of memory",
    8: "a gate was not met",
    9: "a store or network does not answer",
}

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")

_OTHER_COMMAND = re.compile(r"\b(?:export-model|optimum-cli)\b.*")


def exit_codes(*codes: int) -> str:
    """The last paragraph of a help: the exit codes of a command."""
    return "Exit codes: " + ", ".join(f"{code} {_CODES[code]}" for code in codes) + "."


def with_own_options(error: BaseException, command: click.Command) -> BaseException:
    """``error``, its hint without the alternatives (after ``, or``) that name an option which ``command`` lacks."""
    found = explained(error)
    if isinstance(found, OutOfMemoryError) and found is not error:
        found.__cause__ = error
        error = found
    if not isinstance(error, ScorerError) or error.hint is None:
        return error
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    parts = error.hint.split(", or ")
    own = [part for part in parts if known.issuperset(_OPTION.findall(_OTHER_COMMAND.sub("", part)))]
    if own == parts:
        return error
    changed = error.with_hint(", or ".join(own) or None).with_traceback(error.__traceback__)
    changed.__cause__ = error.__cause__
    return changed


def with_variables(error: BaseException, command: click.Command, argv: Sequence[str], env_prefix: str) -> BaseException:
    """``error`` with the environment variables behind it in its hint: those of options or values that it names."""
    if isinstance(error, click.BadParameter) and error.param is not None:
        set_by = [name for parameter, name, _ in _variables(command, argv, env_prefix) if parameter is error.param]
        if not set_by:
            return error
        message = f"{error.message.rstrip('.')} (set by {set_by[0]})"
        return click.BadParameter(message, ctx=error.ctx, param=error.param, param_hint=error.param_hint)
    if not isinstance(error, ScorerError):
        return error
    behind = [
        f"{parameter.opts[-1]} is set by {name}"
        for parameter, name, value in _variables(command, argv, env_prefix)
        if any(_is_behind(parameter, one, error) for one in (value.split() if parameter.multiple else [value]))
    ]
    if not behind:
        return error
    hint = "; ".join(filter(None, [error.hint, *behind]))
    changed = error.with_hint(hint).with_traceback(error.__traceback__)
    changed.__cause__ = error.__cause__
    return changed


def _is_behind(parameter: click.Parameter, value: str, error: ScorerError) -> bool:
    """True if ``error`` names the option, its value, or a path that is the value or lies in it."""
    own_hint = _OTHER_COMMAND.sub("", error.hint or "")
    if set(parameter.opts).intersection(_OPTION.findall(f"{error.message} {own_hint}")):
        return True
    value = without_secrets(value)
    if error.path is not None and _lies_in(error.path, value):
        return True
    said = str(parameter.name).replace("_", " ").split()[-1]
    # As in: column 'x', no column 'prefix_label', device cuda:9. No quoted value is that of an option of numbers.
    is_quoted = f"'{value}" in error.message and not isinstance(parameter.type, click.types.IntParamType)
    return is_quoted or f"{said} {value}" in error.message


def _lies_in(path: str, value: str) -> bool:
    """True if ``path`` is the path ``value``, lies below it, or is the folder that it is to lie in."""
    folders = (Path(value), Path.cwd() / value)
    return any(Path(path).is_relative_to(folder) for folder in folders if folder.parts) or path == str(
        folders[1].parent
    )


def _variables(
    command: click.Command, argv: Sequence[str], env_prefix: str
) -> Iterator[tuple[GroupedOption, str, str]]:
    """The options that environment variables set, with the names and values of these."""
    given = {word.partition("=")[0] for word in argv}
    for parameter in command.params:
        if not isinstance(parameter, GroupedOption) or not parameter.allow_from_autoenv:
            continue
        if given.intersection(parameter.opts):
            continue
        name = parameter.variable(env_prefix)
        if value := os.environ.get(name):
            yield parameter, name, value


def code_and_message(error: BaseException) -> tuple[int, str]:
    """Exit code and message of ``error``; the message is empty if nothing is to be said."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code, ""
    if isinstance(error, BrokenPipeError):
        return READER_GONE, ""
    if isinstance(error, click.ClickException):
        return 2, _click_message(error)
    signalled = type(error) if isinstance(error, tuple(_SIGNALLED)) else arrived()
    if signalled is not None:
        return _SIGNALLED[signalled]
    if isinstance(error, OSError) and error.errno in DISK_IS_FULL and error.filename is None:  # of stdout, say
        return OutputError.exit_code, f"could not be written: {error.strerror}"
    if isinstance(error, FileNotFoundError) and not _working_folder_exists():
        return 2, "the working folder is gone; change to another one"
    known = explained(error)
    return known.exit_code, str(known)


def _working_folder_exists() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def exit_code_of(error: BaseException) -> int:
    """The code with which the process will exit for ``error``, for a report that is written before."""
    return code_and_message(error)[0]


def _click_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return message
    if isinstance(error, click.MissingParameter) and isinstance(context.command, GroupedCommand):
        line = context.command.to_type(context, error.param)
        if line is not None:
            return f"{message}; {line}"
    return f"{message}; see {context.info_name} --help"

"""The edge of every command: its streams, and errors turned into lines and exit codes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NoReturn, TextIO

import click

from scorer.commands.error_lines import print_error
from scorer.commands.grouped_help import variable_of
from scorer.commands.log_setup import choose_log_format, logs_json
from scorer.commands.outcomes import READER_GONE, code_and_message, with_own_options, with_variables
from scorer.errors import OutputError, ScorerError
from scorer.interrupts import ignore, install
from scorer.keyword_words import words_of_a_shell
from scorer.log_lines import FORMATS

_VERBOSE = re.compile(r"-[qv]*v[qv]*|--verbose")


@dataclass(frozen=True)
class _Running:
    """The command line that runs, for the lines of its errors."""

    command: click.Command
    argv: list[str]
    env_prefix: str

    def asks_for(self, option: str) -> bool:
        """True if the switch ``option`` is given, on the command line or by its variable."""
        return option in self.argv or asked_for(option, [], self.env_prefix) not in ("", "0", "false")

    @property
    def is_verbose(self) -> bool:
        """True with ``-v``."""
        return any(_VERBOSE.fullmatch(word) for word in self.argv) or self.asks_for("--verbose")

    @property
    def log_format(self) -> str:
        """The format of the log that is asked for, known before click parses the line and may fail."""
        has_option = any("--log-format" in parameter.opts for parameter in self.command.params)
        asked = asked_for("--log-format", self.argv, self.env_prefix) if has_option else ""
        return asked if asked in FORMATS else "text"

    def told(self, error: BaseException) -> BaseException:
        """``error`` with the options that the command has, and the variables behind it."""
        return with_variables(with_own_options(error, self.command), self.command, self.argv, self.env_prefix)


_running: _Running | None = None


def asked_for(option: str, argv: Sequence[str], env_prefix: str) -> str:
    """The value of ``option`` in a command line that click has not parsed, or could not; empty without one."""
    asked = os.environ.get(variable_of(option, env_prefix), "")
    for word, following in zip_longest(argv, argv[1:], fillvalue=""):
        if word == "--":
            break
        if word == option:
            asked = following
        elif word.startswith(f"{option}="):
            asked = word.partition("=")[2]
    return asked


def run(command: click.Command, arguments: Sequence[str] | None = None, *, env_prefix: str) -> NoReturn:
    """Run ``command`` and exit with the code of its outcome.

    Only here do errors become a line on stderr. Environment variables with ``env_prefix`` set options.
    The codes are those of :mod:`scorer.errors`, 0 when done, 130 and 143 on signals.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _occupy_closed_streams()
    _complete_for_the_shell(command)
    global _running  # of the process, which is one command
    _running = _Running(command, argv, env_prefix)
    choose_log_format(_running.log_format)
    install()
    with words_of_a_shell():
        code = _outcome(_running)
        error = _flush("stdout")
        if isinstance(error, BrokenPipeError):
            code = READER_GONE
        elif error is not None and code == 0:
            code = _fail(f"stdout could not be written: {error.strerror}", error, OutputError.exit_code)
        _flush("stderr")
    ignore()  # the interpreter would let a signal kill it while it leaves
    sys.exit(code)


def _occupy_closed_streams() -> None:
    """Open the null device for closed standard streams, or a later file would take their number and log lines."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of the process


def _complete_for_the_shell(command: click.Command) -> None:
    """Answer the shell and exit if the environment asks for completion."""
    from click.shell_completion import shell_complete

    name = str(command.name)
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    instruction = os.environ.get(variable)
    if instruction:
        sys.exit(shell_complete(command, {}, name, variable, instruction))


def _flush(name: str) -> OSError | None:
    """Flush ``sys.stdout`` or ``sys.stderr``; returns the error if that failed, and closes the stream."""
    stream: TextIO | None = getattr(sys, name)
    try:
        if stream is not None:  # a caller may have closed it
            stream.flush()
    except OSError as error:
        assert stream is not None
        # The rest of the buffer can go nowhere; at exit Python would try again and exit with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        setattr(sys, name, None)
        return error
    return None


def _outcome(running: _Running) -> int:
    command = running.command
    try:
        # Not command.main(): it takes a broken pipe for a failure of the command.
        with command.make_context(
            str(command.name), list(running.argv), auto_envvar_prefix=running.env_prefix
        ) as context:
            command.invoke(context)
    except SystemExit:
        raise
    except BaseException as caught:  # a panic of a library in Rust is no Exception
        error = running.told(caught)
        code, message = code_and_message(error)
        if message:
            explained = isinstance(error, click.ClickException) or code in (130, 143)
            _fail(message, error, code, with_trace=running.asks_for("--debug") and not explained)
        return code
    return 0


def log_error(error: ScorerError, event: str = "error", **fields: Any) -> None:
    """Write the line of an error that does not end the process; ``fields`` are for a log of JSON."""
    told = error if _running is None else _running.told(error)
    _fail(str(told), told, error.exit_code, event=event, **fields)


def _fail(message: str, error: BaseException, code: int, **about: Any) -> int:
    """Print an error; ``about`` is for :func:`print_error`."""
    verbose = _running is not None and _running.is_verbose
    print_error(message, error, code, as_json=logs_json(), with_page=verbose, **about)
    return code

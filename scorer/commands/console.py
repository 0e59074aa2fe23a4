"""The edge of every command: options that all share, logging, and errors turned into exit codes."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from scorer.commands.error_lines import print_error
from scorer.commands.grouped_help import GENERAL, F, GroupedOption, complete_files, option, with_options
from scorer.commands.outcomes import READER_GONE, code_and_message, with_own_options, with_variables
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.files.urls import is_url, without_secrets
from scorer.interrupts import ignore, install
from scorer.keyword_words import words_of_a_shell
from scorer.log_lines import FORMATS, JsonLines, TextLines, json_line
from scorer.safe_text import printable
from scorer.version import PACKAGE, package_version

_VERBOSE = re.compile(r"-[qv]*v[qv]*|--verbose")

_log_format = "text"


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

    def told(self, error: BaseException) -> BaseException:
        """``error`` with the options that the command has, and the variables behind it."""
        return with_variables(with_own_options(error, self.command), self.command, self.argv, self.env_prefix)


_running: _Running | None = None


class LocalPath(click.ParamType[Path]):
    """A path of this machine; the message that refuses a URL leaves out its secrets."""

    name = "path"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> Path:
        """``value`` as a path.

        Raises:
            UsageError: it is a URL.
        """
        if isinstance(value, str) and is_url(value):
            raise UsageError("is a URL, but this must be a local file", path=without_secrets(value))
        return Path(value)

    def shell_complete(
        self, context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Have the shell complete it as a file."""
        return complete_files(context, parameter, incomplete)


def common_options(command: F) -> F:
    """Add ``--version``, ``-q``, ``-v`` and ``--debug``; the last three arrive as keyword arguments."""
    return with_options(
        command,
        (
            click.option(
                "-V",
                "--version",
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_version,
                help="Show the version and exit.",
            ),
            option("-q", "--quiet", group=GENERAL, is_flag=True, help="Print only errors on stderr."),
            option(
                "-v",
                "--verbose",
                group=GENERAL,
                count=True,
                help="Also log what was found, left out and decided, and the page that explains an error; twice: logs "
                "of libraries too.",
            ),
            option("--debug", group=GENERAL, is_flag=True, help="Show a traceback when something fails."),
        ),
    )


def _show_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"{PACKAGE}, version {package_version()}")
        context.exit()


def log_format_option(command: F) -> F:
    """Add ``--log-format``, which holds from the first line on, for errors of usage too."""
    return option(
        "--log-format",
        group=GENERAL,
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        expose_value=False,
        callback=lambda _context, _parameter, value: _choose_log_format(value),
        is_eager=True,
        help="Lines on stderr for people, or one JSON object a line: time, level, event, message, fields.",
    )(command)


def logs_json() -> bool:
    """True if lines on stderr are JSON objects."""
    return _log_format == "json"


def _choose_log_format(value: str) -> None:
    global _log_format  # of the process, as stderr is
    _log_format = value


def asked_for(option: str, argv: Sequence[str], env_prefix: str) -> str:
    """The value of ``option`` in a command line that click has not parsed, or could not; empty without one."""
    asked = os.environ.get(f"{env_prefix}_{option.removeprefix('--').replace('-', '_').upper()}", "")
    for word, following in zip_longest(argv, argv[1:], fillvalue=""):
        if word == "--":
            break
        if word == option:
            asked = following
        elif word.startswith(f"{option}="):
            asked = word.partition("=")[2]
    return asked


def _asked_log_format(command: click.Command, argv: Sequence[str], env_prefix: str) -> str:
    """The format that a command line asks for, found before click parses it and may fail."""
    has_option = any("--log-format" in parameter.opts for parameter in command.params)
    asked = asked_for("--log-format", argv, env_prefix) if has_option else ""
    return asked if asked in FORMATS else "text"


def say(message: str, event: str, **fields: Any) -> None:
    """Write a line to stderr whatever the log's level, in the format of the log."""
    line = json_line("info", event, message, fields) if logs_json() else printable(message)
    click.echo(line, err=True)


class _ToStderr(logging.StreamHandler[Any]):
    """Writes to what ``sys.stderr`` is at the time: a progress bar puts itself there, to keep below the lines."""

    @property
    def stream(self) -> Any:
        """The stream of this moment."""
        return sys.stderr

    @stream.setter
    def stream(self, _stream: Any) -> None:
        return None


def set_up_logging(*, quiet: bool, verbose: int) -> None:
    """Send the log of our own packages to stderr, a line each; that of libraries from ``-vv`` on."""
    level = logging.ERROR if quiet else (logging.INFO, logging.DEBUG)[min(verbose, 1)]
    handler = _ToStderr()
    handler.setFormatter(JsonLines() if logs_json() else TextLines())
    for name in ("scorer", "train", "export"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # Python's own warnings would be lines of another form between the objects.
    logging.captureWarnings(logs_json())
    logging.getLogger("py.warnings").handlers = [handler] if logs_json() else []
    if verbose < 2:
        # Without any handler, Python itself would print the warnings and tracebacks of libraries.
        logging.getLogger().addHandler(logging.NullHandler())
        # Read by huggingface_hub when it is imported: its retries would fill the screen before our one line.
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    else:
        logging.basicConfig(level=logging.INFO, handlers=[handler])
    _log_variables()


def _log_variables() -> None:
    context = click.get_current_context(silent=True)
    for parameter in context.command.params if context is not None else ():
        assert context is not None
        source = context.get_parameter_source(str(parameter.name))
        if isinstance(parameter, GroupedOption) and source is ParameterSource.ENVIRONMENT:
            name = parameter.variable(str(context.auto_envvar_prefix))
            logging.getLogger(__name__).debug("%s is set by %s", parameter.opts[-1], name)


def run(command: click.Command, arguments: Sequence[str] | None = None, *, env_prefix: str) -> NoReturn:
    """Run ``command`` and exit with the code of its outcome.

    Only here do errors become a line on stderr. Environment variables with ``env_prefix`` set options.
    The codes are those of :mod:`scorer.errors`, 0 when done, 130 and 143 on signals.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _occupy_closed_streams()
    _complete_for_the_shell(command)
    _choose_log_format(_asked_log_format(command, argv, env_prefix))
    install()
    global _running  # of the process, which is one command
    _running = _Running(command, argv, env_prefix)
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

"""The edge of every command: options that all share, logging, and errors turned into exit codes."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn, TypeVar

import click

from scorer.errors import OutputError, ScorerError
from scorer.interrupts import Terminated, install

F = TypeVar("F", bound=Callable[..., Any])

PACKAGE = "review-scorer"

_READER_GONE = 141  # 128 + SIGPIPE: the reader of stdout has left, as head does


def package_version() -> str:
    """The installed version of review-scorer; ``0+unknown`` when it runs from a bare source tree."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "0+unknown"


def common_options(command: F) -> F:
    """``--version``, ``-q``, ``-v`` and ``--debug``; the last three arrive as keyword arguments."""
    for option in (
        click.option("--debug", is_flag=True, help="Show a traceback when something fails."),
        click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for more still."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
        click.version_option(package_version(), "--version", prog_name=PACKAGE),
    ):
        command = option(command)
    return command


def set_up_logging(*, quiet: bool, verbose: int) -> None:
    """Send the log of our own packages to stderr as plain lines; others only from ``-vv`` on."""
    level = logging.ERROR if quiet else (logging.INFO, logging.DEBUG)[min(verbose, 1)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("%(message)s"))
    for name in ("scorer", "train", "export"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    if verbose < 2:
        # Read by huggingface_hub when it is imported: its retries would fill the screen before our one line.
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    else:
        logging.basicConfig(level=logging.INFO, handlers=[handler])


class _OneLine(logging.Formatter):
    """Names of files in the log are not ours either."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))


def printable(text: str) -> str:
    """``text`` on one line, with control characters escaped: names of files and columns are not ours."""
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode("ascii") for char in text
    )


def run(command: click.Command, arguments: Sequence[str] | None = None, *, env_prefix: str) -> NoReturn:
    """Run ``command`` and leave the process with the exit code of its outcome.

    The one place where errors become a line on stderr. Environment variables with ``env_prefix``
    set options. The codes are those of :mod:`scorer.errors`, 0 when done, 130 and 143 on signals.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _complete_for_the_shell(command)
    install()
    try:
        code = _outcome(command, argv, env_prefix)
    except BrokenPipeError:
        code = _READER_GONE
    try:
        if sys.stdout is not None:  # a caller may have closed it
            sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer can go nowhere; at exit Python would try again and leave with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout = None
        if isinstance(error, BrokenPipeError):
            code = _READER_GONE
        elif code == 0:
            code = _fail(f"stdout could not be written: {error.strerror}", OutputError.exit_code)
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        sys.stderr = None
    sys.exit(code)


def _complete_for_the_shell(command: click.Command) -> None:
    """Answer the shell and leave, where the environment says that completion is what is wanted."""
    from click.shell_completion import shell_complete

    name = str(command.name)
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    instruction = os.environ.get(variable)
    if instruction:
        sys.exit(shell_complete(command, {}, name, variable, instruction))


def _outcome(command: click.Command, argv: list[str], env_prefix: str) -> int:
    try:
        # Not command.main(): it takes a broken pipe for a failure of the command.
        with command.make_context(str(command.name), list(argv), auto_envvar_prefix=env_prefix) as context:
            command.invoke(context)
        return 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _fail(_click_message(error), 2)
    except ScorerError as error:
        return _fail(str(error), error.exit_code, debug="--debug" in argv)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 130)
    except Terminated:
        return _fail("terminated", 143)
    except MemoryError:
        return _fail("memory ran out; lower --chunk-rows or --threads", 7, debug="--debug" in argv)
    except BrokenPipeError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        return _fail(f"a fault of ours: {what}; run again with --debug and report it", 1, debug="--debug" in argv)


def exit_code_of(error: BaseException) -> int:
    """The code with which the process leaves for ``error``, for those who tell it on the way out."""
    if isinstance(error, ScorerError | click.exceptions.Exit):
        return error.exit_code
    codes = {KeyboardInterrupt: 130, click.Abort: 130, Terminated: 143, MemoryError: 7, BrokenPipeError: _READER_GONE}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


def _fail(message: str, code: int, *, debug: bool = False) -> int:
    if debug:
        for line in traceback.format_exc().splitlines():
            print(printable(line), file=sys.stderr)
    with suppress(OSError):  # a disk that is full behind stderr does not change what has happened
        print(f"error: {printable(message)}", file=sys.stderr, flush=True)
    return code


def _click_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.info_name} --help" if context is not None else message

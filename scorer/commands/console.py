"""The edge of every command: options that all share, logging, and errors turned into exit codes."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from scorer.disk.durable import DISK_IS_FULL
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.files.urls import is_url, without_secrets
from scorer.interrupts import Terminated, arrived, ignore, install
from scorer.log_lines import FORMATS, JsonLines, TextLines, error_fields, json_line
from scorer.safe_text import printable
from scorer.version import PACKAGE, package_version

F = TypeVar("F", bound=Callable[..., Any])

_log_format = "text"

_READER_GONE = 141  # 128 + SIGPIPE: the reader of stdout has left, as head does


class LocalPath(click.ParamType[Path]):
    """A path of this machine; a URL, which may hold secrets, is refused without them."""

    name = "path"

    def convert(self, value: Any, _param: click.Parameter | None, _context: click.Context | None) -> Path:
        """``value`` as a path.

        Raises:
            UsageError: it is a URL.
        """
        if isinstance(value, str) and is_url(value):
            raise UsageError("is a URL, and only a file of this machine will do here", path=without_secrets(value))
        return Path(value)


def with_options(command: F, options: Sequence[Callable[[F], F]]) -> F:
    """``command`` with ``options``, which its help lists in their order."""
    for option in reversed(options):
        command = option(command)
    return command


def common_options(command: F) -> F:
    """``--version``, ``-q``, ``-v`` and ``--debug``; the last three arrive as keyword arguments."""
    return with_options(
        command,
        (
            click.version_option(package_version(), "--version", prog_name=PACKAGE),
            click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but errors."),
            click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for more still."),
            click.option("--debug", is_flag=True, help="Show a traceback when something fails."),
        ),
    )


def log_format_option(command: F) -> F:
    """``--log-format``; it is heeded from the first line on, so that errors of usage have it too."""
    return click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        expose_value=False,
        callback=lambda _context, _parameter, value: _choose_log_format(value),
        is_eager=True,
        help="Lines on stderr for people, or one JSON object a line: time, level, event, message, fields.",
    )(command)


def logs_json() -> bool:
    """Whether lines on stderr are JSON objects."""
    return _log_format == "json"


def _choose_log_format(value: str) -> None:
    global _log_format  # of the process, as stderr is
    _log_format = value


def _asked_log_format(command: click.Command, argv: Sequence[str], env_prefix: str) -> str:
    """The format that a command line asks for, before it is known whether it can be parsed at all."""
    if not any("--log-format" in parameter.opts for parameter in command.params):
        return "text"
    asked = os.environ.get(f"{env_prefix}_LOG_FORMAT", "text")
    for word, following in zip_longest(argv, argv[1:], fillvalue=""):
        if word == "--":
            break
        if word == "--log-format":
            asked = following
        elif word.startswith("--log-format="):
            asked = word.partition("=")[2]
    return asked if asked in FORMATS else "text"


def say(message: str, event: str, **fields: Any) -> None:
    """A line that is no part of the log, as the last one of a run, in the format of the log."""
    line = json_line("info", event, message, fields) if logs_json() else printable(message)
    click.echo(line, err=True)


def set_up_logging(*, quiet: bool, verbose: int) -> None:
    """Send the log of our own packages to stderr, a line each; others only from ``-vv`` on."""
    level = logging.ERROR if quiet else (logging.INFO, logging.DEBUG)[min(verbose, 1)]
    handler = logging.StreamHandler(sys.stderr)
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
        # Read by huggingface_hub when it is imported: its retries would fill the screen before our one line.
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    else:
        logging.basicConfig(level=logging.INFO, handlers=[handler])


def run(command: click.Command, arguments: Sequence[str] | None = None, *, env_prefix: str) -> NoReturn:
    """Run ``command`` and leave the process with the exit code of its outcome.

    The one place where errors become a line on stderr. Environment variables with ``env_prefix``
    set options. The codes are those of :mod:`scorer.errors`, 0 when done, 130 and 143 on signals.
    """
    argv = list(sys.argv[1:] if arguments is None else arguments)
    _occupy_closed_streams()
    _complete_for_the_shell(command)
    _choose_log_format(_asked_log_format(command, argv, env_prefix))
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
            code = _fail(f"stdout could not be written: {error.strerror}", error, OutputError.exit_code)
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        sys.stderr = None
    ignore()  # the interpreter would let a signal kill it while it leaves
    sys.exit(code)


def _occupy_closed_streams() -> None:
    """See to it that no file that is opened later gets the number of a closed stream, and lines for people into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the rest of the process


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
        return _fail(_click_message(error), error, 2)
    except (KeyboardInterrupt, click.Abort, Terminated) as error:
        return _ended_by(type(error), error)
    except BrokenPipeError:
        raise
    except Exception as error:
        came = arrived()
        return _failed(error, debug="--debug" in argv) if came is None else _ended_by(came, error)


def _ended_by(kind: type[BaseException], error: BaseException) -> int:
    return _fail("terminated", error, 143) if kind is Terminated else _fail("interrupted", error, 130)


def _failed(error: Exception, *, debug: bool) -> int:
    if isinstance(error, ScorerError):
        return _fail(str(error), error, error.exit_code, debug=debug)
    if isinstance(error, MemoryError):
        return _fail("memory ran out; lower --chunk-rows or --threads", error, 7, debug=debug)
    if isinstance(error, OSError) and _is_full_disk(error):
        return _fail(f"could not be written: {error.strerror}", error, OutputError.exit_code)
    if isinstance(error, FileNotFoundError) and not _stands_somewhere():
        return _fail("the working folder is gone; change to another one", error, 2, debug=debug)
    return _fault(error, debug=debug)


def _stands_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _is_full_disk(error: OSError) -> bool:
    """Whether a stream without a name, as stdout, could not take what was written to it."""
    return error.errno in DISK_IS_FULL and error.filename is None


def _fault(error: Exception, *, debug: bool) -> int:
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    message = f"a fault of ours: {what}; run again with --debug and report it"
    return _fail(message, error, 1, debug=debug)


def exit_code_of(error: BaseException) -> int:
    """The code with which the process leaves for ``error``, for those who tell it on the way out."""
    codes = {KeyboardInterrupt: 130, click.Abort: 130, Terminated: 143, MemoryError: 7, BrokenPipeError: _READER_GONE}
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    came = arrived()
    if came is not None:
        return codes[came]
    if isinstance(error, ScorerError):
        return error.exit_code
    if isinstance(error, OSError) and _is_full_disk(error):
        return OutputError.exit_code
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


def log_error(error: ScorerError) -> None:
    """The line of an error that is not the last one, with which the process leaves."""
    _fail(str(error), error, error.exit_code)


def _fail(message: str, error: BaseException, code: int, *, debug: bool = False) -> int:
    trace = "".join(traceback.format_exception(error)) if debug else None
    if logs_json():
        lines = [json_line("error", "error", message, {**error_fields(error, code), "traceback": trace})]
    else:
        lines = [printable(line) for line in (trace or "").splitlines()]
        lines.append(f"error: {printable(message)}")
    with suppress(OSError):  # a disk that is full behind stderr does not change what has happened
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    return code


def _click_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.info_name} --help" if context is not None else message

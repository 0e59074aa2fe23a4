"""The log of a command on stderr: its format, its level and the loggers whose lines appear."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click
from click.core import ParameterSource

from scorer.commands.grouped_help import GroupedOption
from scorer.log_lines import JsonLines, TextLines, json_line
from scorer.safe_text import printable

_log_format = "text"


def choose_log_format(value: str) -> None:
    """Have the lines on stderr be ``text`` or ``json``, from now on."""
    global _log_format  # of the process, as stderr is
    _log_format = value


def logs_json() -> bool:
    """True if lines on stderr are JSON objects."""
    return _log_format == "json"


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

"""The lines of an error on stderr: for programs, or for people with colour, hint and explaining page."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO

import click

from scorer.commands.error_pages import SECTIONS, address_of
from scorer.errors import ScorerError
from scorer.log_lines import error_fields, json_line
from scorer.safe_text import printable


def print_error(
    message: str,
    error: BaseException,
    code: int,
    *,
    as_json: bool,
    with_page: bool,
    with_trace: bool = False,
    event: str = "error",
    **fields: Any,
) -> None:
    """Print ``message`` of ``error``, and the address of the page and the trace of the program if wanted.

    ``fields`` are for a line of JSON.
    """
    trace = "".join(traceback.format_exception(error)) if with_trace else None
    page = None
    if with_page and code in SECTIONS:
        page = address_of(error.message if isinstance(error, ScorerError) else message.partition("; see ")[0], code)
    if as_json:
        about = {**error_fields(error, code), "page": page, "traceback": trace, **fields}
        lines = [json_line("error", event, message, about)]
    else:
        lines = [*map(printable, (trace or "").splitlines()), *_lines_for_people(message, error)]
        lines += [] if page is None else [f"see {page}"]
    with suppress(OSError):  # stderr on a full disk does not change the outcome
        print(*lines, sep="\n", file=sys.stderr, flush=True)


def _lines_for_people(message: str, error: BaseException) -> list[str]:
    """One line; on a terminal in colour, unless ``NO_COLOR`` is set, and the hint on a line of its own."""
    hint = getattr(error, "hint", None)
    said = [("error:", "red", message)]
    if sys.stderr is not None and sys.stderr.isatty() and hint and message.endswith(f"; {hint}"):
        said = [("error:", "red", message.removesuffix(f"; {hint}")), ("hint:", "cyan", hint)]
    coloured = shows_colours(sys.stderr)
    return [
        f"{click.style(word, fg=colour, bold=True) if coloured else word} {printable(text)}"
        for word, colour, text in said
    ]


def shows_colours(stream: TextIO | None) -> bool:
    """True if ``stream`` is a terminal, and neither ``NO_COLOR`` nor a dumb terminal forbids colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()

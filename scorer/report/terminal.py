"""The report on a terminal, or as plain text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from scorer.errors import OutputError
from scorer.evaluation.findings import EvaluationReport
from scorer.report.blocks import Block, blocks, excerpt
from scorer.report.files import to_json_text
from scorer.safe_text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_PLAIN_CHARACTERS = 100
"""Characters of a review's text in a pipe; a terminal cuts it to its width."""


def print_report(report: EvaluationReport, stream: TextIO, *, as_json: bool = False) -> None:
    """Write ``report`` to ``stream``: as JSON, with ``rich`` on a terminal, or as plain text elsewhere.

    Raises:
        OutputError: it could not be written.
        BrokenPipeError: the reader has closed the pipe.
    """
    try:
        if as_json:
            stream.write(to_json_text(report))
        elif stream.isatty():
            _print_rich(report, stream)
        else:
            stream.write(to_text(report))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the report could not be written to stdout: {error.strerror}") from error


def _print_rich(report: EvaluationReport, stream: TextIO) -> None:
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    for part in _parts(report, plain=False):
        console.print(part)


def to_text(report: EvaluationReport) -> str:
    """``report`` as plain lines, without colour and of any width."""
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=10_000, color_system=None, force_terminal=False, highlight=False)
    for part in _parts(report, plain=True):
        console.print(part)
    return "".join(line.rstrip() + "\n" for line in written.getvalue().splitlines())


def _parts(report: EvaluationReport, *, plain: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    for number, block in enumerate(blocks(report)):
        if number:
            yield ""
        if block.title:
            yield Text(printable(block.title), "" if plain else "bold")
        for line, style in block.lines:
            yield Text(printable(line), style or "")
        if block.columns:
            yield _table(block, plain)


def _table(block: Block, plain: bool) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, column in enumerate(block.columns):
        cut = column.wide and not plain
        table.add_column(
            _cell(column.name),
            justify="right" if column.right else "left",
            no_wrap=place == 0 or cut,
            overflow="ellipsis" if cut else "fold",
        )
    for row in block.rows:
        cells = zip(row, block.columns, strict=True)
        table.add_row(*(_cell(excerpt(text, _PLAIN_CHARACTERS) if column.wide else text) for text, column in cells))
    return table


def _cell(value: str) -> RenderableType:
    # rich reads a str as its markup, which names of labels could hold.
    from rich.text import Text

    return Text(printable(value))

"""The report on a terminal, or as plain text."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO

from scorer.errors import OutputError
from scorer.evaluation.findings import EvaluationReport
from scorer.report.blocks import Block, Column, excerpt
from scorer.report.files import to_json_text
from scorer.report.full import full_report
from scorer.report.summary import summary
from scorer.safe_text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_PLAIN_CHARACTERS = 100
"""Characters of a review's text in a pipe; a table of a width cuts it further."""

_PLAIN_WIDTH = 80
"""Characters of a line of the short report in a pipe."""

_LEAST_TEXT = 10
"""Characters of a column of texts on a narrow terminal."""

_SEARCHED_CHARACTERS = 200
"""Characters of long names among which they are to differ."""

_BETWEEN_COLUMNS = 2
"""Characters that a table on a terminal takes beside each column."""


def print_report(report: EvaluationReport, stream: TextIO, *, as_json: bool = False, in_full: bool = False) -> None:
    """Write ``report`` to ``stream``: as JSON, with ``rich`` on a terminal, or as plain text elsewhere.

    The tables are those of :func:`scorer.report.summary.summary`, or all of them ``in_full``.

    Raises:
        OutputError: it could not be written.
        BrokenPipeError: the reader has closed the pipe.
    """
    try:
        if as_json:
            stream.write(to_json_text(report))
        elif stream.isatty():
            _print_rich(full_report(report) if in_full else summary(report), stream)
        else:
            stream.write(to_text(report, in_full=in_full))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"the report could not be written to stdout: {error.strerror}") from error


def _print_rich(blocks: Iterable[Block], stream: TextIO) -> None:
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    for part in _parts(blocks, console.width, plain=False):
        console.print(part)


def to_text(report: EvaluationReport, *, in_full: bool = False) -> str:
    """``report`` as plain lines without colour: the short one in 80 columns, or everything in lines of any width."""
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=10_000, color_system=None, force_terminal=False, highlight=False)
    parts = _parts(full_report(report), None) if in_full else _parts(summary(report), _PLAIN_WIDTH)
    for part in parts:
        console.print(part)
    return "".join(line.rstrip() + "\n" for line in written.getvalue().splitlines())


def _parts(blocks: Iterable[Block], width: int | None, *, plain: bool = True) -> Iterator[RenderableType]:
    """All ``blocks``, for a terminal of a ``width``, or as plain text of a width or of any."""
    from rich.text import Text

    def line_of(text: str, style: str) -> Text:
        text = printable(text)
        if plain and width is not None:  # a path is whole, however long it is
            text = textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        return Text(text, style)

    for number, block in enumerate(blocks):
        if number:
            yield ""
        if block.title:
            yield line_of(block.title, "" if plain else "bold")
        for line, style in block.lines:
            yield line_of(line, style or "")
        if block.columns:
            yield _table(block, width, plain=plain)


def _table(block: Block, width: int | None, *, plain: bool) -> RenderableType:
    """The table of ``block``; lines of names and values on a terminal that is narrower than its numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    rows = [[_cell(text, column) for text, column in zip(row, block.columns, strict=True)] for row in block.rows]
    widths = [] if width is None else _widths(block, rows, width)
    if not plain and width is not None and sum(widths) > width - _BETWEEN_COLUMNS * len(widths):
        return _as_lines(block, rows)
    table = Table(
        box=None if plain else box.SIMPLE_HEAD,
        padding=(0, 2 if plain else 1, 0, 0),
        pad_edge=False,
        header_style="bold",
    )
    for place, column in enumerate(block.columns):
        cut = width is not None and (column.wide or place == 0)
        table.add_column(
            _heading(column.name),
            justify="right" if column.right else "left",
            no_wrap=cut or place == 0,
            overflow="ellipsis" if cut else "fold",
            width=widths[place] if widths else None,
        )
    if widths:
        names = _told_apart([row[0].plain for row in rows], widths[0])
        rows = [[Text(name), *row[1:]] for name, row in zip(names, rows, strict=True)]
    for row in rows:
        table.add_row(*row)
    return table


def _as_lines(block: Block, rows: Sequence[Sequence[Text]]) -> RenderableType:
    """A line for each row, wrapped between words: its first cell, and the others behind their headings."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    headings = [_heading(column.name).plain for column in block.columns]
    lines = [Text(headings[0], "bold")]
    for name, *cells in rows:
        named = zip(headings[1:], cells, strict=True)
        values = [f"{heading} {cell}".strip() for heading, cell in named if cell]
        lines.append(Text(f"{name}: {', '.join(values)}"))
    return Padding(Group(*lines), (0, 0, 0, 1))


def _told_apart(names: Sequence[str], width: int) -> list[str]:
    """``names`` in ``width`` cells: cut at the end, or else in the middle, or else twice, so that they still differ."""
    from rich.cells import cell_len, set_cell_size

    def fitting(name: str) -> str:
        return name if cell_len(name) <= width else set_cell_size(name, width - 1).rstrip() + "…"

    def cut_in_the_middle(name: str, tail: int) -> str:
        start = next(place for place in range(len(name) - tail, len(name) + 1) if cell_len(name[place:]) <= tail)
        return set_cell_size(name, width - 1 - tail).rstrip() + "…" + name[start:].lstrip()

    def cut_twice(name: str, start: int) -> str:
        return fitting(f"{name[:2]}…{name[start:]}")

    tails = sorted(range(1, width), key=lambda tail: abs(2 * tail - width))
    ways: list[Callable[[str], str]] = [fitting, *(partial(cut_in_the_middle, tail=tail) for tail in tails)]
    ways += [partial(cut_twice, start=start) for start in range(3, _SEARCHED_CHARACTERS)]
    for way in ways:
        shown = {name: name if cell_len(name) <= width else way(name) for name in names}
        if len(set(shown.values())) == len(shown):
            return [shown[name] for name in names]
    return list(names)


def _widths(block: Block, rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Width of every column, so that the table fits: texts give way first, then headings of numbers, numbers never."""
    widths, least = [], []
    for place, column in enumerate(block.columns):
        cells = [row[place] for row in rows]
        widths.append(max(cell.cell_len for cell in (_heading(column.name), *cells)))
        least.append(max(map(_unbroken, cells), default=1) if column.right else min(widths[-1], _LEAST_TEXT))
    room = width - _BETWEEN_COLUMNS * len(widths)
    for gives_way in (
        lambda column: column.wide,
        lambda column: not column.name,  # remarks, on several lines
        lambda column: not column.right,
        lambda column: column.right,
    ):
        places = [place for place, column in enumerate(block.columns) if gives_way(column)]
        while sum(widths) > room and (able := [place for place in places if widths[place] > least[place]]):
            widths[max(able, key=lambda place: widths[place] - least[place])] -= 1
    return widths


def _unbroken(cell: Text) -> int:
    """Width that a cell of numbers needs: all of it, or the longest word of a reason that stands in their place."""
    words = [cell] if cell.plain[:1] in "+-.0123456789" else cell.split() or [cell]
    return max(word.cell_len for word in words)


def _cell(value: str, column: Column) -> Text:
    return _heading(excerpt(value, _PLAIN_CHARACTERS) if column.wide else value)


def _heading(value: str) -> Text:
    # rich reads a str as its markup, which names of labels could hold.
    from rich.text import Text

    return Text(printable(value))

"""EvaluationReport -> text for a person, on a terminal or in a pipe, Markdown, and JSON for a program."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from scorer.destinations import check_folder
from scorer.durable import write_durably, write_errors
from scorer.errors import OutputError, UsageError
from scorer.findings import EvaluationReport
from scorer.log_lines import printable
from scorer.report_tables import Block, blocks

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_PLAIN_CHARACTERS = 100
"""Of a text in a pipe; a terminal cuts it to its width."""

_MARKDOWN_CHARACTERS = 200
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~@])")


def print_report(report: EvaluationReport, stream: TextIO, *, as_json: bool = False) -> None:
    """Write ``report`` to ``stream``: as JSON, with ``rich`` on a terminal, or as plain text elsewhere.

    Raises:
        OutputError: it could not be written.
        BrokenPipeError: the reader has gone.
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

    held = io.StringIO()
    console = Console(file=held, width=10_000, color_system=None, force_terminal=False, highlight=False)
    for part in _parts(report, plain=True):
        console.print(part)
    return "".join(line.rstrip() + "\n" for line in held.getvalue().splitlines())


def to_json_text(report: EvaluationReport) -> str:
    """``report`` as indented JSON that ends in a line break and is safe to print."""
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    # Only inside strings can there be other unprintable characters than line breaks.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text) + "\n"


def to_markdown(report: EvaluationReport) -> str:
    """``report`` as Markdown with GitHub's tables; what comes from files cannot be read as markup."""
    parts = ["# Evaluation"]
    for block in blocks(report):
        if block.title:
            parts.append(f"## {_markdown(block.title)}")
        if block.lines:
            parts.append("  \n".join(_markdown(line) for line, _ in block.lines))
        if block.rows:
            rule = [" ---: " if column.right else " --- " for column in block.columns]
            lines = [
                "|" + "|".join(f" {_markdown(column.name)} " for column in block.columns) + "|",
                "|" + "|".join(rule) + "|",
            ]
            lines += ["|" + "|".join(f" {_markdown(cell)} " for cell in row) + "|" for row in block.rows]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _markdown(text: str) -> str:
    cut = text if len(text) <= _MARKDOWN_CHARACTERS else text[:_MARKDOWN_CHARACTERS] + "…"
    one_line = printable(" ".join(cut.split()))
    # A number with a minus or a point is no markup, and reads better unescaped.
    if re.fullmatch(r"[-+]?[\d.,]+%?( to [-+]?[\d.,]+)?", one_line):
        return one_line
    escaped = _MARKUP.sub(r"\\\1", html.escape(one_line, quote=False))
    return re.sub(r"(?<=\w)\\([.\-])(?=\w)", r"\1", escaped)


def check_destinations(paths: Mapping[str, Path], inputs: list[Path]) -> None:
    """As :func:`check_destination`, for the paths of several options that must not be one file.

    Raises:
        UsageError: one cannot be, or two are the same.
        OutputError: the folder of one is missing or cannot be written to.
    """
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        check_destination(path, inputs, option=option)
        first = seen.setdefault(path.resolve(), option)
        if first != option and (path.is_file() or not path.exists()):
            raise UsageError(f"{first} and {option} name the same file", path=path, hint="name another for one of them")


def check_destination(path: Path, inputs: list[Path], *, option: str = "--json") -> None:
    """Everything about the destination of a report that can be known before any work.

    Raises:
        UsageError: it is a folder or one of the files that are read.
        OutputError: its folder is missing or cannot be written to.
    """
    if path.is_dir():
        raise UsageError("is a folder", path=path, hint="name a file in it")
    if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise UsageError(f"{option} names a file that is read", path=path, hint="write to another file")
    check_folder(path)


def write_json(report: EvaluationReport, path: Path) -> None:
    """Write ``report`` to ``path`` as JSON, see :func:`write_text`."""
    write_text(to_json_text(report), path)


def write_text(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` in UTF-8, whole or not at all; what stood there is replaced.

    Raises:
        OutputError: it could not be written.
    """
    data = text.encode("utf-8")
    path = path.resolve()
    with write_errors(path):
        # A device or a pipe cannot be replaced, and /dev/null must not be.
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            write_durably(path, data, locked=False)


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
        table.add_row(*(_cell(_shortened(text) if column.wide else text) for text, column in cells))
    return table


def _shortened(text: str) -> str:
    one_line = " ".join(text[: 2 * _PLAIN_CHARACTERS].split())
    return one_line if len(text) <= _PLAIN_CHARACTERS else one_line[:_PLAIN_CHARACTERS] + "…"


def _cell(value: str) -> RenderableType:
    # A str would be read as rich's markup, and [names] of labels are not ours.
    from rich.text import Text

    return Text(printable(value))

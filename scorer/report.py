"""EvaluationReport -> text for a person, on a terminal or in a pipe, and JSON for a program."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from scorer.console import printable
from scorer.errors import OutputError, UsageError
from scorer.findings import EvaluationReport
from scorer.metrics import Figure

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MATRIX_LABELS = 12
"""A confusion matrix of more labels is left to the JSON form."""

_NAMES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
}


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


def check_json_destination(path: Path, inputs: list[Path]) -> None:
    """Everything about the destination of the JSON that can be known before any work.

    Raises:
        UsageError: it is a folder or one of the files that are read.
        OutputError: its folder is missing or cannot be written to.
    """
    if path.is_dir():
        raise UsageError("is a folder", path=path, hint="name a file in it")
    if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
        raise UsageError("--json names a file that is read", path=path, hint="write to another file")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError("no such folder", path=folder, hint="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("the folder cannot be written to", path=folder, hint="choose another or change its mode")


def write_json(report: EvaluationReport, path: Path) -> None:
    """Write ``report`` to ``path``, whole or not at all; what stood there is replaced.

    Raises:
        OutputError: it could not be written.
    """
    data = to_json_text(report).encode("utf-8")
    path = path.resolve()
    # A device or a pipe cannot be replaced, and /dev/null must not be.
    special = path.exists() and not path.is_file()
    temporary = path if special else path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb" if special else "xb") as file:
            file.write(data)
            file.flush()
            if not special:
                os.fsync(file.fileno())
        if not special:
            temporary.replace(path)
    except OSError as error:
        if not special:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise OutputError(f"could not be written: {error.strerror}", path=path) from error


def _parts(report: EvaluationReport, *, plain: bool) -> Iterator[RenderableType]:
    from rich.text import Text

    for line in _head(report):
        yield Text(printable(line))
    yield ""
    yield _figures(report, plain)
    yield ""
    yield _by_label(report, plain)
    yield ""
    if len(report.labels) <= MATRIX_LABELS:
        yield Text("confusion matrix: a row for each gold label, a column for each predicted one")
        yield _matrix(report, plain)
    else:
        yield Text(f"the confusion matrix of {len(report.labels)} labels is in --json")
    if report.gates or report.notes:
        yield ""
    for gate in report.gates:
        yield Text(printable(f"gate {'met' if gate.passed else 'NOT MET'}: {gate}"), "green" if gate.passed else "red")
    for note in report.notes:
        yield Text(printable(f"note: {note}"))


def _head(report: EvaluationReport) -> Iterator[str]:
    where = report.provenance
    joined = f", labels from {where.labels_file}" if where.labels_file else ""
    model = f", scored by the model {where.model} ({where.precision} on {where.device})" if where.model else ""
    yield ", ".join(where.files) + joined + model
    yield f"{_rows(report.evaluated)} evaluated, gold labels from column {where.label_column!r}"
    if report.unscored:
        yield f"{_rows(report.unscored)} unscored: with a gold label but no prediction, left out of every figure"
    if report.rows_unmatched:
        yield f"{_rows(report.rows_unmatched)} unmatched: the id has no gold label, left out"
    if report.labels_unmatched:
        count = report.labels_unmatched
        yield f"{count:,} gold label{'' if count == 1 else 's'} unmatched: no row has the id, left out"


def _figures(report: EvaluationReport, plain: bool) -> Table:
    table = _table(plain, "figure", "value", "")
    positive = "" if report.positive is None else f"of {printable(report.labels[report.positive])}"
    for name, figure in report.figures.items():
        of_positive = name in ("precision", "recall", "f1") and figure.value is not None
        table.add_row(_NAMES[name], _value(figure), _text(figure.reason or (positive if of_positive else "")))
    return table


def _by_label(report: EvaluationReport, plain: bool) -> Table:
    table = _table(plain, "label", "gold", "predicted", "precision", "recall", "F1")
    for label in report.by_label:
        figures = (_value(figure) for figure in (label.precision, label.recall, label.f1))
        table.add_row(_text(label.label), f"{label.gold:,}", f"{label.predicted:,}", *figures)
    return table


def _matrix(report: EvaluationReport, plain: bool) -> Table:
    table = _table(plain, "", *report.labels)
    for name, row in zip(report.labels, report.matrix.tolist(), strict=True):
        table.add_row(_text(name), *(f"{count:,}" for count in row))
    return table


def _table(plain: bool, first: str, *others: str) -> Table:
    """A table whose first column is on the left and whose named others are on the right."""
    from rich import box
    from rich.table import Table

    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(_text(first), no_wrap=True)
    for name in others:
        table.add_column(_text(name), justify="right" if name else "left")
    return table


def _text(value: str) -> RenderableType:
    # A str would be read as rich's markup, and [names] of labels are not ours.
    from rich.text import Text

    return Text(printable(value))


def _value(figure: Figure) -> str:
    return "undefined" if figure.value is None else f"{figure.value:.4f}"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"

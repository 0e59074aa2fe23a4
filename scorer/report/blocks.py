"""Text blocks of a report, the same for a terminal, a pipe and Markdown, and those that both lengths of it share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scorer.evaluation.expectation import Expectation
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.scored_by import model_name
from scorer.evaluation.sections import Review
from scorer.metrics.values import Figure
from scorer.safe_text import counted

_HTML_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_MATRIX_LABELS = 12
"""Maximum number of labels of a confusion matrix in a table."""

_NAMED_FIGURES = 3
"""Maximum number of figures that are named with the reason why their intervals are approximate."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: heading.
        right: true to align it to the right, as for numbers.
        wide: true if it may be cut to the width of a terminal.
    """

    name: str
    right: bool = True
    wide: bool = False


@dataclass(frozen=True)
class Block:
    """A heading, lines and a table, each of them optional.

    Attributes:
        title: heading; ``None`` continues the block before.
        lines: texts with a colour each, ``None`` for the usual one.
        columns, rows: of the table.
    """

    title: str | None = None
    lines: tuple[tuple[str, str | None], ...] = ()
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def value_text(figure: Figure, sign: str = "") -> str:
    """The value with four decimals, or ``undefined``; the ``sign`` ``+`` gives every number a sign."""
    return "undefined" if figure.value is None else f"{figure.value:{sign}.4f}"


def interval_text(figure: Figure, sign: str = "") -> str:
    """The ends of the interval, behind ``~`` for an approximate one; empty without one."""
    interval = figure.interval
    if interval is None:
        return ""
    return f"{'~ ' if interval.warning else ''}{interval.low:{sign}.4f} to {interval.high:{sign}.4f}"


def approximate(figures: Mapping[str, Figure]) -> str:
    """A line on the intervals that are only approximate, empty if there are none; ``figures`` are by name.

    A reason that few of the figures have names these.
    """
    having: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.interval is not None and figure.interval.warning:
            having.setdefault(figure.interval.warning, []).append(name)
    reasons = [
        f"{reason} ({', '.join(names)})" if len(names) <= _NAMED_FIGURES else reason for reason, names in having.items()
    ]
    return f"~ approximate, not 95 %: {'; '.join(reasons)}" if reasons else ""


def approximate_lines(figures: Mapping[str, Figure]) -> tuple[tuple[str, str | None], ...]:
    """The line of :func:`approximate` with its colour, if there is one."""
    text = approximate(figures)
    return ((text, "yellow"),) if text else ()


def percent(share: float, digits: int | None = None) -> str:
    """``share`` in percent, with one decimal unless it is 0 or 1."""
    return f"{share * 100:.{(0 if share in (0, 1) else 1) if digits is None else digits}f}\u00a0%"


def with_breaks(text: str, line_break: str) -> str:
    """``text`` with ``line_break`` in place of the HTML that reviews from web pages hold for one."""
    return _HTML_BREAK.sub(line_break, text)


def excerpt(text: str, characters: int) -> str:
    """The first ``characters`` of ``text`` on one line, ending in … if more follow."""
    one_line = " ".join(text[: 2 * characters].split())
    whole = len(one_line) <= characters and len(text) <= 2 * characters
    return one_line if whole else one_line[:characters] + "…"


def head(report: EvaluationReport) -> Block:
    """The files, the model, and how many rows are in the figures."""
    return Block(lines=lines_of(_head(report)))


def _head(report: EvaluationReport) -> Iterator[str]:
    where = report.provenance
    joined = f", labels from {where.labels_file}" if where.labels_file else ""
    name = model_name(where.model)
    model = f", scored with {name} ({where.precision} on {where.device})" if name else ""
    yield ", ".join(where.files) + joined + model
    if report.labelled:
        yield f"{counted(report.evaluated, 'row')} evaluated, gold labels from column {where.label_column!r}"
    else:
        yield f"{counted(report.rows, 'row')} without gold labels"
    if report.unscored and report.labelled:
        unscored = counted(report.unscored, "row")
        yield f"{unscored} unscored: with a gold label but no prediction, left out of every figure"
    elif report.unscored:
        yield f"{counted(report.unscored, 'row')} unscored: without a prediction, left out"
    if report.rows_unlabelled:
        yield f"{counted(report.rows_unlabelled, 'row')} without a gold label, left out"
    if report.rows_left_out:
        yield f"{counted(report.rows_left_out, 'row')} left out by --label-map"
    if report.rows_unmatched:
        yield f"{counted(report.rows_unmatched, 'row')} unmatched: the id has no gold label, left out"
    if report.labels_unmatched:
        yield f"{counted(report.labels_unmatched, 'gold label')} unmatched: no row has the id, left out"


def confusion_matrix(report: EvaluationReport) -> Block:
    """The matrix, or where it is if there are many labels."""
    if len(report.labels) > _MATRIX_LABELS:
        return Block(f"the confusion matrix of {len(report.labels)} labels is in --json")
    rows = tuple(
        (name, *(f"{count:,}" for count in row))
        for name, row in zip(report.labels, report.matrix.tolist(), strict=True)
    )
    title = "confusion matrix: a row for each gold label, a column for each predicted one"
    return Block(title, columns=columns_of("", *report.labels), rows=rows)


def expected(expectation: Expectation) -> Block:
    """The figures to expect without gold labels, and what they rest on."""
    lines = [(expectation.basis, None), *((f"worthless: {doubt}", "red") for doubt in expectation.doubts)]
    if not expectation.drift_checked:
        lines.append(("compare with an earlier night by --drift: after a drift these figures are worth nothing", None))
    rows = [
        ("accuracy", f"{expectation.rows:,}", value_text(expectation.accuracy), interval_text(expectation.accuracy))
    ]
    rows += [
        (
            f"precision of {item.label}",
            f"{item.predicted:,}",
            value_text(item.precision),
            interval_text(item.precision),
        )
        for item in expectation.by_label
    ]
    title = "expected without gold labels, if the probabilities are calibrated"
    return Block(title, tuple(lines), columns_of("figure", "rows", "expected", "95 %"), tuple(rows))


REVIEW_COLUMNS = (
    Column("row", False),
    Column("gold", False),
    Column("predicted", False),
    Column("confidence"),
    Column("text", False, wide=True),
)


def reviews_block(title: str, reviews: Sequence[Review]) -> Block:
    """A table of ``reviews``."""
    return Block(title, columns=REVIEW_COLUMNS, rows=tuple(map(review_cells, reviews)))


def review_cells(review: Review) -> tuple[str, ...]:
    """The cells of :data:`REVIEW_COLUMNS`."""
    name = f"{review.row:,}" if review.id is None else f"{review.row:,} ({review.id})"
    confidence = "" if review.confidence is None else f"{review.confidence:.4f}"
    return (name, review.gold, review.predicted, confidence, with_breaks(review.text or "", " "))


def ending(report: EvaluationReport) -> Iterator[Block]:
    """Gates and notes, if there are any."""
    gates = tuple(
        (f"gate {'met' if gate.passed else 'NOT MET'}: {gate}", "green" if gate.passed else "red")
        for gate in report.gates
    )
    notes = lines_of(f"note: {note}" for note in report.notes)
    if gates or notes:
        yield Block(lines=(*gates, *notes))


def lines_of(texts: Iterable[str]) -> tuple[tuple[str, None], ...]:
    """Lines without a colour."""
    return tuple((text, None) for text in texts)


def columns_of(first: str, *numbers: str, remark: bool = False) -> tuple[Column, ...]:
    """A column of names, columns of numbers, and at the end a column for remarks without a heading."""
    columns = (Column(first, right=False), *(Column(name) for name in numbers))
    return (*columns, Column("", right=False)) if remark else columns

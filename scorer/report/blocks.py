"""Text blocks of a report, the same for a terminal, a pipe and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scorer.evaluation.coverage import Coverage
from scorer.evaluation.expectation import Expectation
from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Chance, Comparison, Drift, Review
from scorer.evaluation.slices import SliceGroup
from scorer.evaluation.thresholds import Thresholds
from scorer.metrics.values import Figure
from scorer.report.verdict import index_verdict
from scorer.safe_text import counted

_MATRIX_LABELS = 12
"""Maximum number of labels of a confusion matrix in a table."""

_SHOWN_SLICES = 8

_SHOWN_REVIEWS = 5

_SHOWN_WORDS = 8


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


def blocks(report: EvaluationReport) -> Iterator[Block]:
    """All blocks of ``report``, in order."""
    yield Block(lines=_lines(_head(report)))
    if report.labelled:
        yield _figures(report)
        yield _by_label(report)
        yield _matrix(report)
    elif report.expectation is not None:
        yield _expectation(report.expectation)
    if report.comparison is not None:
        yield from _comparison(report.comparison)
    if report.drift is not None:
        yield from _drift(report.drift)
    for group in report.slices:
        yield _slices(group)
    if report.thresholds is not None:
        yield _thresholds(report.thresholds)
    if report.coverage is not None:
        yield _coverage(report.coverage, labelled=report.labelled)
    if report.mistakes:
        yield _reviews(f"most confident of {counted(report.n_mistakes, 'mistake')}", report.mistakes)
    if report.suspects:
        title = f"labels to check, the most suspect of {report.n_suspects:,}: they are wrong, or the model is"
        yield _reviews(title, report.suspects)
    gates = tuple(
        (f"gate {'met' if gate.passed else 'NOT MET'}: {gate}", "green" if gate.passed else "red")
        for gate in report.gates
    )
    notes = _lines(f"note: {note}" for note in report.notes)
    if gates or notes:
        yield Block(lines=(*gates, *notes))


def value_text(figure: Figure, sign: str = "") -> str:
    """The value with four decimals, or ``undefined``; the ``sign`` ``+`` gives every number a sign."""
    return "undefined" if figure.value is None else f"{figure.value:{sign}.4f}"


def _interval_text(figure: Figure, sign: str = "") -> str:
    """The ends of the interval, behind ``~`` for an approximate one; empty without one."""
    interval = figure.interval
    if interval is None:
        return ""
    return f"{'~ ' if interval.warning else ''}{interval.low:{sign}.4f} to {interval.high:{sign}.4f}"


def _approximate(figures: Iterable[Figure]) -> Iterator[tuple[str, str | None]]:
    """A line on intervals that are only approximate, if there are any."""
    intervals = [figure.interval for figure in figures if figure.interval is not None]
    warnings = dict.fromkeys(interval.warning for interval in intervals if interval.warning)
    if warnings:
        yield f"~ approximate, not 95 %: {'; '.join(warnings)}", "yellow"


def excerpt(text: str, characters: int) -> str:
    """The first ``characters`` of ``text`` on one line, ending in … if more follow."""
    one_line = " ".join(text[: 2 * characters].split())
    whole = len(one_line) <= characters and len(text) <= 2 * characters
    return one_line if whole else one_line[:characters] + "…"


def _head(report: EvaluationReport) -> Iterator[str]:
    where = report.provenance
    joined = f", labels from {where.labels_file}" if where.labels_file else ""
    name = "the built-in model" if where.model == "embedded" else where.model
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


def _figures(report: EvaluationReport) -> Block:
    positive = "" if report.positive is None else f"of {report.labels[report.positive]}"
    rows = []
    for name, figure in report.figures.items():
        own = name in ("precision", "recall", "f1", "roc_auc", "average_precision")
        of = positive if own and figure.value is not None else ""
        rows.append((FIGURES[name], value_text(figure), _interval_text(figure), figure.reason or of))
    lines = tuple(_approximate(report.figures.values()))
    return Block(lines=lines, columns=_columns("figure", "value", "95 %", remark=True), rows=tuple(rows))


def _by_label(report: EvaluationReport) -> Block:
    rows = tuple(
        (
            label.label,
            f"{label.gold:,}",
            f"{label.predicted:,}",
            *(value_text(figure) for figure in (label.precision, label.recall, label.f1, label.roc_auc)),
        )
        for label in report.by_label
    )
    return Block(columns=_columns("label", "gold", "predicted", "precision", "recall", "F1", "ROC AUC"), rows=rows)


def _matrix(report: EvaluationReport) -> Block:
    if len(report.labels) > _MATRIX_LABELS:
        return Block(f"the confusion matrix of {len(report.labels)} labels is in --json")
    rows = tuple(
        (name, *(f"{count:,}" for count in row))
        for name, row in zip(report.labels, report.matrix.tolist(), strict=True)
    )
    title = "confusion matrix: a row for each gold label, a column for each predicted one"
    return Block(title, columns=_columns("", *report.labels), rows=rows)


def _comparison(comparison: Comparison) -> Iterator[Block]:
    paired = "row by row" if comparison.paired_by is None else f"by {comparison.paired_by}"
    left = f", {comparison.unpaired:,} unpaired and left out" if comparison.unpaired else ""
    test = comparison.mcnemar
    lines = (
        f"{counted(comparison.rows, 'row')} paired {paired}{left}",
        f"McNemar's exact test: p = {test.p_value:.4g}; right only now {test.only_current_right:,},"
        f" right only before {test.only_baseline_right:,}",
    )
    rows = tuple(
        (
            FIGURES[item.figure],
            value_text(item.current),
            value_text(item.baseline),
            value_text(item.difference, "+"),
            _interval_text(item.difference, "+") or (item.difference.reason or ""),
        )
        for item in comparison.differences
    )
    columns = _columns("figure", "now", "baseline", "difference", "95 %")
    approximate = _approximate(item.difference for item in comparison.differences)
    yield Block(f"against {comparison.baseline}", (*_lines(lines), *approximate), columns, rows)
    if comparison.repaired + comparison.broken + comparison.other:
        title = f"changed sides: {comparison.repaired:,} repaired, {comparison.broken:,} broken"
        if comparison.other:
            title += f", {comparison.other:,} wrong in another way"
        changed = comparison.changed[:_SHOWN_REVIEWS]
        shown = tuple((item.change, item.baseline, *_review(item.review)) for item in changed)
        yield Block(title, columns=(Column("change", False), Column("before", False), *_REVIEW_COLUMNS), rows=shown)


def _drift(drift: Drift) -> Iterator[Block]:
    rows = [
        (f"share of {share.label}", f"{share.baseline:.4f}", f"{share.current:.4f}", "") for share in drift.label_shares
    ]
    rows.append(("predicted labels", "", "", _psi(drift.label_psi, drift.label_chance)))
    rows.append((drift.of, "", "", _psi(drift.score_psi, drift.score_chance)))
    if drift.length is not None:
        then, now = drift.length.baseline, drift.length.current
        rows += [
            ("mean length", f"{then.mean:,.1f}", f"{now.mean:,.1f}", ""),
            ("median length", f"{then.median:,.1f}", f"{now.median:,.1f}", ""),
            ("90th percentile", f"{then.p90:,.1f}", f"{now.p90:,.1f}", ""),
            ("99th percentile", f"{then.p99:,.1f}", f"{now.p99:,.1f}", ""),
            ("text length", "", "", _psi(drift.length.psi, drift.length.chance)),
        ]
    if drift.vocabulary is not None:
        rows.append(("words, Jensen-Shannon distance", "", value_text(drift.vocabulary.distance), ""))
        rows.append(("words that the baseline never has", "", value_text(drift.vocabulary.unseen), ""))
    lines = [f"{counted(drift.current_rows, 'row')} now, {drift.baseline_rows:,} then"]
    if drift.reason:
        lines.append(f"no lengths and words: {drift.reason}")
    columns = (*_columns("drift", "baseline", "now"), Column("stability index", right=False))
    yield Block(f"against {drift.baseline}", _lines(lines), columns, tuple(rows))
    if drift.vocabulary is not None and drift.vocabulary.words:
        shown = drift.vocabulary.words[:_SHOWN_WORDS]
        words = tuple((item.word, f"{item.baseline:.3%}", f"{item.current:.3%}") for item in shown)
        yield Block("words that changed most", columns=_columns("word", "baseline", "now"), rows=words)


def _psi(figure: Figure, chance: Chance | None) -> str:
    return (
        f"undefined: {figure.reason}" if figure.value is None else f"{figure.value:.4f} {index_verdict(figure, chance)}"
    )


def _slices(group: SliceGroup) -> Block:
    rows = tuple(
        (
            item.value,
            f"{item.rows:,}",
            value_text(item.accuracy),
            _interval_text(item.accuracy),
            value_text(item.f1),
            "few rows" if item.uncertain else "",
        )
        for item in group.slices[:_SHOWN_SLICES]
    )
    more = f", the weakest {_SHOWN_SLICES} of {len(group.slices):,}" if len(group.slices) > _SHOWN_SLICES else ""
    columns = _columns(group.by, "rows", "accuracy", "95 %", "F1", remark=True)
    return Block(f"by {group.by}, weakest first{more}", columns=columns, rows=rows)


def _thresholds(thresholds: Thresholds) -> Block:
    named = [("", row) for place, row in enumerate(thresholds.rows) if place % 2]
    if thresholds.best_f1 is not None:
        named.append(("best F1", thresholds.best_f1))
    named += [(f"{item.figure} {item.wanted:g}", item.row) for item in thresholds.wanted if item.row is not None]
    lines = tuple((str(item.reason), "yellow") for item in thresholds.wanted if item.row is None)
    rows = tuple(
        (
            f"{row.threshold:.4f}",
            f"{row.predicted:,}",
            *(value_text(figure) for figure in (row.precision, row.recall, row.f1, row.accuracy)),
            name,
        )
        for name, row in named
    )
    columns = _columns("threshold", "predicted", "precision", "recall", "F1", "accuracy", remark=True)
    return Block(f"thresholds of {thresholds.label}", lines, columns, rows)


def _coverage(coverage: Coverage, *, labelled: bool) -> Block:
    rows = tuple(
        (
            f"{row.share:.0%}",
            f"{row.taken:,}",
            f"{row.threshold:.4f}",
            *((value_text(row.accuracy), _interval_text(row.accuracy), value_text(row.caught)) if labelled else ()),
            f"{row.expected:.4f}",
        )
        for row in coverage.rows
    )
    measured = ("accuracy of the rest", "95 %", "mistakes caught") if labelled else ()
    columns = _columns("for people", "rows", "below", *measured, "expected")
    return Block("if people take the least sure rows", columns=columns, rows=rows)


def _expectation(expectation: Expectation) -> Block:
    lines = [(expectation.basis, None), *((doubt, "red") for doubt in expectation.doubts)]
    if not expectation.drift_checked:
        lines.append(("compare with an earlier night by --drift: after a drift these figures are worth nothing", None))
    rows = [
        ("accuracy", f"{expectation.rows:,}", value_text(expectation.accuracy), _interval_text(expectation.accuracy))
    ]
    rows += [
        (
            f"precision of {item.label}",
            f"{item.predicted:,}",
            value_text(item.precision),
            _interval_text(item.precision),
        )
        for item in expectation.by_label
    ]
    title = "expected without gold labels, if the probabilities are calibrated"
    return Block(title, tuple(lines), _columns("figure", "rows", "expected", "95 %"), tuple(rows))


_REVIEW_COLUMNS = (
    Column("row", False),
    Column("gold", False),
    Column("predicted", False),
    Column("confidence"),
    Column("text", False, wide=True),
)


def _reviews(title: str, reviews: tuple[Review, ...]) -> Block:
    return Block(title, columns=_REVIEW_COLUMNS, rows=tuple(_review(review) for review in reviews[:_SHOWN_REVIEWS]))


def _review(review: Review) -> tuple[str, ...]:
    name = f"{review.row:,}" if review.id is None else f"{review.row:,} ({review.id})"
    confidence = "" if review.confidence is None else f"{review.confidence:.4f}"
    return (name, review.gold, review.predicted, confidence, review.text or "")


def _lines(texts: Iterable[str]) -> tuple[tuple[str, None], ...]:
    return tuple((text, None) for text in texts)


def _columns(first: str, *numbers: str, remark: bool = False) -> tuple[Column, ...]:
    """A column of names, columns of numbers, and at the end a column for remarks without a heading."""
    columns = (Column(first, right=False), *(Column(name) for name in numbers))
    return (*columns, Column("", right=False)) if remark else columns

"""The report in short, as ``evaluate-labels`` prints it: the verdict, and the figures that people decide with."""

from __future__ import annotations

from collections.abc import Iterator

from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Comparison, Difference, Drift
from scorer.evaluation.thresholds import Thresholds
from scorer.metrics.values import NO_PROBABILITIES
from scorer.report.blocks import (
    Block,
    Column,
    approximate_lines,
    columns_of,
    confusion_matrix,
    ending,
    expected,
    head,
    interval_text,
    lines_of,
    reviews_block,
    value_text,
)
from scorer.report.verdict import (
    certain_slices,
    hand_over,
    index_verdict,
    unlike_verdict,
    verdict,
    verdict_of,
    weakest,
    words_verdict,
)
from scorer.safe_text import counted

_FIGURES = ("accuracy", "precision", "recall", "f1", "mcc", "roc_auc", "ece")

_WITHOUT_POSITIVE = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "roc_auc", "ece")

_PLAIN = {0xA0: " ", 0x2212: "-"}
"""Characters of sentences, and those that a terminal has everywhere."""

_SHOWN_LABELS = 8

_MATRIX_LABELS = 6
"""Maximum number of labels of a confusion matrix."""

_SHOWN_SLICES = 4

_SHOWN_REVIEWS = 3


def summary(report: EvaluationReport) -> Iterator[Block]:
    """The blocks of the short report, in order; a line says where the rest is. Gates and notes come last."""
    yield head(report)
    said = (verdict(report), unlike_verdict(report), weakest(report), hand_over(report))
    yield Block(lines=lines_of(text.translate(_PLAIN) for text in said if text))
    if report.labelled:
        yield _figures(report)
        if len(report.labels) > 2:
            yield _by_label(report)
        if len(report.labels) <= _MATRIX_LABELS:
            yield confusion_matrix(report)
    elif report.expectation is not None:
        yield expected(report.expectation)
    if report.comparison is not None:
        yield _comparison(report, report.comparison)
    if report.drift is not None:
        yield _drift(report.drift)
    if slices := certain_slices(report)[:_SHOWN_SLICES]:
        rows = tuple(
            (f"{by}: {one.value}", f"{one.rows:,}", value_text(one.accuracy), interval_text(one.accuracy))
            for by, one in slices
        )
        yield Block(columns=columns_of("weakest slices", "rows", "accuracy", "95 %"), rows=rows)
    if report.thresholds is not None and (report.thresholds.wanted or report.thresholds.least_cost):
        yield _thresholds(report.thresholds)
    if report.mistakes:
        title = f"most confident of {counted(report.n_mistakes, 'mistake')}"
        suspect = f"; {counted(report.n_suspects, 'label')} to check" if report.n_suspects else ""
        yield reviews_block(f"{title}{suspect}", report.mistakes[:_SHOWN_REVIEWS])
    yield Block(lines=lines_of(["more: -v prints all tables; --report FILE.html and --json FILE hold everything"]))
    yield from ending(report)


def _names(report: EvaluationReport) -> tuple[str, ...]:
    return _WITHOUT_POSITIVE if report.positive is None else _FIGURES


def _figures(report: EvaluationReport) -> Block:
    of = "" if report.positive is None else f"of {report.labels[report.positive]}"
    shown = {name: report.figures[name] for name in _names(report)}
    rows = tuple(
        (
            FIGURES[name],
            value_text(figure),
            interval_text(figure),
            figure.reason or (of if name in ("precision", "recall", "f1", "roc_auc") else ""),
        )
        for name, figure in shown.items()
        if figure != NO_PROBABILITIES
    )
    columns = columns_of("figure", "value", "95 %", remark=True)
    return Block(
        lines=approximate_lines({FIGURES[name]: figure for name, figure in shown.items()}), columns=columns, rows=rows
    )


def _by_label(report: EvaluationReport) -> Block:
    shown = sorted(report.by_label, key=lambda one: (one.f1.value is None, one.f1.value or 0.0))[:_SHOWN_LABELS]
    rows = tuple(
        (one.label, f"{one.gold:,}", f"{one.predicted:,}", *map(value_text, (one.precision, one.recall, one.f1)))
        for one in shown
    )
    more = f", {_SHOWN_LABELS} of {len(report.labels):,}" if len(report.labels) > _SHOWN_LABELS else ""
    columns = columns_of("label", "gold", "predicted", "precision", "recall", "F1")
    return Block(f"labels, weakest first{more}", columns=columns, rows=rows)


def _comparison(report: EvaluationReport, comparison: Comparison) -> Block:
    left = f", {comparison.unpaired:,} unpaired and left out" if comparison.unpaired else ""
    paired = "row by row" if comparison.paired_by is None else f"by {comparison.paired_by}"
    other = f", {comparison.other:,} wrong in another way" if comparison.other else ""
    lines = (
        f"{counted(comparison.rows, 'row')} paired {paired}{left}: {comparison.repaired:,} repaired,"
        f" {comparison.broken:,} broken{other}",
        f"McNemar's exact test: p = {comparison.mcnemar.p_value:.4g}",
    )
    shown = [one for one in comparison.differences if one.figure in _names(report)]
    shown = [one for one in shown if one.difference.value is not None]
    columns = columns_of("figure", "now", "baseline", "difference", "95 %", remark=True)
    notes = approximate_lines({FIGURES[one.figure]: one.difference for one in shown})
    return Block(f"against {comparison.baseline}", (*lines_of(lines), *notes), columns, tuple(map(_difference, shown)))


def _difference(one: Difference) -> tuple[str, ...]:
    figures = (value_text(one.current), value_text(one.baseline), value_text(one.difference, "+"))
    return (FIGURES[one.figure], *figures, interval_text(one.difference, "+") or "none known", verdict_of(one))


def _drift(drift: Drift) -> Block:
    measured = [
        ("predicted labels", drift.label_psi, index_verdict(drift.label_psi, drift.label_chance)),
        ("scores", drift.score_psi, index_verdict(drift.score_psi, drift.score_chance)),
    ]
    if drift.length is not None:
        measured.append(("text lengths", drift.length.psi, index_verdict(drift.length.psi, drift.length.chance)))
    rows = [(name, value_text(figure), figure.reason or said) for name, figure, said in measured]
    if drift.vocabulary is not None:
        rows.append(("words", value_text(drift.vocabulary.distance), words_verdict(drift.vocabulary.distance)))
    columns = (Column("drift", False), Column("value"), Column("", False))
    lines = [f"{counted(drift.current_rows, 'row')} now, {drift.baseline_rows:,} then"]
    return Block(f"against {drift.baseline}", lines_of(lines), columns, tuple(rows))


def _thresholds(found: Thresholds) -> Block:
    named = [(f"{one.figure} of {one.wanted:g}", one.row) for one in found.wanted if one.row is not None]
    if found.least_cost is not None:
        named.append((f"cost of {found.least_cost.cost:g}", found.least_cost.row))
    rows = tuple(
        (name, f"{row.threshold:.4f}", f"{row.predicted:,}", *map(value_text, (row.precision, row.recall, row.f1)))
        for name, row in named
    )
    lines = tuple((str(one.reason), "yellow") for one in found.wanted if one.row is None)
    columns = columns_of(f"threshold of {found.label}", "at", "predicted", "precision", "recall", "F1")
    return Block(lines=lines, columns=columns if rows else (), rows=rows)

"""The whole report as text blocks: every figure, slice, threshold and drift, and the first reviews of each kind."""

from __future__ import annotations

from collections.abc import Iterator

from scorer.evaluation.coverage import Coverage
from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Chance, Comparison, Drift
from scorer.evaluation.slices import SliceGroup
from scorer.evaluation.thresholds import Thresholds
from scorer.metrics.values import Figure
from scorer.report.blocks import (
    REVIEW_COLUMNS,
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
    review_cells,
    reviews_block,
    value_text,
)
from scorer.report.verdict import index_verdict, words_verdict
from scorer.safe_text import counted

_SHOWN_SLICES = 8

_SHOWN_REVIEWS = 5

_SHOWN_WORDS = 8


def full_report(report: EvaluationReport) -> Iterator[Block]:
    """All blocks of ``report``, in order."""
    yield head(report)
    if report.labelled:
        yield _figures(report)
        yield _by_label(report)
        yield confusion_matrix(report)
    elif report.expectation is not None:
        yield expected(report.expectation)
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
        title = f"most confident of {counted(report.n_mistakes, 'mistake')}"
        yield reviews_block(title, report.mistakes[:_SHOWN_REVIEWS])
    if report.suspects:
        title = f"labels to check, the most suspect of {report.n_suspects:,}: they are wrong, or the model is"
        yield reviews_block(title, report.suspects[:_SHOWN_REVIEWS])
    yield from ending(report)


def _figures(report: EvaluationReport) -> Block:
    positive = "" if report.positive is None else f"of {report.labels[report.positive]}"
    rows = []
    for name, figure in report.figures.items():
        own = name in ("precision", "recall", "f1", "roc_auc", "average_precision")
        of = positive if own and figure.value is not None else ""
        rows.append((FIGURES[name], value_text(figure), interval_text(figure), figure.reason or of))
    lines = approximate_lines({FIGURES[name]: figure for name, figure in report.figures.items()})
    return Block(lines=lines, columns=columns_of("figure", "value", "95 %", remark=True), rows=tuple(rows))


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
    return Block(columns=columns_of("label", "gold", "predicted", "precision", "recall", "F1", "ROC AUC"), rows=rows)


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
            interval_text(item.difference, "+") or item.difference.reason or "none known",
        )
        for item in comparison.differences
    )
    columns = columns_of("figure", "now", "baseline", "difference", "95 %")
    notes = approximate_lines({FIGURES[item.figure]: item.difference for item in comparison.differences})
    yield Block(f"against {comparison.baseline}", (*lines_of(lines), *notes), columns, rows)
    if comparison.repaired + comparison.broken + comparison.other:
        title = f"changed sides: {comparison.repaired:,} repaired, {comparison.broken:,} broken"
        if comparison.other:
            title += f", {comparison.other:,} wrong in another way"
        changed = comparison.changed[:_SHOWN_REVIEWS]
        shown = tuple((item.change, item.baseline, *review_cells(item.review)) for item in changed)
        yield Block(title, columns=(Column("change", False), Column("before", False), *REVIEW_COLUMNS), rows=shown)


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
        distance = drift.vocabulary.distance
        rows.append(("words, Jensen-Shannon distance", "", value_text(distance), words_verdict(distance)))
        rows.append(("words that the baseline never has", "", value_text(drift.vocabulary.unseen), ""))
    lines = [f"{counted(drift.current_rows, 'row')} now, {drift.baseline_rows:,} then"]
    if drift.reason:
        lines.append(f"no lengths and words: {drift.reason}")
    columns = (*columns_of("drift", "baseline", "now"), Column("stability index", right=False))
    yield Block(f"against {drift.baseline}", lines_of(lines), columns, tuple(rows))
    if drift.vocabulary is not None and drift.vocabulary.words:
        shown = drift.vocabulary.words[:_SHOWN_WORDS]
        words = tuple((item.word, f"{100 * item.baseline:.3f} %", f"{100 * item.current:.3f} %") for item in shown)
        yield Block("words that changed most", columns=columns_of("word", "baseline", "now"), rows=words)


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
            interval_text(item.accuracy),
            value_text(item.f1),
            "few rows" if item.uncertain else "",
        )
        for item in group.slices[:_SHOWN_SLICES]
    )
    more = f", the weakest {_SHOWN_SLICES} of {len(group.slices):,}" if len(group.slices) > _SHOWN_SLICES else ""
    columns = columns_of(group.by, "rows", "accuracy", "95 %", "F1", remark=True)
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
    columns = columns_of("threshold", "predicted", "precision", "recall", "F1", "accuracy", remark=True)
    return Block(f"thresholds of {thresholds.label}", lines, columns, rows)


def _coverage(coverage: Coverage, *, labelled: bool) -> Block:
    rows = tuple(
        (
            f"{100 * row.share:.0f} %",
            f"{row.taken:,}",
            f"{row.threshold:.4f}",
            *((value_text(row.accuracy), interval_text(row.accuracy), value_text(row.caught)) if labelled else ()),
            f"{row.expected:.4f}",
        )
        for row in coverage.rows
    )
    measured = ("accuracy of the rest", "95 %", "mistakes caught") if labelled else ()
    columns = columns_of("for people", "rows", "below", *measured, "expected")
    return Block("if people take the least sure rows", columns=columns, rows=rows)

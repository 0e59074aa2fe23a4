"""The pictures of a page: each a plot, its description in words, and its data as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Drift, Histogram
from scorer.metrics.values import Curves, Figure, ReliabilityBin
from scorer.report import plots
from scorer.report.blocks import value_text
from scorer.report.plots import Words
from scorer.safe_text import visible

_TABLE_POINTS = 21
"""Points of a curve in its table."""


@dataclass(frozen=True)
class Table:
    """The data of a picture.

    Attributes:
        title: of the table.
        columns: names.
        rows: cells as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A plot and its alternatives.

    Attributes:
        words: title and description, also part of ``svg``.
        caption: continues the title.
        svg: the drawing.
        legend: names of the series, in order.
        tables: the same data.
    """

    words: Words
    caption: str
    svg: Markup
    legend: tuple[str, ...]
    tables: tuple[Table, ...]


def pictures_of(report: EvaluationReport) -> Iterator[Picture]:
    """The pictures that have data."""
    roc = [curve for curve in report.curves if curve.false_positive_rate]
    if roc:
        yield _roc(roc)
    ranked = [curve for curve in report.curves if curve.recall]
    if ranked:
        yield _precision_recall(ranked)
    if any(one.rows for one in report.reliability):
        yield _reliability(report.reliability, report.figures.get("ece"))
    if report.histogram is not None:
        yield _histogram(report.histogram)


def pictures_of_drift(drift: Drift) -> Iterator[Picture]:
    """The histogram of both sets of predictions, if both have scores."""
    if not drift.current_scores:
        return
    words = _words(
        "drift-scores",
        "Scores then and now",
        f"Histograms of the {drift.of}, as shares of {drift.baseline_rows:,} rows of the baseline and of"
        f" {drift.current_rows:,} rows now. The population stability index is {_with_reason(drift.score_psi)}.",
    )
    series = {"baseline": drift.baseline_scores, "now": drift.current_scores}
    yield Picture(
        words=words,
        caption=f"{drift.of}, as shares of the rows",
        svg=plots.shares(drift.edges, list(series.values()), drift.of, words),
        legend=tuple(series),
        tables=(_bins(drift.edges, series),),
    )


def tables_of_drift(drift: Drift) -> Iterator[Table]:
    """Shares of labels, lengths and words of both sets of predictions."""
    yield Table(
        "Predicted labels",
        ("label", "baseline", "now"),
        tuple((one.label, f"{one.baseline:.2%}", f"{one.current:.2%}") for one in drift.label_shares),
    )
    if drift.length is not None:
        then, now = drift.length.baseline, drift.length.current
        names = {"mean": "mean", "median": "median", "p90": "90 % are shorter than", "p99": "99 % are shorter than"}
        rows = ((name, f"{getattr(then, key):,.0f}", f"{getattr(now, key):,.0f}") for key, name in names.items())
        yield Table("Length in characters", ("", "baseline", "now"), tuple(rows))
    if drift.vocabulary is not None and drift.vocabulary.words:
        yield Table(
            "Words that changed most, as shares of all words",
            ("word", "baseline", "now"),
            tuple((one.word, f"{one.baseline:.3%}", f"{one.current:.3%}") for one in drift.vocabulary.words),
        )


def _roc(curves: Sequence[Curves]) -> Picture:
    areas = [f"{curve.label}: area {_with_reason(curve.roc_auc)}" for curve in curves]
    words = _words(
        "roc",
        "ROC curve" if len(curves) == 1 else "ROC curves",
        "True positive rate over false positive rate, one against the others; the dotted diagonal is a guess."
        f" {'; '.join(areas)}.",
    )
    names = ("threshold", "false positive rate", "true positive rate")
    tables = (
        _points(one.label, names, (one.roc_threshold, one.false_positive_rate, one.true_positive_rate))
        for one in curves
    )
    return Picture(words, _caption(areas), plots.roc(curves, words), tuple(areas), tuple(tables))


def _precision_recall(curves: Sequence[Curves]) -> Picture:
    areas = [f"{curve.label}: average precision {_with_reason(curve.average_precision)}" for curve in curves]
    description = f"Precision over recall as the threshold falls. {'; '.join(areas)}."
    words = _words("precision-recall", "Precision and recall", description)
    names = ("threshold", "recall", "precision")
    tables = (_points(one.label, names, (one.precision_recall_threshold, one.recall, one.precision)) for one in curves)
    return Picture(words, _caption(areas), plots.precision_recall(curves, words), tuple(areas), tuple(tables))


def _reliability(bins: Sequence[ReliabilityBin], error: Figure | None) -> Picture:
    filled = [one for one in bins if one.rows]
    words = _words(
        "reliability",
        "Reliability",
        "Share of right rows over mean confidence; on the dotted diagonal, confidence is what it says. Points below"
        f" it are too sure. {len(filled)} of {len(bins)} bins have rows."
        + (f" The expected calibration error is {_with_reason(error)}." if error else ""),
    )
    rows = tuple(
        (f"{one.low:.3f} to {one.high:.3f}", f"{one.rows:,}", _decimals(one.confidence), _decimals(one.accuracy))
        for one in filled
    )
    table = Table("The data as a table", ("confidence", "rows", "mean confidence", "share that is right"), rows)
    caption = "below the diagonal the model is too sure, above it not sure enough"
    return Picture(words, caption, plots.reliability(bins, words), (), (table,))


def _histogram(scores: Histogram) -> Picture:
    counts = "; ".join(f"{name}: {sum(one):,} rows" for name, one in scores.series.items())
    words = _words("histogram", "Scores", f"Histogram of the {scores.of}. {counts}.")
    return Picture(
        words=words,
        caption=f"rows by {scores.of}, " + ("right and wrong ones" if scores.of == "confidence" else "by gold label"),
        svg=plots.histogram(scores, words),
        legend=tuple(scores.series)[: plots.SERIES],
        tables=(_bins(scores.edges, scores.series),),
    )


def _bins(edges: Sequence[float], series: Mapping[str, Sequence[int]]) -> Table:
    spans = [f"{low:.3f} to {high:.3f}" for low, high in pairwise(edges)]
    rows = tuple((span, *(f"{one[place]:,}" for one in series.values())) for place, span in enumerate(spans))
    return Table("The data as a table", ("score", *series), rows)


def _points(label: str, columns: tuple[str, ...], values: tuple[Sequence[float | None], ...]) -> Table:
    """A table of evenly chosen points, the first and the last among them."""
    n, kept = len(values[0]), min(len(values[0]), _TABLE_POINTS)
    places = [round(step * (n - 1) / max(1, kept - 1)) for step in range(kept)]
    rows = tuple(tuple(_decimals(column[place]) for column in values) for place in places)
    title = f"{label}: {kept} of {n} points as a table" if kept < n else f"{label} as a table"
    return Table(title, columns, rows)


def _words(name: str, title: str, description: str) -> Words:
    # The drawing contains them as they are, past the filters of the templates.
    return Words(name, title, visible(description))


def _caption(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else "of each label against the others"


def _with_reason(figure: Figure) -> str:
    return value_text(figure) + (f" ({figure.reason})" if figure.reason else "")


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"

"""The pictures of a page: each a plot, its description in words, and its data as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scorer.evaluation.coverage import Coverage
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Drift, Histogram
from scorer.metrics.values import Curves, Figure, ReliabilityBin
from scorer.report.blocks import excerpt, value_text
from scorer.report.svg import SERIES, Axis, Plot
from scorer.safe_text import counted

_TABLE_POINTS = 21
"""Points of a curve in its table."""


@dataclass(frozen=True)
class Table:
    """The data of a picture: a title, names of columns, and cells as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def sentences(self) -> list[str]:
        """Each row on a line, to be shown under the pointer."""
        names = [excerpt(name, 40) for name in self.columns]
        return [", ".join(f"{name} {cell}" for name, cell in zip(names, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A plot and its alternatives.

    Attributes:
        name: prefix of the ids in the picture, unique in the page.
        title: in a few words.
        caption: continues the title.
        description: in a sentence or two.
        plot: the drawing.
        legend: names of the series, in order.
        tables: the same data.
        looks: classes of the series; those of :func:`look_of` if there are none.
    """

    name: str
    title: str
    caption: str
    description: str
    plot: Plot
    legend: Sequence[str]
    tables: Sequence[Table]
    looks: Sequence[str] = ()

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Class and name of each series."""
        looks = self.looks or [look_of(number) for number in range(len(self.legend))]
        return list(zip(looks, self.legend, strict=True))


def look_of(series: int) -> str:
    """The class of a series by its number, such as ``series-0``; behind the last colour they begin again."""
    return f"series-{series % SERIES}"


def pictures_of(report: EvaluationReport) -> Iterator[Picture]:
    """The pictures that have data; curves of a baseline lie beside ours."""
    then = report.comparison.curves if report.comparison is not None else ()
    if roc := [curve for curve in report.curves if curve.false_positive_rate][:SERIES]:
        yield _roc(roc, then, len(report.labels))
    if ranked := [curve for curve in report.curves if curve.recall][:SERIES]:
        yield _precision_recall(ranked, then, len(report.labels))
    if filled := [one for one in report.reliability if one.rows]:
        yield _reliability(filled, len(report.reliability), report.figures.get("ece"))
    if report.histogram is not None:
        yield _histogram(report.histogram)


def pictures_of_drift(drift: Drift) -> Iterator[Picture]:
    """The histogram of both sets of predictions, if both have scores."""
    if drift.current_scores:
        counts = {"baseline": drift.baseline_scores, "now": drift.current_scores}
        plot, table = _outlines(drift.edges, counts, drift.of, shares=True)
        description = (
            f"Histograms of the {drift.of}, as shares of {counted(drift.baseline_rows, 'row')} of the baseline and of"
            f" {counted(drift.current_rows, 'row')} now."
            f" The population stability index is {_with_reason(drift.score_psi)}."
        )
        caption = f"{drift.of}, as shares of the rows"
        yield Picture("drift-scores", "Scores then and now", caption, description, plot, tuple(counts), [table])


def draw_curve(
    plot: Plot,
    look: str,
    name: str,
    columns: Sequence[str],
    *values: Sequence[float | None],
    steps: bool = False,
    dots: float = 0.0,
) -> Table:
    """Draw a line, whose x and y are the last two of ``values``; with ``steps``, each y lasts until the next x.

    ``look`` are classes of :func:`look_of`. The table has at most 21 points, both ends among them; the plot shows the
    same ones under the pointer, and as dots of a radius ``dots`` above 0.
    """
    points = [(x or 0.0, y or 0.0) for x, y in zip(*values[-2:], strict=True)]
    corners = [corner for now, then in pairwise(points) for corner in (now, (then[0], now[1]))] if steps else points
    plot.path([*corners, points[-1]], f"line {look}")
    plot.values(
        points, excerpt(name, 40), columns, [[_decimals(cell) for cell in row] for row in zip(*values, strict=True)]
    )
    n, kept = len(points), min(len(points), _TABLE_POINTS)
    places = [round(step * (n - 1) / max(1, kept - 1)) for step in range(kept)]
    title = f"{name}: {kept} of {n} points as a table" if kept < n else f"{name} as a table"
    table = Table(title, columns, [[_decimals(column[at]) for column in values] for at in places])
    for at, text in zip(places, table.sentences(), strict=True):
        drawn, radius = (f"dot {look}", dots) if dots else ("spot", 7)
        plot.dot(*points[at], drawn, radius, f"{excerpt(name, 40)}: {text}")
    return table


def _beside(curves: Sequence[Curves], then: Sequence[Curves]) -> Iterator[tuple[str, Curves, str]]:
    """Our curves, then the baseline's: look, curve and name. Of several labels each has one colour in both."""
    for n, one in enumerate(curves):
        yield look_of(n), one, one.label
    for n, one in enumerate(then[: len(curves)]):
        if one.recall:
            yield look_of(1) if len(curves) == 1 else f"{look_of(n)} then", one, f"baseline, {one.label}"


def _roc(curves: Sequence[Curves], then: Sequence[Curves], n_labels: int) -> Picture:
    columns = ("threshold", "false positive rate", "true positive rate")
    plot = Plot(Axis(columns[1]), Axis(columns[2]))
    plot.path([(0, 0), (1, 1)], "guess")
    tables, areas, looks = [], [], []
    for look, one, name in _beside(curves, then):
        values = one.roc_threshold, one.false_positive_rate, one.true_positive_rate
        tables.append(draw_curve(plot, look, name, columns, *values))
        areas.append(f"{name}: area {_with_reason(one.roc_auc)}")
        looks.append(look)
    description = "True positive rate over false positive rate, one against the others; the dotted diagonal is a guess."
    title = "ROC curve" if len(curves) == 1 else "ROC curves"
    caption = _caption(areas, curves, n_labels, "best is the upper left corner")
    return Picture("roc", title, caption, f"{description} {'; '.join(areas)}.", plot, areas, tables, looks)


def _precision_recall(curves: Sequence[Curves], then: Sequence[Curves], n_labels: int) -> Picture:
    columns = ("threshold", "recall", "precision")
    plot = Plot(Axis(columns[1]), Axis(columns[2]))
    tables, areas, looks = [], [], []
    for look, one, name in _beside(curves, then):
        values = one.precision_recall_threshold, one.recall, one.precision
        tables.append(draw_curve(plot, look, name, columns, *values, steps=True))
        areas.append(f"{name}: average precision {_with_reason(one.average_precision)}")
        looks.append(look)
    title, description = "Precision and recall", f"Precision over recall as the threshold falls. {'; '.join(areas)}."
    caption = _caption(areas, curves, n_labels, "best is the upper right corner")
    return Picture("precision-recall", title, caption, description, plot, areas, tables, looks)


def picture_of_coverage(coverage: Coverage) -> Picture | None:
    """Accuracy of the rows that are left, by the share that people take; ``None`` without gold labels."""
    curve = coverage.curve
    if curve is None or len(curve.share) < 2:
        return None
    columns = ("share for people", "accuracy of the rest")
    low = min(0.98, int(min(curve.low) * 20) / 20)
    plot = Plot(Axis(columns[0]), Axis(columns[1], low, 1.0))
    band = [*zip(curve.share, curve.high, strict=True), *reversed(list(zip(curve.share, curve.low, strict=True)))]
    plot.path(band, "band series-0")
    table = draw_curve(plot, look_of(0), "accuracy", columns, curve.share, curve.accuracy)
    description = "Accuracy of the rows that are left if people take the least confident share, with its 95 % band."
    return Picture(
        "coverage",
        "Accuracy of the rest",
        "by the share that people take, with its 95 % band",
        description,
        plot,
        (),
        [table],
    )


def _reliability(filled: Sequence[ReliabilityBin], n_bins: int, error: Figure | None) -> Picture:
    """Accuracy over mean confidence, a dot for each bin with rows, its area by their number."""
    columns = ("confidence", "rows", "mean confidence", "share that is right")
    points = [(one.confidence or 0.0, one.accuracy or 0.0) for one in filled]
    rows = [
        (f"{one.low:.3f} to {one.high:.3f}", f"{one.rows:,}", _decimals(one.confidence), _decimals(one.accuracy))
        for one in filled
    ]
    table = Table("The data as a table", columns, rows)
    plot = Plot(Axis(columns[2]), Axis(columns[3]))
    plot.path([(0, 0), (1, 1)], "guess")
    for x, y in points:
        plot.path([(x, x), (x, y)], "line gap")
    plot.path(points, "line series-0")
    most = max(one.rows for one in filled)
    for point, one, text in zip(points, filled, table.sentences(), strict=True):
        plot.dot(*point, "dot series-0", 1.5 + 3.5 * (one.rows / most) ** 0.5, text)
    description = (
        "Share of right rows over mean confidence; on the dotted diagonal, confidence is what it says. Points below"
        f" it are too sure. {len(filled)} of {n_bins} bins have rows."
        + (f" The expected calibration error is {_with_reason(error)}." if error else "")
    )
    caption = "below the diagonal the model is too sure, above it not sure enough"
    return Picture("reliability", "Reliability", caption, description, plot, (), [table])


def _histogram(scores: Histogram) -> Picture:
    plot, table = _outlines(scores.edges, scores.series, scores.of)
    counts = "; ".join(f"{name}: {counted(sum(one), 'row')}" for name, one in scores.series.items())
    caption = f"rows by {scores.of}, " + ("right and wrong ones" if scores.of == "confidence" else "by gold label")
    description = f"Histogram of the {scores.of}. {counts}."
    return Picture("histogram", "Scores", caption, description, plot, tuple(scores.series), [table])


def _outlines(
    edges: Sequence[float], counts: Mapping[str, Sequence[int]], of: str, *, shares: bool = False
) -> tuple[Plot, Table]:
    """Rows by score, one outline for each series; with ``shares``, as shares of the rows of the series."""
    spans = [f"{low:.3f} to {high:.3f}" for low, high in pairwise(edges)]
    cells = [[f"{count:,}" for count in one] for one in counts.values()]
    table = Table("The data as a table", ("score", *counts), list(zip(spans, *cells, strict=True)))
    series = [[count / max(1, sum(one)) if shares else count for count in one] for one in counts.values()]
    heights = [height for one in series for height in one if height > 0] or [1.0]
    y = Axis("share of rows" if shares else "rows", 0.0, max(heights) * 1.05, unit=0.0 if shares else 1.0)
    # Most rows lie at the ends; a linear scale would hide the uncertain ones between.
    if max(heights) > 30 * min(heights):
        y = Axis(f"{y.label}, log scale", min(heights) / 2, max(heights) * 1.2, y.unit, logarithmic=True)
    # "probability of …" holds the name of a label; the caption has it.
    plot = Plot(Axis("confidence" if of == "confidence" else "probability", edges[0], edges[-1]), y)
    for n, one in enumerate(series):
        tops = [(x, height) for span, height in zip(pairwise(edges), one, strict=True) for x in span]
        plot.path([(edges[0], y.low), *tops, (edges[-1], y.low)], f"line area {look_of(n)}")
    for span, text in zip(pairwise(edges), table.sentences(), strict=True):
        plot.column(*span, text)
    return plot, table


def _caption(areas: Sequence[str], curves: Sequence[Curves], n_labels: int, best: str) -> str:
    """Which curves there are, and how they are read; a single one has no legend, so its area is here."""
    if len(areas) == 1:
        return f"{areas[0]}; {best}"
    each = f"each of the first {counted(len(curves), 'label')}" if len(curves) < n_labels else "each label"
    of = "" if len(curves) == 1 else f"{each} against the others; "
    baseline = "the baseline is dashed; " if len(curves) == 1 else "the baseline is dotted; "
    return of + (baseline if len(areas) > len(curves) else "") + best


def _with_reason(figure: Figure) -> str:
    return value_text(figure) + (f" ({figure.reason})" if figure.reason else "")


def _decimals(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1000 else f"{value:,.4g}"

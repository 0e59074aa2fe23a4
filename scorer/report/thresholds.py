"""Thresholds on the page: the rows of their table, a sentence of advice, and the counts behind the slider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.thresholds import ThresholdRow, Thresholds
from scorer.metrics.values import ratio
from scorer.safe_text import counted

_USUAL = ("precision", 0.95)
"""Figure whose threshold is told in a sentence if no other was asked for."""


def thresholds_of(report: EvaluationReport) -> dict[str, Any] | None:
    """Rows of the table of thresholds, the predictions at hand first, and what the slider needs."""
    found = report.thresholds
    if found is None or report.positive is None:
        return None
    matrix, own = report.matrix, report.positive
    hits, golds, predicted = int(matrix[own, own]), int(matrix[own].sum()), int(matrix[:, own].sum())
    others = report.evaluated - golds
    now = ThresholdRow(
        threshold=float("nan"),
        predicted=predicted,
        precision=ratio(hits, predicted, f"{found.label} is never predicted"),
        recall=ratio(hits, golds, f"no row has the gold label {found.label}"),
        f1=ratio(2 * hits, golds + predicted, f"{found.label} is neither gold nor predicted"),
        accuracy=ratio(hits + others - (predicted - hits), golds + others, "there are no rows"),
    )
    slider = _slider(found, hits, predicted - hits, _threshold_at_hand(report))
    if slider is not None and slider["at_hand"] is not None:
        now = replace(now, threshold=slider["at_hand"])
    named = {"as predicted": now}
    if found.best_f1 is not None:
        named["best F1"] = found.best_f1
    if found.least_cost is not None:
        named[f"least cost: {found.least_cost.cost:g}"] = found.least_cost.row
    for one in (*found.wanted, *found.offered):
        if one.row is not None:
            named.setdefault(f"{one.figure} of at least {one.wanted:g}", one.row)
    rows = [{"name": name, "of": row, **_missed_and_wrong(row, golds)} for name, row in named.items()]
    return {
        "rows": rows,
        "steps": [{"name": "", "of": row, **_missed_and_wrong(row, golds)} for row in found.rows],
        "slider": slider,
        "advice": _advice(found, rows),
    }


def _missed_and_wrong(row: ThresholdRow, golds: int) -> dict[str, int]:
    hits = round((row.recall.value or 0.0) * golds)
    return {"missed": golds - hits, "wrong": row.predicted - hits}


def _advice(found: Thresholds, rows: Sequence[Mapping[str, Any]]) -> str:
    """What the wanted figure, or else a precision of 0.95, takes and loses, in a sentence."""
    usual = (one for one in found.offered if (one.figure, one.wanted) == _USUAL)
    wanted = next(iter((*found.wanted, *usual)), None)
    if wanted is None:
        return ""
    if wanted.row is None:
        return f"Of these rows, {wanted.reason}."
    now = rows[0]
    then = next(one for one in rows if one["of"] is wanted.row)
    other = "recall" if wanted.figure == "precision" else "precision"
    before, after = getattr(now["of"], other).value, getattr(wanted.row, other).value
    change = ""
    if before is not None and after is not None:
        start, end = f"{before:.3f}", f"{after:.3f}"
        change = f"{other} {f'stays {end}' if start == end else f'goes from {start} to {end}'}, with "
    return (
        f"For a {wanted.figure} of at least {wanted.wanted:g} take the threshold {wanted.row.threshold:.4f}: {change}"
        f"{_rows(then['missed'] - now['missed'])} missed and {_rows(then['wrong'] - now['wrong'])} wrongly labelled."
    )


def _rows(change: int) -> str:
    count = counted(abs(change), f"{'more' if change > 0 else 'fewer'} row")
    return count if change else "as many rows"


def _threshold_at_hand(report: EvaluationReport) -> float | None:
    """The threshold that the predictions state, else 0.5 with two labels; ``None`` if several are stated."""
    stated = {one.model.threshold for one in report.provenance.inputs if one.role == "evaluated" and one.model}
    stated.discard(None)
    if len(stated) > 1 or len(report.labels) != 2:
        return None
    return stated.pop() if stated else 0.5


def _slider(found: Thresholds, hits: int, false: int, at_hand: float | None) -> dict[str, Any] | None:
    """Counts for the slider, where it starts, and the threshold and counts of the predictions at hand.

    The threshold is ``at_hand`` if it gives these counts, else ``None``.
    """
    counts = found.counts
    if counts is None or not counts.threshold:
        return None
    reached = [abs(a + b - hits - false) for a, b in zip(counts.hits, counts.false, strict=True)]
    start = min(range(len(reached)), key=reached.__getitem__)
    thresholds = [float(f"{one:.9g}") for one in counts.threshold]
    below = thresholds[start + 1] if start + 1 < len(thresholds) else -1.0
    is_it = at_hand is not None and (counts.hits[start], counts.false[start]) == (hits, false)
    if at_hand is not None and is_it and below < at_hand <= thresholds[start]:
        thresholds[start] = at_hand  # no score lies between the two
    else:
        at_hand = None
    return {
        "positives": counts.positives,
        "negatives": counts.negatives,
        "threshold": thresholds,
        "hits": counts.hits,
        "false": counts.false,
        "start": start,
        "now": [hits, false],
        "at_hand": at_hand,
    }

"""The verdict in a sentence, and the digits that an interval leaves to a figure."""

from __future__ import annotations

import math

from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Difference
from scorer.metrics.values import Figure

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})

_MOST_DIGITS = 6


def digits_of(figure: Figure, usual: int = 4) -> int:
    """Decimals of ``figure``: to the first digit of half its interval, at least 2; ``usual`` without an interval."""
    interval = figure.interval
    if interval is None or interval.high <= interval.low:
        return usual
    half = (interval.high - interval.low) / 2
    return min(_MOST_DIGITS, max(2, math.ceil(-math.log10(half))))


def signed(value: float, digits: int) -> str:
    """``value`` with a sign, and with a minus of the width of a plus."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def verdict_of(difference: Difference) -> str:
    """``better``, ``worse``, ``no clear difference``, or an empty text without an interval."""
    interval = difference.difference.interval
    if interval is None:
        return ""
    if interval.low <= 0 <= interval.high:
        return "no clear difference"
    return "better" if (interval.low > 0) != (difference.figure in LOWER_IS_BETTER) else "worse"


def verdict(report: EvaluationReport) -> str:
    """The answer to the first question in a sentence: better than the baseline, or how good, or what to expect."""
    if report.comparison is not None:
        return _beside_baseline(report)
    if report.labelled:
        return f"Accuracy is {_with_interval(report.figures['accuracy'])}."
    if report.expectation is not None:
        expected = report.expectation
        text = f"Without gold labels, an accuracy of {_with_interval(expected.accuracy)} is to be expected"
        if expected.doubts:
            return f"{text}, but do not rely on it: {'; '.join(expected.doubts)}"
        return f"{text}, if the probabilities are calibrated."
    return ""


def weakest(report: EvaluationReport) -> str:
    """The slice with the lowest accuracy among those with enough rows, in a sentence; empty if there is none."""
    found = [
        (one.accuracy.value, group.by, one)
        for group in report.slices
        for one in group.slices
        if one.accuracy.value is not None and not one.uncertain and not (group.built_in and group.by == "confidence")
    ]
    if len(found) < 2:
        return ""
    _, by, one = min(found, key=lambda item: item[0])
    return f"Weakest where {by} is {one.value}: accuracy {_with_interval(one.accuracy)}, {one.rows:,} rows."


def _beside_baseline(report: EvaluationReport) -> str:
    comparison = report.comparison
    assert comparison is not None
    f1 = "macro_f1" if report.positive is None else "f1"
    found = {one.figure: one for one in comparison.differences}
    shown = [found[name] for name in ("accuracy", f1) if name in found and found[name].difference.value is not None]
    said = {verdict_of(one) for one in shown}
    start = {
        frozenset({"better"}): "Better than",
        frozenset({"worse"}): "Worse than",
        frozenset({"better", "worse"}): "Better and worse than",
        frozenset({"better", "no clear difference"}): "Better in part than",
        frozenset({"worse", "no clear difference"}): "Worse in part than",
    }.get(frozenset(said), "No clear difference to")
    return f"{start} the baseline {comparison.baseline}: {'; '.join(map(_change, shown))}."


def _change(one: Difference) -> str:
    difference, digits = one.difference, digits_of(one.difference)
    assert difference.value is not None
    assert one.current.value is not None
    interval = difference.interval
    span = "" if interval is None else f" (95 %: {signed(interval.low, digits)} to {signed(interval.high, digits)})"
    return f"{FIGURES[one.figure]} {one.current.value:.{digits}f}, {signed(difference.value, digits)}{span}"


def _with_interval(figure: Figure) -> str:
    if figure.value is None:
        return f"undefined ({figure.reason})"
    digits, interval = digits_of(figure), figure.interval
    span = "" if interval is None else f" (95 %: {interval.low:.{digits}f} to {interval.high:.{digits}f})"
    return f"{figure.value:.{digits}f}{span}"

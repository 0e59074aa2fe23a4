"""The verdict in a sentence, and the digits that an interval leaves to a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scorer.evaluation.expectation import OTHER_WORDS
from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Chance, Difference
from scorer.evaluation.slices import OTHERS, UNCERTAIN_ROWS, Slice
from scorer.metrics.values import Figure
from scorer.safe_text import counted

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})

_MOST_DIGITS = 6

_TWO_DIGITS = 3.55
"""An uncertainty below 0.0355 is shown as 0.035, one above as 0.04."""

_STABLE, _MUCH = 0.1, 0.25
"""Population stability indexes below which a distribution is taken for stable, and above which for shifted much."""

_OTHERS = ("precision", "recall", "mcc", "roc_auc", "average_precision", "log_loss", "brier")
"""Figures that can say something else than accuracy and F1."""

_NEARLY_ALL = 0.95
"""Share of the rows from which on a slice is the whole rather than a part of it."""


def digits_of(figure: Figure, usual: int = 4) -> int:
    """Decimals of ``figure``, at least 2, by the rule of the Particle Data Group (2024, section 5.3).

    Half its interval is left with one significant digit, or with two if they are less than 35. ``usual`` without an
    interval.
    """
    interval = figure.interval
    if interval is None or interval.high <= interval.low:
        return usual
    half = (interval.high - interval.low) / 2
    return min(_MOST_DIGITS, max(2, math.ceil(-math.log10(half / _TWO_DIGITS))))


def common_digits(figures: Sequence[Figure], usual: int = 4) -> int:
    """Decimals of a column of ``figures``: those of the widest interval among them, or ``usual`` without any."""
    return min((digits_of(figure) for figure in figures if figure.interval is not None), default=usual)


def decimals(value: float, digits: int = 4) -> str:
    """``value`` with a minus of the width of a plus; with more digits where it would be taken for a perfect 1."""
    while digits < _MOST_DIGITS and value < 1 == float(f"{value:.{digits}f}"):
        digits += 1
    return f"{value:z.{digits}f}".replace("-", "\u2212")


def signed(value: float, digits: int) -> str:
    """``value`` with a sign, and with a minus of the width of a plus."""
    return f"{value:+.{digits}f}".replace("-", "\u2212")


def verdict_of(difference: Difference) -> str:
    """``better``, ``worse``, ``no clear difference``, ``no interval``, or an empty text without a difference."""
    interval = difference.difference.interval
    if interval is None:
        return "" if difference.difference.value is None else "no interval"
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
            return f"What the predictions reached cannot be told without gold labels: {'; '.join(expected.doubts)}."
        checked = "; no drift speaks against it" if expected.drift_checked else ""
        return f"{text}, if the probabilities are calibrated{checked}."
    return ""


def weakest(report: EvaluationReport) -> str:
    """The weakest slice, and the label with the lowest F1 of more than two, in sentences.

    The slice is the one with the lowest accuracy whose interval lies below that of all rows. Only those with enough
    rows are looked at; the text is empty if there are none.
    """
    return " ".join(filter(None, (_weakest_slice(report), _weakest_label(report))))


def hand_over(report: EvaluationReport) -> str:
    """What is left if people take a tenth of the rows, in a sentence; empty if nothing is known."""
    row = next((one for one in report.coverage.rows if one.share == 0.1), None) if report.coverage else None
    if row is None or not row.taken:
        return ""
    start = f"If people take the 10\u00a0% that the model is least sure of ({counted(row.taken, 'row')}), "
    if report.labelled and row.accuracy.value is not None:
        caught = "" if row.caught.value is None else f", and people see {_percent(row.caught.value)} of the mistakes"
        return f"{start}{_percent(row.accuracy.value)} of the rest are right{caught}."
    if report.expectation is not None and report.expectation.doubts:
        return ""
    return f"{start}{_percent(row.expected)} of the rest are expected to be right."


def _percent(share: float) -> str:
    return f"{share * 100:.1f}\u00a0%"


def index_verdict(index: Figure, chance: Chance | None) -> str:
    """``stable``, ``shifted`` or ``shifted much`` for a population stability index, or no more than chance."""
    if index.value is None:
        return ""
    if chance is not None and index.value <= chance.high and chance.high > _STABLE:
        return f"no more than chance: so few rows have up to {chance.high:.2f} without any drift"
    return "stable" if index.value < _STABLE else "shifted" if index.value < _MUCH else "shifted much"


def words_verdict(distance: Figure) -> str:
    """``shifted much`` for a Jensen-Shannon distance of words that makes an expectation worthless."""
    if distance.value is None:
        return ""
    return "shifted much" if distance.value > OTHER_WORDS else "not much"


def certain_slices(report: EvaluationReport) -> list[tuple[str, Slice]]:
    """Slices with enough rows, each with the name of its group, weakest accuracy first.

    Slices by confidence are left out, because doubtful rows are more often wrong; so are a slice of nearly all rows,
    and that of values without a slice of their own.
    """
    found = [
        (group.by, one)
        for group in report.slices
        for one in group.slices
        if one.accuracy.value is not None
        and not one.uncertain
        and not (group.built_in and group.by == "confidence")
        and one.value != OTHERS
        and one.share < _NEARLY_ALL
    ]
    return sorted(found, key=lambda pair: pair[1].accuracy.value or 0.0)


def _weakest_slice(report: EvaluationReport) -> str:
    found, whole = certain_slices(report), report.figures["accuracy"].value
    if len(found) < 2 or whole is None:
        return ""
    for by, one in found:
        if one.accuracy.interval is not None and one.accuracy.interval.high < whole:
            rows = counted(one.rows, "row")
            return f"Weakest where {by} is {one.value}: accuracy {_with_interval(one.accuracy)}, {rows}."
    return f"No slice of {UNCERTAIN_ROWS} rows or more is clearly weaker than the whole."


def _weakest_label(report: EvaluationReport) -> str:
    found = [one for one in report.by_label if one.gold >= UNCERTAIN_ROWS and one.f1.value is not None]
    if len(report.labels) < 3 or len(found) < 2:
        return ""
    one = min(found, key=lambda item: item.f1.value or 0.0)
    return f"Weakest label: {one.label}, F1 {_with_interval(one.f1)}, {counted(one.gold, 'gold row')}."


def _beside_baseline(report: EvaluationReport) -> str:
    shown = _compared(report)
    said = {verdict_of(one) for one in shown}
    start = {
        frozenset({"better"}): "Better than",
        frozenset({"worse"}): "Worse than",
        frozenset({"better", "worse"}): "Better and worse than",
        frozenset({"better", "no clear difference"}): "Better in part than",
        frozenset({"worse", "no clear difference"}): "Worse in part than",
    }.get(frozenset(said), "No clear difference from")
    assert report.comparison is not None
    return f"{start} the baseline {report.comparison.baseline}: {'; '.join(map(_change, shown))}."


def _compared(report: EvaluationReport) -> list[Difference]:
    """The differences that the verdict names, but for undefined ones."""
    assert report.comparison is not None
    names = ("accuracy", "macro_f1" if report.positive is None else "f1")
    found = {one.figure: one for one in report.comparison.differences}
    return [found[name] for name in names if name in found and found[name].difference.value is not None]


def unlike_verdict(report: EvaluationReport) -> str:
    """Other figures that are better or worse than the baseline's, if the verdict says something else; else empty."""
    if report.comparison is None:
        return ""
    said = {verdict_of(one) for one in _compared(report)}
    others = [one for one in report.comparison.differences if one.figure in _OTHERS]
    parts = []
    for word in ("better", "worse"):
        names = [FIGURES[one.figure] for one in others if verdict_of(one) == word]
        if names and word not in said:
            parts.append(f"{word} {'is' if len(names) == 1 else 'are'} {_listed(names)}")
    return f"But {'; '.join(parts)}." if parts else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _change(one: Difference) -> str:
    difference, digits = one.difference, digits_of(one.difference)
    assert difference.value is not None
    assert one.current.value is not None
    span = _span(difference, lambda end: signed(end, digits))
    return f"{FIGURES[one.figure]} {one.current.value:.{digits}f}, {signed(difference.value, digits)}{span}"


def _with_interval(figure: Figure) -> str:
    if figure.value is None:
        return f"undefined ({figure.reason})"
    digits = digits_of(figure)
    return f"{figure.value:.{digits}f}{_span(figure, lambda end: f'{end:.{digits}f}')}"


def _span(figure: Figure, shown: Callable[[float], str]) -> str:
    """The interval in parentheses behind a space; empty without one."""
    interval = figure.interval
    if interval is None:
        return ""
    level = "about 95\u00a0%" if interval.warning else "95\u00a0%"
    return f" ({level}: {shown(interval.low)} to {shown(interval.high)})"

"""Gates: bounds that figures must keep, or the command exits with code 8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.evaluation.expectation import Expectation
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.sections import Chance, Comparison, Drift
from scorer.metrics.values import Figure, Section
from scorer.safe_text import counted

LEAST_ROWS = 10
"""With fewer rows in one of two nights, no bound on a stability index is kept."""

_ROUNDING = 1e-12
"""Less than one row of any file; it absorbs the rounding of a subtraction or a mean."""


@dataclass(frozen=True)
class Gate(Section):
    """A bound on a figure.

    Attributes:
        option: command-line option, such as ``--min-f1``.
        name: of the figure.
        figure: as measured; a figure without a value does not keep its bound.
        bound: as asked for.
        kind: ``least`` or ``most``: ``bound`` is the least or the most that is allowed; ``drop``: the figure
            is a difference to a baseline, and may be at most ``bound`` below zero.
        strict: the worse end of the interval decides instead of the value; without one the bound is not kept.
        chance: of a stability index: how much of it so few rows have by chance.
    """

    option: str
    name: str
    figure: Figure
    bound: float
    kind: str = "least"
    strict: bool = False
    chance: Chance | None = None

    @property
    def measured(self) -> float | None:
        """The value that decides; ``None`` if there is none."""
        if not self.strict or self.figure.value is None:
            return self.figure.value
        interval = self.figure.interval
        return None if interval is None else interval.high if self.kind == "most" else interval.low

    @property
    def limit(self) -> float:
        """The value that is just allowed: the bound, and for a stability index what comes on top by chance.

        By chance an index is too large by its mean without a change; and it must be above what 99 of 100 pairs of
        nights without a change have.
        """
        return self.bound if self.chance is None else max(self.bound + self.chance.mean, self.chance.high)

    @property
    def passed(self) -> bool:
        """True if the bound is kept."""
        value = self.measured
        if value is None:
            return False
        if self.kind == "drop":
            return value >= -self.limit - _ROUNDING
        return value <= self.limit + _ROUNDING if self.kind == "most" else value >= self.limit - _ROUNDING

    def __str__(self) -> str:
        demand = f"{self.option} {self.bound:g}"
        value = self.measured
        if value is None:
            verb = "allows" if self.kind == "most" else "demands"
            reason = self.figure.reason or "it has no interval"
            return f"{self.name} is undefined ({reason}), {self.option} {verb} {self.bound:g}"
        name = f"{self.name}, lower end of its interval," if self.strict else self.name
        if self.kind == "drop" and value > 1e-12:
            return f"{name} is {value:.4f} above the baseline's, within {demand}"
        if self.kind == "drop":
            shown = _digits_apart(-value, self.limit + _ROUNDING)
            return f"drop in {name} {shown} {'is within' if self.passed else 'is more than'} {demand}"
        if self.kind == "most":
            shown = _digits_apart(value, self.limit + _ROUNDING)
            by_chance = "" if self.chance is None else f" ({self.limit:.2g} for so few rows)"
            by_chance = by_chance if self.limit > 1.1 * self.bound else ""
            return f"{name} {shown} {'is within' if self.passed else 'is above'} {demand}{by_chance}"
        shown = _digits_apart(value, self.limit - _ROUNDING)
        return f"{name} {shown} {'reaches' if self.passed else 'is below'} {demand}"

    def to_json(self) -> dict[str, Any]:
        """``option``, ``figure`` (its name), ``kind``, ``bound``, ``limit``, ``strict``, ``passed``, and the figure."""
        return {
            "option": self.option,
            "figure": self.name,
            "kind": self.kind,
            "bound": self.bound,
            "limit": self.limit,
            "strict": self.strict,
            **self.figure.to_json(),
            "passed": self.passed,
        }


def gates_of(
    options: EvaluateOptions,
    figures: Mapping[str, Figure],
    positive: int | None,
    comparison: Comparison | None,
    drift: Drift | None,
    expectation: Expectation | None = None,
) -> tuple[Gate, ...]:
    """Every gate of ``options``, on the figure that it bounds."""
    f1 = "macro_f1" if positive is None else "f1"
    gates: list[Gate] = []
    for option, name, least in (("--min-accuracy", "accuracy", options.min_accuracy), ("--min-f1", f1, options.min_f1)):
        if least is not None:
            gates.append(Gate(option, name, figures[name], least, strict=options.strict))
    if options.min_expected_accuracy is not None:
        expected = Figure(None, "there are no probabilities") if expectation is None else expectation.to_bound
        least = options.min_expected_accuracy
        gates.append(Gate("--min-expected-accuracy", "expected accuracy", expected, least, strict=options.strict))
    if options.max_drop is not None and comparison is not None:
        found = {item.figure: item.difference for item in comparison.differences}
        for name in ("accuracy", f1):
            gates.append(Gate("--max-drop", name, found[name], options.max_drop, "drop", options.strict))
    if drift is not None:
        gates += _drift_gates(drift, options)
    return tuple(gates)


def _drift_gates(drift: Drift, options: EvaluateOptions) -> list[Gate]:
    shift = max((abs(share.current - share.baseline) for share in drift.label_shares), default=0.0)
    no_text = Figure(None, drift.reason or "there are no texts")
    words = no_text if drift.vocabulary is None else drift.vocabulary.distance
    most, rows = options.max_psi, min(drift.baseline_rows, drift.current_rows)
    found = []
    if most is not None:
        name = "psi of predicted labels"
        found.append(_index_gate("--max-psi", name, most, rows, drift.label_psi, drift.label_chance))
    if most is not None and drift.baseline_scores:
        found.append(_index_gate("--max-psi", "psi of scores", most, rows, drift.score_psi, drift.score_chance))
    if options.max_share_shift is not None:
        name = "largest change of a label's share"
        found.append(Gate("--max-share-shift", name, Figure(shift), options.max_share_shift, "most"))
    if options.max_length_psi is not None:
        name, length = "psi of text lengths", drift.length
        index, chance = (no_text, None) if length is None else (length.psi, length.chance)
        found.append(_index_gate("--max-length-psi", name, options.max_length_psi, rows, index, chance))
    if options.max_vocabulary_shift is not None:
        found.append(
            Gate("--max-vocabulary-shift", "distance of the words", words, options.max_vocabulary_shift, "most")
        )
    return found


def _index_gate(option: str, name: str, most: float, rows: int, index: Figure, chance: Chance | None) -> Gate:
    """The gate on a stability index; too few rows do not keep any bound, because they say nothing."""
    if index.value is not None and rows < LEAST_ROWS:
        index = Figure(None, f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} too few to tell drift from chance")
    return Gate(option, name, index, most, "most", chance=chance)


def _digits_apart(value: float, bound: float) -> str:
    """``value`` with four digits, or with as many as it takes to show on which side of ``bound`` it lies."""
    for digits in range(4, 17):
        text = f"{value:z.{digits}f}"
        if (float(text) < bound) == (value < bound):
            return text
    return repr(value)

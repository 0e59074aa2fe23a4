"""Gates: bounds that figures must keep, or the command exits with code 8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.sections import Comparison, Drift
from scorer.metrics.values import Figure, Section


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
        strict: the worse end of the interval decides instead of the value.
    """

    option: str
    name: str
    figure: Figure
    bound: float
    kind: str = "least"
    strict: bool = False

    @property
    def measured(self) -> float | None:
        """The value that decides."""
        interval = self.figure.interval
        if not self.strict or interval is None:
            return self.figure.value
        return interval.high if self.kind == "most" else interval.low

    @property
    def passed(self) -> bool:
        """True if the bound is kept."""
        value = self.measured
        if value is None:
            return False
        if self.kind == "drop":
            # Less than one row of any file; it absorbs the rounding of the subtraction.
            return value >= -self.bound - 1e-12
        return value <= self.bound if self.kind == "most" else value >= self.bound

    def __str__(self) -> str:
        demand = f"{self.option} {self.bound:g}"
        value = self.measured
        if value is None:
            verb = "allows" if self.kind == "most" else "demands"
            return f"{self.name} is undefined ({self.figure.reason}), {self.option} {verb} {self.bound:g}"
        name = f"{self.name}, lower end of its interval," if self.strict else self.name
        if self.kind == "drop":
            shown = _digits_apart(-value, self.bound + 1e-12)
            return f"drop in {name} {shown} {'is within' if self.passed else 'is more than'} {demand}"
        if self.kind == "most":
            return f"{name} {_digits_apart(value, self.bound)} {'is within' if self.passed else 'is above'} {demand}"
        return f"{name} {_digits_apart(value, self.bound)} {'reaches' if self.passed else 'is below'} {demand}"

    def to_json(self) -> dict[str, Any]:
        """``option``, ``figure`` (its name), ``kind``, ``bound``, ``strict``, ``passed``, and the figure itself."""
        return {
            "option": self.option,
            "figure": self.name,
            "kind": self.kind,
            "bound": self.bound,
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
) -> tuple[Gate, ...]:
    """Every gate of ``options``, on the figure that it bounds."""
    f1 = "macro_f1" if positive is None else "f1"
    gates: list[Gate] = []
    for option, name, least in (("--min-accuracy", "accuracy", options.min_accuracy), ("--min-f1", f1, options.min_f1)):
        if least is not None:
            gates.append(Gate(option, name, figures[name], least, strict=options.strict))
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
    length = no_text if drift.length is None else drift.length.psi
    words = no_text if drift.vocabulary is None else drift.vocabulary.distance
    bounds = (
        ("--max-psi", "psi of predicted labels", drift.label_psi, options.max_psi),
        ("--max-psi", "psi of scores", drift.score_psi, options.max_psi if drift.baseline_scores else None),
        ("--max-share-shift", "largest change of a label's share", Figure(shift), options.max_share_shift),
        ("--max-length-psi", "psi of text lengths", length, options.max_length_psi),
        ("--max-vocabulary-shift", "distance of the words", words, options.max_vocabulary_shift),
    )
    return [Gate(option, name, figure, most, "most") for option, name, figure, most in bounds if most is not None]


def _digits_apart(value: float, bound: float) -> str:
    """``value`` with four digits, or with as many as it takes to show on which side of ``bound`` it lies."""
    for digits in range(4, 17):
        text = f"{value:z.{digits}f}"
        if (float(text) < bound) == (value < bound):
            return text
    return repr(value)

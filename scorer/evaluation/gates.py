"""Which bounds were asked for, and what was measured against them."""

from __future__ import annotations

from scorer.evaluation.findings import EvaluationReport, Gate
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.sections import Drift
from scorer.metrics.values import Figure


def gates_of(report: EvaluationReport, options: EvaluateOptions) -> tuple[Gate, ...]:
    """Every gate that ``options`` ask for, with the figure of ``report`` that it is about."""
    f1 = "macro_f1" if report.positive is None else "f1"
    gates: list[Gate] = []
    for option, name, least in (("--min-accuracy", "accuracy", options.min_accuracy), ("--min-f1", f1, options.min_f1)):
        if least is not None:
            gates.append(Gate(option, name, report.figures[name], least, strict=options.strict))
    if options.max_drop is not None and report.comparison is not None:
        found = {item.figure: item.difference for item in report.comparison.differences}
        for name in ("accuracy", f1):
            gates.append(Gate("--max-drop", name, found[name], options.max_drop, "drop", options.strict))
    if report.drift is not None:
        gates += _drift_gates(report.drift, options)
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

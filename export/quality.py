"""The quality gate: accuracy of each variant on labelled reviews, against the fp32 graph."""

from __future__ import annotations

from pathlib import Path

from export.options import ExportOptions
from scorer.errors import QualityGateError
from scorer.evaluation import evaluate_labels


def measure_accuracy(bundle: Path, precision: str, options: ExportOptions) -> float:
    """Accuracy in [0, 1] on ``options.eval``; fp16 is scored on CUDA where there is a device, the others on the CPU.

    Raises:
        InputError: the file cannot be read, or its labels are not the model's.
    """
    assert options.eval is not None
    report = evaluate_labels(
        options.eval,
        model=bundle,
        device="auto" if precision == "fp16" else "cpu",
        precision=precision,
        threads=options.threads,
        text_column=options.text_column,
        label_column=options.label_column,
    )
    accuracy = report.figures["accuracy"].value
    assert accuracy is not None  # evaluate_labels refuses a file without a single evaluated row
    return accuracy


def require_accuracy(precision: str, accuracy: float, reference: float, options: ExportOptions) -> None:
    """Let ``precision`` lose no more than ``options.max_drop``.

    Raises:
        QualityGateError: it loses more.
    """
    drop = reference - accuracy
    # Half a millionth is less than one row of any file; it absorbs the rounding of the subtraction.
    if drop > options.max_drop + 5e-7:
        raise QualityGateError(
            f"{precision} has an accuracy of {accuracy:.4f} where fp32 has {reference:.4f}, a drop of {drop:.4f}; "
            f"--max-drop is {options.max_drop:g}",
            path=options.eval,
            hint="leave this precision out with --precision, or allow more with --max-drop",
        )

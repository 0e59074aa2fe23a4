"""Options of ``export-model``: one value, made in the CLI and passed whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scorer.errors import UsageError
from scorer.model.options import PRECISIONS

OPSETS = range(14, 21)
"""From the first with scaled_dot_product_attention to the last of torch's tracing exporter.

onnxruntime's fusions know the graphs of that exporter.
"""


@dataclass(frozen=True)
class ExportOptions:
    """Options of :func:`export.exporting.export_model`.

    Attributes:
        checkpoint: a folder as ``save_pretrained`` writes it, or a Hub id.
        output: folder of the new bundle.
        precisions: variants that the bundle keeps; fp32 is always made, as the reference.
        eval: a labelled file for the quality gate.
        text_column, label_column: of that file; ``None`` finds them by name.
        max_drop: accuracy, as a share, that a variant may lose against fp32 on ``eval``.
        opset: ONNX opset; ``None`` is Optimum's for the architecture.
        overwrite: replace an existing bundle.
        threads: ``None`` is the CPUs that this process may use.
        base_model, license: of the pretrained weights, for ``bundle.json``; ``None`` takes them from the
            checkpoint.
    """

    checkpoint: str
    output: Path
    precisions: tuple[str, ...] = ("fp16", "int8")
    eval: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    max_drop: float = 0.005
    opset: int | None = None
    overwrite: bool = False
    threads: int | None = None
    base_model: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        if not self.precisions:
            raise UsageError("no precision to export", hint=f"choose among {', '.join(PRECISIONS)}")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise UsageError(f"unknown precision {precision!r}", hint=f"choose among {', '.join(PRECISIONS)}")
            if self.precisions.count(precision) > 1:
                raise UsageError(f"precision {precision} is named twice")
        if not 0 <= self.max_drop <= 1:
            raise UsageError(f"--max-drop {self.max_drop:g} must be between 0 and 1", hint="pass a number from 0 to 1")
        if self.opset is not None and self.opset not in OPSETS:
            raise UsageError(
                f"--opset {self.opset} is not supported", hint=f"pass {OPSETS[0]} to {OPSETS[-1]}, or leave it out"
            )
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads {self.threads} must be at least 1")
        for name, column in (("--text-column", self.text_column), ("--label-column", self.label_column)):
            if column is not None and self.eval is None:
                raise UsageError(f"{name} needs --eval", hint="it names a column of the labelled file")

"""What ``evaluate-labels`` is asked to do."""

from __future__ import annotations

import os
from dataclasses import dataclass

from scorer.errors import UsageError

DEFAULT_PREFIX = "pred_"
"""Of the columns that scoring adds."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What to evaluate, and how.

    Attributes:
        text_column: of the texts to score; default by name.
        label_column: of the gold labels; default by name.
        labels: a file with the gold labels, where the evaluated files do not have them.
        on: the column of ids that both have.
        allow_missing: leave out ids that only one of them has.
        positive: name or id of the label that precision, recall and F1 are of; default the second of two.
        prefix: of the columns with predictions.
        model: a bundle folder or Hub id that scores texts; default the embedded model.
        device, precision, threads, batch_tokens: as in :meth:`scorer.scoring.Scorer.load`.
        min_accuracy: gate, in [0, 1].
        min_f1: gate, in [0, 1], on the F1 of the positive label, or macro F1 where there is no such label.
    """

    text_column: str | None = None
    label_column: str | None = None
    labels: str | os.PathLike[str] | None = None
    on: str | None = None
    allow_missing: bool = False
    positive: str | int | None = None
    prefix: str = DEFAULT_PREFIX
    model: str | os.PathLike[str] | None = None
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    batch_tokens: int = 16384
    min_accuracy: float | None = None
    min_f1: float | None = None

    def __post_init__(self) -> None:
        if self.labels is not None and self.on is None:
            raise UsageError("--labels needs --on", hint="name the column of ids that both files have")
        if self.on is not None and self.labels is None:
            raise UsageError("--on needs --labels", hint="name the file with the gold labels")
        if self.allow_missing and self.labels is None:
            raise UsageError("--allow-missing needs --labels and --on", hint="it leaves out ids that do not match")
        if self.text_column is not None and self.labels is None and self.text_column == self.label_column:
            raise UsageError(f"--text-column and --label-column both name {self.text_column!r}")
        for name, value in (("--min-accuracy", self.min_accuracy), ("--min-f1", self.min_f1)):
            if value is not None and not 0 <= value <= 1:
                percent = f"; for {value:g} % pass {value / 100:g}" if 1 < value <= 100 else ""
                raise UsageError(f"{name} {value:g} is not between 0 and 1{percent}")

"""Options of ``evaluate-labels``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from scorer.errors import UsageError
from scorer.files.file_options import FileArguments, FileOptions
from scorer.model.options import ModelArguments, ModelOptions
from scorer.safe_text import quoted


class EvaluateArguments(ModelArguments, FileArguments, total=False):
    """:class:`EvaluateOptions` as keyword arguments of a function, for type checkers."""

    text_column: str | None
    label_column: str | None
    label_map: str | None
    labels: str | os.PathLike[str] | None
    on: str | None
    allow_missing: bool
    positive: str | int | None
    model: str | os.PathLike[str] | None
    model_of_the_machine: bool
    min_accuracy: float | None
    min_f1: float | None
    min_expected_accuracy: float | None
    baseline: str | os.PathLike[str] | None
    max_drop: float | None
    strict: bool
    write_baseline: str | os.PathLike[str] | None
    slice_by: Sequence[str]
    mistakes: int
    at_precision: float | None
    at_recall: float | None
    cost_fp: float | None
    cost_fn: float | None
    write_threshold: str | os.PathLike[str] | None
    review_queue: str | os.PathLike[str] | None
    review_share: float | str
    mistakes_file: str | os.PathLike[str] | None
    overwrite: bool
    drift: str | os.PathLike[str] | None
    max_psi: float | None
    max_share_shift: float | None
    max_length_psi: float | None
    max_vocabulary_shift: float | None


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions, FileOptions):
    """Options of :func:`scorer.evaluate_labels`, those of reading files and of the model that scores texts included.

    Attributes:
        text_column: of the texts to score; default by name.
        label_column: of the gold labels; default by name.
        label_map: ``1=negative,5=positive,3=`` or a file of such lines; an empty label leaves a row out.
        labels: a file with the gold labels, where the evaluated files do not have them.
        on: the column of ids that both have.
        allow_missing: leave out ids that only one of them has.
        positive: name or id of the label that precision, recall and F1 are of; default the second of two.
        model: a bundle folder or Hub id that scores texts; default the built-in model.
        model_of_the_machine: whether ``model`` was set for all runs of a machine, so that a file that has
            predictions need not mind it.
        min_accuracy: gate, in [0, 1].
        min_f1: gate, in [0, 1], on the F1 of the positive label, or macro F1 where there is no such label.
        baseline: predictions of the same rows to compare with, paired by ``on`` or else in order.
        min_expected_accuracy: gate, in [0, 1], on the accuracy that the probabilities let expect without gold labels.
        max_drop: gate, in [0, 1]: most that accuracy, and that F1, may be below the baseline's.
        strict: the lower ends of the intervals decide about ``max_drop`` and the gates that begin with ``min_``.
        write_baseline: where to keep these predictions for the next time, once all gates are met.
        slice_by: columns to slice by.
        mistakes: mistakes, suspect labels and changed reviews to keep, of each this many.
        at_precision, at_recall: find the threshold that gives this much, in (0, 1].
        review_queue: where to write the rows that the model is least sure of.
        review_share: share of all rows with a prediction for it, as 0.1 or ``10%``.
        mistakes_file: where to write every mistake and every suspect label.
        overwrite: replace an existing ``review_queue`` or ``mistakes_file``, in which people may have worked.
        cost_fp, cost_fn: find the threshold with the least cost, of a row that gets the label wrongly and of one that
            lacks it wrongly; 1 if only the other is given.
        write_threshold: a bundle to write the threshold into, once all gates are met.
        drift: predictions of another time to compare with, without labels.
        max_psi: gate on the population stability indexes of predicted labels and of scores.
        max_share_shift: gate, in [0, 1], on the largest change of a label's share.
        max_length_psi: gate on the population stability index of text lengths.
        max_vocabulary_shift: gate, in [0, 1], on the Jensen-Shannon distance of the words.
    """

    text_column: str | None = None
    label_column: str | None = None
    label_map: str | None = None
    labels: str | os.PathLike[str] | None = None
    on: str | None = None
    allow_missing: bool = False
    positive: str | int | None = None
    model: str | os.PathLike[str] | None = None
    model_of_the_machine: bool = False
    min_accuracy: float | None = None
    min_f1: float | None = None
    min_expected_accuracy: float | None = None
    baseline: str | os.PathLike[str] | None = None
    max_drop: float | None = None
    strict: bool = False
    write_baseline: str | os.PathLike[str] | None = None
    slice_by: Sequence[str] = ()
    mistakes: int = 20
    at_precision: float | None = None
    at_recall: float | None = None
    cost_fp: float | None = None
    cost_fn: float | None = None
    write_threshold: str | os.PathLike[str] | None = None
    review_queue: str | os.PathLike[str] | None = None
    review_share: float | str = 0.1
    mistakes_file: str | os.PathLike[str] | None = None
    overwrite: bool = False
    drift: str | os.PathLike[str] | None = None
    max_psi: float | None = None
    max_share_shift: float | None = None
    max_length_psi: float | None = None
    max_vocabulary_shift: float | None = None

    def __post_init__(self) -> None:
        ModelOptions.__post_init__(self)
        FileOptions.__post_init__(self)
        if isinstance(self.slice_by, str):
            object.__setattr__(self, "slice_by", (self.slice_by,))
        self.number_columns("text_column", "label_column", "on", "slice_by")
        self._check_pairs()
        self._check_ranges()

    @property
    def needs_gold(self) -> bool:
        """True if an option needs gold labels."""
        asked = (self.labels, self.baseline, self.min_accuracy, self.min_f1, self.at_precision, self.at_recall)
        more = (self.write_threshold, self.mistakes_file, self.cost_fp, self.cost_fn)
        return any(value is not None for value in (*asked, *more)) or bool(self.slice_by)

    def does_without_gold(self, *, tells: bool) -> bool:
        """True if there is something to say without gold labels; ``tells`` if probabilities let expect an accuracy."""
        # Neither drift nor its first baseline needs labels, nor do the least sure rows.
        asked = (self.drift, self.write_baseline, self.review_queue, self.min_expected_accuracy)
        return (tells or any(value is not None for value in asked)) and not self.needs_gold

    @property
    def share_for_people(self) -> float:
        """``review_share`` as a number; NaN if it is none."""
        text = str(self.review_share).strip()
        try:
            return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            return math.nan

    @property
    def costs(self) -> tuple[float, float] | None:
        """Costs of a row that gets the label wrongly and of one that lacks it wrongly, if one was given."""
        if self.cost_fp is None and self.cost_fn is None:
            return None
        return (1.0 if self.cost_fp is None else self.cost_fp, 1.0 if self.cost_fn is None else self.cost_fn)

    def _check_pairs(self) -> None:
        if self.labels is not None and self.on is None:
            raise UsageError("--labels needs --on", hint="name the column of ids that both files have")
        if self.on is not None and self.labels is None and self.baseline is None and self.write_baseline is None:
            raise UsageError("--on needs --labels or --baseline", hint="name the file with the gold labels")
        if self.allow_missing and self.on is None:
            raise UsageError("--allow-missing needs --labels and --on", hint="pass both, or drop it")
        if self.max_drop is not None and self.baseline is None:
            raise UsageError("--max-drop needs --baseline", hint="name the predictions to compare with")
        bounded = (self.max_drop, self.min_accuracy, self.min_f1, self.min_expected_accuracy)
        if self.strict and all(bound is None for bound in bounded):
            raise UsageError("--strict needs a gate", hint="pass --max-drop, --min-accuracy or --min-f1")
        for name in ("max_psi", "max_share_shift", "max_length_psi", "max_vocabulary_shift"):
            if getattr(self, name) is not None and self.drift is None:
                raise UsageError(f"{_option(name)} needs --drift", hint="name the predictions to compare with")
        if self.write_threshold is not None and self.at_precision is not None and self.at_recall is not None:
            raise UsageError("--write-threshold cannot follow both --at-precision and --at-recall", hint="pass one")
        if len(set(self.slice_by)) < len(self.slice_by):
            raise UsageError("--slice-by names a column twice")
        if self.text_column is not None and self.labels is None and self.text_column == self.label_column:
            raise UsageError(f"--text-column and --label-column both name {quoted(self.text_column)}")

    def _check_ranges(self) -> None:
        shares = ("min_accuracy", "min_f1", "min_expected_accuracy", "max_drop", "at_precision", "at_recall")
        for name in (*shares, "max_share_shift", "max_vocabulary_shift"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                percent = f"; for {value:g} % pass {value / 100:g}" if 1 < value <= 100 else ""
                raise UsageError(f"{_option(name)} {value:g} must be between 0 and 1{percent}")
        for name in ("max_psi", "max_length_psi", "cost_fp", "cost_fn"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UsageError(f"{_option(name)} {value:g} must be 0 or more")
        if not 0 < self.share_for_people <= 1:
            raise UsageError(f"--review-share {self.review_share} is not a share of rows", hint="pass 10% or 0.1")
        if self.mistakes < 0:
            raise UsageError(f"--mistakes {self.mistakes} must be 0 or more")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"

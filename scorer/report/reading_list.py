"""The reviews of a report as one list: each once, with every reason to read it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Review

KINDS = {
    "mistake": "mistakes",
    "suspect": "suspect labels",
    "broken": "broken since the baseline",
    "repaired": "repaired since the baseline",
    "other": "wrong in another way since the baseline",
}
"""Reasons to read a review, with their names in the plural, in the order of the list."""


@dataclass(frozen=True)
class Entry:
    """A review of the list.

    Attributes:
        review: the row.
        kinds: keys of :data:`KINDS`.
        before: label predicted in the baseline, if it has changed.
        doubt: probability of the gold label, of a suspect label.
    """

    review: Review
    kinds: list[str] = field(default_factory=list)
    before: str | None = None
    doubt: float | None = None

    @property
    def slices(self) -> str:
        """Keys of the slices of the review, for the filter of the page."""
        return " ".join(slice_key(one.by, one.built_in, one.value) for one in self.review.slices)


def slice_key(by: str, built_in: bool, value: str) -> str:
    """A slice as a word of hexadecimal digits, so that a name from a file is only compared."""
    return f"{int(built_in)}|{by}|{value}".encode("utf-8", "surrogatepass").hex()


def entries_of(report: EvaluationReport) -> list[Entry]:
    """Mistakes, suspect labels and changed reviews, each row once."""
    found: dict[tuple[str, int], Entry] = {}
    for kind, review, before, doubt in _reasons(report):
        entry = found.get((review.file, review.row), Entry(review))
        found[review.file, review.row] = Entry(
            entry.review,
            [*entry.kinds, kind],
            entry.before if before is None else before,
            entry.doubt if doubt is None else doubt,
        )
    return list(found.values())


def choices_of(entries: Sequence[Entry]) -> dict[str, list[tuple[str, str]]]:
    """Slices that occur among ``entries``: by group, keys and values."""
    found: dict[tuple[bool, str], dict[str, str]] = {}
    for entry in entries:
        for one in entry.review.slices:
            group = found.setdefault((one.built_in, one.by), {})
            group[slice_key(one.by, one.built_in, one.value)] = one.value
    choices = {}
    for (built_in, by), values in found.items():
        name = f"{by} (built in)" if built_in and (False, by) in found else by
        if len(values) > 1:
            choices[name] = sorted(values.items(), key=lambda pair: _in_order(pair[1]))
    return choices


def _in_order(value: str) -> tuple[float, str]:
    """Numbers and spans of numbers by size, then texts."""
    number = re.match(r"\d[\d,]*(\.\d+)?", value)
    return (float(number[0].replace(",", "")) if number else math.inf, value)


def _reasons(report: EvaluationReport) -> Iterator[tuple[str, Review, str | None, float | None]]:
    for mistake in report.mistakes:
        yield "mistake", mistake, None, None
    for suspect in report.suspects:
        yield "suspect", suspect, None, suspect.self_confidence
    for changed in report.comparison.changed if report.comparison else ():
        yield changed.change, changed.review, changed.baseline, None

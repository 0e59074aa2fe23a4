"""Figures of some of the rows: by the values of a column, by length, truncation and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.labels import string_array
from scorer.metrics.confusion import accuracy, label_figures, macro
from scorer.metrics.intervals import wilson
from scorer.metrics.values import Figure, Ids, LabelFigures, Probabilities, Section
from scorer.safe_text import counted, quoted

MAX_VALUES = 10_000
"""Maximum number of different values in a column to slice by."""

SHOWN_VALUES = 200
"""Slices kept of a column, those with the most rows; the others become one slice."""

UNCERTAIN_ROWS = 50
"""Slices with fewer rows are marked as uncertain: their accuracy has an interval of 20 points or more."""

OTHERS = "(other values)"
"""Name of the slice of values that have none of their own."""

_NULL = "(no value)"

_CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Slice(Section):
    """Figures of the rows that share a value.

    Attributes:
        value: as text; or ``(no value)`` for null, ``(other values)``, ``no text``.
        rows: number of evaluated rows.
        share: of all evaluated rows.
        accuracy: with its interval.
        f1: of the positive label, or macro F1 without one.
        uncertain: true if there are too few rows for reliable figures.
    """

    value: str
    rows: int
    share: float
    accuracy: Figure
    f1: Figure
    uncertain: bool


@dataclass(frozen=True)
class SliceGroup(Section):
    """All evaluated rows in slices.

    Attributes:
        by: name of a column, or the built-in ``length``, ``truncation`` or ``confidence``.
        built_in: true for the latter three.
        slices: weakest accuracy first.
    """

    by: str
    built_in: bool
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class SliceOf(Section):
    """The slice of a row in one group.

    Attributes:
        by, built_in: of the group, see :class:`SliceGroup`.
        value: of the row.
    """

    by: str
    built_in: bool
    value: str


@dataclass
class SliceValues:
    """The value of each row in one column, as codes.

    Attributes:
        by: the column, or the name of a built-in slice.
        built_in: true for the latter.
        values: the code of each different value, in order of appearance; ``None`` is null.
    """

    by: str
    built_in: bool = False
    values: dict[str | None, int] = field(default_factory=dict)
    _codes: list[npt.NDArray[np.int32]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of rows added."""
        return sum(len(codes) for codes in self._codes)

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """int32 ``(n_rows,)``, see :attr:`values`."""
        return np.concatenate(self._codes) if self._codes else np.zeros(0, np.int32)

    def add_column(self, column: pa.ChunkedArray, path: str) -> None:
        """Add the next values of a column of any type that has a text form.

        Raises:
            InputError: the column is of another type, or has too many values.
        """
        try:
            self.add(string_array(column))
        except pa.ArrowException as error:
            raise InputError(
                f"column {quoted(self.by)} holds {column.type}, which cannot be sliced by",
                path=path,
                hint="name another with --slice-by",
            ) from error
        if len(self.values) > MAX_VALUES:
            raise InputError(
                f"column {quoted(self.by)} holds more than {MAX_VALUES:,} different values, too many for slices",
                path=path,
                hint="name another with --slice-by, or a column of coarser values",
            )

    def add(self, strings: pa.Array) -> None:
        """Add the next values, large strings."""
        encoded = pc.dictionary_encode(strings, null_encoding="encode")
        known = np.array(
            [self.values.setdefault(value, len(self.values)) for value in encoded.dictionary.to_pylist()], np.int32
        )
        places = encoded.indices.to_numpy(zero_copy_only=False)
        self._codes.append(known[places] if len(known) else np.zeros(0, np.int32))


@dataclass(frozen=True, eq=False)
class Cut:
    """Rows cut into slices.

    Attributes:
        by, built_in: as in :class:`SliceGroup`.
        codes: int ``(n_rows,)``, places in ``values``.
        values: names of the slices.
    """

    by: str
    built_in: bool
    codes: Ids
    values: Sequence[str]

    def slice_of(self, row: int) -> SliceOf:
        """The slice of one row."""
        return SliceOf(self.by, self.built_in, self.values[int(self.codes[row])])


@dataclass(frozen=True, eq=False)
class SlicedRows:
    """The evaluated rows, to be cut into slices.

    Attributes:
        gold, predicted: label ids int ``(n_rows,)``.
        labels: names.
        positive: id of the positive label, or ``None``.
    """

    gold: Ids
    predicted: Ids
    labels: tuple[str, ...]
    positive: int | None

    def by(self, name: str, codes: Ids, values: Sequence[str], *, built_in: bool) -> SliceGroup:
        """Cut by ``codes`` ``(n_rows,)``, places in ``values``; the slice with the weakest accuracy comes first."""
        counts = np.bincount(codes, minlength=len(values))
        if np.count_nonzero(counts) > SHOWN_VALUES:
            # The last place is for all other values.
            shown = np.argsort(-counts, kind="stable")[: SHOWN_VALUES - 1]
            place = np.full(len(values), len(shown))
            place[shown] = np.arange(len(shown))
            codes, values = place[codes], [*(values[number] for number in shown), OTHERS]
        n_labels = len(self.labels)
        cells = (codes.astype(np.int64) * n_labels + self.gold) * n_labels + self.predicted
        found_cells, cell_counts = np.unique(cells, return_counts=True)
        found = []
        for code in np.unique(found_cells // n_labels**2):
            first, last = np.searchsorted(found_cells, [code * n_labels**2, (code + 1) * n_labels**2])
            matrix = np.zeros(n_labels**2, np.int64)
            matrix[found_cells[first:last] - code * n_labels**2] = cell_counts[first:last]
            found.append(self._slice(values[int(code)], matrix.reshape(n_labels, n_labels)))
        found.sort(key=lambda item: (item.accuracy.value or 0.0, -item.rows))
        return SliceGroup(name, built_in, tuple(found))

    def _slice(self, value: str, matrix: npt.NDArray[np.int64]) -> Slice:
        rows = int(matrix.sum())
        by_label = label_figures(matrix, self.labels)
        return Slice(
            value=value,
            rows=rows,
            share=rows / len(self.gold),
            accuracy=replace(accuracy(matrix), interval=wilson(int(np.trace(matrix)), rows)),
            f1=_f1(by_label, self.positive),
            uncertain=rows < UNCERTAIN_ROWS,
        )


def cut_by_values(values: SliceValues, rows: npt.NDArray[np.int64]) -> Cut:
    """Cut by a column; ``rows`` are the places of the evaluated rows."""
    # A text that reads as a slice of ours is shown in quotes, so that no two slices have one name.
    names = [
        _NULL if value is None else quoted(value) if value in (_NULL, OTHERS) else value for value in values.values
    ]
    return Cut(values.by, values.built_in, values.codes[rows], names)


def cut_by_length(lengths: Ids) -> Cut:
    """Cut into quarters by length in characters ``(n_rows,)``; -1 is a row without a text."""
    with_text, edges, names = lengths[lengths >= 0], np.zeros(0, np.int64), []
    if len(with_text):
        edges = np.unique(np.quantile(with_text, [0.25, 0.5, 0.75, 1.0], method="inverted_cdf")).astype(np.int64)
        lows = [int(with_text.min()), *(edges[:-1] + 1).tolist()]
        pairs = zip(lows, edges.tolist(), strict=True)
        names = [f"{low:,} to {high:,} characters" if low < high else counted(low, "character") for low, high in pairs]
    # A row without a text is placed behind the last edge.
    codes = np.where(lengths < 0, len(edges), np.searchsorted(edges, lengths))
    return Cut("length", True, codes, [*names, "no text"])


def cut_by_confidence(confidence: Probabilities) -> Cut:
    """Cut by the probability ``(n_rows,)`` of the predicted label."""
    # In float32, so that a value on an edge falls into the same slice whether it was kept as float32 or as float64.
    edges = np.array(_CONFIDENCES, np.float32)
    codes = np.searchsorted(edges, confidence.astype(np.float32), side="right")
    steps = (0.0, *_CONFIDENCES, 1.0)
    names = [f"{low:g} to {high:g}" for low, high in pairwise(steps)]
    return Cut("confidence", True, codes, names)


def _f1(by_label: Sequence[LabelFigures], positive: int | None) -> Figure:
    """F1 of the positive label, or macro F1; undefined where zero would only mean that gold labels are missing."""
    if positive is not None:
        own = by_label[positive]
        return own.f1 if own.gold else Figure(None, f"no row has the gold label {own.label}")
    gold = [one.label for one in by_label if one.gold]
    return macro(by_label, "f1") if len(gold) > 1 else Figure(None, f"every row has the gold label {gold[0]}")

"""Label columns: their values, and the label ids that these mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.label_map import advice
from scorer.safe_text import quoted

LABEL_CHUNK_ROWS = 65_536
"""Rows read at a time of columns without texts."""

MAX_LABELS = 1000
"""Maximum number of different values in a column of labels."""

# pandas writes ids as 1.0 if the column has a null.
_ID = re.compile(r"(\d{1,9})(?:\.0+)?")

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")

_DIGITS = re.compile(r"\d+")

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_SHOWN_VALUES = 8

_SHOWN_CHARACTERS = 40


@dataclass
class LabelValues:
    """The different values of a label column.

    Attributes:
        first: path and row, counted from 1, of the first occurrence of each value.
        predicted: true if these are predicted labels.
    """

    first: dict[str, tuple[str, int]] = field(default_factory=dict)
    predicted: bool = False

    def add(self, values: pa.Array, *, name: str, path: str, start: int) -> None:
        """Add the next strings of column ``name`` of ``path``, which follow ``start`` rows; a null is none.

        Raises:
            InputError: there are more than :data:`MAX_LABELS` different values.
        """
        for value in pc.unique(values).drop_null().to_pylist():
            if value in self.first:
                continue
            row = start + pc.index(values, value).as_py() + 1
            self.first[value] = (path, row)
            if len(self.first) > MAX_LABELS:
                raise InputError(
                    f"column {quoted(name)} holds more than {MAX_LABELS} different values, so these are no labels",
                    path=path,
                    hint=f"name another with {_option(predicted=self.predicted)}",
                )

    def meant(self, label_map: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
        """The name or number that each value stands for: by ``label_map``, where "" leaves rows out, or as it is.

        Spaces around it do not count, unless it is one of ``names``, the labels; nor do zeros behind a point.
        """
        found = {}
        for value in self.first:
            written = value if value in names else value.strip()
            number = _ID.fullmatch(written)
            found[value] = label_map.get(written, label_map.get(number[1], written) if number else written)
        return found


@dataclass(frozen=True)
class GoldLabels:
    """The gold labels of all evaluated files together.

    Attributes:
        column: their column; ``None`` if there are none.
        values: the different ones.
        rows: number of rows of the evaluated files.
        unlabelled: rows whose label is null, or empty.
        codes: int32 ``(n_rows,)``, the place of each row's label in ``values``, -1 for a row without one, if
            they were joined from another file; else ``None``.
        unmatched: joined labels whose id no row has.
        predicted: the different predicted labels of files without columns of probabilities.
    """

    column: str | None
    values: LabelValues
    rows: int
    unlabelled: int = 0
    codes: npt.NDArray[np.int32] | None = None
    unmatched: int = 0
    predicted: LabelValues = field(default_factory=lambda: LabelValues(predicted=True))

    @property
    def rows_unmatched(self) -> int:
        """Rows whose id is not among the joined ones."""
        return 0 if self.codes is None else int((self.codes < 0).sum()) - self.unlabelled


@dataclass(frozen=True)
class LabelSet:
    """The labels that predictions can have.

    Attributes:
        names: in the order of their ids.
        owner: for messages, such as ``the model`` or ``the predictions``.
        complete: false if these are only the labels that were predicted, so that there may be others.
    """

    names: tuple[str, ...]
    owner: str
    complete: bool = True

    def ids_of_names(self) -> dict[str, int]:
        """The label id of each name."""
        return {name: label for label, name in enumerate(self.names)}

    @property
    def has_ids(self) -> bool:
        """True if numbers are ids of labels; False if names hold other numbers than their ids, as ``1 star`` does.

        A number in every name, as in ``covid19`` and ``not covid19``, tells nothing apart and does not count.
        """
        held = [_numbers_in(name) for name in self.names]
        everywhere = set.intersection(*held) if len(held) > 1 else set()
        return all(numbers - everywhere <= {str(label)} for label, numbers in enumerate(held))

    def ids_of(self, values: Sequence[str]) -> dict[str, int | None]:
        """The label id of every value, ``None`` if it is neither a name nor an id, see :attr:`has_ids`.

        A whole number with zeros behind the point, as 1.0, is the name 1 if there is one.
        """
        by_name = self.ids_of_names()
        ids = self.numbered(values) if self.has_ids else dict.fromkeys(values)
        for value in values:
            number = _ID.fullmatch(value)
            ids[value] = by_name.get(value, by_name.get(number[1], ids[value]) if number else None)
        return ids

    def numbered(self, values: Sequence[str]) -> dict[str, int | None]:
        """The label id that every value is as a number, ``None`` if it is no such number."""
        ids: dict[str, int | None] = {}
        for value in values:
            match = _ID.fullmatch(value)
            ids[value] = int(match[1]) if match and int(match[1]) < len(self.names) else None
        return ids

    def require_ids(
        self, values: LabelValues, *, name: str, label_map: Mapping[str, str] | None = None
    ) -> dict[str, int]:
        """The label id of every value, see :meth:`ids_of`; -1 for one that ``label_map`` leaves out.

        Raises:
            InputError: a value is no label; the message names its row and shows both sets.
        """
        meant = values.meant(label_map or {}, self.names)
        known: dict[str, int | None] = {"": -1}
        known |= self.ids_of([name for name in dict.fromkeys(meant.values()) if name])
        unknown = [value for value, written in meant.items() if known[written] is None]
        if unknown:
            raise self._unknown(unknown, meant, values, name)
        return {value: label for value, written in meant.items() if (label := known[written]) is not None}

    def _unknown(
        self, unknown: Sequence[str], meant: Mapping[str, str], values: LabelValues, column: str
    ) -> InputError:
        """The error of values that are no labels: of the one that comes first."""
        value = min(unknown, key=lambda one: values.first[one][1])
        path, row = values.first[value]
        close = difflib.get_close_matches(meant[value], self.names, n=1, cutoff=0.8)
        hint = f"labels of {self.owner}: {self.described()}; labels in the file: {listed(sorted(values.first))}"
        if not self.has_ids and any(_ID.fullmatch(value) for value in unknown):
            hint += "; numbers are no ids here, because the names hold numbers: write these names into the column"
        if not self.complete:
            hint += "; keep the columns of probabilities, which name the labels never predicted"
        if (likely := advice(list(values.first), self.names)) is not None:
            hint += f"; {likely}"
        what = f"{shown(value)} in column {quoted(column)} is not a label of {self.owner}"
        if meant[value] != value.strip():
            what = f"--label-map maps {shown(value)} to {shown(meant[value])}, which is not a label of {self.owner}"
        return InputError(what, path=path, row=row, hint=f"did you mean {close[0]!r}? {hint}" if close else hint)

    def described(self) -> str:
        """Names, and ids if there are any, for messages."""
        if not self.has_ids:
            return listed(self.names)
        ids = "its id 0" if len(self.names) == 1 else f"their ids 0 to {len(self.names) - 1}"
        return f"{listed(self.names)} or {ids}"


def _numbers_in(name: str) -> set[str]:
    """Numbers that a name holds, in digits or as words up to ten."""
    words = {str(_WORDS.index(word)) for word in re.findall(r"[a-z]+", name.casefold()) if word in _WORDS}
    return {*_DIGITS.findall(name), *words}


def label_strings(table: pa.Table, name: str, path: str, *, predicted: bool = False) -> pa.Array:
    """Labels or ids in column ``name`` of ``path`` as large strings; an empty string and NaN become null.

    Raises:
        InputError: the type of the column cannot hold labels.
    """
    column = table.column(name)
    try:
        values = string_array(column)
    except pa.ArrowException as error:
        hint = f"name another with {_option(predicted=predicted)}"
        raise InputError(f"column {quoted(name)} holds {column.type}, not labels", path=path, hint=hint) from error
    empty = pc.equal(values, "nan" if pa.types.is_floating(column.type) else "")
    return pc.if_else(empty, pa.scalar(None, pa.large_string()), values)


def gold_strings(table: pa.Table, name: str, path: str) -> pa.Array:
    """Gold labels as in :func:`label_strings`; one of nothing but spaces is null too, as in ``train-model``."""
    values = label_strings(table, name, path)
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), pa.scalar(None, pa.large_string()), values)


def no_label(name: str, path: str) -> InputError:
    """The error of a column without a single label."""
    return InputError(
        f"no row has a label in column {quoted(name)}",
        path=path,
        hint="fill in labels, or name another column with --label-column",
    )


def string_array(column: pa.ChunkedArray) -> pa.Array:
    """All values of a column as one array of large strings.

    Raises:
        pa.ArrowException: the type of the column has no text form.
    """
    return pc.cast(column, pa.large_string()).combine_chunks()


def _option(*, predicted: bool) -> str:
    return "--prefix" if predicted else "--label-column"


def values_in_order(values: Sequence[str]) -> tuple[str, ...]:
    """Label names by number if all are numbers, else by alphabet, in the order of ``train-model``."""
    if all(_NUMBER.fullmatch(value) for value in values):
        return tuple(sorted(values, key=float))
    return tuple(sorted(values))


def to_ids(values: pa.Array, ids: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Label ids int64 ``(n,)`` of strings, -1 for a string that is null or not in ``ids``."""
    places = pc.index_in(values, value_set=pa.array(ids, pa.large_string()), skip_nulls=True)
    lookup = np.append(np.fromiter(ids.values(), np.int64, len(ids)), np.int64(-1))
    found: npt.NDArray[np.int64] = lookup[places.fill_null(len(ids)).to_numpy(zero_copy_only=False)]
    return found


def shown(value: str) -> str:
    """``value`` in quotes for a message; a long one could be a review, so only its length is given."""
    return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"a value of {len(value):,} characters"


def listed(values: Sequence[str], *, limit: int = _SHOWN_VALUES) -> str:
    """The first of ``values`` in quotes, and the number of the others."""
    more = f" and {len(values) - limit:,} more" if len(values) > limit else ""
    return ", ".join(shown(value) for value in values[:limit]) + more

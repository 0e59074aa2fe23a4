"""Label columns: their values, and the label ids that these mean."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError
from scorer.evaluation.label_map import suggested_map
from scorer.safe_text import quoted

LABEL_CHUNK_ROWS = 65_536
"""Rows read at a time of columns without texts."""

MAX_LABELS = 1000
"""Maximum number of different values in a column of labels."""

# pandas writes ids as 1.0 if the column has a null.
_ID = re.compile(r"(\d{1,9})(?:\.0+)?")

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")

_DIGITS = re.compile(r"\d+")

_SHOWN_VALUES = 8

_SHOWN_CHARACTERS = 40


@dataclass
class LabelValues:
    """The different values of a label column.

    Attributes:
        first: path and row, counted from 1, of the first occurrence of each value.
        predicted: true if these are predicted labels, which may be null.
    """

    first: dict[str, tuple[str, int]] = field(default_factory=dict)
    predicted: bool = False

    def add(self, values: pa.Array, *, name: str, path: str, start: int) -> None:
        """Add the next strings of column ``name`` of ``path``, which follow ``start`` rows.

        Raises:
            InputError: a gold label is null, or there are more than :data:`MAX_LABELS` different values.
        """
        if values.null_count and not self.predicted:
            row = start + pc.index(pc.is_null(values), True).as_py() + 1
            hint = "add a label, or drop the row"
            raise InputError(f"the label in column {quoted(name)} is null", path=path, row=row, hint=hint)
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


@dataclass(frozen=True)
class GoldLabels:
    """The gold labels of all evaluated files together.

    Attributes:
        column: their column; ``None`` if there are none.
        values: the different ones.
        rows: number of rows of the evaluated files.
        codes: int32 ``(n_rows,)``, the place of each row's label in ``values``, -1 for a row without one, if
            they were joined from another file; else ``None``, as every row has one in its own file.
        unmatched: joined labels whose id no row has.
        predicted: the different predicted labels of files without columns of probabilities.
    """

    column: str | None
    values: LabelValues
    rows: int
    codes: npt.NDArray[np.int32] | None = None
    unmatched: int = 0
    predicted: LabelValues = field(default_factory=lambda: LabelValues(predicted=True))

    @property
    def rows_unmatched(self) -> int:
        """Rows whose id has no joined label."""
        return 0 if self.codes is None else int((self.codes < 0).sum())


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
        held = [set(_DIGITS.findall(name)) for name in self.names]
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
        given, names = label_map or {}, self.ids_of_names()
        left_out = [value for value in values.first if given.get(value.strip()) == ""]
        written = {}
        for value in values.first:
            if given.get(value.strip()) != "":
                written[value] = given.get(value.strip(), value if value in names else value.strip())
        known = self.ids_of(list(dict.fromkeys(written.values())))
        ids = {value: known[meant] for value, meant in written.items()}
        unknown = [value for value, label in ids.items() if label is None]
        if unknown:
            path, row = min((values.first[value] for value in unknown), key=lambda place: place[1])
            value = next(value for value in unknown if values.first[value] == (path, row))
            close = difflib.get_close_matches(value, self.names, n=1, cutoff=0.8)
            hint = f"labels of {self.owner}: {self.described()}; labels in the file: {listed(sorted(values.first))}"
            if not self.has_ids and any(_ID.fullmatch(value) for value in unknown):
                hint += "; numbers are no ids here, because the names hold numbers: write these names into the column"
            if not self.complete:
                hint += "; keep the columns of probabilities, which name the labels never predicted"
            if (likely := suggested_map(list(values.first), self.names)) is not None:
                hint += f"; pass --label-map {shlex.quote(likely)}"
            raise InputError(
                f"{shown(value)} in column {quoted(name)} is not a label of {self.owner}",
                path=path,
                row=row,
                hint=f"did you mean {close[0]!r}? {hint}" if close else hint,
            )
        return {value: label for value, label in ids.items() if label is not None} | dict.fromkeys(left_out, -1)

    def described(self) -> str:
        """Names, and ids if there are any, for messages."""
        if not self.has_ids:
            return listed(self.names)
        ids = "its id 0" if len(self.names) == 1 else f"their ids 0 to {len(self.names) - 1}"
        return f"{listed(self.names)} or {ids}"


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

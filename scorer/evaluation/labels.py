"""Label columns: their values, and the label ids that they stand for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError

MAX_LABELS = 1000
"""A column of more different values than this, and than the model has labels, holds no labels."""

# pandas writes ids as 1.0 once a column had a null.
_ID = re.compile(r"(\d{1,9})(?:\.0+)?")

_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")

_SHOWN_VALUES = 8

_SHOWN_CHARACTERS = 40


@dataclass
class LabelValues:
    """The different values of a label column, and where each was seen first.

    Attributes:
        first: path and row, counted from 1, by value.
        option: that names another column, for messages.
    """

    first: dict[str, tuple[str, int]] = field(default_factory=dict)
    option: str = "--label-column"

    def add(self, values: pa.Array, *, name: str, path: str, start: int) -> None:
        """Take in the next strings of column ``name`` of ``path``; ``start`` rows stand before them.

        Raises:
            InputError: there are too many different values for labels.
        """
        for value in pc.unique(values).drop_null().to_pylist():
            if value in self.first:
                continue
            row = start + pc.index(values, value).as_py() + 1
            self.first[value] = (path, row)
            if len(self.first) > MAX_LABELS:
                raise InputError(
                    f"column {name!r} holds more than {MAX_LABELS} different values, so these are no labels",
                    path=path,
                    hint=f"name another with {self.option}",
                )


@dataclass(frozen=True)
class LabelSet:
    """The labels that predictions can have.

    Attributes:
        names: in the order of their ids.
        owner: whose they are, as messages say it: ``the model``, ``the predictions``.
        advice: what to do about a label that is missing here.
    """

    names: tuple[str, ...]
    owner: str
    advice: str = ""

    def ids_of_names(self) -> dict[str, int]:
        """The label id of each name."""
        return {name: label for label, name in enumerate(self.names)}

    def ids_of(self, values: Sequence[str]) -> dict[str, int | None]:
        """The label id of every value, or ``None`` where it is neither a name nor an id.

        Where names are numbers themselves, as in 1 to 5 stars, a value could be both: all of
        them are then read as names if they can be, else all of them as ids.
        """
        by_name = self.ids_of_names()
        named = {value: by_name.get(value) for value in values}
        numbered = {value: self._id(value) for value in values}
        if not any(_NUMBER.fullmatch(name) for name in self.names):
            return {value: named[value] if named[value] is not None else numbered[value] for value in values}
        if None in named.values() and None not in numbered.values():
            return numbered
        return named

    def require_ids(self, values: LabelValues, *, name: str) -> dict[str, int]:
        """As :meth:`ids_of`, for values that all have to be labels.

        Raises:
            InputError: one is not; the line names its row and shows both sets.
        """
        ids = self.ids_of(list(values.first))
        unknown = [value for value, label in ids.items() if label is None]
        if unknown:
            path, row = min((values.first[value] for value in unknown), key=lambda place: place[1])
            value = next(value for value in unknown if values.first[value] == (path, row))
            close = difflib.get_close_matches(value, self.names, n=1, cutoff=0.8)
            raise InputError(
                f"{shown(value)} in column {name!r} is no label of {self.owner}",
                path=path,
                row=row,
                hint=(f"did you mean {close[0]!r}? " if close else "")
                + f"labels of {self.owner}: {self.described()}; labels in the file: {listed(sorted(values.first))}"
                + (f"; {self.advice}" if self.advice else ""),
            )
        return {value: label for value, label in ids.items() if label is not None}

    def _id(self, value: str) -> int | None:
        match = _ID.fullmatch(value)
        return int(match[1]) if match and int(match[1]) < len(self.names) else None

    def described(self) -> str:
        """Names and ids, for messages."""
        ids = "its id 0" if len(self.names) == 1 else f"their ids 0 to {len(self.names) - 1}"
        return f"{listed(self.names)} or {ids}"


def label_strings(column: pa.ChunkedArray, *, name: str, path: str, option: str = "--label-column") -> pa.Array:
    """The values of a label column as large strings; an empty string and NaN are null.

    Raises:
        InputError: the column is of a type that holds no labels.
    """
    try:
        values = pc.cast(column.combine_chunks(), pa.large_string())
    except pa.ArrowException as error:
        raise InputError(
            f"column {name!r} holds {column.type}, not labels", path=path, hint=f"name another with {option}"
        ) from error
    if isinstance(values, pa.ChunkedArray):  # more than 2 GiB of text stay in pieces
        values = pa.concat_arrays(values.chunks)
    empty = pc.equal(values, "")
    if pa.types.is_floating(column.type):
        empty = pc.equal(values, "nan")
    return pc.if_else(empty, pa.scalar(None, pa.large_string()), values)


def require_labels(strings: pa.Array, *, name: str, path: str, start: int) -> None:
    """Refuse a gold label that is null.

    Raises:
        InputError: one is; the line names its row. ``start`` rows stand before these.
    """
    if strings.null_count:
        row = start + pc.index(pc.is_null(strings), True).as_py() + 1
        raise InputError(f"the label in column {name!r} is null", path=path, row=row, hint="label the row or drop it")


def values_in_order(values: Sequence[str]) -> tuple[str, ...]:
    """Values as label names: by number where all are numbers, else by alphabet, as ``train-model`` orders them."""
    if all(_NUMBER.fullmatch(value) for value in values):
        return tuple(sorted(values, key=float))
    return tuple(sorted(values))


def to_ids(values: pa.Array, ids: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Label ids int64 ``(n,)`` of strings, -1 where a string is null or not among ``ids``."""
    places = pc.index_in(values, value_set=pa.array(ids, pa.large_string()), skip_nulls=True)
    lookup = np.append(np.fromiter(ids.values(), np.int64, len(ids)), np.int64(-1))
    found: npt.NDArray[np.int64] = lookup[places.fill_null(len(ids)).to_numpy(zero_copy_only=False)]
    return found


def shown(value: str) -> str:
    """``value`` in quotes for a message; a long one may be a review and is not shown."""
    return repr(value) if len(value) <= _SHOWN_CHARACTERS else f"a value of {len(value):,} characters"


def listed(values: Sequence[str], *, limit: int = _SHOWN_VALUES) -> str:
    """The first of ``values``, in quotes."""
    more = f" and {len(values) - limit:,} more" if len(values) > limit else ""
    return ", ".join(shown(value) for value in values[:limit]) + more

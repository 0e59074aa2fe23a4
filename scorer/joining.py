"""Predictions and gold labels from two files, put side by side by their ids. Never an inner join in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.columns import label_column, named_column
from scorer.errors import InputError, UsageError
from scorer.labels import LabelValues, label_strings, listed, require_labels, to_ids
from scorer.reading import Source

CHUNK_ROWS = 65_536
_SHOWN_IDS = 3


@dataclass(frozen=True)
class JoinedLabels:
    """The gold label of every row to be evaluated.

    Attributes:
        values: the different gold labels.
        column: the name of their column.
        codes: int32 ``(n_rows,)``, the place of each row's label in ``values``; -1 where it has none.
        labels_unmatched: gold labels whose id no row has.
    """

    values: LabelValues
    column: str
    codes: npt.NDArray[np.int32]
    labels_unmatched: int

    @property
    def rows_unmatched(self) -> int:
        """Rows whose id has no gold label."""
        return int((self.codes < 0).sum())


def join_labels(
    sources: Sequence[Source], labels: Source, *, on: str, label: str | None, allow_missing: bool
) -> JoinedLabels:
    """Find the gold label of each row of ``sources`` in ``labels``; both have their ids in column ``on``.

    Ids are compared as text: 7 in a Parquet file is 7 in a CSV file, and neither is 007. Only ids and
    labels are held in memory.

    Raises:
        InputError: an id or a label is null, an id occurs twice, or, unless ``allow_missing``, an id
            is in one of the two alone; or nothing matches at all.
    """
    named_column(labels.schema.names, on, labels.path)
    name = label_column(
        [column for column in labels.schema.names if column != on or column == label], label, labels.path
    )
    if name == on:
        raise UsageError(f"column {on!r} cannot hold both the ids and the labels", hint="pass another --label-column")
    where = ", ".join(source.path for source in sources)
    row_ids = _ids(sources, on)
    if len(row_ids) == 0:
        raise InputError("holds no rows", path=where, hint="there is nothing to evaluate")
    values, gold_ids, codes = _read_labels(labels, on, name)
    _require_unique(row_ids, on, where)
    _require_unique(gold_ids, on, labels.path)
    places = pc.index_in(row_ids, value_set=gold_ids)
    strangers = row_ids.filter(places.is_null())
    unused = gold_ids.filter(pc.index_in(gold_ids, value_set=row_ids).is_null())
    if len(strangers) == len(row_ids):
        raise InputError(
            f"no id of column {on!r} is in {labels.path}: {_first(row_ids)} here, {_first(gold_ids)} there",
            path=where,
            hint="check that --on names the same ids in both",
        )
    if not allow_missing and (len(strangers) or len(unused)):
        raise _unmatched(strangers, unused, row_ids, gold_ids, where, labels.path)
    lookup = np.append(codes, np.int32(-1))
    found = lookup[places.fill_null(len(codes)).to_numpy(zero_copy_only=False)]
    return JoinedLabels(values, name, found, len(unused))


def _ids(sources: Sequence[Source], on: str) -> pa.Array:
    pieces = []
    for source in sources:
        start = 0
        for table in source.chunks(CHUNK_ROWS, [on]):
            pieces.append(_id_strings(table[on], on, source.path, start))
            start += table.num_rows
    return pa.concat_arrays(pieces) if pieces else pa.array([], pa.large_string())


def _read_labels(labels: Source, on: str, name: str) -> tuple[LabelValues, pa.Array, npt.NDArray[np.int32]]:
    values = LabelValues()
    ids, codes, start = [], [], 0
    for table in labels.chunks(CHUNK_ROWS, [on, name]):
        ids.append(_id_strings(table[on], on, labels.path, start))
        strings = label_strings(table[name], name=name, path=labels.path)
        require_labels(strings, name=name, path=labels.path, start=start)
        values.add(strings, name=name, path=labels.path, start=start)
        places = {value: place for place, value in enumerate(values.first)}
        codes.append(to_ids(strings, places).astype(np.int32))
        start += table.num_rows
    if not ids:
        raise InputError("holds no rows", path=labels.path, hint="there are no labels to join")
    return values, pa.concat_arrays(ids), np.concatenate(codes)


def _id_strings(column: pa.ChunkedArray, on: str, path: str, start: int) -> pa.Array:
    try:
        values = label_strings(column, name=on, path=path)
    except InputError as error:
        raise InputError(f"column {on!r} holds {column.type}, not ids", path=path, hint="pass another --on") from error
    if values.null_count:
        row = start + pc.index(pc.is_null(values), True).as_py() + 1
        raise InputError(f"the id in column {on!r} is null", path=path, row=row, hint="every row needs an id")
    return values


def _require_unique(ids: pa.Array, on: str, path: str) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counts = pc.value_counts(ids)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    raise InputError(
        f"{len(repeated):,} {'id occurs' if len(repeated) == 1 else 'ids occur'} more than once in column {on!r}"
        f" ({_first(repeated)})",
        path=path,
        hint="keep one row of each id",
    )


def _unmatched(
    strangers: pa.Array, unused: pa.Array, row_ids: pa.Array, gold_ids: pa.Array, path: str, labels_path: str
) -> InputError:
    parts = []
    if len(strangers):
        have = "has" if len(strangers) == 1 else "have"
        parts.append(
            f"{len(strangers):,} of {len(row_ids):,} ids {have} no label in {labels_path} ({_first(strangers)})"
        )
    if len(unused):
        are = "is" if len(unused) == 1 else "are"
        parts.append(f"{len(unused):,} of {len(gold_ids):,} ids of {labels_path} {are} not here ({_first(unused)})")
    return InputError(
        ", and ".join(parts), path=path, hint="correct the ids, or pass --allow-missing to leave these out"
    )


def _first(ids: pa.Array) -> str:
    return listed(ids.slice(0, _SHOWN_IDS).to_pylist()) + (", …" if len(ids) > _SHOWN_IDS else "")

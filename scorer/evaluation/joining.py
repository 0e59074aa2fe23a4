"""Rows of two files joined by their ids; rows without a match are an error or counted, never dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import InputError, UsageError
from scorer.evaluation.labels import (
    LABEL_CHUNK_ROWS,
    GoldLabels,
    LabelValues,
    gold_strings,
    label_strings,
    listed,
    no_label,
    to_ids,
)
from scorer.files.columns import label_column, named_column
from scorer.files.source import Source
from scorer.safe_text import quoted

_SHOWN_IDS = 3


def join_labels(
    sources: Sequence[Source], labels: Source, *, on: str, label: str | None, allow_missing: bool
) -> GoldLabels:
    """Find the gold label of each row of ``sources`` in ``labels``; both have their ids in column ``on``.

    Ids are compared as text: 7 in a Parquet file equals 7 in a CSV file, but not 007. Only ids and labels
    are held in memory.

    Raises:
        InputError: an id is null, there is no label, an id occurs twice, an id is in only one of the two (unless
            ``allow_missing``), or nothing matches at all.
        UsageError: ``label`` names the column of ids.
    """
    named_column(labels.schema.names, on, labels.path)
    name = label_column(
        [column for column in labels.schema.names if column != on or column == label], label, labels.path
    )
    if name == on:
        raise UsageError(
            f"column {quoted(on)} cannot hold both the ids and the labels", hint="pass another --label-column"
        )
    where = ", ".join(source.path for source in sources)
    rows = _ids(sources, on)
    if not len(rows):
        raise InputError("holds no rows", path=where, hint="there is nothing to evaluate")
    values, ids, codes = _read_labels(labels, on, name)
    if not values.first:
        raise no_label(name, labels.path)
    places, n_unused = _places(rows, ids, where, labels.path, on=on, allow_missing=allow_missing, what="label")
    gold = np.append(codes, np.int32(-1))[places]  # the place of a row without a label is -1, the one appended
    unlabelled = int(((places >= 0) & (gold < 0)).sum())
    return GoldLabels(name, values, len(gold), unlabelled, gold, n_unused)


def join_rows(sources: Sequence[Source], baseline: Source, *, on: str, allow_missing: bool) -> npt.NDArray[np.int64]:
    """The row of ``baseline`` with the id of each row of ``sources``, int64 ``(n_rows,)``, -1 if there is none.

    Raises:
        InputError: as in :func:`join_labels`.
    """
    for source in (*sources, baseline):
        named_column(source.schema.names, on, source.path)
    where = ", ".join(source.path for source in sources)
    rows, others = _ids(sources, on), _ids([baseline], on)
    places, _ = _places(rows, others, where, baseline.path, on=on, allow_missing=allow_missing, what="row")
    return places


def _places(
    rows: pa.ChunkedArray,
    others: pa.ChunkedArray,
    where: str,
    there: str,
    *,
    on: str,
    allow_missing: bool,
    what: str,
) -> tuple[npt.NDArray[np.int64], int]:
    """The place of each id of ``rows`` in ``others``, -1 for none, and the number of unused ids in ``others``."""
    places = pc.index_in(rows, value_set=others).fill_null(-1).to_numpy().astype(np.int64)
    # As many ids, each at another place: both sides are unique, and need no second look at a million ids.
    if len(rows) != len(others) or places.min() < 0 or np.bincount(places).max() > 1:
        _require_unique(rows, on, where)
        _require_unique(others, on, there)
    missing = places < 0
    n_unmatched = int(missing.sum())
    # Ids are unique, so every matched row uses another one.
    n_unused = len(others) - (len(rows) - n_unmatched)
    if n_unmatched == len(rows):
        if _meet_without_zeros(rows, others):
            raise InputError(
                f"the ids of column {quoted(on)} meet those of {there} only without leading zeros:"
                f" {_first(rows)} here, {_first(others)} there",
                path=where,
                hint="write the ids alike in both",
            )
        raise InputError(
            f"no id of column {quoted(on)} is in {there}: {_first(rows)} here, {_first(others)} there",
            path=where,
            hint="check that --on names the same ids in both",
        )
    if not allow_missing and (n_unmatched or n_unused):
        parts, left_here, left_there = [], rows.filter(pa.array(missing)), others[:0]
        if n_unmatched:
            have = "has" if n_unmatched == 1 else "have"
            parts.append(f"{n_unmatched:,} of {len(rows):,} ids {have} no {what} in {there} ({_first(left_here)})")
        if n_unused:
            are = "is" if n_unused == 1 else "are"
            unused = np.ones(len(others), bool)
            unused[places[~missing]] = False
            left_there = others.filter(pa.array(unused))
            parts.append(f"{n_unused:,} of {len(others):,} ids of {there} {are} not here ({_first(left_there)})")
        zeros = _meet_without_zeros(left_here, left_there)
        correct = "write leading zeros alike in both" if zeros else "correct the ids"
        raise InputError(
            ", and ".join(parts), path=where, hint=f"{correct}, or pass --allow-missing to leave these out"
        )
    return places, n_unused


def _meet_without_zeros(ids: pa.ChunkedArray, others: pa.ChunkedArray) -> bool:
    """True if an id is in both once leading zeros are dropped, as 7 and 007 are."""
    bare, there = (pc.utf8_ltrim(side.cast(pa.large_string()), "0") for side in (ids, others))
    return bool(pc.any(pc.is_in(bare, value_set=there), min_count=0).as_py())


def _ids(sources: Sequence[Source], on: str) -> pa.ChunkedArray:
    """The ids of all ``sources`` as large strings, which hold more than 2 GiB together."""
    pieces = []
    for source in sources:
        start = 0
        for table in source.tables(LABEL_CHUNK_ROWS, [on]):
            pieces.append(_id_strings(table, on, source.path, start))
            start += table.num_rows
    return pa.chunked_array(pieces, pa.large_string())


def _read_labels(labels: Source, on: str, name: str) -> tuple[LabelValues, pa.ChunkedArray, npt.NDArray[np.int32]]:
    """The different labels, the ids, and the place of each id's label among the different ones, -1 for null."""
    values = LabelValues()
    ids, codes, start = [], [], 0
    for table in labels.tables(LABEL_CHUNK_ROWS, [on, name]):
        ids.append(_id_strings(table, on, labels.path, start))
        strings = gold_strings(table, name, labels.path)
        values.add(strings, name=name, path=labels.path, start=start)
        places = {value: place for place, value in enumerate(values.first)}
        codes.append(to_ids(strings, places).astype(np.int32))
        start += table.num_rows
    if not ids:
        raise InputError("holds no rows", path=labels.path, hint="there are no labels to join")
    return values, pa.chunked_array(ids), np.concatenate(codes)


def _id_strings(table: pa.Table, on: str, path: str, start: int) -> pa.Array:
    try:
        values = label_strings(table, on, path)
    except InputError as error:
        kind = table.column(on).type
        raise InputError(f"column {quoted(on)} holds {kind}, not ids", path=path, hint="pass another --on") from error
    if values.null_count:
        row = start + pc.index(pc.is_null(values), True).as_py() + 1
        raise InputError(f"the id in column {quoted(on)} is null", path=path, row=row, hint="every row needs an id")
    return values


def _require_unique(ids: pa.ChunkedArray, on: str, path: str) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counted = pc.value_counts(ids)  # in the order in which they first occur
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    raise InputError(
        f"{len(repeated):,} {'id occurs' if len(repeated) == 1 else 'ids occur'} more than once in column {quoted(on)}"
        f" ({_first(repeated)})",
        path=path,
        hint="keep one row of each id",
    )


def _first(ids: pa.Array | pa.ChunkedArray) -> str:
    return listed(ids[:_SHOWN_IDS].to_pylist()) + (", …" if len(ids) > _SHOWN_IDS else "")

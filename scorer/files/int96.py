"""INT96 times, as Spark, Hive and Impala write them: nanoseconds of a day and the day, wider than any time of Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_PER_SECOND = {"ns": 10**9, "us": 10**6, "ms": 10**3}
_BATCH_ROWS = 2**14


def int96_columns(stored: pq.ParquetSchema) -> list[str]:
    """Paths of the stored columns of INT96."""
    leaves = [stored.column(place) for place in range(len(stored))]
    return [leaf.path for leaf in leaves if leaf.physical_type == "INT96"]


def lossless_unit(columns: list[str], opened: Callable[[str], pq.ParquetFile]) -> str | None:
    """The finest unit of Arrow that reaches from the first to the last time of the INT96 ``columns`` without loss.

    ``opened`` opens the file with INT96 in a unit. Out of range, pyarrow wraps around in silence: years are compared
    with those of whole seconds, which hold every day. ``None`` if a unit that reaches far enough drops digits.
    """
    for unit, ticks in _PER_SECOND.items():
        if all(np.array_equal(fine // ticks, whole) for fine, whole in _read_both(columns, opened, unit, "s")):
            # Both wrap around in the same way, so that digits are lost exactly where these differ.
            pairs = [] if unit == "ns" else _read_both(columns, opened, "ns", unit)
            exact = all(np.array_equal(fine, coarse * (10**9 // ticks)) for fine, coarse in pairs)
            return unit if exact else None
    return None


def _read_both(
    columns: list[str], opened: Callable[[str], pq.ParquetFile], first: str, second: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for column in columns:
        batches = [
            opened(unit).iter_batches(_BATCH_ROWS, columns=[column], use_threads=False) for unit in (first, second)
        ]
        for one, other in zip(*batches, strict=True):
            yield _ticks(one), _ticks(other)


def _ticks(batch: pa.RecordBatch) -> np.ndarray:
    values = batch.column(0)
    while not pa.types.is_timestamp(values.type):
        if pa.types.is_map(values.type):
            values = values.cast(pa.list_(values.type.field(0)))
        values = values.flatten()[0] if pa.types.is_struct(values.type) else values.flatten()
    return np.asarray(values.drop_null().view(pa.int64()))

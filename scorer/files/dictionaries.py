"""Columns with dictionaries, whose values are held once: the memory that they fill when each row has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.arrow import leaves, with_leaves


def without_dictionaries(kind: pa.DataType) -> pa.DataType:
    """Return ``kind`` with every dictionary replaced by the type of its values."""
    if not any(map(pa.types.is_dictionary, leaves(kind))):
        return kind  # without a cast of lists, in which pyarrow loses values of views
    return with_leaves(kind, lambda leaf: leaf.value_type if pa.types.is_dictionary(leaf) else leaf)


def unpacked_as(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Cast ``column`` to ``kind``; strings that were read as dictionaries are unpacked first: not all can be cast."""
    if column.type == kind:
        return column
    if pa.types.is_nested(column.type):  # pyarrow casts more of a slice than its own rows
        column = column.take(pa.array(range(len(column))))
    plain = column.cast(without_dictionaries(column.type))
    # Values of ENUM come as bytes; which of them are no strings is found out later, row by row.
    return plain.cast(options=pc.CastOptions(kind, allow_invalid_utf8=True))


def unpacked_bytes(values: pa.Table | pa.Array, *, at_most: bool = False) -> int:
    """Count the bytes of memory that values fill, values of dictionaries as often as they occur.

    ``at_most`` counts each as the longest one of its dictionary: pyarrow reserves memory by their mean,
    whichever of them occur.
    """
    if isinstance(values, pa.Table):
        return sum(unpacked_bytes(chunk, at_most=at_most) for column in values.columns for chunk in column.chunks)
    kind = values.type
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(values.dictionary)
        if at_most:
            n_bytes = len(values) * (pc.max(lengths).as_py() or 0)
        else:
            n_bytes = pc.sum(lengths.take(values.indices)).as_py() or 0
        return int(n_bytes) + int(values.indices.nbytes)
    if without_dictionaries(kind) == kind:
        return int(values.nbytes)
    if pa.types.is_struct(kind):
        return sum(unpacked_bytes(child, at_most=at_most) for child in values.flatten())
    if pa.types.is_map(kind):
        values = values.cast(pa.list_(kind.field(0)))
    return 4 * len(values) + unpacked_bytes(values.flatten(), at_most=at_most)


def small_pieces(table: pa.Table, most: int) -> Iterator[pa.Table]:
    """Cut ``table`` into pieces that unpack to at most ``most`` bytes, or have one row."""
    half = table.num_rows // 2
    if not half or unpacked_bytes(table, at_most=True) <= most:
        yield table
        return
    yield from small_pieces(table.slice(0, half), most)
    yield from small_pieces(table.slice(half), most)


def longest_value(values: pa.Array) -> int:
    """Count the bytes of the longest values in the dictionaries of a column, those of a struct's fields together."""
    if pa.types.is_struct(values.type):
        return sum(longest_value(child) for child in values.flatten())
    if pa.types.is_dictionary(values.type):
        return int(pc.max(pc.binary_length(values.dictionary)).as_py() or 0)
    return 0

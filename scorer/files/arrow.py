"""Types and columns of Arrow, as several formats look at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa

JSON_FIELD = {b"scorer:json": b"true"}
"""Metadata of a string field whose values are JSON texts: of a JSONL column that no Arrow type holds unchanged."""

JSON_IN_ERRORS = {b"scorer:json": b"error"}
"""Metadata of a string field whose values are JSON texts in rows whose last column, the status, is ``error``."""


def holds_json(field: pa.Field) -> bool:
    """True if the strings of a column are JSON texts, to be written to JSONL as they are."""
    return bool(field.metadata) and field.metadata.get(b"scorer:json") == b"true"


def is_text(kind: pa.DataType) -> bool:
    """True for strings of any layout."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_bytes(kind: pa.DataType) -> bool:
    """True for binary values of any layout."""
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(check(kind) for check in checks)


def leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The types in ``kind`` that have no others inside, in order: one for each column that Parquet stores."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from leaves(kind.storage_type)
    elif pa.types.is_nested(kind):
        for place in range(kind.num_fields):
            yield from leaves(kind.field(place).type)
    else:
        yield kind


def with_leaves(kind: pa.DataType, changed: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    """``kind`` with ``changed`` applied to every type in it that has no others inside; views of lists become lists."""
    if pa.types.is_struct(kind):
        return pa.struct([item.with_type(with_leaves(item.type, changed)) for item in kind])
    if pa.types.is_map(kind):
        return pa.map_(with_leaves(kind.key_type, changed), with_leaves(kind.item_type, changed))
    if not pa.types.is_nested(kind):
        return changed(kind)
    item = kind.value_field.with_type(with_leaves(kind.value_type, changed))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(item, kind.list_size)
    return pa.large_list(item) if pa.types.is_large_list(kind) or pa.types.is_large_list_view(kind) else pa.list_(item)


def in_one_piece(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Join the pieces of a column; one piece is not copied.

    The values of a dictionary come in order of appearance, and none is repeated in memory.
    """
    kind = column.type
    if not pa.types.is_dictionary(kind):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    # The index type may be too small for the values of all pieces together, which no row need use.
    whole = column.cast(pa.dictionary(pa.int64(), kind.value_type)).combine_chunks()
    different = whole.dictionary.dictionary_encode()
    order = different.indices.take(whole.indices).dictionary_encode()
    values = different.dictionary.take(order.dictionary)
    return pa.DictionaryArray.from_arrays(order.indices.cast(kind.index_type), values, ordered=kind.ordered)

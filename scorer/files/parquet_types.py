"""Types of Parquet that Arrow has no name for: they are marked in the schema, to be written as such or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.files.arrow import leaves, with_leaves

_KEY = b"scorer:parquet"
_UTC_TIME = "TIME in UTC"
_LOST = ("INTERVAL", "BSON", "GEOMETRY", "GEOGRAPHY", "VARIANT")


def mark(schema: pa.Schema, stored: pq.ParquetSchema) -> pa.Schema:
    """``schema`` with a mark at each field whose type of Parquet it does not tell, and ENUM as the strings it is."""
    variants = set(re.findall(r"group field_id=\S+ (.+) \(Variant\(", str(stored)))
    columns = (stored.column(place) for place in range(len(stored)))
    fields = []
    for field in schema:
        names = [_name_of(leaf, variants) for leaf in islice(columns, sum(1 for _ in leaves(field.type)))]
        if "ENUM" in names:
            field = field.with_type(_with_strings(field.type, iter(names)))
        if lost := sorted(set(names) & {_UTC_TIME, *_LOST}):
            mixed = lost == [_UTC_TIME] and "TIME" in names
            kind = "TIME, some of it in UTC" if mixed else lost[0]
            field = field.with_metadata({**(field.metadata or {}), _KEY: kind})
        fields.append(field)
    return pa.schema(fields, schema.metadata)


def lost_type(schema: pa.Schema) -> tuple[str, str] | None:
    """Name of the first column whose values another file cannot hold as what they are, and its type of Parquet."""
    for field in schema:
        kind = (field.metadata or {}).get(_KEY, _UTC_TIME.encode()).decode()
        if kind != _UTC_TIME:
            return field.name, kind
    return None


def times_in_utc(schema: pa.Schema) -> list[bool]:
    """For each column that holds times of day, whether Parquet says that they are in UTC."""
    times = [field for field in schema if any(map(pa.types.is_time, leaves(field.type)))]
    return [(field.metadata or {}).get(_KEY) == _UTC_TIME.encode() for field in times]


def without_marks(schema: pa.Schema) -> pa.Schema:
    """``schema`` as the file had it."""

    def unmarked(field: pa.Field) -> pa.Field:
        metadata = field.metadata or {}
        return field.with_metadata({k: metadata[k] for k in metadata if k != _KEY}) if _KEY in metadata else field

    return pa.schema([unmarked(field) for field in schema], schema.metadata)


def _name_of(leaf: pq.ColumnSchema, variants: set[str]) -> str:
    """Name of the type of a stored column, as the specification has it."""
    if variants.intersection(leaf.path.split(".")):
        return "VARIANT"
    name: str = leaf.logical_type.type
    if name == "TIME" and "isAdjustedToUTC=true" in str(leaf.logical_type):
        return _UTC_TIME
    return leaf.converted_type if name in ("NONE", "UNKNOWN") else name


def _with_strings(kind: pa.DataType, names: Iterator[str]) -> pa.DataType:
    def changed(leaf: pa.DataType) -> pa.DataType:
        found = list(islice(names, sum(1 for _ in leaves(leaf))))
        return pa.string() if found == ["ENUM"] else leaf

    return with_leaves(kind, changed)

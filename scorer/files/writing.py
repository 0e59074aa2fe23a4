"""The interface of every writer of an output, and the schemas that a format can hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from scorer.errors import UsageError
from scorer.files.formats import OutputFormat
from scorer.files.parquet_types import lost_type, times_in_utc
from scorer.safe_text import quoted


class TableWriter(ABC):
    """Writes tables of one schema, one after another, to an open file, which stays open."""

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""

    @abstractmethod
    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:
        """Write the rows that are still held and the end of the file, with ``metadata`` if the format has a place."""

    def abandon(self) -> None:  # noqa: B027 - most writers have nothing to do
        """Let go of the file without finishing it."""


def check_schema(format: OutputFormat, schema: pa.Schema) -> None:
    """Check that a format can hold the columns of a schema.

    Raises:
        UsageError: it cannot.
    """
    if (lost := lost_type(schema)) is not None:
        name, kind = lost
        raise UsageError(
            f"column {quoted(name)} is of Parquet's type {kind}, which would not come out as such",
            hint="leave it out with --columns",
        )
    if format.kind == "parquet":
        if len(set(times_in_utc(schema))) > 1:
            hint = "leave those of one kind out with --columns"
            raise UsageError("some times of day are in UTC and some are not, which one output cannot hold", hint=hint)
        return
    if format.kind == "jsonl" and (twice := _first_repeated(schema.names)) is not None:
        raise UsageError(f"two columns are named {quoted(twice)}, which JSON cannot hold", hint="rename one")
    for field in schema:
        if (twice := _first_repeated_inside(field.type)) is not None:
            raise UsageError(
                f"column {quoted(field.name)} holds two fields named {quoted(twice)}, which JSON cannot hold",
                hint="leave it out with --columns, or write Parquet",
            )


def _first_repeated(names: list[str]) -> str | None:
    return min((name for name, count in Counter(names).items() if count > 1), default=None)


def _first_repeated_inside(kind: pa.DataType) -> str | None:
    """A name that two fields of one struct share."""
    if isinstance(kind, pa.BaseExtensionType):
        return _first_repeated_inside(kind.storage_type)
    if not pa.types.is_nested(kind):
        return None
    fields = [kind.field(place) for place in range(kind.num_fields)]
    repeated = _first_repeated([field.name for field in fields]) if pa.types.is_struct(kind) else None
    inside = (_first_repeated_inside(field.type) for field in fields)
    return repeated if repeated is not None else next((name for name in inside if name is not None), None)

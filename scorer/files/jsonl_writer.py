"""JSON Lines in UTF-8."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import pyarrow as pa

from scorer.files.arrow import JSON_IN_ERRORS
from scorer.files.cells import as_json, json_default
from scorer.files.sinks import BlockSink
from scorer.files.writing import TableWriter
from scorer.memory import require_to_write_json


class JsonlTableWriter(TableWriter):
    """One JSON object per row in UTF-8, keys in the order of the columns.

    Decimals, dates and times are strings, bytes are base64, numbers that JSON lacks are null.
    """

    def __init__(self, sink: BlockSink, schema: pa.Schema) -> None:
        self._sink = sink
        self._schema = schema

    def write(self, table: pa.Table) -> None:
        """Append the rows of ``table``."""
        require_to_write_json(table.nbytes, lower="--chunk-rows")
        columns = []
        for column, field in zip(table.columns, self._schema, strict=True):
            values = as_json(column, field)
            for row in _rows_of_json(field, table):
                values[row] = orjson.Fragment(values[row])
            columns.append(values)
        names = self._schema.names
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
        lines = [
            orjson.dumps(dict(zip(names, row, strict=True)), json_default, options)
            for row in zip(*columns, strict=True)
        ]
        self._sink.write(b"".join(lines))

    def finish(self, metadata: Mapping[bytes, str] | None = None) -> None:  # noqa: ARG002
        """Hand everything to the file; JSONL has no place for metadata."""
        self._sink.end()


def _rows_of_json(field: pa.Field, table: pa.Table) -> list[int]:
    """Rows in which a field with :data:`~scorer.files.arrow.JSON_IN_ERRORS` holds JSON."""
    if (field.metadata or {}).items() < JSON_IN_ERRORS.items():
        return []
    return [row for row, status in enumerate(table.columns[-1].to_pylist()) if status == "error"]

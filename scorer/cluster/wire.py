"""Chunks, parts and errors as rows of an Arrow table, to travel between the processes of an engine.

Each row is one chunk; its rows of reviews are one cell in Arrow's own format, so that whatever moves the
table neither looks into them nor cuts them up.
"""

from __future__ import annotations

import builtins
from contextlib import suppress
from typing import Any

import orjson
import pyarrow as pa

from scorer import errors
from scorer.errors import ScorerError
from scorer.files.bad_rows import Reject
from scorer.files.source import Chunk
from scorer.job.engine import ChunkFailure
from scorer.job.parts import PackedPart
from scorer.job.summary import ChunkCounts

ROW = pa.schema([pa.field("number", pa.int64()), pa.field("about", pa.binary()), pa.field("data", pa.large_binary())])
"""Number of a chunk; its counts or its error, as JSON; its content."""


def chunk_row(chunk: Chunk) -> pa.Table:
    """An unscored chunk as a table of one row."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, chunk.rows.schema) as writer:
        writer.write_table(chunk.rows)
    about = {"rejects": [reject.to_json() for reject in chunk.rejects], "kept": chunk.kept}
    return _row(chunk.number, about, sink.getvalue())


def part_row(part: PackedPart) -> pa.Table:
    """A scored chunk as a table of one row."""
    return _row(part.number, part.counts, part.data)


def failure_row(number: int, error: Exception) -> pa.Table:
    """The error of a chunk as a table of one row."""
    about: dict[str, Any] = {"kind": type(error).__name__, "text": str(error)}
    if isinstance(error, ScorerError):
        about["parts"] = error.parts()
    return _row(number, {"failure": about}, None)


def chunk_of(row: pa.Table) -> Chunk | ChunkFailure:
    """The chunk of :func:`chunk_row`, its columns views into the row, or a failure in its place."""
    number, about, data = _cells(row)
    if "failure" in about:
        return ChunkFailure(number, _error(about["failure"]))
    with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
        rows = reader.read_all()
    rejects = tuple(Reject(**value) for value in about["rejects"])
    return Chunk(number, rows, rejects, tuple(about["kept"]))


def part_of(row: pa.Table) -> PackedPart | ChunkFailure:
    """The part of :func:`part_row`, its data a view into the row, or a failure in its place."""
    number, about, data = _cells(row)
    if "failure" in about:
        return ChunkFailure(number, _error(about["failure"]))
    return PackedPart(number, ChunkCounts(**about), data)


def _row(number: int, about: ChunkCounts | dict[str, Any], data: pa.Buffer | None) -> pa.Table:
    # Built from the buffer itself: pa.array would copy it.
    size = 0 if data is None else len(data)
    offsets = pa.py_buffer(b"\0" * 8 + size.to_bytes(8, "little"))
    cell = pa.LargeBinaryArray.from_buffers(pa.large_binary(), 1, [None, offsets, data or pa.py_buffer(b"")])
    return pa.table([pa.array([number]), pa.array([orjson.dumps(about)], pa.binary()), cell], schema=ROW)


def _cells(row: pa.Table) -> tuple[int, dict[str, Any], pa.Buffer]:
    if row.num_rows != 1:
        raise ValueError(f"{row.num_rows} rows where one was sent")
    number, about, data = (row.column(name)[0] for name in ROW.names)
    return number.as_py(), orjson.loads(about.as_py()), data.as_buffer()


def _error(about: dict[str, Any]) -> Exception:
    """The same error again: one of ours with its parts, one of Python by its name, any other as a RuntimeError."""
    kind = getattr(errors, about["kind"], None)
    if isinstance(kind, type) and issubclass(kind, ScorerError):
        return kind(**about["parts"])
    kind = getattr(builtins, about["kind"], None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(TypeError):  # one that takes more than a text, as UnicodeDecodeError does
            return kind(about["text"])
    return RuntimeError(f"{about['kind']}: {about['text']}")

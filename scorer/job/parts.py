"""The result of one chunk as one durable file: Arrow's file format, packed with zstd."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from scorer.disk.checksums import sha256_of
from scorer.disk.durable import write_durably, write_whole
from scorer.files.bad_rows import Reject
from scorer.job.summary import ChunkCounts

_REJECTS = b"scorer:rejects"

_SMALL = 64 * 1024
"""Bytes of a part that may lie in the journal."""


@dataclass(frozen=True)
class ChunkResult:
    """One scored chunk.

    Attributes:
        number: number of the chunk, from 0.
        counts: its rows and tokens.
        table: its rows of the output.
        rejects: its bad rows.
        left_out: number of the first columns that its part leaves out, because they can be read again from the input.
    """

    number: int
    counts: ChunkCounts
    table: pa.Table
    rejects: tuple[Reject, ...] = ()
    left_out: int = 0

    def packed(self) -> PackedPart:
        """The chunk as the bytes of its part; equal results give equal bytes on every machine."""
        sink = pa.BufferOutputStream()
        table = self.table.select(range(self.left_out, self.table.num_columns))
        if self.left_out:
            table = _with_dictionaries(table)
        metadata = {**(table.schema.metadata or {})}
        if self.rejects:
            metadata[_REJECTS] = orjson.dumps([reject.to_json() for reject in self.rejects])
        table = table.replace_schema_metadata(metadata or None)
        packing = pa.Codec("zstd", compression_level=1)
        options = pa.ipc.IpcWriteOptions(compression=packing, use_threads=False, unify_dictionaries=True)
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        return PackedPart(self.number, self.counts, sink.getvalue())


def _with_dictionaries(table: pa.Table) -> pa.Table:
    """``table`` with its strings as dictionaries: those of predictions are few."""
    return pa.table(
        [column.dictionary_encode() if pa.types.is_string(column.type) else column for column in table.columns],
        names=table.column_names,
        metadata=table.schema.metadata,
    )


@dataclass(frozen=True)
class PackedPart:
    """One scored chunk as the bytes of its part, to travel between machines and to lie on the disk.

    Attributes:
        number: number of the chunk.
        counts: its rows and tokens.
        data: content of the part's file.
    """

    number: int
    counts: ChunkCounts
    data: pa.Buffer


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part as a line of the journal, which orjson writes as an object with these names.

    Attributes:
        number: number of the chunk.
        counts: its rows and tokens.
        size: bytes of the part.
        sha256: its SHA-256, in hexadecimal.
        base64: the part itself, if it lies in the journal and has no file.
    """

    number: int
    counts: ChunkCounts
    size: int
    sha256: str
    base64: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartRecord:
        """Read a line of the journal."""
        return cls(value["number"], ChunkCounts(**value["counts"]), value["size"], value["sha256"], value["base64"])


def part_file(folder: Path, number: int) -> Path:
    """Path of the part of chunk ``number``."""
    return folder / f"chunk-{number:09d}.arrow"


def write_part(folder: Path, part: PackedPart, *, durably: bool) -> PartRecord:
    """Write ``part`` to ``folder``, whole or not at all; ``durably``: write, fsync, rename, fsync the folder.

    A small one that need not be durable goes into the record: files are what a tiny job costs the disk.

    Raises:
        OSError: it could not be written.
    """
    about = (part.number, part.counts, len(part.data), hashlib.sha256(part.data).hexdigest())
    if not durably and len(part.data) <= _SMALL:
        return PartRecord(*about, base64.b64encode(part.data).decode())
    write = write_durably if durably else write_whole
    write(part_file(folder, part.number), part.data)
    return PartRecord(*about)


def read_part(folder: Path, record: PartRecord) -> tuple[pa.Table, tuple[Reject, ...]] | None:
    """Columns and rejects of a part; ``None`` if it is not the one that the journal describes."""
    try:
        data = base64.b64decode(record.base64) or part_file(folder, record.number).read_bytes()
    except (OSError, ValueError):
        return None
    if len(data) != record.size or hashlib.sha256(data).hexdigest() != record.sha256:
        return None
    with pa.ipc.open_file(pa.BufferReader(data), options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:
        table = reader.read_all()
    metadata = dict(table.schema.metadata or {})
    rejects = tuple(Reject(**value) for value in orjson.loads(metadata.pop(_REJECTS, b"[]")))
    return table.replace_schema_metadata(metadata or None), rejects


def is_whole(folder: Path, record: PartRecord) -> bool:
    """True if the file of a part has the size and the checksum that the journal states, or needs none."""
    if record.base64:
        return True
    try:
        path = part_file(folder, record.number)
        return path.stat().st_size == record.size and sha256_of(path) == record.sha256
    except OSError:
        return False

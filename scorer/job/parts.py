"""The result of one chunk as one durable file: Arrow's file format, packed with LZ4."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from scorer.disk.checksums import sha256_of
from scorer.disk.durable import write_durably
from scorer.files.bad_rows import Reject

_REJECTS = b"scorer:rejects"


@dataclass(frozen=True)
class ChunkResult:
    """One chunk, scored.

    Attributes:
        number: of the chunk, from 0.
        n_input_rows: rows of the input that it stands for, the bad ones included.
        table: the rows of the output.
        rejects: the rows that were set aside.
        tokens: that the model read.
        by_status: rows by ``pred_status``.
    """

    number: int
    n_input_rows: int
    table: pa.Table
    rejects: tuple[Reject, ...] = ()
    tokens: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """Rows of the output."""
        return int(self.table.num_rows)

    @property
    def n_rejects(self) -> int:
        """Rows that were set aside."""
        return len(self.rejects)

    def packed(self) -> PackedPart:
        """The same as the bytes of its part; equal results give equal bytes, on whatever machine."""
        sink = pa.BufferOutputStream()
        metadata = {**(self.table.schema.metadata or {})}
        if self.rejects:
            metadata[_REJECTS] = orjson.dumps([reject.to_json() for reject in self.rejects])
        table = self.table.replace_schema_metadata(metadata or None)
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False, unify_dictionaries=True)
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        return PackedPart(
            self.number,
            self.n_input_rows,
            self.n_rows,
            self.n_rejects,
            self.tokens,
            dict(self.by_status),
            sink.getvalue(),
        )


@dataclass(frozen=True)
class PackedPart:
    """One chunk, scored, as the bytes of its part: what travels between machines and lies on the disk.

    Attributes:
        n_rows: rows of the output.
        n_rejects: rows that were set aside.
        data: content of the part's file.
    """

    number: int
    n_input_rows: int
    n_rows: int
    n_rejects: int
    tokens: int
    by_status: Mapping[str, int]
    data: pa.Buffer


@dataclass(frozen=True, slots=True)
class PartRecord:
    """What the journal knows of a part: enough to count it, and to tell whether it is whole.

    Attributes:
        size: bytes of the file.
        sha256: of the file, in hexadecimal.
    """

    number: int
    n_input_rows: int
    n_rows: int
    n_rejects: int
    tokens: int
    by_status: Mapping[str, int]
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """One line of the journal."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PartRecord:
        """The record of such a line.

        Raises:
            TypeError: it is no such line.
        """
        return cls(**value)


def part_file(folder: Path, number: int) -> Path:
    """Where the part of chunk ``number`` lies."""
    return folder / f"chunk-{number:09d}.arrow"


def write_part(folder: Path, part: PackedPart) -> PartRecord:
    """Make ``part`` durable in ``folder``: written, fsynced, renamed, the folder fsynced.

    Raises:
        OSError: it could not be written.
    """
    write_durably(part_file(folder, part.number), part.data)
    return PartRecord(
        part.number,
        part.n_input_rows,
        part.n_rows,
        part.n_rejects,
        part.tokens,
        part.by_status,
        len(part.data),
        hashlib.sha256(part.data).hexdigest(),
    )


def read_part(folder: Path, record: PartRecord) -> tuple[pa.Table, tuple[Reject, ...]] | None:
    """The rows and the rejects of a part, or ``None`` where it is not what the journal says."""
    try:
        data = part_file(folder, record.number).read_bytes()
    except OSError:
        return None
    if len(data) != record.size or hashlib.sha256(data).hexdigest() != record.sha256:
        return None
    with pa.ipc.open_file(pa.BufferReader(data), options=pa.ipc.IpcReadOptions(use_threads=False)) as reader:
        table = reader.read_all()
    metadata = dict(table.schema.metadata or {})
    rejects = tuple(Reject(**value) for value in orjson.loads(metadata.pop(_REJECTS, b"[]")))
    return table.replace_schema_metadata(metadata or None), rejects


def is_whole(folder: Path, record: PartRecord) -> bool:
    """Whether the part that the journal names lies there with the content that it states."""
    try:
        path = part_file(folder, record.number)
        return path.stat().st_size == record.size and sha256_of(path) == record.sha256
    except OSError:
        return False

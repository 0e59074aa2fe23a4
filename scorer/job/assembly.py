"""All rows of an output in one proved file, ready to be published."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BufferedRandom
from typing import Any

import orjson
import pyarrow as pa

from scorer import interrupts
from scorer.disk.durable import create, sync, write_errors
from scorer.disk.publishing import Move
from scorer.errors import OutputError
from scorer.files.bad_rows import Reject
from scorer.files.beside_outputs import PROVENANCE_KEY
from scorer.files.counting import count_rows
from scorer.files.opening import open_writer
from scorer.job.destination import Destination
from scorer.job.provenance import seal_parquet, sealed_text, unsealed_text
from scorer.safe_text import counted


@dataclass(frozen=True)
class Assembled:
    """An output under its temporary name.

    Attributes:
        sha256: SHA-256 of the output, in hexadecimal.
        moves: the files to publish, the output last.
    """

    sha256: str
    moves: tuple[Move, ...]


def assemble(
    parts: Iterable[tuple[pa.Table, tuple[Reject, ...]]],
    destination: Destination,
    schema: pa.Schema,
    provenance: Mapping[str, Any],
) -> Assembled:
    """Write ``parts``, in order, make them durable, read them back and count their rows.

    ``provenance["rows"]`` states the rows that must be there. The rejects file and the sidecar are written too.

    Raises:
        OutputError: a file could not be written, or the number of rows read back is wrong.
        UsageError: the format cannot hold such a schema.
    """
    target = destination.path
    temporary = destination.temporary(target)
    rejects = _RejectsFile(destination)
    with write_errors(target), create(temporary, like=(target,)) as file, closing(rejects):
        with open_writer(file, destination.format, schema, long_texts=provenance["options"]["text_column"]) as writer:
            for table, bad in parts:
                interrupts.check()
                writer.write(table)
                rejects.write(bad)
            value = {**provenance, "rejects": rejects.description()}
            writer.finish({PROVENANCE_KEY: unsealed_text(value).decode()})  # in Parquet alone
        file.flush()
        if destination.has_sidecar:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            value["output"] = {"bytes": file.tell(), "sha256": sha256}
        else:
            sha256 = seal_parquet(file)
        sync(file)
        moves = rejects.moves()
    rows = provenance["rows"]["out"]
    found = count_rows(temporary, destination.format, shown=target)
    if found != rows:
        raise OutputError(f"wrote {counted(rows, 'row')}, but {found:,} were read back", path=target)
    if destination.has_sidecar:
        sidecar = destination.provenance
        with write_errors(target), create(destination.temporary(sidecar), like=(sidecar, target)) as file:
            file.write(sealed_text(value) + b"\n")
            sync(file)
        moves.append(Move(destination.temporary(sidecar), sidecar))
    return Assembled(sha256, (*moves, Move(temporary, target)))


class _RejectsFile:
    """``OUTPUT.rejects.jsonl``, which exists only if a row was set aside."""

    def __init__(self, destination: Destination) -> None:
        self._target = destination.rejects
        self._output = destination.path
        self._temporary = destination.temporary(destination.rejects)
        self._file: BufferedRandom | None = None
        self._digest = hashlib.sha256()
        self._rows = 0

    def write(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            if self._file is None:
                self._file = create(self._temporary, like=(self._target, self._output))
            line = orjson.dumps(reject.to_json()) + b"\n"
            self._file.write(line)
            self._digest.update(line)
            self._rows += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def description(self) -> dict[str, Any] | None:
        return {"rows": self._rows, "sha256": self._digest.hexdigest()} if self._rows else None

    def moves(self) -> list[Move]:
        """The move of the file, made durable, or the removal of that of an earlier run."""
        if self._file is not None:
            sync(self._file)
            return [Move(self._temporary, self._target)]
        return [Move(None, self._target)] if self._target.exists() else []

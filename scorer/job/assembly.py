"""All rows of an output into one proved file, ready to take its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from scorer import interrupts
from scorer.disk.durable import create, sync, write_errors
from scorer.disk.publishing import Move
from scorer.errors import OutputError
from scorer.files.bad_rows import Reject
from scorer.files.counting import count_rows
from scorer.files.opening import open_writer
from scorer.job.destination import Destination
from scorer.job.provenance import KEY, seal_parquet, sealed_text, unsealed_text


@dataclass(frozen=True)
class Assembled:
    """An output under its temporary name.

    Attributes:
        sha256: of the output, in hexadecimal.
        moves: the files that take their places, the output last.
    """

    sha256: str
    moves: tuple[Move, ...]


def assemble(
    parts: Iterable[tuple[pa.Table, tuple[Reject, ...]]],
    destination: Destination,
    schema: pa.Schema,
    provenance: Mapping[str, Any],
) -> Assembled:
    """Write ``parts``, in order, and prove what was written: durable, opened again, and its rows counted.

    ``provenance["rows"]`` states the rows that must be there; the files beside the output are made
    with it.

    Raises:
        OutputError: something could not be written, or the rows that are read back are too few or too many.
        UsageError: the format cannot hold such a schema.
    """
    target = destination.path
    temporary = destination.temporary(target)
    rejects = _RejectsFile(destination)
    with write_errors(target), create(temporary) as file, ExitStack() as files:
        files.callback(rejects.close)
        with open_writer(file, destination.format, schema, long_texts=provenance["options"]["text_column"]) as writer:
            for table, bad in parts:
                interrupts.check()
                writer.write(table)
                rejects.write(bad)
            rejects.finish()
            value = {**provenance, "rejects": rejects.description()}
            if destination.has_sidecar:
                writer.finish()
            else:
                writer.finish({KEY: unsealed_text(value).decode()})
        file.flush()
        if destination.has_sidecar:
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            value["output"] = {"bytes": file.tell(), "sha256": sha256}
        else:
            sha256 = seal_parquet(file)
        sync(file)
    _prove(temporary, destination, rows=provenance["rows"]["out"])
    with write_errors(target):
        moves = [*rejects.moves(), *_sidecar(destination, value), Move(temporary, target)]
    return Assembled(sha256, tuple(moves))


class _RejectsFile:
    """``OUTPUT.rejects.jsonl``, which is there only when a row was set aside."""

    def __init__(self, destination: Destination) -> None:
        self._target = destination.rejects
        self._temporary = destination.temporary(destination.rejects)
        self._file: Any = None
        self._digest = hashlib.sha256()
        self._rows = 0

    def write(self, rejects: Iterable[Reject]) -> None:
        for reject in rejects:
            if self._file is None:
                self._file = create(self._temporary)
            line = orjson.dumps(reject.to_json()) + b"\n"
            self._file.write(line)
            self._digest.update(line)
            self._rows += 1

    def finish(self) -> None:
        if self._file is not None:
            sync(self._file)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def description(self) -> dict[str, Any] | None:
        return {"rows": self._rows, "sha256": self._digest.hexdigest()} if self._rows else None

    def moves(self) -> list[Move]:
        if self._rows:
            return [Move(self._temporary, self._target)]
        return [Move(None, self._target)] if self._target.exists() else []


def _sidecar(destination: Destination, value: Mapping[str, Any]) -> list[Move]:
    target = destination.provenance
    if not destination.has_sidecar:
        return []
    temporary = destination.temporary(target)
    with create(temporary) as file:
        file.write(sealed_text(value) + b"\n")
        sync(file)
    return [Move(temporary, target)]


def _prove(temporary: Path, destination: Destination, rows: int) -> None:
    counted = count_rows(temporary, destination.format, shown=destination.path)
    if counted != rows:
        raise OutputError(f"{rows:,} rows were written and {counted:,} are read back", path=destination.path)

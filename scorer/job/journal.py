"""The journal of unfinished work: a file that only grows, with one line per durable part."""

from __future__ import annotations

import logging
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from scorer.disk.durable import sync_file, sync_folder, write_errors
from scorer.errors import OutputError, UsageError
from scorer.files.bad_rows import Reject
from scorer.job.parts import ChunkResult, PackedPart, PartRecord, is_whole, part_file, read_part, write_part

log = logging.getLogger(__name__)

JOURNAL = "journal.jsonl"

_FORMAT = 5

_LINE = re.compile(rb'\{"crc32":"([0-9a-f]{8})","line":(.*)\}\n')


class UnfinishedWork:
    """The folder ``OUTPUT.partial/``: parts, and the journal that names those that are done.

    A part is durable before its line is appended, and the line is durable before :meth:`add` returns. The first part
    alone waits for the second, and lies in its line if it is small: a job of one chunk leaves nothing that is worth a
    wait for the disk, and a failure of the machine, not of the process, can take its work. Reading ends at the first
    line that is torn, as a crash leaves it, or that has changed on the disk. Chunks may be added in any order,
    by any engine.

    Attributes:
        folder: path of the folder.
        records: chunks that are done, by number.
        published: SHA-256 of the output that was about to be published, or ``None``.
    """

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self._output = output
        self.records: dict[int, PartRecord] = {}
        self.published: str | None = None
        self._file: BinaryIO | None = None

    @classmethod
    def open(cls, folder: Path, output: Path, fingerprint: str, *, resume: bool = True) -> UnfinishedWork:
        """Open the work of ``fingerprint``; drop work of another one, and say so in the log.

        Raises:
            UsageError: a folder of that name exists that no run has made.
            OutputError: it cannot be written to.
        """
        work = cls(folder, output)
        if folder.is_symlink() or (folder.exists() and not _is_ours(folder)):
            raise UsageError(
                "is in the way: unfinished work is kept under this name", path=folder, hint="move or rename it"
            )
        with write_errors(output):
            length = work._read(fingerprint) if resume else 0
            if not length:
                if (folder / JOURNAL).exists():
                    why = "of another input, model, option or version" if resume else "left by an earlier run"
                    log.warning("%s: dropping unfinished work %s", output, why)
                work.remove()
                folder.mkdir(mode=0o700)  # its parts hold reviews, which a private output may keep private
                head = _line({"format": _FORMAT, "fingerprint": fingerprint})
                (folder / JOURNAL).write_bytes(head)  # durable with the second part
                length = len(head)
            work._file = (folder / JOURNAL).open("r+b", buffering=0)
            work._file.truncate(length)
            work._file.seek(length)
        return work

    @staticmethod
    def discard(folder: Path) -> None:
        """Remove unfinished work of an output that is up to date.

        Raises:
            OSError: it cannot be removed.
        """
        if (folder / JOURNAL).is_file() and _is_ours(folder):
            UnfinishedWork(folder, folder).remove()

    @staticmethod
    def published_sha256(folder: Path) -> str | None:
        """SHA-256 of the output that a run was about to publish when it ended, or ``None``."""
        work = UnfinishedWork(folder, folder)
        with suppress(OSError):
            work._read(None)
        return work.published

    def check_parts(self) -> None:
        """Forget parts whose files differ from the journal: their chunks are scored again."""
        for record in list(self.records.values()):
            if not is_whole(self.folder, record):
                log.warning("%s: chunk %d has changed on the disk, scoring it again", self.folder, record.number)
                del self.records[record.number]

    @property
    def first_remaining(self) -> int:
        """Number of the first chunk that is not done."""
        number = 0
        while number in self.records:
            number += 1
        return number

    def add(self, result: ChunkResult | PackedPart) -> None:
        """Make a chunk durable, then name it in the journal.

        Raises:
            OutputError: it could not be written.
        """
        part = result.packed() if isinstance(result, ChunkResult) else result
        is_first = not self.records
        with write_errors(self._output):
            if len(self.records) == 1:
                [first] = self.records.values()
                if not first.base64:
                    sync_file(part_file(self.folder, first.number))
                sync_folder(self.folder.absolute().parent)
            record = write_part(self.folder, part, durably=not is_first)
            self._append(record, durably=not is_first)
        self.records[record.number] = record

    def about_to_publish(self, sha256: str) -> None:
        """Note the output that is published next, so that a run after a crash recognizes it as its own.

        Raises:
            OutputError: it could not be written.
        """
        with write_errors(self._output):
            self._append({"published": sha256}, durably=len(self.records) > 1)

    def parts(self) -> Iterator[tuple[pa.Table, tuple[Reject, ...]]]:
        """Columns and rejects of all parts, in the order of the input.

        Raises:
            OutputError: a part has changed on the disk since it was written.
        """
        for number in sorted(self.records):
            part = read_part(self.folder, self.records[number])
            if part is None:
                raise OutputError(
                    "unfinished work has changed on the disk",
                    path=part_file(self.folder, number),
                    hint="run again: damaged chunks are scored again",
                )
            yield part

    def close(self) -> None:
        """Leave everything as it is, for a run that resumes."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Remove all of it; the journal goes last, so that no parts are ever left without one.

        Raises:
            OSError: it cannot be removed.
        """
        self.close()
        if self.folder.is_dir() and not self.folder.is_symlink():
            for path in self.folder.iterdir():
                if path.name != JOURNAL:
                    path.unlink()
            shutil.rmtree(self.folder)

    def _append(self, value: PartRecord | dict[str, Any], *, durably: bool) -> None:
        if self._file is None:
            raise ValueError("the journal is closed")
        line = _line(value)
        written = 0
        while written < len(line):  # an unbuffered file may take less than it is given
            written += self._file.write(line[written:])
        if durably:
            os.fsync(self._file.fileno())

    def _read(self, fingerprint: str | None) -> int:
        """Read the journal; give the length of its whole lines, 0 if it is of another format or fingerprint."""
        path = self.folder / JOURNAL
        if not path.exists():
            return 0
        length = 0
        for line in path.read_bytes().splitlines(keepends=True):
            value = _value(line)
            if value is None:
                break
            if length == 0 and (value.get("format") != _FORMAT or fingerprint not in (None, value.get("fingerprint"))):
                return 0
            if "number" in value:
                self.records[value["number"]] = PartRecord.from_json(value)
            self.published = value.get("published", self.published)
            length += len(line)
        return length


def _line(value: PartRecord | dict[str, Any]) -> bytes:
    text = orjson.dumps(value)
    return b'{"crc32":"%08x","line":%s}\n' % (zlib.crc32(text), text)


def _value(line: bytes) -> dict[str, Any] | None:
    """Value of a line; ``None`` if it is torn or has changed on the disk."""
    found = _LINE.fullmatch(line)
    if found is None or zlib.crc32(found[2]) != int(found[1], 16):
        return None
    value: dict[str, Any] = orjson.loads(found[2])
    return value


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and all(
        path.name == JOURNAL or path.name.startswith(("chunk-", ".chunk-", f".{JOURNAL}")) for path in folder.iterdir()
    )

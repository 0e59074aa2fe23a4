"""The index of a folder of outputs: which of them are up to date, known by the states of files alone.

It is a cache. Whoever removes it, or damages it, has every input hashed once more.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorer.disk.durable import create
from scorer.files.file_marks import Mark, is_settled, mark_of
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile
from scorer.job.options import ScoreOptions
from scorer.job.request import Request
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.safe_text import in_utf8

INDEX = ".score.index"

_FORMAT = 1

_BESIDE = ("", REJECTS_SUFFIX, PROVENANCE_SUFFIX)

_SAVE_EVERY = 30.0
"""Seconds after which notes are written, for a run that is killed."""


@dataclass
class SeenFiles:
    """Notes of the outputs in a folder, under its lock: made from an input in this state, by this request.

    A request stands for the model, the options and the versions. A state is that of git's index: size, times and inode.
    An input that was written within a tick of the clock before it was hashed is not noted, and hashed by the next run.

    Attributes:
        folder: the folder of the outputs.
        request: what this run asks for; ``None`` if that cannot be known without loading the model.
        is_trusted: False to have every input looked at.
    """

    folder: Path
    request: Request | None
    is_trusted: bool
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ran: dict[str, list[str]] = field(default_factory=dict)
    _saved: float = field(default_factory=time.monotonic)
    _is_changed: bool = False

    @classmethod
    def open(cls, folder: Path, options: ScoreOptions, *, is_trusted: bool) -> SeenFiles:
        """The notes of earlier runs in ``folder``.

        Raises:
            ModelError: there is no such model.
        """
        value = read_index(folder)
        request = Request.of(options, value.get("bundle", {}) if is_trusted else {})
        return cls(folder, request, is_trusted, value.get("files", {}), value.get("ran", {}))

    def up_to_date(self, target: str, file: InputFile) -> ScoreSummary | None:
        """The summary of an output that is known to be up to date; ``None`` if its input has to be looked at."""
        note = self._files.get(self._name(target))
        if not self.is_trusted or self.request is None or note is None or note["request"] != self.request.key:
            return None
        path, state = note["input"]
        if path != _path(file) or state != mark_of(file.path):
            return None
        if any(mark != mark_of(target + suffix) for suffix, mark in note["output"].items()):
            return None
        device, precision, provider = self._ran[self.request.key]
        return ScoreSummary(target, JobCounts(), 0.0, device, precision, provider, input=file.path, skipped=True)

    def state(self, file: InputFile) -> Mark | None:
        """The state of an input before its job, to be given to :meth:`note`; ``None`` if it proves nothing."""
        now, mark = time.time_ns(), mark_of(file.path)
        return mark if mark is not None and is_settled(mark, now) else None

    def note(self, target: str, file: InputFile, state: Mark | None, summary: ScoreSummary) -> None:
        """Note that the output of ``summary`` is up to date with an input that was in ``state`` before the job."""
        if self.request is None or state is None:
            return
        output = {suffix: mark for suffix in _BESIDE if (mark := mark_of(target + suffix)) is not None}
        note = {"request": self.request.key, "input": [_path(file), state], "output": output}
        self._files[self._name(target)] = note
        self._ran[self.request.key] = [summary.device, summary.precision, summary.provider]
        self._is_changed = True
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the notes, whole or not at all; not durably, for what a crash leaves is seen at reading."""
        self._saved = time.monotonic()
        if self.request is None or not self._is_changed or not self.request.still_holds():
            return
        kept = {name: note for name, note in self._files.items() if (self.folder / name).exists()}
        used = {note["request"] for note in kept.values()}
        ran = {key: value for key, value in self._ran.items() if key in used}
        write_index(self.folder, {"files": kept, "ran": ran, "bundle": self.request.bundle})
        self._is_changed = False

    def _name(self, target: str) -> str:
        return in_utf8(os.path.relpath(target, self.folder))


def read_index(folder: Path) -> dict[str, Any]:
    """The index in ``folder``; empty if there is none, or none of this version that is whole."""
    import orjson

    try:
        head, _, body = (folder / INDEX).read_bytes().partition(b"\n")
        if head != _head(body):
            return {}
        value: dict[str, Any] = orjson.loads(body)
    except (OSError, ValueError):
        return {}
    return value


def write_index(folder: Path, value: Mapping[str, Any]) -> None:
    """Write the index into ``folder``; it is a cache, so a failure is none."""
    import orjson

    body = orjson.dumps(value)
    temporary = folder / f"{INDEX}.tmp"
    with suppress(OSError):
        try:
            with create(temporary) as file:
                file.write(_head(body) + b"\n" + body)
            temporary.replace(folder / INDEX)
        finally:
            temporary.unlink(missing_ok=True)


def _head(body: bytes) -> bytes:
    return b"review-scorer index %d %08x %d" % (_FORMAT, zlib.crc32(body), len(body))


def _path(file: InputFile) -> str:
    return in_utf8(os.path.abspath(file.path))  # noqa: PTH100 - links stay links

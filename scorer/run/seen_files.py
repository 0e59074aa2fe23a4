"""The index of a folder of outputs: which of them are up to date, known by the states of files alone.

It is a cache. Whoever removes it, or damages it, has every input hashed once more.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.file_marks import Mark, is_settled, mark_of
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.job.options import ScoreOptions
from scorer.job.request import Request
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.run.output_folder import OutputFolder
from scorer.safe_text import in_utf8

INDEX = ".score.index"

_FORMAT = 1

_BESIDE = ("", REJECTS_SUFFIX, PROVENANCE_SUFFIX)

_MOST_REUSED = 0.1
"""Rows reused for each one scored: with more, the time of a file says little about scoring."""

_TELLING_ROWS = 1000
"""Rows scored from which on a run tells its rate: of few, the loading of the model takes most of the time."""

_SAVE_EVERY = 30.0
"""Seconds after which notes are written, for a run that is killed."""


@dataclass
class SeenFiles:
    """Notes of the outputs in a folder, under its lock: made from an input in this state, by this request.

    A request stands for the model, the options and the versions. A state is that of git's index: size, times and inode,
    or the marks of a store. An input that was written within a tick of the clock before it was hashed is not noted, and
    hashed by the next run.

    Attributes:
        outputs: the folder of the outputs.
        request: what this run asks for; ``None`` if that cannot be known without loading the model.
        is_trusted: False to have every input looked at.
        rate: rows per second of the last run that scored enough to tell; ``None`` if none is known.
    """

    outputs: OutputFolder
    request: Request | None
    is_trusted: bool
    _files: dict[str, dict[str, Any]] = field(default_factory=dict)
    _ran: dict[str, list[str]] = field(default_factory=dict)
    rate: float | None = None
    _new: dict[str, str] = field(default_factory=dict)
    _rows: int = 0
    _seconds: float = 0.0
    _saved: float = field(default_factory=time.monotonic)

    @classmethod
    def open(cls, outputs: OutputFolder, options: ScoreOptions, *, is_trusted: bool) -> SeenFiles:
        """The notes of earlier runs in the folder ``outputs``.

        Raises:
            ModelError: there is no such model.
        """
        value = _parsed(outputs.read(INDEX))
        request = Request.of(options, value.get("bundle", {}) if is_trusted else {})
        return cls(outputs, request, is_trusted, value.get("files", {}), value.get("ran", {}), value.get("rate"))

    def up_to_date(self, target: str, file: InputFile) -> ScoreSummary | None:
        """The summary of an output that is known to be up to date; ``None`` if its input has to be looked at."""
        note = self._files.get(self.outputs.name(target))
        if not self.is_trusted or self.request is None or note is None or note["request"] != self.request.key:
            return None
        path, state = note["input"]
        if path != _path(file) or state != _mark(file) or not note["output"]:
            return None
        if note["output"] != self.outputs.marks(target, list(note["output"])):
            return None
        device, precision, provider = self._ran[self.request.key]
        shown = without_secrets(file.path)
        return ScoreSummary(target, JobCounts(), 0.0, device, precision, provider, input=shown, skipped=True)

    def state(self, file: InputFile) -> Mark | None:
        """The state of an input before its job, to be given to :meth:`note`; ``None`` if it proves nothing."""
        now, mark = time.time_ns(), _mark(file)
        return mark if mark is not None and (is_url(file.path) or is_settled(mark, now)) else None

    def note(self, target: str, file: InputFile, state: Mark | None, summary: ScoreSummary) -> None:
        """Note that the output of ``summary`` is up to date with an input that was in ``state`` before the job."""
        new = summary.counts.rows_in - summary.counts.rows_before - summary.counts.reused
        if not summary.skipped and summary.counts.reused <= _MOST_REUSED * new:
            self._rows += new
            self._seconds += summary.seconds
        if self.request is None or state is None:
            return
        name = self.outputs.name(target)
        self._files[name] = {"request": self.request.key, "input": [_path(file), state], "output": {}}
        self._ran[self.request.key] = [summary.device, summary.precision, summary.provider]
        self._new[name] = target
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the notes, whole or not at all."""
        self._saved = time.monotonic()
        if self.request is None or not self._new or not self.request.still_holds():
            return
        self.outputs.refresh()
        for name, target in self._new.items():
            marks = self.outputs.marks(target, _BESIDE)
            self._files[name]["output"] = {} if None in marks.values() else marks
        self._new.clear()
        kept = {name: note for name, note in self._files.items() if self.outputs.holds(name)}
        used = {note["request"] for note in kept.values()}
        ran = {key: value for key, value in self._ran.items() if key in used}
        tells = self._rows and self._seconds and (self.rate is None or self._rows >= _TELLING_ROWS)
        rate = self._rows / self._seconds if tells else self.rate
        self.outputs.write(INDEX, _packed({"files": kept, "ran": ran, "bundle": self.request.bundle, "rate": rate}))


def _mark(file: InputFile) -> Mark | None:
    return file.mark if is_url(file.path) else mark_of(file.path)


def _parsed(data: bytes | None) -> dict[str, Any]:
    """The value of :func:`_packed`; empty if there is none, or none of this version that is whole."""
    import orjson

    head, _, body = (data or b"").partition(b"\n")
    if head != _head(body):
        return {}
    value: dict[str, Any] = orjson.loads(body)
    return value


def _packed(value: Mapping[str, Any]) -> bytes:
    import orjson

    body = orjson.dumps(value)
    return _head(body) + b"\n" + body


def _head(body: bytes) -> bytes:
    return b"review-scorer index %d %08x %d" % (_FORMAT, zlib.crc32(body), len(body))


def _path(file: InputFile) -> str:
    return in_utf8(without_secrets(file.path) if is_url(file.path) else os.path.abspath(file.path))  # noqa: PTH100 - links stay links

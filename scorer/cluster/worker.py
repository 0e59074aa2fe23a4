"""What runs on other machines, without any of the library that brings it there: reading chunks, and scoring them."""

from __future__ import annotations

import math
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from scorer.cluster.wire import chunk_of, chunk_row, failure_row, part_row
from scorer.errors import ModelError, ScorerError
from scorer.files.opening import open_source
from scorer.files.source import ReadOptions
from scorer.files.urls import is_url
from scorer.job.chunk_work import ChunkColumns, ChunkWork, ModelIdentity
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.options import ScoreOptions
from scorer.model.bundle import ModelBundle

if TYPE_CHECKING:
    from scorer.model.scoring import Scorer

_SMALL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "bundle.json")

_PIECE_CHUNKS = 256
"""Chunks that are read one after another: few enough to be read again when a machine is lost."""


@dataclass(frozen=True)
class ChunkReading:
    """Some chunks of one source, to be read wherever this value is taken.

    Attributes:
        location: a path that does not depend on the working folder, or a URL.
        path: its name as messages give it.
        options: how it is read.
        text: name of the column with the text.
        names: of the columns to read.
        chunk_rows: input rows of a chunk.
        first: the first chunk.
        last: the last one, ``None`` for all.
        skipped: numbers of chunks in between that are not wanted.
    """

    location: str
    path: str
    options: ReadOptions
    text: str
    names: tuple[str, ...]
    chunk_rows: int
    first: int = 0
    last: int | None = None
    skipped: frozenset[int] = frozenset()

    @classmethod
    def of(cls, work: ChunkWork, missing: RemainingChunks) -> list[ChunkReading]:
        """The missing chunks of ``work``, in pieces that can be read at the same time."""
        location = work.source.location
        readings = []
        for first, last in work.source.pieces(missing.chunk_rows, start=missing.first, size=_PIECE_CHUNKS):
            end = math.inf if last is None else last
            skipped = frozenset(number for number in missing.done if first <= number <= end)
            if last is not None and len(skipped) == last - first + 1:
                continue
            readings.append(
                cls(
                    location if is_url(location) else os.path.abspath(location),  # noqa: PTH100 - links stay links
                    work.source.path,
                    work.source.options,
                    work.columns.text,
                    work.names,
                    missing.chunk_rows,
                    first,
                    last,
                    skipped,
                )
            )
        return readings

    def rows(self) -> Iterator[pa.Table]:
        """The chunks as rows of :mod:`scorer.cluster.wire`, one each; an error is the last row."""
        number = self.first
        try:
            source = open_source(self.location, self.options)
            source.path = self.path
            source = source.with_text(self.text)
            columns = None if list(self.names) == source.schema.names else self.names
            for chunk in source.chunks(self.chunk_rows, columns, start=self.first):
                number = chunk.number
                if self.last is not None and number > self.last:
                    return
                if number not in self.skipped:
                    yield chunk_row(chunk)
                number += 1
        except Exception as error:  # whatever it is belongs to this chunk, and is told where it is counted
            yield failure_row(number, _renamed(error, self.location, self.path))


def model_files(bundle: ModelBundle, precision: str) -> dict[str, bytes]:
    """The files of a bundle that scoring reads, by their names in its folder; ``auto`` is every precision.

    Raises:
        ModelError: one cannot be read.
    """
    variants = bundle.variants.values() if precision == "auto" else [bundle.variants[precision]]
    paths = [path for name in _SMALL_FILES if (path := bundle.folder / name).is_file()]
    try:
        return {path.relative_to(bundle.folder).as_posix(): path.read_bytes() for path in [*paths, *variants]}
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=error.filename) from error


class ChunkWorker:
    """A model, loaded once in a process that then scores chunks, row by row of :mod:`scorer.cluster.wire`.

    It may be called by two threads: one chunk is tokenized while another is in the model. Whatever
    goes wrong is told in the place of the chunk, for its turn to be raised is known to the caller alone.
    """

    def __init__(
        self,
        files: dict[str, bytes],
        options: ScoreOptions,
        columns: ChunkColumns | None,
        expected: ModelIdentity | None,
    ) -> None:
        """Load the model of :func:`model_files`; it must be what ``expected`` says."""
        self._columns = columns
        self._one_at_a_time = threading.Lock()
        self._failure: Exception | None = None
        # Of the tokenizer; read when it is first used.
        os.environ["RAYON_NUM_THREADS"] = str(options.threads or 1)
        try:
            self._scorer, self._model = _loaded(files, options)
            if expected is not None:
                _check_equal(self._model, expected)
        except Exception as error:
            self._failure = error

    def model(self) -> ModelIdentity:
        """The model that is loaded.

        Raises:
            ModelError: it could not be.
        """
        if self._failure is not None:
            raise self._failure
        return self._model

    def __call__(self, row: pa.Table) -> pa.Table:
        """Score one chunk."""
        chunk = chunk_of(row)
        if isinstance(chunk, ChunkFailure):
            return row
        try:
            if self._failure is not None or self._columns is None:
                return failure_row(chunk.number, self._failure or ValueError("no columns"))
            encoded = self._columns.encode(self._scorer, chunk)
            with self._one_at_a_time:
                result = self._columns.score(self._scorer, chunk, encoded)
            return part_row(result.packed())
        except Exception as error:
            return failure_row(chunk.number, error)


def _loaded(files: dict[str, bytes], options: ScoreOptions) -> tuple[Scorer, ModelIdentity]:
    from scorer.job.local_engine import new_scorer

    with tempfile.TemporaryDirectory(prefix="score-model-") as folder:
        for name, data in files.items():
            target = Path(folder) / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        try:
            scorer = new_scorer(replace(options, model=folder))
            return scorer, ModelIdentity.of(scorer)
        except ScorerError as error:
            raise _renamed(error, folder, options.model or "the model inside the package") from error


def _renamed(error: Exception, before: str, after: str) -> Exception:
    """``error`` with the path that a user knows."""
    if not isinstance(error, ScorerError) or error.path is None:
        return error
    return type(error)(error.message, path=error.path.replace(before, after), row=error.row, hint=error.hint)


def _check_equal(found: ModelIdentity, expected: ModelIdentity) -> None:
    if found == expected:
        return
    for name, version in expected.versions.items():
        if found.versions.get(name) != version:
            raise ModelError(
                f"node {socket.gethostname()} has {name} {found.versions.get(name)}, this run began with {version}",
                hint="install the same versions on every node",
            )
    here = f"{found.precision} on {found.device} with {found.provider}"
    there = f"{expected.precision} on {expected.device} with {expected.provider}"
    raise ModelError(
        f"node {socket.gethostname()} runs {here}, this run began with {there}", hint="use nodes of one kind"
    )

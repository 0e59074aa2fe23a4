"""Work on other machines, free of the library that brings it there: reading chunks, and scoring them."""

from __future__ import annotations

import math
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from scorer.cluster.wire import chunk_of, chunk_row, failure_row, part_row
from scorer.disk.temporary import temporary_folder
from scorer.errors import ModelError, ScorerError
from scorer.files.opening import open_source
from scorer.files.source import ReadOptions
from scorer.files.urls import is_url
from scorer.job.chunk_work import ChunkColumns, ChunkWork, ModelIdentity
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.known_scores import KnownScores
from scorer.job.local_engine import new_scorer
from scorer.job.options import ScoreOptions
from scorer.model.bundle import ModelBundle
from scorer.model.model_folder import BUILT_IN_MODEL
from scorer.model.scoring import Scorer

_SMALL_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "bundle.json")

_PIECE_CHUNKS = 256
"""Chunks that are read one after another: few enough to be read again when a machine is lost."""


@dataclass(frozen=True)
class ChunkReading:
    """Some chunks of one source, to be read on any machine.

    Attributes:
        location: an absolute path, or a URL.
        path: name of the source as messages give it.
        options: options of reading.
        text: name of the column with the text.
        names: columns to read; ``None`` for all.
        chunk_rows: input rows of a chunk.
        remaining: the chunks to read.
        last: number of the last of them; ``None`` for the end of the source.
    """

    location: str
    path: str
    options: ReadOptions
    text: str
    names: tuple[str, ...] | None
    chunk_rows: int
    remaining: RemainingChunks
    last: int | None

    @classmethod
    def of(cls, work: ChunkWork, remaining: RemainingChunks) -> list[ChunkReading]:
        """The remaining chunks of ``work``, in pieces that can be read at the same time."""
        source = work.source
        location = source.location
        if not is_url(location):
            location = os.path.abspath(location)  # noqa: PTH100 - links stay links
        readings = []
        for first, last in source.pieces(work.chunk_rows, start=remaining.first, size=_PIECE_CHUNKS):
            end = math.inf if last is None else last
            done = frozenset(number for number in remaining.done if first <= number <= end)
            if last is None or len(done) < last - first + 1:
                readings.append(
                    cls(
                        location,
                        source.path,
                        source.options,
                        work.columns.text,
                        work.names,
                        work.chunk_rows,
                        RemainingChunks(first, done),
                        last,
                    )
                )
        return readings

    def rows(self) -> Iterator[pa.Table]:
        """Read the chunks, each as a row of :mod:`scorer.cluster.wire`; an error is the last row."""
        remaining = self.remaining
        number = remaining.first
        try:
            source = open_source(self.location, self.options)
            source.path = self.path
            source = source.with_text(self.text)
            for chunk in source.chunks(self.chunk_rows, self.names, start=number):
                number = chunk.number
                if self.last is not None and number > self.last:
                    return
                if number not in remaining.done:
                    yield chunk_row(chunk)
                number += 1
        except Exception as error:  # of any kind: it is raised when it is this chunk's turn
            yield failure_row(number, _renamed(error, self.location, self.path))


def model_files(bundle: ModelBundle, precision: str) -> dict[str, bytes]:
    """Read the files of a bundle that scoring needs, by their names in its folder; ``auto`` is every precision.

    Raises:
        ModelError: one cannot be read.
    """
    precisions = bundle.variants if precision == "auto" else [precision]
    models = [path for name in precisions for path in bundle.files(name)]
    paths = [path for name in _SMALL_FILES if (path := bundle.folder / name).is_file()]
    try:
        return {path.relative_to(bundle.folder).as_posix(): path.read_bytes() for path in [*paths, *models]}
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", path=error.filename) from error


def load_model(files: dict[str, bytes], options: ScoreOptions) -> tuple[Scorer, ModelIdentity]:
    """Load the model of :func:`model_files`.

    Raises:
        ModelError: it cannot be used here.
    """
    # Read by the tokenizer at its first use.
    os.environ["RAYON_NUM_THREADS"] = str(options.threads or 1)
    with temporary_folder() as folder:
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        try:
            scorer = new_scorer(replace(options, model=str(folder)))
            return scorer, ModelIdentity.of(scorer)
        except ScorerError as error:
            raise _renamed(error, str(folder), options.model or BUILT_IN_MODEL) from error


@dataclass(frozen=True)
class ChunkJob:
    """The part of a job that all of its chunks share.

    Attributes:
        columns: mapping of their columns to those of the output.
        known: predictions by text that need no model; ``None`` if there are none.
    """

    columns: ChunkColumns
    known: KnownScores | None


class ChunkWorker:
    """A model, loaded once in a process, that scores chunks given as rows of :mod:`scorer.cluster.wire`.

    Two threads may call it: one chunk is tokenized while another is in the model. An error is returned in
    place of the chunk, for the caller alone knows when it is that chunk's turn.
    """

    def __init__(self, files: dict[str, bytes], options: ScoreOptions, expected: ModelIdentity) -> None:
        """Load the model of :func:`model_files`; its identity must be ``expected``."""
        self._one_at_a_time = threading.Lock()
        self._failure: Exception | None = None
        try:
            self._scorer, model = load_model(files, options)
            _check_equal(model, expected)
        except Exception as error:
            self._failure = error

    def score(self, job: ChunkJob, row: pa.Table) -> pa.Table:
        """Score one chunk of ``job``."""
        chunk = chunk_of(row)
        if isinstance(chunk, ChunkFailure):
            return row
        try:
            if self._failure is not None:
                raise self._failure
            encoded = job.columns.encode(self._scorer, chunk, job.known)
            with self._one_at_a_time:
                result = job.columns.score(self._scorer, encoded, self._scorer.session.logits(encoded.tokens))
            return part_row(result.packed())
        except Exception as error:
            return failure_row(chunk.number, error)


def _renamed(error: Exception, before: str, after: str) -> Exception:
    """``error`` with the path ``after``, which the user knows, in place of ``before``."""
    if not isinstance(error, ScorerError) or error.path is None:
        return error
    path = error.path.replace(before, after)
    return error.at(path)


def _check_equal(found: ModelIdentity, expected: ModelIdentity) -> None:
    if found == expected:
        return
    for name, version in expected.versions.items():
        if found.versions.get(name) != version:
            raise ModelError(
                f"node {socket.gethostname()} has {name} {found.versions.get(name)}, this run began with {version}",
                hint="install the same versions on every node",
            )
    if found.processor != expected.processor:
        raise ModelError(
            f"node {socket.gethostname()} has another kind of processor, on which scores differ in their last bits",
            hint="use nodes of one kind",
        )
    here = f"{found.precision} on {found.device} with {found.provider}"
    there = f"{expected.precision} on {expected.device} with {expected.provider}"
    raise ModelError(
        f"node {socket.gethostname()} runs {here}, this run began with {there}", hint="use nodes of one kind"
    )

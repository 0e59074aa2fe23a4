"""One job, whatever scores its chunks: what is done is kept, what is missing is scored, the whole is published."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from scorer import interrupts
from scorer.disk.checksums import fingerprint
from scorer.disk.durable import write_errors
from scorer.disk.publishing import Move, publish
from scorer.errors import InputError, ScorerError
from scorer.files.bad_rows import check_bad_rows
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.files.opening import open_source
from scorer.files.urls import is_url, without_secrets
from scorer.files.writing import check_schema
from scorer.job.assembly import assemble
from scorer.job.chunk_work import ChunkWork, ModelIdentity
from scorer.job.destination import Destination
from scorer.job.engine import ChunkFailure, Engine, RemainingChunks
from scorer.job.in_order import ChunkCounts, InOrder
from scorer.job.journal import UnfinishedWork
from scorer.job.made_by import describe, is_published, is_up_to_date, may_be_replaced
from scorer.job.options import ScoreOptions
from scorer.job.summary import FilesBeside, JobCounts, ScoreSummary
from scorer.model.scoring import STATUSES
from scorer.overlap import OneBehind, one_ahead
from scorer.progress import Progress

log = logging.getLogger(__name__)


class ResumableJob:
    """One input, one output, under the lock of the output."""

    def __init__(
        self,
        file: InputFile,
        destination: Destination,
        options: ScoreOptions,
        progress: Progress,
        engine: Engine,
        accompany: FilesBeside | None,
        *,
        is_last: bool = True,
    ) -> None:
        self._begun = time.monotonic()
        self._file = file
        self._destination = destination
        self._options = options
        self._progress = progress
        self._engine = engine
        self._accompany = accompany
        self._is_last = is_last

    def run(self, *, standing: ScorerError | None, like_make: bool) -> ScoreSummary:
        """Score what is not scored yet, assemble, prove, publish.

        ``standing`` is raised where the output that stands there is neither this job's own nor,
        ``like_make``, one that may be replaced.

        Raises:
            ScorerError: as :func:`scorer.run.score_file.score_file` says.
        """
        state = InputState.of(self._file)
        source = open_source(self._file.path, self._options.reading())
        work = ChunkWork.plan(source, self._options, self._engine.model)
        check_schema(self._destination.format, work.schema)
        made_by = describe(work, state.description(), self._destination, self._options)
        if like_make and standing is not None and is_up_to_date(self._destination, made_by):
            return self._summary(work.model, JobCounts(), skipped=True)
        if standing is not None and not may_be_replaced(self._destination, made_by, like_make=like_make):
            raise standing
        with write_errors(self._destination.path):
            self._destination.clean()
        unfinished = self._unfinished(state, made_by)
        try:
            if not is_published(self._destination, unfinished, made_by):
                unfinished.check_parts()
                before = _counts(unfinished, before=0).rows_in
                if before:
                    log.info("%s: going on behind %s rows of an earlier run", self._destination.path, f"{before:,}")
                self._score_missing(work, unfinished, state)
                counts = _counts(unfinished, before=before)
                self._check(work, unfinished, counts, state)
                self._publish(work, unfinished, counts, made_by)
            else:
                counts = _counts(unfinished, before=0)
                counts.rows_before = counts.rows_in
                log.info("%s: an earlier run had published it", self._destination.path)
        except BaseException as error:
            unfinished.close()
            self._drop_temporary_files()
            # What a bad input has led to is of no use to any later run.
            bad_input = isinstance(error, InputError) and not is_url(self._file.path)
            if bad_input or not state.can_be_read_again:
                _remove(unfinished)
            raise
        _remove(unfinished)
        return self._summary(work.model, counts)

    def _unfinished(self, state: InputState, made_by: Mapping[str, Any]) -> UnfinishedWork:
        # The parts of two sizes of chunks do not fit together, though their outputs are the same.
        key = fingerprint({"job": made_by["fingerprint"], "chunk_rows": self._options.chunk_rows})
        resume = self._options.resume and state.can_be_read_again
        return UnfinishedWork.open(self._destination.partial, self._destination.path, key, resume=resume)

    def _score_missing(self, work: ChunkWork, unfinished: UnfinishedWork, state: InputState) -> None:
        limit = self._options.limit()
        progress = self._progress
        counts = _counts(unfinished, before=0)
        missing = RemainingChunks(self._options.chunk_rows, unfinished.first_missing, frozenset(unfinished.records))
        in_order = InOrder(missing)
        with progress, OneBehind(unfinished.add) as keep, self._engine.results(work, missing) as results:
            progress.start(None if work.source.n_rows is None else work.source.n_rows - counts.rows_in)
            for result in results:
                interrupts.check()
                if not isinstance(result, ChunkFailure):
                    keep(result)
                    progress.advance(result.n_input_rows, result.tokens)
                outcome = result if isinstance(result, ChunkFailure) else ChunkCounts.of(result)
                for part in in_order.ready(outcome):
                    counts.add(part)
                    bad, rows = counts.rejected, counts.rows_in
                    check_bad_rows(limit, bad=bad, rows=rows, path=work.source.path, finished=False)
                state.check()
            in_order.end()

    def _check(self, work: ChunkWork, unfinished: UnfinishedWork, counts: JobCounts, state: InputState) -> None:
        """Everything that must be true of the whole before it is published."""
        state.check()
        path = work.source.path
        check_bad_rows(self._options.limit(), bad=counts.rejected, rows=counts.rows_in, path=path, finished=True)
        rows_in = sum(record.n_input_rows for record in unfinished.records.values())
        whole = unfinished.first_missing == len(unfinished.records)
        scored = sum(count for status, count in counts.by_status.items() if status != "empty")
        if not whole or rows_in != scored + counts.empty + counts.rejected:
            raise ScorerError(
                f"{rows_in:,} rows were read, {scored:,} scored, {counts.empty:,} empty, {counts.rejected:,} rejected",
                path=path,
            )
        if work.source.n_rows is not None and work.source.n_rows != rows_in:
            raise InputError(f"states {work.source.n_rows:,} rows, {rows_in:,} were read", path=path)

    def _publish(
        self, work: ChunkWork, unfinished: UnfinishedWork, counts: JobCounts, made_by: Mapping[str, Any]
    ) -> None:
        provenance = {
            **made_by,
            "rows": counts.to_json(),
            "by_status": dict(counts.by_status),
            "tokens": counts.tokens,
        }
        assembled = assemble(one_ahead(unfinished.parts()), self._destination, work.schema, provenance)
        others: Sequence[Move] = ()
        if self._accompany is not None:
            others = self._accompany(self._summary(work.model, counts))
        unfinished.about_to_publish(assembled.sha256)
        *beside, output = assembled.moves
        publish([*beside, *others, output], last=self._is_last)

    def _summary(self, model: ModelIdentity, counts: JobCounts, *, skipped: bool = False) -> ScoreSummary:
        return ScoreSummary(
            str(self._destination.path),
            counts,
            time.monotonic() - self._begun,
            model.device,
            model.precision,
            model.provider,
            input=without_secrets(self._file.path),
            skipped=skipped,
        )

    def _drop_temporary_files(self) -> None:
        with suppress(OSError):
            self._destination.clean()


def _counts(unfinished: UnfinishedWork, *, before: int) -> JobCounts:
    counts = JobCounts(by_status=dict.fromkeys(STATUSES, 0), rows_before=before)
    for record in unfinished.records.values():
        counts.add(record)
    return counts


def _remove(unfinished: UnfinishedWork) -> None:
    try:
        unfinished.remove()
    except OSError as error:
        log.warning("%s: cannot be removed: %s", unfinished.folder, error.strerror)

"""One job with any engine: keep the chunks that are done, score those that remain, publish the whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scorer import interrupts
from scorer.disk.checksums import fingerprint
from scorer.disk.durable import write_errors
from scorer.disk.paths import is_plain_file
from scorer.disk.publishing import publish
from scorer.errors import InputError, OutputExistsError, ScorerError, explained
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.files.opening import open_source
from scorer.files.urls import is_url, without_secrets
from scorer.files.writing import check_schema
from scorer.job.assembly import assemble
from scorer.job.bad_row_limit import check_bad_rows
from scorer.job.chunk_work import ChunkWork
from scorer.job.destination import Destination
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import ChunkFailure, Engine, RemainingChunks
from scorer.job.in_order import InOrder
from scorer.job.journal import UnfinishedWork
from scorer.job.options import ScoreOptions
from scorer.job.summary import JobCounts, Reports, ScoreSummary
from scorer.job.up_to_date import ExistingOutput, Making, Reason, is_published, may_be_replaced
from scorer.model.scoring import STATUSES
from scorer.overlap import OneBehind, one_ahead
from scorer.progress import Progress
from scorer.safe_text import counted, in_utf8

log = logging.getLogger(__name__)


@dataclass
class ResumableJob:
    """One input, one output, under the lock of the output; see :func:`scorer.job.job.run_job`."""

    file: InputFile
    destination: Destination
    options: ScoreOptions
    progress: Progress
    engine: Callable[[], Engine]
    earlier: EarlierOutputs
    reports: Reports | None
    is_last: bool
    replaced: Path | None = None
    why: Reason = "new"
    begun: float = field(default_factory=time.monotonic)

    def run(self, state: InputState, exists: OutputExistsError | None, *, like_make: bool) -> ScoreSummary:
        """Score the remaining chunks, assemble, prove and publish.

        ``state`` is that of the input when the run began. ``exists`` is the error of an output that already exists; it
        is raised if that output is neither this job's own nor, ``like_make``, up to date or one that may be replaced.

        Raises:
            ScorerError: as :func:`scorer.run.score_file.score_file` says.
        """
        with state.checked():
            return self._run(exists, state, like_make=like_make)

    def _run(self, exists: OutputExistsError | None, state: InputState, *, like_make: bool) -> ScoreSummary:
        destination, options = self.destination, self.options
        if exists is not None:
            if like_make and (summary := self._up_to_date(state)) is not None:
                return summary
            if not may_be_replaced(destination, in_utf8(self.file.name), like_make=like_make):
                raise exists
        work = ChunkWork.plan(open_source(self.file.path, options.reading()), options, self.engine().model)
        check_schema(destination.format, work.schema)
        making = Making(state.description(), work.model, destination.format, options)
        if is_plain_file(destination.path):
            found = ExistingOutput.on_disk(destination).difference(making)
            self.why = found or ("overwrite" if options.overwrite else "new")
            self.replaced = destination.path if like_make else None
        made_by = making.described(work.columns)
        with write_errors(destination.path):
            destination.clean()
        unfinished = self._open_unfinished(work, state, made_by)
        try:
            folder = destination.path.absolute().parent
            with self.earlier.known(work.model, replaced=self.replaced, folder=folder) as known:
                counts = self._score(replace(work, known=known), unfinished, made_by, state)
        except BaseException as error:
            unfinished.close()
            with suppress(OSError):
                destination.clean()
            # Chunks of a bad input are of no use to a later run, and a folder without one is of no use to any.
            bad_input = isinstance(explained(error), InputError) and not is_url(self.file.path)
            if bad_input or not state.can_be_read_again or not unfinished.records:
                _remove(unfinished)
            raise
        _remove(unfinished)
        return work.summary(str(destination.path), counts, begun=self.begun, why=self.why)

    def _up_to_date(self, state: InputState) -> ScoreSummary | None:
        """The summary of a job with nothing to do; ``None`` if there is work.

        The input is hashed and not opened: finding the columns of JSON Lines takes far longer than hashing them.
        """
        model, shown = self.engine().model(), str(self.destination.path)
        making = Making(state.description(), model, self.destination.format, self.options)
        if ExistingOutput.on_disk(self.destination).difference(making) is not None:
            return None
        with suppress(OSError, ScorerError):  # what a run that was killed after publishing has left
            UnfinishedWork.discard(self.destination.partial)
        input = without_secrets(self.file.path)
        return model.summary(input, shown, JobCounts(), begun=self.begun, skipped=True)

    def _open_unfinished(self, work: ChunkWork, state: InputState, made_by: Mapping[str, Any]) -> UnfinishedWork:
        # Parts of two chunk sizes do not fit together, though their outputs are the same.
        key = fingerprint({"job": made_by["fingerprint"], "chunk_rows": work.chunk_rows})
        resume = self.options.resume and state.can_be_read_again
        return UnfinishedWork.open(self.destination.partial, self.destination.path, key, resume=resume)

    def _score(
        self, work: ChunkWork, unfinished: UnfinishedWork, made_by: Mapping[str, Any], state: InputState
    ) -> JobCounts:
        """Bring the work to its end, from wherever an earlier run has left it."""
        published = is_published(self.destination, unfinished.published, made_by)
        if not published:
            unfinished.check_parts()
        counts = JobCounts(by_status=dict.fromkeys(STATUSES, 0))
        for record in unfinished.records.values():
            counts.add(record.counts)
        counts.rows_before = counts.rows_in
        if published:
            log.info("%s: already published by an earlier run", self.destination.path)
            return counts
        if counts.rows_before:
            log.info(
                "%s: resuming after %s of an earlier run", self.destination.path, counted(counts.rows_before, "row")
            )
        self._score_remaining(work, unfinished, counts, state)
        self._check_bad_rows(work, counts, state, finished=True)
        self._check_counts(work, unfinished, counts)
        self._publish(work, unfinished, counts, made_by, state)
        return counts

    def _score_remaining(
        self, work: ChunkWork, unfinished: UnfinishedWork, counts: JobCounts, state: InputState
    ) -> None:
        progress = self.progress
        is_local = not is_url(self.file.path)
        remaining = RemainingChunks(unfinished.first_remaining, frozenset(unfinished.records))
        in_order = InOrder(remaining)
        with progress, OneBehind(unfinished.add) as keep, self.engine().results(work, remaining, progress) as results:
            progress.start(work.rows_left(counts.rows_in))
            for result in results:
                interrupts.check()
                if not isinstance(result, ChunkFailure):
                    keep(result)
                    progress.advance(result.counts.rows_in, result.counts.tokens)
                for chunk in in_order.ready(result):
                    counts.add(chunk)
                    self._check_bad_rows(work, counts, state, finished=False)
                if is_local:  # a store is asked once, at the end
                    state.check()
            in_order.end()
        state.check()

    def _check_bad_rows(self, work: ChunkWork, counts: JobCounts, state: InputState, *, finished: bool) -> None:
        again = state.can_be_read_again
        check_bad_rows(work, self.options, bad=counts.bad, rows=counts.rows_in, finished=finished, again=again)

    def _check_counts(self, work: ChunkWork, unfinished: UnfinishedWork, counts: JobCounts) -> None:
        """Check that every row of the input has a status or was rejected, before anything is published."""
        path, rows_in = work.source.path, counts.rows_in
        with_status = sum(counts.by_status.values())
        is_whole = unfinished.first_remaining == len(unfinished.records)
        if not is_whole or rows_in != with_status + counts.rejected:
            raise ScorerError(
                f"read {counted(rows_in, 'row')}, {with_status:,} with a status, {counts.rejected:,} rejected",
                path=path,
            )
        if work.source.n_rows is not None and work.source.n_rows != rows_in:
            raise InputError(f"states {counted(work.source.n_rows, 'row')}, but holds {rows_in:,}", path=path)

    def _publish(
        self,
        work: ChunkWork,
        unfinished: UnfinishedWork,
        counts: JobCounts,
        made_by: Mapping[str, Any],
        state: InputState,
    ) -> None:
        by_status = dict(counts.by_status)
        provenance = {**made_by, "rows": counts.to_json(), "by_status": by_status}
        if work.model.batching != "alone":  # else the bytes are those of a run that reuses nothing
            provenance |= self.earlier.stated(counts.reused)
        with one_ahead(work.rows_of(unfinished.parts())) as rows:
            assembled = assemble(rows, self.destination, work.schema, provenance)
        state.check()
        summary = work.summary(str(self.destination.path), counts, begun=self.begun, why=self.why)
        reports = () if self.reports is None else self.reports(summary)
        unfinished.about_to_publish(assembled.sha256)
        publish(assembled.moves, reports=reports, last=self.is_last)


def _remove(unfinished: UnfinishedWork) -> None:
    try:
        unfinished.remove()
    except OSError as error:
        log.warning("%s: cannot be removed: %s", unfinished.folder, error.strerror)

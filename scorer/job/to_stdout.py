"""One job to standard output: nothing is kept, resumed or sealed."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from scorer.disk.durable import write_errors
from scorer.disk.paths import STDIN, identity_of
from scorer.errors import InputError, MissingInputError, OutputError, UsageError
from scorer.files.formats import OutputFormat, extension_of
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.files.opening import open_source, open_writer
from scorer.job.bad_row_limit import check_bad_rows
from scorer.job.chunk_work import ChunkWork
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import RemainingChunks
from scorer.job.local_engine import LocalEngine
from scorer.job.options import ScoreOptions
from scorer.job.summary import JobCounts, ScoreSummary
from scorer.model.scoring import STATUSES
from scorer.progress import Progress


def score_to_stdout(
    file: InputFile, options: ScoreOptions, progress: Progress, earlier: EarlierOutputs
) -> ScoreSummary:
    """Score one input to standard output, chunk by chunk.

    Rejected rows are counted and dropped: they have no place beside standard output.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says; rows that were written stay written.
        BrokenPipeError: the reader has gone.
    """
    begun = time.monotonic()
    shown = Path("stdout")
    number = _file_number(sys.stdout)
    if number is None:
        raise OutputError("is closed", path=shown, hint="name a file, or leave stdout open")
    into = identity_of(number)
    if into is not None and into == identity_of(0 if file.path == STDIN else file.path):
        raise UsageError("is the input itself", path=shown, hint="redirect to another file")
    format = format_of_stdout(file, options)
    state = InputState.of(file)
    engine = LocalEngine(options)
    with state.checked():
        work = ChunkWork.plan(open_source(file.path, options.reading()), options, engine.model)
    counts = JobCounts(by_status=dict.fromkeys(STATUSES, 0))

    def check_rejected(*, finished: bool) -> None:
        again = state.can_be_read_again
        check_bad_rows(work, options, bad=counts.bad, rows=counts.rows_in, finished=finished, again=again)

    # A copy, so that closing the writer does not close what the process still writes to.
    with (
        write_errors(shown),
        cast("BinaryIO", os.fdopen(os.dup(number), "wb")) as out,
        progress,
        open_writer(out, format, work.schema, long_texts=work.columns.text) as writer,
        earlier.known(work.model, replaced=None, folder=Path(tempfile.gettempdir())) as known,
        engine.results(replace(work, known=known), RemainingChunks(0, frozenset()), progress) as results,
    ):
        progress.start(work.rows_left(0))
        for result in results:
            writer.write(result.table)
            counts.add(result.counts)
            check_rejected(finished=False)
            progress.advance(result.counts.rows_in, result.counts.tokens)
        try:
            state.check()
        except MissingInputError as error:  # its rows are written: it is none that can be left out
            raise InputError(**error.parts()) from error
        check_rejected(finished=True)
        writer.finish()
    return work.summary("stdout", counts, begun=begun)


def format_of_stdout(file: InputFile, options: ScoreOptions) -> OutputFormat:
    """The format of standard output: the one that is asked for, else that of a text input.

    Raises:
        UsageError: neither says one.
    """
    kind = extension_of(file.name).kind.replace("parquet", "")  # nobody wants that on a terminal unasked
    if not (options.output_format or kind):
        raise UsageError("-o - needs to know the format", hint="pass --output-format csv, tsv, jsonl or parquet")
    return OutputFormat.of("stdout", options.output_format or kind, csv_safe=options.csv_safe)


def _file_number(stream: TextIO | None) -> int | None:
    """The descriptor behind ``stream``; ``None`` if it is closed or, as in some notebooks and tests, not a file."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return None

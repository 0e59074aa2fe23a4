"""One file scored into another, from Python."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Unpack

from scorer.disk.paths import STDIN, path_text
from scorer.files.inputs import InputFile
from scorer.job.job import run_job
from scorer.job.options import ScoreArguments, ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.notebook import progress_of_call
from scorer.progress import Progress
from scorer.run.engines import check_streams, engine_of


def score_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    options: ScoreOptions | None = None,
    progress: Progress | bool | None = None,
    **overrides: Unpack[ScoreArguments],
) -> ScoreSummary:
    """Score one file into another; keyword arguments are fields of :class:`ScoreOptions`.

    The output has the same rows in the same order, the input's columns untouched, and the added
    columns of :meth:`scorer.model.scoring.Scorer.score`. It is published whole or not at all; finished
    chunks of an interrupted run are kept beside it, and the next run resumes from them. ``-`` is
    standard input or standard output; rows on standard output come as they are scored, without these promises.

    Raises:
        UsageError: options clash, or a column of the input has the name of an added one.
        InputError: the input cannot be read, changes meanwhile, or has no such text column.
        ModelError: the model or the device cannot be used.
        OutOfMemoryError: one row alone is more than the device's memory holds.
        OutputError: the output could not be written.
        BusyError: another run holds the output.
    """
    chosen = ScoreOptions.of_call(options, overrides, function="score_file")
    path, name = path_text(input), path_text(output)
    file = InputFile(path, "stdin" if path == STDIN else Path(path).name)
    check_streams([path], name, chosen)
    with engine_of(chosen) as engine:
        return run_job(file, name, chosen, progress_of_call(progress), engine=engine)

"""One file scored into another, from Python."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from scorer.disk.paths import STDIN
from scorer.files.inputs import InputFile
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.progress import NoProgress, Progress
from scorer.run.engines import engine_of


def score_file(
    input: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    options: ScoreOptions | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> ScoreSummary:
    """Score one file into another; keyword arguments are fields of :class:`ScoreOptions`.

    The output has the same rows in the same order, the input's columns untouched, and the added
    columns of :meth:`scorer.model.scoring.Scorer.score`. It is published whole or not at all; what an
    interrupted run has done is kept beside it, and gone on with by the next. ``-`` is standard
    input, or standard output, of which nothing is promised.

    Raises:
        UsageError: options clash, or an added column's name stands in the input already.
        InputError: the input cannot be read, changes meanwhile, or has no such text column.
        ModelError: the model or the device cannot be used.
        OutOfMemoryError: one row alone is more than the device's memory holds.
        OutputError: the output could not be written.
        BusyError: another run holds the output.
    """
    known = {item.name for item in fields(ScoreOptions)}
    unknown = overrides.keys() - known
    if unknown:
        raise TypeError(f"score_file() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    chosen = options or ScoreOptions()
    if overrides:
        chosen = ScoreOptions(**{**{name: getattr(chosen, name) for name in known}, **overrides})
    path, name = os.fspath(input), os.fspath(output)
    file = InputFile(path, "stdin" if path == STDIN else Path(path).name)
    with engine_of(chosen) as engine:
        return run_job(file, name, chosen, progress or NoProgress(), engine=engine)

"""One job into a file of this machine, under its lock.

Light to import: heavy libraries are loaded once the lock is held, so that a run that finds the output
locked ends at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scorer.disk.locking import locked
from scorer.disk.paths import is_folder
from scorer.errors import OutputExistsError, ScorerError
from scorer.files.formats import OutputFormat
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url
from scorer.job.destination import Destination
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.summary import FilesBeside, ScoreSummary
from scorer.progress import Progress


def score_to_disk(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    accompany: FilesBeside | None = None,
    like_make: bool = False,
    is_last: bool = True,
) -> ScoreSummary:
    """One job into a file of this machine, under the lock of that file; arguments are those of :func:`run_job`.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says.
    """
    destination = destination_of(output, options)
    inputs = [] if is_url(file.path) else [file.path]
    standing = check_destination(destination, inputs, options, like_make=like_make)
    with locked(destination.path):
        from scorer.job.resumable_job import ResumableJob

        # Another run may have published while this one came for the lock.
        standing = check_destination(destination, inputs, options, like_make=like_make) or standing
        job = ResumableJob(file, destination, options, progress, engine(), accompany, is_last=is_last)
        return job.run(standing=standing, like_make=like_make)


def destination_of(output: str, options: ScoreOptions) -> Destination:
    """The output and its format.

    Raises:
        UsageError: the name and the options name no format.
    """
    return Destination(Path(output), OutputFormat.of(output, options.output_format, csv_safe=options.csv_safe))


def check_destination(
    destination: Destination, inputs: list[str], options: ScoreOptions, *, like_make: bool
) -> ScorerError | None:
    """Raise what is wrong with a destination; return the error of an output that stands there for a good reason.

    Such an output was published by a run that was killed right after, or, ``like_make``, by an
    earlier run: more has to be known before it is an error.
    """
    try:
        destination.check(inputs, overwrite=options.overwrite)
    except OutputExistsError as error:
        if like_make or is_folder(destination.partial):
            return error
        raise
    return None

"""One job into a file of this machine, under its lock.

Light to import: heavy libraries are loaded once the lock is held, so that a run that finds the output
locked ends at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scorer.disk.locking import locked
from scorer.disk.paths import is_folder
from scorer.errors import OutputExistsError, UsageError
from scorer.files.formats import OutputFormat
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url
from scorer.job.destination import Destination
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import Engine
from scorer.job.options import ScoreOptions
from scorer.job.summary import Reports, ScoreSummary
from scorer.progress import Progress


def score_to_disk(
    file: InputFile,
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    engine: Callable[[], Engine],
    earlier: EarlierOutputs,
    reports: Reports | None = None,
    like_make: bool = False,
    is_last: bool = True,
    replaced: Path | None = None,
) -> ScoreSummary:
    """Score into a file of this machine, under its lock; arguments are those of :func:`scorer.job.job.run_job`.

    ``replaced`` is a copy of the output that is replaced elsewhere, for its predictions to be reused.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says.
    """
    format = OutputFormat.of(output, options.output_format, csv_safe=options.csv_safe)
    destination = Destination(behind_links(Path(output), options), format)

    def check() -> OutputExistsError | None:
        """Check the destination; return the error of an existing output if it takes more to know that it is one.

        Such an output was published by a run that was killed right after, or, ``like_make``, by an earlier run.
        """
        try:
            destination.check([] if is_url(file.path) else [file.path], overwrite=options.overwrite)
        except OutputExistsError as error:
            if like_make or is_folder(destination.partial):
                return error
            raise
        return None

    exists = check()
    with locked(destination.path):
        exists = check() or exists  # another run may have published before this one had the lock
        state = InputState.of(file)
        # Loaded only now: a name that is mistyped is told at once.
        from scorer.job.resumable_job import ResumableJob

        job = ResumableJob(file, destination, options, progress, engine, earlier, reports, is_last, replaced)
        return job.run(state, exists, like_make=like_make)


def behind_links(output: Path, options: ScoreOptions) -> Path:
    """The path at which ``output`` is written: a link is not replaced by a file.

    Raises:
        UsageError: it is a link, and ``options`` refuse these.
    """
    if not output.is_symlink():
        return output
    if options.linked_output == "refuse":
        raise UsageError("is a symbolic link", path=output, hint="remove it, or pass --linked-output follow")
    return Path(os.path.realpath(output))

"""Many files into a folder, one after another, as ``make`` would do it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.locking import locked
from scorer.errors import BusyError, InputError, OutputError, ScorerError, UnreachableError, UsageError
from scorer.files.inputs import InputFile
from scorer.files.urls import is_url, without_secrets
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.log_lines import error_fields
from scorer.progress import Progress
from scorer.run.engines import engine_of
from scorer.run.outcome import Outcome
from scorer.run.report import Failure
from scorer.run.targets import make_folder

log = logging.getLogger(__name__)

_OF_ONE_FILE = (OutputError, UnreachableError, InputError, BusyError, UsageError)
"""Errors that stop one file of many; the first of these that a run met gives its exit code."""

_LOCK = ".score.lock"


def score_all(
    targets: dict[str, InputFile],
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    outcome: Outcome,
) -> None:
    """Score the file of each target into ``output``, one after another; ``outcome`` takes the results.

    Raises:
        ScorerError: the worst that stopped a file, once all are through; or one that stops them all.
    """
    remote = is_url(output)
    if not remote:
        make_folder(Path(output), inputs)
    lock = nullcontext() if remote else locked(Path(output), lock=Path(output) / _LOCK)
    errors: list[ScorerError] = []
    with lock, engine_of(options) as engine:
        for target, file in targets.items():
            try:
                if not remote:
                    with write_errors(Path(target)):
                        Path(target).parent.mkdir(parents=True, exist_ok=True)
                summary = run_job(file, target, options, progress, engine=engine, like_make=True, is_last=False)
                outcome.summaries.append(summary)
                if not summary.skipped:
                    about = {"event": "file_scored", "fields": summary.log_fields()}
                    log.info("%s", summary.line(), extra=about)
            except _OF_ONE_FILE as error:
                name = without_secrets(file.path)
                fields = {**error_fields(error, error.exit_code), "file": name}
                log.error("%s", error, extra={"event": "file_failed", "fields": fields})
                errors.append(error)
                outcome.failures.append(Failure(name, str(error), error.exit_code))
    if errors:
        worst = min(errors, key=lambda error: [isinstance(error, kind) for kind in _OF_ONE_FILE].index(True))
        done = len(targets) - len(errors)
        names = ", ".join(failure.input for failure in outcome.failures[:3])
        more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise type(worst)(
            f"{len(errors)} of {len(targets)} files could not be scored: {names}{more}",
            hint=f"the other {done} {'is' if done == 1 else 'are'} done" if done else "see the lines above",
        )

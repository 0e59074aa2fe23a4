"""Many files into a folder, one after another, as ``make`` would do it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from scorer import interrupts
from scorer.disk.durable import write_errors
from scorer.disk.locking import locked
from scorer.errors import ModelError, ScorerError, explained
from scorer.files.inputs import InputFile, say_left_out
from scorer.files.remote import check_writable
from scorer.files.urls import is_url, without_secrets
from scorer.job.earlier_outputs import EarlierOutputs
from scorer.job.engine import Engine
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.progress import Progress
from scorer.run.deaths import Deaths
from scorer.run.engines import engine_of
from scorer.run.outcome import Outcome
from scorer.run.seen_files import SeenFiles
from scorer.run.targets import make_folder

log = logging.getLogger(__name__)

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
    if remote:
        check_writable(output)
    else:
        make_folder(Path(output), inputs)
    lock = nullcontext() if remote else locked(Path(output), lock=Path(output) / _LOCK)
    earlier = EarlierOutputs(options)
    earlier.check()
    with lock, engine_of(options) as engine, Deaths(None if remote else Path(output)) as deaths:
        outcome.started()
        trusted = not (options.overwrite or outcome.run.checksum)
        seen = None if remote else SeenFiles.open(Path(output), options, is_trusted=trusted)
        run = partial(run_job, options=options, progress=progress, earlier=earlier, like_make=True, is_last=False)
        try:
            for target, file in deaths.in_order(targets).items():
                summary = None if seen is None else seen.up_to_date(target, file)
                if summary is None:
                    summary = _score(target, file, run, engine, deaths, outcome, seen)
                if summary is not None:
                    outcome.summaries.append(summary)
        finally:
            if seen is not None:
                seen.save()
    outcome.raise_worst()


def _score(
    target: str,
    file: InputFile,
    run: Callable[..., ScoreSummary],
    engine: Callable[[], Engine],
    deaths: Deaths,
    outcome: Outcome,
    seen: SeenFiles | None,
) -> ScoreSummary | None:
    """Run the job of one file; ``None`` if it fails, which ``outcome`` then knows."""
    try:
        deaths.begin(file)
        if not is_url(target):
            with write_errors(Path(target)):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
        state = None if seen is None else seen.state(file)
        summary = run(file, target, engine=deaths.engine_for(file, target, engine))
        deaths.survived(file)
    except BaseException as caught:
        error = _of_one_file(caught, file)
        if error is None:
            raise
        if outcome.skips(error):
            say_left_out(error)
        else:
            outcome.failed(error, without_secrets(file.path))
        return None
    if seen is not None:
        seen.note(target, file, state, summary)
    if not summary.skipped:
        log.info("%s", summary.line(), extra={"event": "file_scored", "fields": summary.log_fields()})
    return summary


def _of_one_file(caught: BaseException, file: InputFile) -> ScorerError | None:
    """The error that stops ``file`` and no other; ``None`` for one that stops the run: a model, or a signal."""
    is_panic = type(caught).__name__ == "PanicException"  # of a library in Rust, and no Exception
    is_of_the_run = isinstance(caught, BrokenPipeError) or interrupts.arrived() is not None
    if is_of_the_run or not (is_panic or isinstance(caught, Exception)):
        return None
    error = explained(caught, path=without_secrets(file.path))
    return None if isinstance(error, ModelError) else error

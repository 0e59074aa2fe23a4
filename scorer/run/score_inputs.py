"""One call of ``score``: one file to one output, or many into a folder, as ``make`` would do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from scorer.disk.paths import STDIN, STDOUT
from scorer.disk.temporary import remove_dead_folders
from scorer.errors import MissingInputError, OutOfMemoryError, ScorerError, UsageError, explained
from scorer.files.inputs import InputFile, expand_inputs, is_gone
from scorer.files.remote import check_writable
from scorer.files.urls import is_url, without_secrets
from scorer.job.engine import Engine
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.progress import Progress
from scorer.run.dry_run import DryRun
from scorer.run.engines import check_streams, engine_of
from scorer.run.options import RunOptions
from scorer.run.outcome import Outcome, log_failure
from scorer.run.report import RunReport
from scorer.run.report_files import ReportFiles
from scorer.run.score_folder import score_all
from scorer.run.targets import goes_into_folder, is_a_folder, targets_of, without_outputs

if TYPE_CHECKING:
    from scorer.disk.publishing import Move


def score_inputs(
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    run: RunOptions,
    files: ReportFiles,
    exit_code_of: Callable[[BaseException], int],
    tell: Callable[[ScorerError, str], None] = log_failure,
    show: Callable[[str], None] = print,
) -> RunReport:
    """Score ``inputs`` (files, folders, globs, URLs, ``-``) to ``output``; write and return the report.

    A folder, a glob or several inputs go into the folder ``output``, each file under its own name. A file
    that is up to date is skipped, and one that cannot be scored does not stop the others. The files of the
    report are written for a failed run too, with the exit code that ``exit_code_of`` gives to its error. ``tell`` is
    called with the error and the name of each of many files that cannot be scored, at once.
    A dry run gives its lines to ``show`` and writes nothing.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says; with many files, once all are through.
    """
    outcome = Outcome(run, files, exit_code_of, not goes_into_folder(inputs, output), tell)
    with outcome.failure_reported():
        if run.since is not None and STDIN in inputs:
            raise UsageError("standard input has no modification time", hint="drop --since")
        outcome.check_files(inputs, output)
        check_streams(inputs, output, options)
        if output == STDOUT and not outcome.of_one_file:
            raise UsageError("-o - takes one input", hint="name a folder")
        outcome.all_listed = not any(map(is_gone, inputs))
        found = expand_inputs(
            inputs,
            skip_missing=run.on_missing_input == "ok",
            skip_empty=run.on_missing_input == "empty",
            any_format=options.format is not None,
            failed=None if outcome.of_one_file else outcome.failed,
            left_out=outcome.left_out,
        )
        if found and outcome.of_one_file and found[0].path != inputs[0]:  # in a store, which alone knows
            raise is_a_folder(inputs[0])
        if outcome.of_one_file and run.dry_run:
            one = dict.fromkeys([output], file) if (file := next(iter(outcome.without_older(found)), None)) else {}
            return _dry_run(one, inputs, output, options, outcome, show)
        if outcome.of_one_file:
            outcome.targets = dict.fromkeys([output], found[0]) if found else {}
            return _score_one(outcome.without_older(found), output, options, progress, outcome)
        found = without_outputs(found, inputs, output, run)
        targets = targets_of(found, output, options, outcome.failed)
        outcome.check_files([file.path for file in found], output, targets)
        new, everything = set(outcome.without_older(found)), targets
        targets = {target: file for target, file in targets.items() if file in new}
        outcome.targets = targets
        if run.dry_run:
            return _dry_run(targets, inputs, output, options, outcome, show)
        remove_dead_folders()
        score_all(targets, inputs, output, options, progress, outcome, everything)
        return outcome.finish()


def _dry_run(
    targets: Mapping[str, InputFile],
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    outcome: Outcome,
    show: Callable[[str], None],
) -> RunReport:
    dry = DryRun(options, outcome)
    for line in dry.lines(targets, inputs, output, like_make=not outcome.of_one_file):
        show(line)
    outcome.raise_worst(n_good=dry.n_good)
    return RunReport(0 if dry.n_files else outcome.run.exit_code_nothing_new)


def _score_one(
    found: list[InputFile], output: str, options: ScoreOptions, progress: Progress, outcome: Outcome
) -> RunReport:
    is_written = False

    def report_files(summary: ScoreSummary) -> list[Move]:
        """The report, to be published with the output; not called for standard output or a store."""
        nonlocal is_written
        is_written = True
        return outcome.files.moves(replace(outcome.report(), summaries=[summary]))

    if found:
        if is_url(output):
            check_writable(output.rpartition("/")[0])
        with engine_of(options) as engine:

            @cache
            def started() -> Engine:
                """The engine, which is asked for once the output is locked."""
                outcome.started()
                return engine()

            try:
                summary = run_job(found[0], output, options, progress, engine=started, reports=report_files)
                outcome.summaries[output] = summary
            except MissingInputError as error:
                if not outcome.skips(error):
                    raise
                outcome.left_out(error)
            except Exception as error:
                known = explained(error, path=without_secrets(found[0].path))
                if known is not error and isinstance(known, OutOfMemoryError):
                    raise known from error
                raise
    return outcome.finish(is_written=is_written)

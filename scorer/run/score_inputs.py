"""One call of ``score``: one file to one output, or many into a folder, as ``make`` would do it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.disk.durable import write_errors
from scorer.disk.locking import locked
from scorer.disk.paths import STDIN, STDOUT, identity_of, is_folder, is_there
from scorer.errors import (
    BusyError,
    InputError,
    MissingInputError,
    OutputError,
    ScorerError,
    UnreachableError,
    UsageError,
)
from scorer.files.formats import OutputFormat, extension_of
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile, expand_inputs, searched_folder
from scorer.files.remote import place_of
from scorer.files.urls import has_wildcard, is_url, without_secrets
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.log_lines import error_fields
from scorer.progress import Progress
from scorer.run.engines import check_streams, engine_of
from scorer.run.options import RunOptions, modified_since
from scorer.run.report import Failure, RunReport
from scorer.run.report_files import ReportFiles

if TYPE_CHECKING:
    from scorer.disk.publishing import Move

log = logging.getLogger(__name__)

_OF_ONE_FILE = (OutputError, UnreachableError, InputError, BusyError, UsageError)
"""Errors that stop one file of many; the first of these that a run met gives its exit code."""

_LOCK = ".score.lock"


def score_inputs(
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    run: RunOptions,
    files: ReportFiles,
    exit_code_of: Callable[[BaseException], int],
) -> RunReport:
    """Score ``inputs`` (files, folders, globs, URLs, ``-``) to ``output``; write and return the report.

    A folder, a glob or several inputs go into the folder ``output``, each file under its own name. A file
    that is up to date is skipped, and one that cannot be scored does not stop the others. The files of the
    report are written for a failed run too, with the exit code that ``exit_code_of`` gives to its error.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says; with many files, once all are through.
    """
    if run.since is not None and STDIN in inputs:
        raise UsageError("standard input has no time of its own", hint="drop --since")
    outcome = _Outcome(run, files, exit_code_of, not _is_folder(inputs, output))
    # A failure outside the two blocks below is not reported: a file of the report could be an input.
    files.check(inputs, output)
    with outcome.failure_reported():
        check_streams(inputs, output, options)
        if output == STDOUT and not outcome.of_one_file:
            raise UsageError("-o - takes one input", hint="name a folder")
        any_format = options.format is not None
        found = expand_inputs(inputs, skip_missing=run.on_missing_input == "ok", any_format=any_format)
        if found and outcome.of_one_file and found[0].path != inputs[0]:  # in a store, which alone knows
            raise _is_a_folder(inputs[0])
        if outcome.of_one_file:
            return _score_one(outcome.without_older(found), output, options, progress, outcome)
        found = _without_outputs(found, inputs, output, run)
    targets = _targets(found, output, options)
    files.check([file.path for file in found], output, targets)
    with outcome.failure_reported():
        new = set(outcome.without_older(found))
        targets = {target: file for target, file in targets.items() if file in new}
        _score_all(targets, inputs, output, options, progress, outcome)
        return outcome.finish()


@dataclass
class _Outcome:
    """The results of a run so far, from which its report is made."""

    run: RunOptions
    files: ReportFiles
    exit_code_of: Callable[[BaseException], int]
    of_one_file: bool
    summaries: list[ScoreSummary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    older: int = 0
    begun: float = field(default_factory=time.monotonic)

    def report(self, exit_code: int = 0) -> RunReport:
        """The report at this moment."""
        seconds = time.monotonic() - self.begun
        return RunReport(exit_code, tuple(self.summaries), tuple(self.failures), self.older, seconds, self.of_one_file)

    @contextmanager
    def failure_reported(self) -> Iterator[None]:
        """Write the report if the block fails; if the report cannot be written, only the log says so."""
        try:
            yield
        except BaseException as error:
            code = self.exit_code_of(error)
            if not isinstance(error, ScorerError):
                self.failures.append(Failure("", type(error).__name__, code))
            elif not self.failures:
                self.failures.append(Failure(error.path or "", str(error), code))
            try:
                self.files.write(self.report(code))
            except OutputError as failure:
                log.warning("%s", failure)
            raise

    def without_older(self, found: list[InputFile]) -> list[InputFile]:
        """``found`` without files that were last modified before ``--since``."""
        moment = self.run.moment()
        new = found if moment is None else [file for file in found if modified_since(file, moment)]
        self.older = len(found) - len(new)
        return new

    def finish(self, *, is_written: bool = False) -> RunReport:
        """Report a run that ended well; ``is_written`` if the report was published together with an output."""
        report = self.report()
        if report.nothing_new:
            report = replace(report, exit_code=self.run.exit_code_nothing_new)
        if not is_written:
            self.files.write(report)
        return report


def _score_one(
    found: list[InputFile], output: str, options: ScoreOptions, progress: Progress, outcome: _Outcome
) -> RunReport:
    is_written = False

    def report_files(summary: ScoreSummary) -> list[Move]:
        """The report, to be published with the output; not called for standard output or a store."""
        nonlocal is_written
        is_written = True
        return outcome.files.moves(replace(outcome.report(), summaries=[summary]))

    if found:
        with engine_of(options) as engine:
            summary = run_job(found[0], output, options, progress, engine=engine, files_beside=report_files)
        outcome.summaries.append(summary)
    return outcome.finish(is_written=is_written)


def _score_all(
    targets: dict[str, InputFile],
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    outcome: _Outcome,
) -> None:
    remote = is_url(output)
    if not remote:
        _make_folder(Path(output), inputs)
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


def _is_folder(inputs: Sequence[str], output: str) -> bool:
    """True if the outputs go into a folder: for many inputs always, for one if it or ``output`` is a folder."""
    if len(inputs) > 1 or output.endswith(("/", os.sep)):
        return True
    if not inputs or inputs[0] == STDIN:
        return False
    name = inputs[0]
    many = has_wildcard(name) if is_url(name) else searched_folder(name) is not None
    folder = not is_url(output) and is_folder(output) and not extension_of(output).kind
    return many or folder or (is_url(name) and not extension_of(without_secrets(name)).kind)


def _targets(found: Sequence[InputFile], output: str, options: ScoreOptions) -> dict[str, InputFile]:
    """The file of each output in the folder ``output``.

    Raises:
        UsageError: two inputs would write one file, or one would write over another; each job checks its own.
    """

    def identity(path: str) -> object:
        return place_of(path) if is_url(path) else identity_of(path)

    inputs = {identity(file.path): file for file in found}
    inputs.pop(None, None)  # what is not a regular file has no identity
    targets: dict[str, InputFile] = {}
    taken: dict[str, InputFile] = {}
    for file in found:
        name, shown = file.name, without_secrets(file.path)
        if options.output_format is not None:
            suffix = OutputFormat.of("x", options.output_format).suffix
            name = name.removesuffix(extension_of(name).suffix) + suffix
        elif not extension_of(name).kind:
            raise UsageError(
                "its name does not say in which format to write it", path=shown, hint="pass --output-format"
            )
        target = f"{output.rstrip('/')}/{name}"
        for path in (target, target + REJECTS_SUFFIX, target + PROVENANCE_SUFFIX):
            other = taken.setdefault(path, file)
            if other is not file:
                raise UsageError(
                    f"would be written by {without_secrets(other.path)} and {shown}",
                    path=without_secrets(path),
                    hint="score them in separate runs",
                )
        if inputs.get(identity(target), file) is not file:
            raise UsageError(
                "is an input of this run itself", path=without_secrets(target), hint="write to another folder"
            )
        targets[target] = file
    return targets


def _without_outputs(found: list[InputFile], inputs: Sequence[str], output: str, run: RunOptions) -> list[InputFile]:
    """``found`` without earlier outputs: what a search found in the output's folder; named files stay."""
    if is_url(output):
        return found
    folder = _real(output)
    searched = {name: _real(root) for name in inputs if (root := searched_folder(name)) is not None}
    if folder in searched.values():
        raise UsageError("is the folder of the inputs itself", path=output, hint="write to another folder")
    if not any(folder.is_relative_to(root) for root in searched.values()):
        return found
    named = {_real(name) for name in inputs if name not in searched}
    rest = [file for file in found if not (path := _real(file.path)).is_relative_to(folder) or path in named]
    if found and not rest and run.on_missing_input == "fail":
        raise MissingInputError("holds no file but those of the output", path=inputs[0], hint="check the path")
    return rest


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises for a circle of links


def _is_a_folder(name: str) -> UsageError:
    shown = without_secrets(name)
    hint = f"name a folder for them, as -o scored{'/' if is_url(name) else ''}"
    return UsageError("is a folder, and each file in it has an output of its own", path=shown, hint=hint)


def _make_folder(folder: Path, inputs: Sequence[str]) -> None:
    if not is_folder(folder) and (is_there(folder) or extension_of(folder.name).kind):
        if len(inputs) == 1 and is_folder(inputs[0]):
            raise _is_a_folder(inputs[0])
        raise UsageError("is the name of a file, and several outputs need a folder", path=folder, hint="name a folder")
    if not is_folder(folder.absolute().parent):
        raise OutputError("no such folder", path=folder.absolute().parent, hint="make it first")
    with write_errors(folder):
        folder.mkdir(exist_ok=True)

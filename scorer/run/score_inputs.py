"""One call of ``score``: one file to one output, or many into a folder, as ``make`` would do it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.disk.durable import write_errors
from scorer.disk.locking import locked
from scorer.disk.paths import STDIN, STDOUT, identity_of, is_folder, is_there
from scorer.errors import BusyError, InputError, MissingInputError, OutputError, ScorerError, UsageError
from scorer.files.formats import OutputFormat, extension_of
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX, InputFile, expand_inputs, searched_folder
from scorer.files.remote import place_of
from scorer.files.urls import is_url, without_secrets
from scorer.job.engine import Engine
from scorer.job.job import run_job
from scorer.job.options import ScoreOptions
from scorer.job.summary import ScoreSummary
from scorer.log_lines import error_fields
from scorer.progress import Progress
from scorer.run.engines import engine_of
from scorer.run.options import RunOptions, modified_since
from scorer.run.report import RunReport
from scorer.run.report_files import ReportFiles

if TYPE_CHECKING:
    from scorer.disk.publishing import Move

log = logging.getLogger(__name__)

_OF_ONE_FILE = (OutputError, InputError, BusyError, UsageError)
"""Errors that stop one file of many; the first of these that a run met gives its exit code."""

_LOCK = ".score.lock"


def score_inputs(
    inputs: Sequence[str],
    output: str,
    options: ScoreOptions,
    progress: Progress,
    *,
    run: RunOptions,
    report: RunReport,
    files: ReportFiles,
) -> int:
    """Score ``inputs`` (files, folders, globs, URLs, ``-``) to ``output``, fill in ``report``, give the exit code.

    A folder, a glob or several inputs go into the folder ``output``, each file under its own name;
    one that is up to date is left, and one that cannot be scored does not stop the others. The exit
    code is 0, or the one of ``run`` for a run that had no file to score.

    Raises:
        ScorerError: as :func:`scorer.run.score_file.score_file` says; of many files once all are through.
    """
    if not output:
        raise UsageError("the output has an empty name", hint="is a variable unset?")
    if run.since is not None and STDIN in inputs:
        raise UsageError("standard input has no time of its own", hint="drop --since")
    files.check(inputs, output)
    report.may_be_written = True
    if not _is_folder(inputs, output):
        report.of_one_file = True
        found = _new_ones(_expanded(inputs, run), run, report)
        beside = _Beside(report, files)
        if found:
            with engine_of(options) as engine:
                summary = run_job(found[0], output, options, progress, engine=engine, accompany=beside)
            report.summaries.append(summary)
        return _ended(report, run, files, written=beside.was_asked)
    if output == STDOUT:
        raise UsageError("-o - takes one input", hint="name a folder")
    found = _without_outputs(_expanded(inputs, run), inputs, output, run)
    report.may_be_written = False
    targets = _targets(found, output, options)
    _refuse_inputs(targets, found)
    files.check([file.path for file in found], output, targets)
    report.may_be_written = True
    new = set(_new_ones(found, run, report))
    targets = {target: file for target, file in targets.items() if file in new}
    remote = is_url(output)
    if not remote:
        _make_folder(Path(output))
    with nullcontext() if remote else locked(Path(output), lock=Path(output) / _LOCK), engine_of(options) as engine:
        _score_all(targets, options, progress, report, engine, make_folders=not remote)
    return _ended(report, run, files, written=False)


def _expanded(inputs: Sequence[str], run: RunOptions) -> list[InputFile]:
    return expand_inputs(inputs, bear_missing=run.on_missing_input == "ok")


def _new_ones(found: list[InputFile], run: RunOptions, report: RunReport) -> list[InputFile]:
    """``found`` without what was modified last before ``--since``."""
    moment = run.moment()
    if moment is None:
        return found
    new = [file for file in found if modified_since(file, moment)]
    report.older = len(found) - len(new)
    return new


def _ended(report: RunReport, run: RunOptions, files: ReportFiles, *, written: bool) -> int:
    """The exit code of a run that ended well; its files are written where they did not come with an output."""
    code = run.exit_code_nothing_new if report.nothing_new else 0
    if not written:
        files.write(report, code)
    return code


def _score_all(
    targets: dict[str, InputFile],
    options: ScoreOptions,
    progress: Progress,
    report: RunReport,
    engine: Callable[[], Engine],
    *,
    make_folders: bool,
) -> None:
    errors: list[ScorerError] = []
    for target, file in targets.items():
        try:
            if make_folders:
                with write_errors(Path(target)):
                    Path(target).parent.mkdir(parents=True, exist_ok=True)
            summary = run_job(file, target, options, progress, engine=engine, like_make=True, is_last=False)
            report.summaries.append(summary)
            if not summary.skipped:
                about = {"event": "file_scored", "fields": summary.log_fields()}
                log.info("%s", summary.line(), extra=about)
        except _OF_ONE_FILE as error:
            fields = {**error_fields(error, error.exit_code), "file": without_secrets(file.path)}
            log.error("%s", error, extra={"event": "file_failed", "fields": fields})
            errors.append(error)
            report.failures.append((without_secrets(file.path), str(error), error.exit_code))
    if errors:
        worst = min(errors, key=lambda error: [isinstance(error, kind) for kind in _OF_ONE_FILE].index(True))
        done = len(targets) - len(errors)
        names = ", ".join(name for name, _, _ in report.failures[:3])
        more = f" and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise type(worst)(
            f"{len(errors)} of {len(targets)} files could not be scored: {names}{more}",
            hint=f"the other {done} {'is' if done == 1 else 'are'} done" if done else "see the lines above",
        )


class _Beside:
    """The report of a run that is about to end well, to be published with its output or not at all.

    Attributes:
        was_asked: whether there was an output that it could be published with: standard output is none, nor is a store.
    """

    def __init__(self, report: RunReport, files: ReportFiles) -> None:
        self.was_asked = False
        self._report = report
        self._files = files

    def __call__(self, summary: ScoreSummary) -> list[Move]:
        self.was_asked = True
        return self._files.moves(replace(self._report, summaries=[summary]), 0)


def _is_folder(inputs: Sequence[str], output: str) -> bool:
    """Whether ``output`` is a folder: for many inputs always, for one where it is named as one."""
    if len(inputs) > 1 or output.endswith(("/", os.sep)):
        return True
    if not inputs or inputs[0] == STDIN:
        return False
    name = inputs[0]
    many = any(char in name for char in "*?[") if is_url(name) else searched_folder(name) is not None
    folder = not is_url(output) and is_folder(output) and not extension_of(output).kind
    return many or folder or (is_url(name) and not extension_of(without_secrets(name)).kind)


def _targets(found: Sequence[InputFile], output: str, options: ScoreOptions) -> dict[str, InputFile]:
    targets: dict[str, InputFile] = {}
    taken: dict[str, InputFile] = {}
    for file in found:
        name = file.name
        if options.output_format is not None:
            format = OutputFormat.of("x", options.output_format)
            name = name.removesuffix(extension_of(name).suffix) + format.suffix
        elif not extension_of(name).kind:
            raise UsageError(
                "its name does not say in which format to write it",
                path=without_secrets(file.path),
                hint="pass --output-format",
            )
        target = f"{output.rstrip('/')}/{name}"
        for path in (target, target + REJECTS_SUFFIX, target + PROVENANCE_SUFFIX):
            other = taken.setdefault(path, file)
            if other is not file:
                raise UsageError(
                    f"would be written by {without_secrets(other.path)} and {without_secrets(file.path)}",
                    path=without_secrets(path),
                    hint="score them in separate runs",
                )
        targets[target] = file
    return targets


def _refuse_inputs(targets: Mapping[str, InputFile], found: Sequence[InputFile]) -> None:
    """Whether a run of many files would write one of them over another that it reads; its own is known later.

    Raises:
        UsageError: it would.
    """
    inputs = {identity: file for file in found if (identity := _identity(file.path)) is not None}
    for target, file in targets.items():
        there = _identity(target)
        if there is not None and inputs.get(there, file) is not file:
            raise UsageError(
                "is an input of this run itself", path=without_secrets(target), hint="write to another folder"
            )


def _identity(path: str) -> tuple[object, object] | None:
    return place_of(path) if is_url(path) else identity_of(path)


def _without_outputs(found: list[InputFile], inputs: Sequence[str], output: str, run: RunOptions) -> list[InputFile]:
    """``found`` without earlier outputs: what a search finds in the output's folder, never a file that is named."""
    if is_url(output):
        return found
    folder = os.path.realpath(output)
    searched = {name: os.path.realpath(root) for name in inputs if (root := searched_folder(name)) is not None}
    if folder in searched.values():
        raise UsageError("is the folder of the inputs itself", path=output, hint="write to another folder")
    if not any(_lies_in(folder, root) for root in searched.values()):
        return found
    named = {os.path.realpath(name) for name in inputs if name not in searched}
    rest = [file for file in found if not _lies_in(path := os.path.realpath(file.path), folder) or path in named]
    if found and not rest and run.on_missing_input == "fail":
        raise MissingInputError("holds no file but those of the output", path=inputs[0], hint="check the path")
    return rest


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _make_folder(folder: Path) -> None:
    if not is_folder(folder) and (is_there(folder) or extension_of(folder.name).kind):
        raise UsageError("is a file, and several outputs need a folder", path=folder, hint="name a folder")
    if not is_folder(folder.absolute().parent):
        raise OutputError("no such folder", path=folder.absolute().parent, hint="make it first")
    with write_errors(folder):
        folder.mkdir(exist_ok=True)

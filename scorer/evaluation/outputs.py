"""Outputs of an evaluation beside its report: rows for people, the next baseline, the threshold of a bundle."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scorer.disk.paths import check_folder
from scorer.errors import OutputExistsError, UsageError
from scorer.evaluation import mistakes_file, review_queue
from scorer.evaluation.baseline import check_baseline_destination, write_baseline
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.inputs import EvaluatedFile
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.rows_file import RowsFile
from scorer.evaluation.thresholds import Thresholds, chosen_threshold
from scorer.model.bundle import ModelBundle
from scorer.model.bundle_writer import write_threshold
from scorer.model.model_folder import BUILT_IN_MODEL, is_built_in

log = logging.getLogger(__name__)


def check_destinations(paths: Mapping[str, Path], inputs: Sequence[Path]) -> None:
    """Check the destinations of ``paths``, by option, before any work.

    Raises:
        UsageError: one is a folder or one of ``inputs``, or two are the same file.
        OutputError: the folder of one is missing or cannot be written to.
    """
    seen: dict[Path, str] = {}
    for option, path in paths.items():
        if path.is_dir():
            raise UsageError("is a folder", path=path, hint="name a file in it")
        if any(path.exists() and other.exists() and path.samefile(other) for other in inputs):
            raise UsageError(f"{option} names a file that is read", path=path, hint="write to another file")
        check_folder(path)
        first = seen.setdefault(path.resolve(), option)
        if first != option and (path.is_file() or not path.exists()):
            raise UsageError(f"{first} and {option} name the same file", path=path, hint="name another for one of them")


def files_of_rows(options: EvaluateOptions) -> dict[str, Path]:
    """Files of rows that ``options`` ask for, by option."""
    asked = {"--review-queue": options.review_queue, "--mistakes-file": options.mistakes_file}
    return {option: Path(path) for option, path in asked.items() if path is not None}


def check_outputs(options: EvaluateOptions, paths: Sequence[str]) -> None:
    """Check before any work where ``options`` ask to write; ``paths`` are the evaluated files.

    Raises:
        UsageError: a destination is a folder, a file that is read, or of a format that is not for it.
        OutputExistsError: a file of rows already exists and may not be replaced.
        OutputError: the folder of one is missing or cannot be written to.
    """
    read = [Path(path) for path in paths]
    if options.write_baseline is not None:
        check_baseline_destination(Path(options.write_baseline), read)
    others = (options.labels, options.baseline, options.drift)
    check_destinations(files_of_rows(options), [*read, *(Path(path) for path in others if path is not None)])
    for path in files_of_rows(options).values():
        RowsFile.of(path)
        if path.exists() and not options.overwrite:
            raise OutputExistsError("already exists", path=path, hint="pass --overwrite to replace it")


def check_row_columns(files: Sequence[EvaluatedFile], labels: Sequence[str], options: EvaluateOptions) -> None:
    """Check before any text is scored that files of rows can have the columns that ``options`` ask for.

    Raises:
        UsageError: two columns of one would share a name.
    """
    if options.review_queue is not None:
        review_queue.check_columns(files, labels, options)
    if options.mistakes_file is not None:
        mistakes_file.check_columns(files, options)


def write_rows(rows: EvaluatedRows, labels: Sequence[str], options: EvaluateOptions) -> tuple[str, ...]:
    """Write the files of rows that ``options`` ask for; returns a note on each.

    Raises:
        InputError: the predictions have no probabilities to choose by, or an input cannot be read again.
        OutputError: a file could not be written.
    """
    notes = []
    if options.review_queue is not None:
        notes.append(review_queue.write_review_queue(RowsFile.of(options.review_queue), rows, labels, options))
    if options.mistakes_file is not None:
        notes.append(mistakes_file.write_mistakes(RowsFile.of(options.mistakes_file), rows, labels, options))
    return tuple(notes)


def write_if_passed(
    report: EvaluationReport, rows: EvaluatedRows, bundle: ModelBundle | None, options: EvaluateOptions
) -> EvaluationReport:
    """Write the threshold and the next baseline if all gates are met, and note it in the report.

    Raises:
        OutputError: one could not be written.
    """
    thresholds, notes = report.thresholds, list(report.notes)
    passed = all(gate.passed for gate in report.gates)
    if bundle is not None and thresholds is not None:
        if passed:
            thresholds, note = _write_threshold(thresholds, bundle)
            notes.append(note)
        else:
            notes.append(f"no threshold was written into {bundle.folder}: a gate was not met")
    if options.write_baseline is not None:
        path = os.fspath(options.write_baseline)
        if passed:
            write_baseline(Path(path), rows, report.labels, options)
            notes.append(f"these predictions are the next baseline: {path}")
        else:
            notes.append(f"{path} was not changed: a gate was not met")
    return replace(report, thresholds=thresholds, notes=tuple(notes))


def _write_threshold(thresholds: Thresholds, bundle: ModelBundle) -> tuple[Thresholds, str]:
    """Write the chosen threshold; returns the thresholds that tell so, and a note."""
    threshold, where = chosen_threshold(thresholds), str(bundle.folder)
    write_threshold(bundle, threshold)
    if is_built_in(bundle.folder):
        where = BUILT_IN_MODEL
        log.warning("--write-threshold changed %s: its threshold is %g", where, threshold)
    written = replace(thresholds, written=threshold, written_to=str(bundle.folder))
    return written, f"the threshold {threshold:g} was written into {where}"

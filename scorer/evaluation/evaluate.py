"""One evaluation from files to :class:`EvaluationReport`: :func:`evaluate_labels`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from scorer.disk.checksums import sha256_of
from scorer.disk.paths import path_texts
from scorer.errors import InputError
from scorer.evaluation.analysis import Analysis, LabelledPredictions, cuts_of
from scorer.evaluation.baseline import Baseline, pair
from scorer.evaluation.comparison import comparison_of
from scorer.evaluation.coverage import Coverage, coverage_of
from scorer.evaluation.data import EvaluatedData
from scorer.evaluation.drift import Profile, baseline_profile, drift_of
from scorer.evaluation.expectation import (
    CalibrationCheck,
    Expectation,
    check_of_built_in,
    drift_doubts,
    expectation_of,
)
from scorer.evaluation.findings import FIGURES, EvaluationReport, Provenance
from scorer.evaluation.gates import gates_of
from scorer.evaluation.mistakes import most_confident_mistakes, reviews_at, suspect, suspect_labels
from scorer.evaluation.options import EvaluateArguments, EvaluateOptions
from scorer.evaluation.outputs import check_outputs, write_if_passed, write_rows
from scorer.evaluation.rows import EvaluatedRows
from scorer.evaluation.scored_by import BUILT_IN, ScoredBy, scored_by
from scorer.evaluation.sections import Drift, Method, ReadFile
from scorer.evaluation.slices import Cut, SlicedRows
from scorer.evaluation.thresholds import Thresholds, threshold_table
from scorer.model.bundle_writer import writable_bundle
from scorer.notebook import progress_of_call
from scorer.progress import Progress
from scorer.version import package_version

_METHOD = Method()


def evaluate_labels(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    options: EvaluateOptions | None = None,
    progress: Progress | bool | None = None,
    **overrides: Unpack[EvaluateArguments],
) -> EvaluationReport:
    """Compare predictions with gold labels; keyword arguments are fields of :class:`EvaluateOptions`.

    ``files`` are one or several, evaluated as one: all with predictions, or all with texts, which are
    then scored first. A row whose prediction is null, as for an empty text, is counted as unscored
    and is in no figure. Gates are measured, not enforced: see
    :meth:`EvaluationReport.gate_errors`. A baseline and a threshold are written only if all gates are met.

    Raises:
        InputError: a file cannot be read, lacks a column, or has labels, ids or probabilities that do not fit.
        ModelError: texts have to be scored, and the model or the device cannot be used.
        OutputError: the baseline or the threshold could not be written.
        UsageError: options do not fit one another or the files.
    """
    asked = EvaluateOptions.of_call(options, overrides, function="evaluate_labels")
    paths = path_texts(files)
    check_outputs(asked, paths)
    data = EvaluatedData.open(paths, asked)
    chosen, labels, positive, notes = data.options, data.labels, data.positive, data.notes

    # A bundle, a baseline or other predictions that do not fit are refused before the first text is scored.
    bundle = None
    if chosen.write_threshold is not None:
        bundle = writable_bundle(Path(chosen.write_threshold), labels.names, positive)
    baseline = None if chosen.baseline is None else Baseline.read(chosen.baseline, chosen, labels)
    then = None if chosen.drift is None else baseline_profile(chosen.drift, chosen, labels, positive)
    now = None if then is None else Profile(labels.names, None if then.score_of is None else positive)

    rows = data.collect(now, progress_of_call(progress))
    evaluated = LabelledPredictions.of(rows, rows.evaluated, labels.names, positive)
    cuts = cuts_of(rows, rows.evaluated, evaluated) if len(rows.evaluated) else ()
    report = _judged(data, rows, evaluated, cuts, _provenance(data, rows, baseline, then))
    if baseline is not None:
        partners, more = pair(data.files, len(rows.gold), baseline, chosen)
        comparison = comparison_of(rows, baseline, partners, labels.names, positive, chosen, _METHOD, cuts)
        report, notes = replace(report, comparison=comparison), notes + more
    if then is not None and now is not None:
        report = _with_drift(report, drift_of(str(chosen.drift), then, now))
    notes += _same_bytes(report.provenance.inputs)
    gates = gates_of(chosen, report.figures, positive, report.comparison, report.drift, report.expectation)
    notes += write_rows(rows, labels.names, chosen)
    return write_if_passed(replace(report, gates=gates, notes=notes), rows, bundle, chosen)


def _judged(
    data: EvaluatedData,
    rows: EvaluatedRows,
    evaluated: LabelledPredictions,
    cuts: Sequence[Cut],
    provenance: Provenance,
) -> EvaluationReport:
    """Compare the predictions with the gold labels, if there are any."""
    names, gold, most = data.labels.names, data.gold, data.options.mistakes
    labelled, places = gold.column is not None, rows.evaluated
    if labelled and not len(places):
        raise InputError("no row has both a prediction and a label", path=data.files[0].source.path)
    analysis = evaluated.analysis(_METHOD) if labelled else Analysis.without_gold(len(names))
    thresholds = _thresholds(data, analysis)
    wrong, doubtful = most_confident_mistakes(rows), suspect_labels(rows)
    reviews = reviews_at(rows, [*wrong[:most].tolist(), *doubtful[:most].tolist()], names, data.options.on, cuts)
    sliced = SlicedRows(evaluated.gold, evaluated.predicted, names, data.positive)
    return EvaluationReport(
        provenance=provenance,
        labels=names,
        positive=data.positive,
        rows=gold.rows,
        unscored=int(((rows.predicted < 0) & ((rows.gold >= 0) | (not labelled))).sum()),
        rows_unmatched=gold.rows_unmatched,
        rows_unlabelled=gold.unlabelled,
        rows_left_out=int((rows.gold < 0).sum()) - gold.rows_unmatched - gold.unlabelled if labelled else 0,
        labels_unmatched=gold.unmatched,
        matrix=analysis.matrix,
        figures={name: analysis.figures[name] for name in FIGURES},
        by_label=analysis.by_label,
        method=_METHOD,
        curves=analysis.curves,
        reliability=analysis.reliability,
        histogram=analysis.histogram,
        slices=tuple(sliced.by(cut.by, cut.codes, cut.values, built_in=cut.built_in) for cut in cuts),
        mistakes=tuple(reviews[place] for place in wrong[:most].tolist()),
        n_mistakes=len(wrong),
        thresholds=thresholds,
        suspects=tuple(suspect(rows, place, reviews[place]) for place in doubtful[:most].tolist()),
        n_suspects=len(doubtful),
        coverage=_coverage(rows, labelled=labelled),
        expectation=_expectation(data, rows),
    )


def _expectation(data: EvaluatedData, rows: EvaluatedRows) -> Expectation | None:
    """The accuracy to expect of all rows with a prediction, also beside a measured one."""
    if rows.confidence is None:
        return None
    if data.scorer is not None:
        check = CalibrationCheck.of(data.scorer.bundle.description)
    else:
        check = check_of_built_in(data.models)
    places = rows.predicted >= 0
    return expectation_of(rows.predicted[places], rows.confidence[places], data.labels.names, check)


def _thresholds(data: EvaluatedData, analysis: Analysis) -> Thresholds | None:
    options = data.options
    if analysis.ranking is not None:
        return threshold_table(
            analysis.ranking,
            at_precision=options.at_precision,
            at_recall=options.at_recall,
            costs=options.costs,
            predicted=int(analysis.matrix[:, data.positive].sum()),
        )
    asked = (options.at_precision, options.at_recall, options.write_threshold, options.costs)
    if any(value is not None for value in asked):
        missing = "a positive label" if data.positive is None else "columns of probabilities"
        raise InputError(
            f"a threshold needs {missing}", path=data.files[0].source.path, hint="pass --positive, or score again"
        )
    return None


def _provenance(
    data: EvaluatedData, rows: EvaluatedRows, baseline: Baseline | None, then: Profile | None
) -> Provenance:
    """Every file that was read, and the model that scored the texts."""
    options, scorer, gold = data.options, data.scorer, data.gold
    inputs = [
        _read_file(file.source.path, "evaluated", end - first, model)
        for (file, first, end), model in zip(rows.by_file(), data.models, strict=True)
    ]
    if options.labels is not None:
        n_labels = gold.rows - gold.rows_unmatched + gold.unmatched
        inputs.append(_read_file(str(options.labels), "labels", n_labels))
    if baseline is not None:
        inputs.append(
            _read_file(baseline.file.source.path, "baseline", baseline.n_rows, scored_by(baseline.file.source))
        )
    if then is not None:
        inputs.append(_read_file(str(options.drift), "drift", then.all_rows, then.model))
    return Provenance(
        files=tuple(file.source.path for file in data.files),
        labels_file=None if options.labels is None else os.fspath(options.labels),
        label_column=gold.column,
        model=None if scorer is None else os.fspath(options.model or BUILT_IN),
        precision=None if scorer is None else scorer.session.precision,
        device=None if scorer is None else scorer.session.device,
        fingerprint=None if scorer is None else scorer.bundle.fingerprint(scorer.session.precision),
        inputs=tuple(inputs),
        text_column=", ".join(dict.fromkeys(file.text for file in data.files if file.text)) or None,
        version=package_version(),
    )


def _coverage(rows: EvaluatedRows, *, labelled: bool) -> Coverage | None:
    """Accuracy against coverage, of the rows that have a gold label too if any has one."""
    if rows.confidence is None:
        return None
    if not labelled:
        return coverage_of(rows.confidence[rows.predicted >= 0], None)
    places = rows.evaluated
    return coverage_of(rows.confidence[places], rows.gold[places] == rows.predicted[places])


def _with_drift(report: EvaluationReport, drift: Drift) -> EvaluationReport:
    """``report`` with ``drift``, and with what it says about the expected accuracy."""
    expectation = report.expectation
    if expectation is not None:
        expectation = replace(expectation, doubts=drift_doubts(drift), drift_checked=True)
    return replace(report, drift=drift, expectation=expectation)


def _same_bytes(inputs: Sequence[ReadFile]) -> tuple[str, ...]:
    """A note on each evaluated file that holds the same bytes as one before it."""
    first: dict[str, str] = {}
    found = []
    for item in inputs:
        if item.role != "evaluated" or item.sha256 is None:
            continue
        if item.sha256 in first:
            found.append(f"{item.path} holds the same bytes as {first[item.sha256]}: its rows count twice")
        first.setdefault(item.sha256, item.path)
    return tuple(found)


def _read_file(path: str, role: str, n_rows: int, model: ScoredBy | None = None) -> ReadFile:
    file = Path(path)
    if not file.is_file():
        return ReadFile(path, role, n_rows, 0, None, model)
    return ReadFile(path, role, n_rows, file.stat().st_size, sha256_of(file), model)

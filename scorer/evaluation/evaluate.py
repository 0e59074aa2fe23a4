"""One evaluation from files to :class:`EvaluationReport`: :func:`evaluate_labels`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
import numpy.typing as npt

from scorer.disk.checksums import sha256_of
from scorer.disk.paths import path_texts
from scorer.errors import InputError, UsageError
from scorer.evaluation.analysis import Analysis, LabelledPredictions, cuts_of
from scorer.evaluation.baseline import (
    Baseline,
    check_kept_columns,
    pair,
    without_first_baseline,
)
from scorer.evaluation.comparison import comparison_of
from scorer.evaluation.coverage import Coverage, coverage_of
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
from scorer.evaluation.gold import labels_of, read_gold, require_two_labels
from scorer.evaluation.inputs import EvaluatedFile, open_files
from scorer.evaluation.label_map import read_label_map
from scorer.evaluation.labels import GoldLabels, LabelSet
from scorer.evaluation.mistakes import most_confident_mistakes, reviews_at, suspect, suspect_labels
from scorer.evaluation.options import EvaluateArguments, EvaluateOptions
from scorer.evaluation.outputs import check_outputs, check_row_columns, write_if_passed, write_rows
from scorer.evaluation.rows import EvaluatedRows, PredictedChunk, collect_rows, predicted_chunks, scored_chunks
from scorer.evaluation.scored_by import BUILT_IN, ScoredBy, scored_by
from scorer.evaluation.sections import Drift, Method, ReadFile
from scorer.evaluation.slices import Cut, SlicedRows
from scorer.evaluation.thresholds import Thresholds, threshold_table
from scorer.model.bundle import writable_bundle
from scorer.notebook import progress_of_call
from scorer.progress import NoProgress, Progress
from scorer.safe_text import quoted
from scorer.version import package_version

if TYPE_CHECKING:
    from scorer.model.scoring import Scorer

log = logging.getLogger(__name__)

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
    run = _Evaluation.open(paths, asked)
    chosen, labels, positive, notes = run.options, run.labels, run.positive, run.notes

    # A bundle, a baseline or other predictions that do not fit are refused before the first text is scored.
    bundle = None
    if chosen.write_threshold is not None:
        bundle = writable_bundle(Path(chosen.write_threshold), labels.names, positive)
    baseline = None if chosen.baseline is None else Baseline.read(chosen.baseline, chosen, labels)
    then = None if chosen.drift is None else baseline_profile(chosen.drift, chosen, labels, positive)
    now = None if then is None else Profile(labels.names, None if then.score_of is None else positive)

    rows = run.collect(now, progress_of_call(progress))
    evaluated = LabelledPredictions.of(rows, rows.evaluated, labels.names, positive)
    cuts = cuts_of(rows, rows.evaluated, evaluated) if len(rows.evaluated) else ()
    report = run.judge(rows, evaluated, cuts, run.provenance(rows, baseline, then))
    if baseline is not None:
        partners, more = pair(run.files, len(rows.gold), baseline, chosen)
        comparison = comparison_of(rows, baseline, partners, labels.names, positive, chosen, _METHOD, cuts)
        report, notes = replace(report, comparison=comparison), notes + more
    if then is not None and now is not None:
        report = with_drift(report, drift_of(str(chosen.drift), then, now))
    notes += _same_bytes(report.provenance.inputs)
    gates = gates_of(chosen, report.figures, positive, report.comparison, report.drift, report.expectation)
    notes += write_rows(rows, labels.names, chosen)
    return write_if_passed(replace(report, gates=gates, notes=notes), rows, bundle, chosen)


@dataclass(frozen=True)
class _Evaluation:
    """The open files of an evaluation and their labels.

    Attributes:
        options: without comparisons that the first night cannot make.
        files: to evaluate.
        gold: their gold labels.
        ids: label id of each gold value.
        labels: of the predictions.
        positive: id of the positive label, or ``None``.
        scorer: loaded if the files have texts to score.
        models: that made the predictions of ``files``, as far as these state it.
        notes: on how labels and baselines were read.
    """

    options: EvaluateOptions
    files: Sequence[EvaluatedFile]
    gold: GoldLabels
    ids: dict[str, int]
    labels: LabelSet
    positive: int | None
    scorer: Scorer | None
    models: tuple[ScoredBy | None, ...]
    notes: tuple[str, ...]

    @classmethod
    def open(cls, paths: Sequence[str | os.PathLike[str]], asked: EvaluateOptions) -> _Evaluation:
        """Open the files, read every gold label, and load the model if there are texts to score."""
        # Opened as asked, because gold labels are needed on the first night too.
        files = open_files(paths, asked)
        options, notes = without_first_baseline(asked)
        gold = read_gold(files, options)
        if gold.column is None and files[0].gold is not None:
            notes += (f"no row has a label in column {quoted(files[0].gold)}: all are taken as unlabelled",)
        label_map = {} if options.label_map is None else read_label_map(options.label_map)
        scorer = _load(options) if files[0].predicted is None else None
        if scorer is None:
            labels, more = labels_of(files, gold, label_map)
            notes += more
        else:
            labels = LabelSet(scorer.bundle.labels, "the model")
        if options.write_baseline is not None:
            check_kept_columns(files, labels.names, options)
        check_row_columns(files, labels.names, options)
        ids: dict[str, int] = {}
        if gold.column is not None:
            ids = labels.require_ids(gold.values, name=gold.column, label_map=label_map)
            require_two_labels(files, gold, ids)
        models = tuple(None if scorer else scored_by(file.source) for file in files)
        return cls(options, files, gold, ids, labels, _positive_id(labels, options.positive), scorer, models, notes)

    def collect(self, profile: Profile | None, progress: Progress) -> EvaluatedRows:
        """Read or score all rows, counting them in ``profile`` on the way."""
        slice_by = tuple(self.options.slice_by)
        if self.scorer is None:
            progress = NoProgress()  # predictions are read too fast to show it
            chunks = predicted_chunks(self.files, self.labels, slice_by)
        else:
            chunks = scored_chunks(self.files, self.labels, self.scorer, slice_by, progress)
        with progress as shown:
            shown.start(self.gold.rows)
            return collect_rows(_counted(chunks, profile, shown), self.gold, self.ids, slice_by)

    def judge(
        self, rows: EvaluatedRows, evaluated: LabelledPredictions, cuts: Sequence[Cut], provenance: Provenance
    ) -> EvaluationReport:
        """Compare the predictions with the gold labels, if there are any."""
        names, gold, most = self.labels.names, self.gold, self.options.mistakes
        labelled, places = gold.column is not None, rows.evaluated
        if labelled and not len(places):
            raise InputError("no row has both a prediction and a label", path=self.files[0].source.path)
        analysis = evaluated.analysis(_METHOD) if labelled else Analysis.without_gold(len(names))
        thresholds = self._thresholds(analysis)
        wrong, doubtful = most_confident_mistakes(rows), suspect_labels(rows)
        reviews = reviews_at(rows, [*wrong[:most].tolist(), *doubtful[:most].tolist()], names, self.options.on, cuts)
        sliced = SlicedRows(evaluated.gold, evaluated.predicted, names, self.positive)
        return EvaluationReport(
            provenance=provenance,
            labels=names,
            positive=self.positive,
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
            coverage=_coverage(rows, places) if labelled else _coverage(rows, None),
            expectation=self._expectation(rows),
        )

    def _expectation(self, rows: EvaluatedRows) -> Expectation | None:
        """The accuracy to expect of all rows with a prediction, also beside a measured one."""
        if rows.confidence is None:
            return None
        if self.scorer is not None:
            check = CalibrationCheck.of(self.scorer.bundle.description)
        else:
            check = check_of_built_in(self.models)
        places = rows.predicted >= 0
        return expectation_of(rows.predicted[places], rows.confidence[places], self.labels.names, check)

    def _thresholds(self, analysis: Analysis) -> Thresholds | None:
        options = self.options
        if analysis.ranking is not None:
            return threshold_table(
                analysis.ranking,
                at_precision=options.at_precision,
                at_recall=options.at_recall,
                costs=options.costs,
                predicted=int(analysis.matrix[:, self.positive].sum()),
            )
        asked = (options.at_precision, options.at_recall, options.write_threshold, options.costs)
        if any(value is not None for value in asked):
            missing = "a positive label" if self.positive is None else "columns of probabilities"
            raise InputError(
                f"a threshold needs {missing}", path=self.files[0].source.path, hint="pass --positive, or score again"
            )
        return None

    def provenance(self, rows: EvaluatedRows, baseline: Baseline | None, then: Profile | None) -> Provenance:
        """Every file that was read, and the model that scored the texts."""
        options, scorer, gold = self.options, self.scorer, self.gold
        inputs = [
            _read_file(file.source.path, "evaluated", end - first, model)
            for (file, first, end), model in zip(rows.by_file(), self.models, strict=True)
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
            files=tuple(file.source.path for file in self.files),
            labels_file=None if options.labels is None else os.fspath(options.labels),
            label_column=gold.column,
            model=None if scorer is None else os.fspath(options.model or BUILT_IN),
            precision=None if scorer is None else scorer.session.precision,
            device=None if scorer is None else scorer.session.device,
            fingerprint=None if scorer is None else scorer.bundle.fingerprint(scorer.session.precision),
            inputs=tuple(inputs),
            text_column=", ".join(dict.fromkeys(file.text for file in self.files if file.text)) or None,
            version=package_version(),
        )


def _coverage(rows: EvaluatedRows, places: npt.NDArray[np.int64] | None) -> Coverage | None:
    """Accuracy against coverage of the rows at ``places``, which have gold labels; without ``places`` none has."""
    if rows.confidence is None:
        return None
    if places is None:
        return coverage_of(rows.confidence[rows.predicted >= 0], None)
    return coverage_of(rows.confidence[places], rows.gold[places] == rows.predicted[places])


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


def with_drift(report: EvaluationReport, drift: Drift) -> EvaluationReport:
    """``report`` with ``drift``, and with what it says about the expected accuracy."""
    expectation = report.expectation
    if expectation is not None:
        expectation = replace(expectation, doubts=drift_doubts(drift), drift_checked=True)
    return replace(report, drift=drift, expectation=expectation)


def _counted(chunks: Iterator[PredictedChunk], profile: Profile | None, progress: Progress) -> Iterator[PredictedChunk]:
    for chunk in chunks:
        if profile is not None:
            profile.add(chunk)
        yield chunk
        progress.advance(len(chunk.predicted), chunk.n_tokens)


def _load(options: EvaluateOptions) -> Scorer:
    from scorer.model.scoring import Scorer

    scorer = Scorer.load(options.model, options=options)
    if scorer.session.note:
        log.warning("%s", scorer.session.note)
    return scorer


def _positive_id(labels: LabelSet, wanted: str | int | None) -> int | None:
    """The label ``wanted`` by name or id, or else the second of two."""
    if wanted is None:
        return 1 if len(labels.names) == 2 else None
    found = labels.ids_of([str(wanted)])[str(wanted)]
    if found is None:
        raise UsageError(f"--positive {wanted} is not a label of {labels.owner}", hint=f"labels: {labels.described()}")
    return found


def _read_file(path: str, role: str, n_rows: int, model: ScoredBy | None = None) -> ReadFile:
    file = Path(path)
    if not file.is_file():
        return ReadFile(path, role, n_rows, 0, None, model)
    return ReadFile(path, role, n_rows, file.stat().st_size, sha256_of(file), model)

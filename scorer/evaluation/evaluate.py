"""Predictions beside gold labels, a baseline and another night -> :class:`EvaluationReport`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scorer.disk.checksums import sha256_of
from scorer.errors import InputError, UsageError
from scorer.evaluation.analysis import Analysis, Judged, judged, slices_of
from scorer.evaluation.baseline import (
    Baseline,
    check_baseline_destination,
    check_kept_columns,
    open_baseline,
    pair,
    without_first_baseline,
    write_baseline,
)
from scorer.evaluation.comparison import differences, loss_spreads, mcnemar, paired_samples, ranking_spreads
from scorer.evaluation.drift import Profile, compare
from scorer.evaluation.findings import FIGURES, EvaluationReport, Provenance
from scorer.evaluation.gates import gates_of
from scorer.evaluation.inputs import EvaluatedFile, GoldLabels, labels_of, open_files, read_gold, require_two_labels
from scorer.evaluation.labels import LabelSet, listed, values_in_order
from scorer.evaluation.mistakes import by_confidence, fetch, most_confident_mistakes, review, suspect, suspect_labels
from scorer.evaluation.options import EvaluateOptions
from scorer.evaluation.rows import Collector, EvaluatedRows, Rows, predicted_rows, scored_rows
from scorer.evaluation.sections import ChangedReview, Comparison, Method, ReadFile, Thresholds
from scorer.evaluation.thresholds import chosen_threshold, threshold_table
from scorer.metrics.values import Figure
from scorer.model.bundle import is_embedded, writable_bundle, write_threshold
from scorer.progress import NoProgress, Progress
from scorer.version import package_version

if TYPE_CHECKING:
    from scorer.model.bundle import ModelBundle
    from scorer.model.scoring import Scorer

log = logging.getLogger(__name__)


def evaluate_labels(
    files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    options: EvaluateOptions | None = None,
    progress: Progress | None = None,
    **overrides: Any,
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
    asked = _chosen(options, overrides)
    paths = [files] if isinstance(files, str | os.PathLike) else list(files)
    if asked.write_baseline is not None:
        check_baseline_destination(Path(asked.write_baseline), [Path(path) for path in paths])
    # Gold labels are needed on the first night as on all others.
    opened = open_files(paths, asked)
    chosen, notes = without_first_baseline(asked)
    gold = read_gold(opened, chosen)
    scorer = _load(chosen) if opened[0].predicted is None else None
    if scorer is None:
        labels, more = labels_of(opened, gold)
        notes += more
    else:
        labels = LabelSet(scorer.bundle.labels, "the model")
    if chosen.write_baseline is not None:
        check_kept_columns(opened, labels.names, chosen)
    ids: dict[str, int] = {}
    if gold.column is not None:
        ids = labels.require_ids(gold.values, name=gold.column)
        require_two_labels(opened, gold, ids)
    run = _Run(chosen, opened, gold, labels, _positive(labels, chosen.positive), scorer)
    return run.report(ids, notes, progress)


@dataclass
class _Run:
    """One evaluation, once its files are open and its labels are known."""

    options: EvaluateOptions
    files: Sequence[EvaluatedFile]
    gold: GoldLabels
    labels: LabelSet
    positive: int | None
    scorer: Scorer | None
    method: Method = field(default_factory=Method)

    def report(self, ids: dict[str, int], notes: tuple[str, ...], progress: Progress | None) -> EvaluationReport:
        options = self.options
        bundle = self._bundle()
        # A baseline that does not fit is known before the first text is scored.
        baseline = None
        if options.baseline is not None:
            file = open_baseline(options.baseline, options, texts=True)
            baseline = Baseline(file.without_text(), self.labels)
            baseline.file = file
        then = self._profile_of_baseline()
        now = None
        if then is not None:
            now = Profile(self.labels.names, None if then.score_of is None else self.positive)
        rows = self._collect(ids, now, progress)
        places = rows.evaluated
        if self.gold.column is None:
            analysis = self._nothing()
        elif not len(places):
            raise InputError("no row has both a prediction and a label", path=self.files[0].source.path)
        else:
            analysis = judged(rows, places, self.labels.names, self.positive).analysis(self.method)
        report = self._report(rows, places, analysis)
        if baseline is not None:
            comparison, more = self._compare(rows, baseline)
            report, notes = replace(report, comparison=comparison), notes + more
        if then is not None and now is not None:
            report = replace(report, drift=compare(os.fspath(str(options.drift)), then, now))
        report = replace(
            report, gates=gates_of(report, self.options), provenance=self._provenance(rows, baseline, then)
        )
        return self._written(replace(report, notes=notes), rows, bundle)

    def _bundle(self) -> ModelBundle | None:
        if self.options.write_threshold is None:
            return None
        return writable_bundle(Path(self.options.write_threshold), self.labels.names, self.positive)

    def _profile_of_baseline(self) -> Profile | None:
        """The other night; its labels may be others where no columns of probabilities name them."""
        if self.options.drift is None:
            return None
        file = open_baseline(self.options.drift, self.options, texts=True)
        ours, theirs = self.files[0].labels or (self.labels.names if self.scorer else ()), file.labels
        if ours and theirs and set(ours) != set(theirs):
            raise InputError(
                f"its columns of probabilities name the labels {listed(theirs)},"
                f" the current predictions have {listed(ours)}",
                path=file.source.path,
                hint="compare predictions of the same labels",
            )
        labels = LabelSet(theirs or self._predicted_labels(file), "the baseline")
        if theirs and self.positive is not None and len(theirs) == 2 and ours:
            score_of = labels.names.index(self.labels.names[self.positive])
            profile = Profile(labels.names, score_of)
        else:
            profile = Profile(labels.names, None)
        for rows in predicted_rows([file], labels):
            profile.add(rows)
        if not profile.all_rows:
            raise InputError("holds no rows", path=file.source.path, hint="there is nothing to compare with")
        if not profile.rows:
            raise InputError("no row has a prediction", path=file.source.path, hint="there is nothing to compare with")
        return profile

    def _predicted_labels(self, file: EvaluatedFile) -> tuple[str, ...]:
        found = read_gold([replace(file, gold=None)], EvaluateOptions(prefix=self.options.prefix))
        return values_in_order(list(found.predicted.first))

    def _collect(self, ids: dict[str, int], profile: Profile | None, progress: Progress | None) -> EvaluatedRows:
        slice_by = tuple(self.options.slice_by)
        chunks: Iterator[Rows]
        if self.scorer is None:
            chunks = predicted_rows(self.files, self.labels, slice_by)
        else:
            chunks = scored_rows(self.files, self.labels, self.scorer, slice_by)
        collector = Collector(self.gold if self.gold.column is not None else None, ids, slice_by)
        # Predictions that stand already are counted in no time worth showing.
        with progress if progress and self.scorer else NoProgress() as told:
            told.start(self.gold.rows)
            for rows in chunks:
                collector.add(rows)
                if profile is not None:
                    profile.add(rows)
                told.advance(len(rows.predicted), rows.n_tokens)
        return collector.rows(self.gold.rows)

    def _nothing(self) -> Analysis:
        """No figure has a value without gold labels."""
        n_labels = len(self.labels.names)
        matrix = np.zeros((n_labels, n_labels), np.int64)
        matrix.setflags(write=False)
        return Analysis(matrix, dict.fromkeys(FIGURES, Figure(None, "there are no gold labels")), ())

    def _report(self, rows: EvaluatedRows, places: npt.NDArray[np.int64], analysis: Analysis) -> EvaluationReport:
        options, names, joined = self.options, self.labels.names, self.gold.joined
        wrong, doubtful = most_confident_mistakes(rows), suspect_labels(rows)
        shown = [*wrong[: options.mistakes].tolist(), *doubtful[: options.mistakes].tolist()]
        found = fetch(rows, shown, options.on)
        thresholds: Thresholds | None = None
        if analysis.ranking is not None:
            thresholds = threshold_table(
                analysis.ranking, at_precision=options.at_precision, at_recall=options.at_recall
            )
        elif options.at_precision is not None or options.at_recall is not None or options.write_threshold is not None:
            missing = "a positive label" if self.positive is None else "columns of probabilities"
            raise InputError(
                f"a threshold needs {missing}", path=self.files[0].source.path, hint="pass --positive, or score again"
            )
        labelled = self.gold.column is not None
        return EvaluationReport(
            provenance=Provenance((), None, self.gold.column),
            labels=names,
            positive=self.positive,
            rows=self.gold.rows,
            unscored=int(((rows.predicted < 0) & ((rows.gold >= 0) | (not labelled))).sum()),
            rows_unmatched=0 if joined is None else joined.rows_unmatched,
            labels_unmatched=0 if joined is None else joined.labels_unmatched,
            matrix=analysis.matrix,
            figures={name: analysis.figures[name] for name in FIGURES},
            by_label=analysis.by_label,
            method=self.method,
            curves=analysis.curves,
            reliability=analysis.reliability,
            histogram=analysis.histogram,
            slices=slices_of(rows, places, judged(rows, places, names, self.positive)) if labelled else (),
            mistakes=tuple(review(rows, place, names, found) for place in wrong[: options.mistakes].tolist()),
            n_mistakes=len(wrong),
            thresholds=thresholds,
            suspects=tuple(suspect(rows, place, names, found) for place in doubtful[: options.mistakes].tolist()),
            n_suspects=len(doubtful),
        )

    def _compare(self, rows: EvaluatedRows, baseline: Baseline) -> tuple[Comparison, tuple[str, ...]]:
        partners, notes = pair(self.files, rows, baseline, self.options)
        other = np.where(partners >= 0, baseline.predicted[partners], -1)
        both = np.flatnonzero((rows.gold >= 0) & (rows.predicted >= 0) & (other >= 0))
        if not len(both):
            raise InputError("predicts no row that is predicted here", path=baseline.file.source.path)
        now = judged(rows, both, self.labels.names, self.positive)
        gold, old = now.gold, other[both]
        of_old = None if baseline.probabilities is None else baseline.probabilities[partners[both]]
        then = Judged(gold, old, of_old, _own(of_old, old), self.labels.names, self.positive)
        right, was_right = now.predicted == gold, old == gold
        moved = np.flatnonzero(now.predicted != old)
        kinds = np.where(was_right[moved], "broken", np.where(right[moved], "repaired", "other"))
        unpaired = int(((rows.gold >= 0) & ((rows.predicted >= 0) != (other >= 0))).sum())
        unpaired += baseline.n_rows - int((partners >= 0).sum())
        shown = self._changed(rows, both[moved], old[moved], kinds)
        return Comparison(
            baseline=baseline.file.source.path,
            paired_by=self.options.on,
            rows=len(both),
            unpaired=unpaired,
            differences=self._differences(now, then),
            mcnemar=mcnemar(int((right & ~was_right).sum()), int((was_right & ~right).sum())),
            repaired=int((kinds == "repaired").sum()),
            broken=int((kinds == "broken").sum()),
            other=int((kinds == "other").sum()),
            changed=shown,
        ), notes

    def _differences(self, now: Judged, then: Judged) -> Any:
        method = self.method
        samples = paired_samples(
            now.gold, now.predicted, then.predicted, len(now.labels), resamples=method.resamples, seed=method.seed
        )
        spreads: dict[str, float] = {}
        current, old = now.point_figures(), then.point_figures()
        if now.probabilities is not None and then.probabilities is not None:
            spreads = loss_spreads(now.gold, now.probabilities, then.probabilities, self.positive)
            if current["roc_auc"].value is not None and old["roc_auc"].value is not None:
                there = np.unique(now.gold).tolist() if self.positive is None else [self.positive]
                if len(now.gold) * len(there) <= 5_000_000:
                    spreads |= ranking_spreads(now.gold, now.probabilities, then.probabilities, there, seed=method.seed)
        return differences(current, old, samples, self.positive, spreads)

    def _changed(
        self,
        rows: EvaluatedRows,
        places: npt.NDArray[np.int64],
        old: npt.NDArray[np.integer],
        kinds: npt.NDArray[np.str_],
    ) -> tuple[ChangedReview, ...]:
        before = dict(zip(places.tolist(), zip(old.tolist(), kinds.tolist(), strict=True), strict=True))
        ranked = [by_confidence(rows, places[kinds == kind]) for kind in ("broken", "repaired", "other")]
        shown = np.concatenate(ranked)[: self.options.mistakes].tolist()
        found = fetch(rows, shown, self.options.on)
        names = self.labels.names
        return tuple(
            ChangedReview(review(rows, place, names, found), names[before[place][0]], before[place][1])
            for place in shown
        )

    def _provenance(self, rows: EvaluatedRows, baseline: Baseline | None, then: Profile | None) -> Provenance:
        options, scorer, joined = self.options, self.scorer, self.gold.joined
        ends = [*rows.starts[1:], len(rows.gold)]
        counts = [end - start for start, end in zip(rows.starts, ends, strict=True)]
        inputs = [
            _read_file(file.source.path, "evaluated", n_rows) for file, n_rows in zip(rows.files, counts, strict=True)
        ]
        if joined is not None:
            n_labels = len(joined.codes) - joined.rows_unmatched + joined.labels_unmatched
            inputs.append(_read_file(os.fspath(str(options.labels)), "labels", n_labels))
        if baseline is not None:
            inputs.append(_read_file(baseline.file.source.path, "baseline", baseline.n_rows))
        if then is not None:
            inputs.append(_read_file(os.fspath(str(options.drift)), "drift", then.all_rows))
        return Provenance(
            files=tuple(file.source.path for file in self.files),
            labels_file=None if options.labels is None else os.fspath(options.labels),
            label_column=self.gold.column,
            model=None if scorer is None else os.fspath(options.model or "embedded"),
            precision=None if scorer is None else scorer.session.precision,
            device=None if scorer is None else scorer.session.device,
            inputs=tuple(inputs),
            text_column=", ".join(dict.fromkeys(file.text for file in self.files if file.text)) or None,
            version=package_version(),
        )

    def _written(self, report: EvaluationReport, rows: EvaluatedRows, bundle: ModelBundle | None) -> EvaluationReport:
        """Write what is to be written once all gates are met; the notes say what was done."""
        options, notes = self.options, list(report.notes)
        passed = all(gate.passed for gate in report.gates)
        if bundle is not None and report.thresholds is not None:
            if passed:
                threshold = chosen_threshold(report.thresholds)
                write_threshold(bundle, threshold)
                where = "the model inside the package" if is_embedded(bundle.folder) else str(bundle.folder)
                notes.append(f"the threshold {threshold:g} was written into {where}")
                if is_embedded(bundle.folder):
                    log.warning(
                        "--write-threshold changed the model inside the package: its threshold is %g", threshold
                    )
                thresholds = replace(report.thresholds, written=threshold, written_to=str(bundle.folder))
                report = replace(report, thresholds=thresholds)
            else:
                notes.append(f"no threshold was written into {bundle.folder}: a gate was not met")
        if options.write_baseline is not None:
            if passed:
                write_baseline(Path(options.write_baseline), rows, self.labels.names, options)
                notes.append(f"these predictions are the next baseline: {os.fspath(options.write_baseline)}")
            else:
                notes.append(f"{os.fspath(options.write_baseline)} was left as it is: a gate was not met")
        return replace(report, notes=tuple(notes))


def _own(
    probabilities: npt.NDArray[np.floating] | None, labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.floating] | None:
    return None if probabilities is None else probabilities[np.arange(len(labels)), labels]


def _chosen(options: EvaluateOptions | None, overrides: Mapping[str, Any]) -> EvaluateOptions:
    known = {item.name for item in fields(EvaluateOptions)}
    unknown = sorted(overrides.keys() - known)
    if unknown:
        raise TypeError(f"evaluate_labels() got an unexpected keyword argument {unknown[0]!r}")
    chosen = options or EvaluateOptions()
    return EvaluateOptions(**{**{name: getattr(chosen, name) for name in known}, **overrides})


def _load(options: EvaluateOptions) -> Scorer:
    from scorer.model.scoring import Scorer

    scorer = Scorer.load(
        options.model,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        batch_tokens=options.batch_tokens,
    )
    if scorer.session.note:
        log.warning("%s", scorer.session.note)
    return scorer


def _positive(labels: LabelSet, wanted: str | int | None) -> int | None:
    if wanted is None:
        return 1 if len(labels.names) == 2 else None
    found = labels.ids_of([str(wanted)])[str(wanted)]
    if found is None:
        raise UsageError(f"--positive {wanted} is no label of {labels.owner}", hint=f"labels: {labels.described()}")
    return found


def _read_file(path: str, role: str, n_rows: int) -> ReadFile:
    file = Path(path)
    if not file.is_file():
        return ReadFile(path, role, n_rows, 0, None)
    return ReadFile(path, role, n_rows, file.stat().st_size, sha256_of(file))

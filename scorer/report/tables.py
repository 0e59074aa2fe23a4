"""Rows of the tables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.slices import OTHERS, UNCERTAIN_ROWS, SliceGroup
from scorer.metrics.values import Figure
from scorer.report.verdict import LOWER_IS_BETTER, certain_slices, digits_of, index_verdict, verdict_of, words_verdict

MATRIX_LABELS = 16
"""Maximum number of labels in a confusion matrix; more become a list of the most confused pairs."""

LABELS_BESIDE = 3
"""Maximum number of labels of a confusion matrix beside the figures; more get a section of their own."""

_SPACIOUS = 8
"""Maximum number of labels of a confusion matrix with wide cells."""

_PAIRS = 12
"""Rows in the list of confused pairs."""

_ROWS = 12
"""Slices of a group, and labels, that are shown of many; the others unfold."""

_TITLES = {"length": "length of the text", "truncation": "how the text was cut"}
"""Names of built-in groups of slices."""

_WEAKEST = 5
"""Slices in the table of the weakest of all groups."""

_FIRST = ("accuracy", "macro_f1", "f1", "mcc", "roc_auc", "ece")
"""Figures that are shown large; with a positive label its F1 in place of macro F1."""

_OF_POSITIVE = ("precision", "recall", "f1")
"""Figures of the positive label, if there is one."""


def cards(report: EvaluationReport) -> list[dict[str, Any]]:
    """The figures shown large."""
    names = [name for name in _large(report) if name in report.figures]
    return [{"name": _figure_name(name, report), "figure": report.figures[name]} for name in names]


def more_figures(report: EvaluationReport) -> list[dict[str, Any]]:
    """All figures that are not shown large; without a positive label, not those of one."""
    shown, rows = {one["name"] for one in cards(report)}, []
    for name, figure in report.figures.items():
        unit = name not in LOWER_IS_BETTER
        remark = figure.reason or ("" if unit else "lower is better")
        if _figure_name(name, report) not in shown and _exists(name, report):
            rows.append({"name": _figure_name(name, report), "figure": figure, "remark": remark, "unit": unit})
    return rows


def _large(report: EvaluationReport) -> list[str]:
    other = "macro_f1" if report.positive is not None else "f1"
    return [name for name in _FIRST if name != other]


def _exists(name: str, report: EvaluationReport) -> bool:
    """False for a figure of the positive label if there is none."""
    return report.positive is not None or name not in _OF_POSITIVE


def _figure_name(name: str, report: EvaluationReport) -> str:
    if name in _OF_POSITIVE and report.positive is not None:
        return f"{FIGURES[name]} of {report.labels[report.positive]}"
    return FIGURES[name]


def by_label(report: EvaluationReport) -> dict[str, Any]:
    """Figures of each label: in their order, or of many the weakest F1 first, all but a few of them to unfold."""
    rows = list(report.by_label)
    if len(rows) <= MATRIX_LABELS:
        return {"shown": rows, "all": []}
    rows.sort(key=lambda one: (one.f1.value is None, one.f1.value or 0.0))
    return {"shown": rows[:_ROWS], "all": rows}


def confusion(report: EvaluationReport) -> dict[str, Any]:
    """Cells of the confusion matrix, and of more than three labels the pairs that are confused most often."""
    matrix, labels = report.matrix, report.labels
    golds = [max(1, int(total)) for total in matrix.sum(axis=1)]
    rows = []
    if len(labels) <= MATRIX_LABELS:
        for gold, label in enumerate(labels):
            cells = []
            for predicted, count in enumerate(matrix[gold].tolist()):
                share = count / golds[gold]
                level = 0 if not count else 1 + min(4, int(share * 5))
                cells.append({"rows": count, "share": share, "right": gold == predicted, "level": level})
            rows.append({"label": label, "cells": cells})
    pairs = []
    apart = len(labels) > LABELS_BESIDE
    if apart:
        places = [(gold, predicted) for gold, predicted in np.argwhere(matrix).tolist() if gold != predicted]
        for gold, predicted in sorted(places, key=lambda place: -int(matrix[*place]))[:_PAIRS]:
            count = int(matrix[gold, predicted])
            share = count / golds[gold]
            pairs.append({"gold": labels[gold], "predicted": labels[predicted], "rows": count, "share": share})
    return {"rows": rows, "pairs": pairs, "apart": apart, "dense": len(labels) > _SPACIOUS}


def slices(report: EvaluationReport) -> dict[str, Any]:
    """The groups, and the weakest slices of all groups."""
    weakest = certain_slices(report)[:_WEAKEST]
    named = [{"name": f"{by}: {one.value}", "of": one} for by, one in weakest]
    return {
        "groups": [_group(group) for group in report.slices],
        "weakest": named if len({by for by, _ in weakest}) > 1 else [],
        "low_of_weakest": scale_start([one.accuracy for _, one in weakest]),
    }


def _group(group: SliceGroup) -> dict[str, Any]:
    """A group; of many slices only the weakest of those with enough rows are shown, and a note says so."""
    shown, note = list(group.slices), ""
    if len(shown) > _ROWS:
        certain = [one for one in shown if not one.uncertain and one.value != OTHERS]
        few = sum(one.uncertain for one in shown)
        shown = certain[:_ROWS]
        note = f"These are the weakest {len(shown):,} of {len(certain):,} values with at least {UNCERTAIN_ROWS} rows."
        note = note if certain else f"None of its values has {UNCERTAIN_ROWS} rows."
        note += f" {few:,} have fewer." if few and certain else ""
    return {
        "title": _TITLES.get(group.by, group.by) if group.built_in else f"column {group.by}",
        "by": group.by,
        "shown": [{"name": one.value, "of": one} for one in shown],
        "all": [{"name": one.value, "of": one} for one in group.slices],
        "note": note,
        "low": scale_start([one.accuracy for one in shown]),
        "low_of_all": scale_start([one.accuracy for one in group.slices]),
    }


def scale_start(figures: Sequence[Figure], *, most: float = 0.95) -> float:
    """The start of a scale that ends at 1, close enough to tell the intervals apart."""
    lows = [one.interval.low if one.interval else one.value for one in figures if one.value is not None]
    return max(0.0, min(most, int(min(lows, default=0.0) * 20) / 20))


def differences(report: EvaluationReport) -> list[dict[str, Any]]:
    """Figures now and in the baseline; ``first`` is true for those that are shown at once."""
    found = report.comparison.differences if report.comparison else ()
    first = {*_large(report), "precision", "recall"}
    usual = digits_of(found[0].difference) if found else 0
    return [
        {
            "name": _figure_name(one.figure, report),
            "of": one,
            "verdict": verdict_of(one),
            "first": one.figure in first,
            "digits": digits_of(one.difference, usual),
        }
        for one in found
        if _exists(one.figure, report)
    ]


def drift_measures(report: EvaluationReport) -> list[dict[str, Any]]:
    """Indexes and distances, each with a verdict."""
    drift = report.drift
    assert drift is not None
    index = "population stability index"
    measures: list[tuple[str, Figure, str, str]] = [
        ("predicted labels", drift.label_psi, index_verdict(drift.label_psi, drift.label_chance), index),
        ("scores", drift.score_psi, index_verdict(drift.score_psi, drift.score_chance), index),
    ]
    if drift.length is not None:
        psi = drift.length.psi
        measures.append(("length", psi, index_verdict(psi, drift.length.chance), index))
    if drift.vocabulary is not None:
        distance = drift.vocabulary.distance
        measures.append(("vocabulary", distance, words_verdict(distance), "Jensen-Shannon distance, 0 to 1"))
        measures.append(("new words", drift.vocabulary.unseen, "", "share of words that the baseline does not have"))
    return [
        {"name": name, "figure": figure, "verdict": verdict, "remark": figure.reason or remark}
        for name, figure, verdict, remark in measures
    ]


def left_out(report: EvaluationReport) -> list[str]:
    """Rows that are in no figure, each kind with its reason."""
    kinds = {
        "without a gold label": report.rows_unlabelled,
        "by --label-map": report.rows_left_out,
        "whose id has no gold label": report.rows_unmatched,
        "without a prediction": report.unscored,
    }
    return [f"{rows:,} {kind}" for kind, rows in kinds.items() if rows]


def facts(report: EvaluationReport) -> list[tuple[str, str]]:
    """What was evaluated, and how, as names and values."""
    where, method = report.provenance, report.method
    rows = {
        "rows": report.rows,
        "evaluated": report.evaluated if report.labelled else None,
        "unscored": report.unscored or None,
        "rows without a label": report.rows_unlabelled or None,
        "rows left out by --label-map": report.rows_left_out or None,
        "rows whose id has no label": report.rows_unmatched or None,
        "labels without a row": report.labels_unmatched or None,
    }
    found: Mapping[str, str | None] = {
        "files": ", ".join(where.files),
        "gold labels from": where.labels_file,
        "column of gold labels": where.label_column,
        "column of texts": where.text_column,
        "labels": ", ".join(report.labels),
        "positive label": None if report.positive is None else report.labels[report.positive],
        "model": where.model,
        "precision": where.precision,
        "device": where.device,
        **{name: None if count is None else f"{count:,}" for name, count in rows.items()},
        "intervals": f"{method.level * 100:g} %, {method.resamples:,} resamples, seed {method.seed}",
        "review-scorer": where.version or None,
    }
    return [(name, value) for name, value in found.items() if value]

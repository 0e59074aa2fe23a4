"""EvaluationReport -> one self-contained HTML file, from the templates beside this module.

Names, labels and texts from files pass two gates: jinja2 escapes all markup, and control characters are shown as
escapes. Should something pass both, a content security policy still allows only the style sheet and the script of
the page itself, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import Review
from scorer.metrics.values import Figure
from scorer.report.blocks import excerpt
from scorer.report.pictures import picture_of_coverage, pictures_of, pictures_of_drift
from scorer.report.reading_list import KINDS, choices_of, entries_of
from scorer.report.verdict import LOWER_IS_BETTER, digits_of, signed, verdict, verdict_of, weakest
from scorer.safe_text import HIDDEN, escaped, printable, visible

if TYPE_CHECKING:
    from jinja2 import Environment

TEXT_CHARACTERS = 4000
"""Characters of a review that the page shows."""

_EXCERPT_CHARACTERS = 160

MATRIX_LABELS = 16
"""Maximum number of labels in a confusion matrix; more become a list of the most confused pairs."""

_LABELS_BESIDE = 3
"""Maximum number of labels of a confusion matrix beside the figures; more get a section of their own."""

_PAIRS = 20
"""Rows in the list of confused pairs."""

_SLICES = 12
"""Slices of a group that are shown at once; the others unfold."""

_TITLES = {"length": "length of the text", "truncation": "how the text was cut"}
"""Names of built-in groups of slices."""

_WEAKEST = 5
"""Slices in the table of the weakest of all groups."""

_FIRST = ("accuracy", "macro_f1", "f1", "mcc", "roc_auc", "ece")
"""Figures that are shown large; with a positive label its F1 in place of macro F1."""

_SCRIPTS = ("sort.js", "reviews.js", "thresholds.js", "pointer.js")


def to_html(report: EvaluationReport) -> str:
    """The whole page; the same report always gives the same characters."""
    return _environment().get_template("page.html").render(_content(report))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("scorer.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_control,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "decimals": lambda value, digits=4: f"{value:.{digits}f}",
        "signed": signed,
        "digits": digits_of,
        "percent": lambda share: f"{share * 100:.{0 if share in (0, 1) else 1}f} %",
        "place": lambda value, low: f"{max(0.0, min(1.0, (value - low) / (1 - low))) * 100:.2f}",
        "excerpt": lambda text: excerpt(visible(text), _EXCERPT_CHARACTERS),
        "review_text": review_text,
        "cut": cut_note,
        "tojson_text": lambda value: json.dumps(value, separators=(",", ":")),
    }
    return environment


def _without_control(value: object) -> object:
    """The value of an expression in a template with control characters escaped; markup is our own and stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _content(report: EvaluationReport) -> dict[str, Any]:
    style, script = _source("base.css") + _source("style.css"), Markup("").join(map(_source, _SCRIPTS))
    drift, entries = report.drift, entries_of(report)
    return {
        "report": report,
        "title": f"Evaluation of {', '.join(map(printable, report.provenance.files))}",
        "style": style,
        "script": script,
        "policy": "default-src 'none'; base-uri 'none'; form-action 'none';"
        f" style-src {_hash(style)}; script-src {_hash(script)}",
        "sections": _sections(report),
        "cards": _cards(report),
        "figures": _figures(report),
        "low": _scale_start([one for name, one in report.figures.items() if name not in LOWER_IS_BETTER], most=0.9),
        "confusion": _confusion(report),
        "plots": list(pictures_of(report)),
        "slices": _slices(report),
        "differences": _differences(report),
        "drift": None
        if drift is None
        else {
            "measures": _drift_measures(report),
            "plots": list(pictures_of_drift(drift)),
        },
        "verdict": verdict(report),
        "weakest": weakest(report),
        "entries": entries,
        "choices": choices_of(entries),
        "kinds": {kind: name for kind, name in KINDS.items() if any(kind in one.kinds for one in entries)},
        "coverage_plot": None if report.coverage is None else picture_of_coverage(report.coverage),
        "models": [one for one in report.provenance.inputs if one.model is not None],
        "slider": _slider(report),
        "usual": digits_of(report.figures["accuracy"]),
        "facts": _facts(report),
    }


def _source(name: str) -> Markup:
    """A file beside the templates, as markup of our own."""
    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _sections(report: EvaluationReport) -> list[dict[str, str]]:
    """Names of templates and headings of the sections that have data."""
    curves = bool(report.curves or report.histogram or any(one.rows for one in report.reliability))
    sections = {
        "expectation": ("What to expect", report.expectation is not None and not report.labelled),
        "figures": ("How good", report.labelled),
        "comparison": ("Beside the baseline", report.comparison is not None),
        "confusion": ("Confusion matrix", report.labelled and len(report.labels) > _LABELS_BESIDE),
        "curves": ("Curves", curves),
        "slices": ("Where it is weak", bool(report.slices)),
        "thresholds": ("Threshold", report.thresholds is not None),
        "coverage": ("What to hand to people", report.coverage is not None),
        "drift": ("Drift", report.drift is not None),
        "mistakes": ("Reviews to read first", report.labelled),
        "provenance": ("Provenance", True),
    }
    return [{"name": name, "title": title} for name, (title, wanted) in sections.items() if wanted]


def _cards(report: EvaluationReport) -> list[dict[str, Any]]:
    """The figures shown large."""
    other = "macro_f1" if report.positive is not None else "f1"
    names = [name for name in _FIRST if name != other and name in report.figures]
    return [{"name": _figure_name(name, report), "figure": report.figures[name]} for name in names]


def _figures(report: EvaluationReport) -> list[dict[str, Any]]:
    """All figures that are not shown large."""
    shown, rows = {one["name"] for one in _cards(report)}, []
    for name, figure in report.figures.items():
        unit = name not in LOWER_IS_BETTER
        remark = figure.reason or ("" if unit else "lower is better")
        if _figure_name(name, report) not in shown:
            rows.append({"name": _figure_name(name, report), "figure": figure, "remark": remark, "unit": unit})
    return rows


def _slider(report: EvaluationReport) -> dict[str, Any] | None:
    """Counts for the slider, and where it starts: at the threshold that gives the predictions at hand."""
    thresholds = report.thresholds
    if thresholds is None or thresholds.counts is None or report.positive is None:
        return None
    counts = thresholds.counts
    predicted = int(report.matrix[:, report.positive].sum())
    reached = [abs(hits + false - predicted) for hits, false in zip(counts.hits, counts.false, strict=True)]
    return {
        "positives": counts.positives,
        "negatives": counts.negatives,
        "threshold": [float(f"{one:.9g}") for one in counts.threshold],
        "hits": counts.hits,
        "false": counts.false,
        "start": min(range(len(reached)), key=reached.__getitem__) if reached else 0,
    }


def _figure_name(name: str, report: EvaluationReport) -> str:
    if name in ("precision", "recall", "f1") and report.positive is not None:
        return f"{FIGURES[name]} of {report.labels[report.positive]}"
    return FIGURES[name]


def _confusion(report: EvaluationReport) -> dict[str, Any]:
    matrix = report.matrix
    golds = [max(1, int(total)) for total in matrix.sum(axis=1)]
    rows = []
    if len(report.labels) <= MATRIX_LABELS:
        for gold, label in enumerate(report.labels):
            cells = []
            for predicted, count in enumerate(matrix[gold].tolist()):
                share = count / golds[gold]
                level = 0 if not count else 1 + min(4, int(share * 5))
                cells.append({"rows": count, "share": share, "right": gold == predicted, "level": level})
            rows.append({"label": label, "cells": cells})
    pairs = []
    if len(report.labels) > 2:
        places = [(gold, predicted) for gold, predicted in np.argwhere(matrix).tolist() if gold != predicted]
        for gold, predicted in sorted(places, key=lambda place: -int(matrix[*place]))[:_PAIRS]:
            count, labels = int(matrix[gold, predicted]), report.labels
            share = count / golds[gold]
            pairs.append({"gold": labels[gold], "predicted": labels[predicted], "rows": count, "share": share})
    return {"rows": rows, "pairs": pairs, "apart": len(report.labels) > _LABELS_BESIDE}


def _slices(report: EvaluationReport) -> dict[str, Any]:
    """The groups, each with its weakest slices of enough rows, and the weakest of all groups."""
    # Slices by confidence are left out: that doubtful rows are more often wrong is obvious.
    certain = [
        (group.by, one)
        for group in report.slices
        for one in group.slices
        if one.accuracy.value is not None and not one.uncertain and not (group.built_in and group.by == "confidence")
    ]
    weakest_of_all = sorted(certain, key=lambda pair: pair[1].accuracy.value or 0.0)[:_WEAKEST]
    groups = []
    for group in report.slices:
        many = len(group.slices) > _SLICES
        shown = [one for one in group.slices if not (many and one.uncertain)] or list(group.slices)
        groups.append(
            {
                "title": _TITLES.get(group.by, group.by) if group.built_in else f"column {group.by}",
                "of": group,
                "shown": shown[:_SLICES] if many else shown,
                "many": many,
                "uncertain": sum(one.uncertain for one in group.slices),
                "low": _scale_start([one.accuracy for one in group.slices]),
            }
        )
    return {
        "groups": groups,
        "weakest": [{"by": by, "slice": one} for by, one in weakest_of_all] if len(report.slices) > 1 else [],
        "low_of_weakest": _scale_start([one.accuracy for _, one in weakest_of_all]),
    }


def _scale_start(figures: Sequence[Figure], *, most: float = 0.95) -> float:
    """The start of a scale that ends at 1, close enough to tell the intervals apart."""
    lows = [one.interval.low if one.interval else one.value for one in figures if one.value is not None]
    return max(0.0, min(most, int(min(lows, default=0.0) * 20) / 20))


def _differences(report: EvaluationReport) -> list[dict[str, Any]]:
    found = report.comparison.differences if report.comparison else ()
    first = {*_FIRST, "precision", "recall"} - ({"macro_f1"} if report.positive is not None else {"f1"})
    return [
        {
            "name": _figure_name(one.figure, report),
            "of": one,
            "verdict": verdict_of(one),
            "first": one.figure in first,
            "digits": digits_of(one.difference),
        }
        for one in found
    ]


def _drift_measures(report: EvaluationReport) -> list[dict[str, Any]]:
    drift = report.drift
    assert drift is not None
    index = "population stability index"
    measures: list[tuple[str, Figure, str]] = [
        ("predicted labels", drift.label_psi, index),
        ("scores", drift.score_psi, index),
    ]
    if drift.length is not None:
        measures.append(("length", drift.length.psi, index))
    if drift.vocabulary is not None:
        measures.append(("vocabulary", drift.vocabulary.distance, "Jensen-Shannon distance, 0 to 1"))
        measures.append(("new words", drift.vocabulary.unseen, "share of words that the baseline does not have"))
    return [{"name": name, "figure": figure, "remark": figure.reason or remark} for name, figure, remark in measures]


def _facts(report: EvaluationReport) -> list[tuple[str, str]]:
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
    facts: Mapping[str, str | None] = {
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
    return [(name, value) for name, value in facts.items() if value]


def review_text(text: str) -> Markup:
    r"""The first :data:`TEXT_CHARACTERS` of ``text`` as markup; escaped characters differ from a typed ``\x07``."""
    text = text[:TEXT_CHARACTERS].replace("\r\n", "\n")
    pieces, start = [], 0
    for match in HIDDEN.finditer(text):
        pieces += [
            escape(text[start : match.start()]),
            Markup('<span class="control">{}</span>').format(escaped(match)),
        ]
        start = match.end()
    return Markup("").join([*pieces, escape(text[start:])])


def cut_note(review: Review) -> str:
    """A note if :func:`review_text` shows only the beginning of a review; else an empty string."""
    length = len(review.text or "")
    if review.cut:
        return f"These are the first {min(length, TEXT_CHARACTERS):,} characters; the review is longer."
    if length <= TEXT_CHARACTERS:
        return ""
    return f"These are the first {TEXT_CHARACTERS:,} of {length:,} characters."

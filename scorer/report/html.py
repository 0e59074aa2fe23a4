"""EvaluationReport -> one HTML file that needs nothing from elsewhere.

The page is made of the templates beside this module. What a file brought, as names, labels and texts, passes
two gates: jinja2 escapes all markup, and no control character reaches the page raw. Should something pass both,
a content security policy still allows only the style sheet and the script of the page itself, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from scorer.evaluation.findings import FIGURES, EvaluationReport
from scorer.evaluation.sections import ChangedReview, Difference, Review
from scorer.metrics.values import Figure
from scorer.report.page_text import excerpt, review_text, shortened
from scorer.report.pictures import pictures_of, pictures_of_drift, tables_of_drift
from scorer.safe_text import printable, visible

if TYPE_CHECKING:
    from jinja2 import Environment

MATRIX_LABELS = 16
"""A confusion matrix of more labels becomes a list of the pairs that are confused most often."""

LABELS_BESIDE = 3
"""A confusion matrix of more labels is a section of its own."""

PAIRS = 20
"""Rows of that list."""

SLICES = 12
"""Slices of a group that are shown at once; the rest unfolds."""

WEAKEST = 5
"""Slices in the table of the weakest of all."""

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})

_OF_POSITIVE = frozenset({"precision", "recall", "f1"})


def to_html(report: EvaluationReport) -> str:
    """The whole page; the same report gives the same characters."""
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
        "decimals": lambda value: f"{value:.4f}",
        "signed": lambda value: f"{value:+.4f}".replace("-", "\u2212"),
        "percent": _percent,
        "place": lambda value, low: f"{max(0.0, min(1.0, (value - low) / (1 - low))) * 100:.2f}",
        "excerpt": excerpt,
        "review_text": review_text,
        "cut": shortened,
    }
    return environment


def _without_control(value: object) -> object:
    """What an expression of a template gives, fit for a page; markup was made by us and is so already."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _content(report: EvaluationReport) -> dict[str, Any]:
    style, script = _source("style.css"), _source("search.js")
    drift = report.drift
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
        "low": _scale_start(
            [figure for name, figure in report.figures.items() if name not in LOWER_IS_BETTER], most=0.9
        ),
        "confusion": _confusion(report),
        "plots": list(pictures_of(report)),
        "slices": _slices(report),
        "differences": _differences(report),
        "drift": None
        if drift is None
        else {
            "measures": _drift_measures(report),
            "plots": list(pictures_of_drift(drift)),
            "tables": list(tables_of_drift(drift)),
        },
        "mistakes": [
            _entry(review, f"{review.gold}, predicted {review.predicted}", review.confidence)
            for review in report.mistakes
        ],
        "suspects": [
            _entry(review, f"{review.gold}, rather {review.predicted}", review.self_confidence)
            for review in report.suspects
        ],
        "changed": [] if report.comparison is None else [_changed(one) for one in report.comparison.changed],
        "facts": _facts(report),
    }


def _source(name: str) -> Markup:
    """A file of our own beside the templates, to stand in the page as it is."""
    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _sections(report: EvaluationReport) -> list[dict[str, str]]:
    """Names of templates and headings, of the sections that there are data for."""
    curves = bool(report.curves or report.histogram or any(one.rows for one in report.reliability))
    sections = {
        "figures": ("How good", report.labelled),
        "comparison": ("Beside the baseline", report.comparison is not None),
        "confusion": ("Confusion matrix", report.labelled and len(report.labels) > LABELS_BESIDE),
        "curves": ("Curves", curves),
        "slices": ("Slices", bool(report.slices)),
        "thresholds": ("Thresholds", report.thresholds is not None),
        "drift": ("Drift", report.drift is not None),
        "mistakes": ("Mistakes", report.labelled),
        "suspects": ("Suspect labels", report.n_suspects > 0),
        "provenance": ("Provenance", True),
    }
    return [{"name": name, "title": title} for name, (title, wanted) in sections.items() if wanted]


def _cards(report: EvaluationReport) -> list[dict[str, Any]]:
    """The figures that are shown large."""
    names = ("accuracy", "macro_f1" if report.positive is None else "f1", "roc_auc", "mcc", "ece")
    return [
        {"name": _figure_name(name, report), "figure": report.figures[name]} for name in names if name in report.figures
    ]


def _figures(report: EvaluationReport) -> list[dict[str, Any]]:
    rows = []
    for name in [*(name for name in FIGURES if name in report.figures), *sorted(set(report.figures) - set(FIGURES))]:
        figure = report.figures[name]
        remark = figure.reason or ("lower is better" if name in LOWER_IS_BETTER else "")
        unit = name not in LOWER_IS_BETTER
        rows.append({"name": _figure_name(name, report), "figure": figure, "remark": remark, "unit": unit})
    return rows


def _figure_name(name: str, report: EvaluationReport) -> str:
    shown = FIGURES.get(name, name)
    if name in _OF_POSITIVE and report.positive is not None:
        return f"{shown} of {report.labels[report.positive]}"
    return shown


def _confusion(report: EvaluationReport) -> dict[str, Any]:
    matrix = report.matrix
    golds = [max(1, int(total)) for total in matrix.sum(axis=1)]
    rows = []
    if len(report.labels) <= MATRIX_LABELS:
        for gold, label in enumerate(report.labels):
            shares = [int(count) / golds[gold] for count in matrix[gold]]
            cells = [
                {
                    "rows": int(matrix[gold, place]),
                    "share": share,
                    "right": gold == place,
                    "level": 0 if not share else 1 + min(4, int(share * 5)),
                }
                for place, share in enumerate(shares)
            ]
            rows.append({"label": label, "cells": cells})
    pairs = []
    if len(report.labels) > 2:
        wrong = [(int(count), *place) for place, count in _cells(matrix) if place[0] != place[1] and count]
        for count, gold, predicted in sorted(wrong, key=lambda one: (-one[0], one[1], one[2]))[:PAIRS]:
            pairs.append(
                {
                    "gold": report.labels[gold],
                    "predicted": report.labels[predicted],
                    "rows": count,
                    "share": count / golds[gold],
                }
            )
    return {"rows": rows, "pairs": pairs, "apart": len(report.labels) > LABELS_BESIDE}


def _cells(matrix: Any) -> list[tuple[tuple[int, int], int]]:
    return [
        ((int(gold), int(predicted)), int(matrix[gold, predicted]))
        for gold, predicted in zip(*matrix.nonzero(), strict=True)
    ]


def _slices(report: EvaluationReport) -> dict[str, Any]:
    """The groups, each with the start of its scale, and the weakest slices of all that are certain enough."""
    # Confidence is left out: that doubtful rows are wrong more often is no news.
    certain = [
        (group.by, one)
        for group in report.slices
        for one in group.slices
        if one.accuracy.value is not None and not one.uncertain and not (group.built_in and group.by == "confidence")
    ]
    weakest = sorted(certain, key=lambda pair: pair[1].accuracy.value or 0.0)[:WEAKEST]
    return {
        "groups": [(group, _scale_start([one.accuracy for one in group.slices])) for group in report.slices],
        "weakest": [{"by": by, "slice": one} for by, one in weakest] if len(report.slices) > 1 else [],
        "low_of_weakest": _scale_start([one.accuracy for _, one in weakest]),
        "shown": SLICES,
    }


def _scale_start(figures: Sequence[Figure], *, most: float = 0.95) -> float:
    """Where a scale that ends at 1 begins, so that the intervals can be told apart."""
    lows = [one.interval.low if one.interval else one.value for one in figures if one.value is not None]
    return max(0.0, min(most, int(min(lows, default=0.0) * 20) / 20))


def _differences(report: EvaluationReport) -> list[dict[str, Any]]:
    found = report.comparison.differences if report.comparison else ()
    return [{"name": _figure_name(one.figure, report), "of": one, "verdict": _verdict(one)} for one in found]


def _verdict(one: Difference) -> str:
    interval = one.difference.interval
    if interval is None:
        return ""
    if interval.low <= 0 <= interval.high:
        return "no clear difference"
    return "better" if (interval.low > 0) != (one.figure in LOWER_IS_BETTER) else "worse"


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


def _entry(review: Review, verdict: str, probability: float | None) -> dict[str, Any]:
    return {"review": review, "verdict": verdict, "probability": probability}


def _changed(one: ChangedReview) -> dict[str, Any]:
    review = one.review
    return _entry(review, f"{one.change}: {review.gold}, was {one.baseline}, is {review.predicted}", review.confidence)


def _facts(report: EvaluationReport) -> list[tuple[str, str]]:
    where, method = report.provenance, report.method
    rows = {
        "rows": report.rows,
        "evaluated": report.evaluated if report.labelled else None,
        "unscored": report.unscored or None,
        "rows without a label": report.rows_unmatched or None,
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


def _percent(share: float) -> str:
    digits = 0 if share in (0, 1) else 1
    return f"{share * 100:.{digits}f} %"

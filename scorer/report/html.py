"""EvaluationReport -> one self-contained HTML file, from the templates beside this module.

Names, labels and texts from files pass two gates: jinja2 escapes all markup, and control characters are shown as
escapes. Should something pass both, a content security policy still allows only the style sheet and the script of
the page itself, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.scored_by import model_name
from scorer.evaluation.sections import Review
from scorer.report import tables
from scorer.report.blocks import approximate, excerpt, percent, with_breaks
from scorer.report.pictures import picture_of_coverage, pictures_of, pictures_of_drift
from scorer.report.reading_list import KINDS, choices_of, entries_of
from scorer.report.thresholds import thresholds_of
from scorer.report.verdict import (
    LOWER_IS_BETTER,
    common_digits,
    decimals,
    digits_of,
    hand_over,
    signed,
    unlike_verdict,
    verdict,
    weakest,
)
from scorer.safe_text import HIDDEN, counted, escaped, printable, visible

if TYPE_CHECKING:
    from jinja2 import Environment

TEXT_CHARACTERS = 4000
"""Characters of a review that the page shows."""

_EXCERPT_CHARACTERS = 160

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
        "counted": counted,
        "decimals": decimals,
        "signed": signed,
        "digits": digits_of,
        "common_digits": common_digits,
        "percent": percent,
        "place": lambda value, low: f"{max(0.0, min(1.0, (value - low) / (1 - low))) * 100:.2f}",
        "excerpt": lambda text: excerpt(visible(with_breaks(text, " ")), _EXCERPT_CHARACTERS),
        "review_text": review_text,
        "model_name": lambda name: model_name(name) or "unnamed",
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
    cards, differences = tables.cards(report), tables.differences(report)
    return {
        "report": report,
        "title": f"Evaluation of {', '.join(map(printable, report.provenance.files))}",
        "style": style,
        "script": script,
        "policy": "default-src 'none'; base-uri 'none'; form-action 'none';"
        f" style-src {_hash(style)}; script-src {_hash(script)}",
        "sections": _sections(report),
        "cards": cards,
        "approximate_cards": approximate({card["name"]: card["figure"] for card in cards}),
        "figures": tables.more_figures(report),
        "labels": tables.by_label(report),
        "low": tables.scale_start(
            [one for name, one in report.figures.items() if name not in LOWER_IS_BETTER], most=0.9
        ),
        "confusion": tables.confusion(report),
        "plots": list(pictures_of(report)),
        "slices": tables.slices(report),
        "differences": differences,
        "approximate_differences": approximate({one["name"]: one["of"].difference for one in differences}),
        "drift": None
        if drift is None
        else {
            "measures": tables.drift_measures(report),
            "plots": list(pictures_of_drift(drift)),
        },
        "verdict": verdict(report),
        "unlike": unlike_verdict(report),
        "weakest": weakest(report),
        "entries": entries,
        "reading": Counter(entry.kinds[0] for entry in entries),
        "suspect_mistakes": sum({"mistake", "suspect"} <= set(entry.kinds) for entry in entries),
        "others": "others" if report.positive is None or len(report.labels) > 2 else report.labels[1 - report.positive],
        "choices": choices_of(entries),
        "kinds": {kind: name for kind, name in KINDS.items() if any(kind in one.kinds for one in entries)},
        "coverage_plot": None if report.coverage is None else picture_of_coverage(report.coverage),
        "models": [one for one in report.provenance.inputs if one.model is not None],
        "thresholds": thresholds_of(report),
        "hand_over": hand_over(report),
        "usual": _usual_digits(report),
        "left_out": tables.left_out(report),
        "facts": tables.facts(report),
    }


def _usual_digits(report: EvaluationReport) -> int:
    """Decimals of figures without an interval: those of the accuracy, or of the expected one."""
    expected = None if report.labelled else report.expectation
    return digits_of(report.figures["accuracy"] if expected is None else expected.accuracy)


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
        "confusion": ("Confusion matrix", report.labelled and len(report.labels) > tables.LABELS_BESIDE),
        "curves": ("Curves", curves),
        "slices": ("Where it is weak", bool(report.slices)),
        "thresholds": ("Threshold", report.labelled),
        "coverage": ("What to hand to people", report.coverage is not None),
        "drift": ("Drift", report.drift is not None),
        "mistakes": ("Reviews to read first", report.labelled),
        "provenance": ("Provenance", True),
    }
    return [{"name": name, "title": title} for name, (title, wanted) in sections.items() if wanted]


def review_text(text: str) -> Markup:
    r"""The first :data:`TEXT_CHARACTERS` of ``text`` as markup; escaped characters differ from a typed ``\x07``."""
    text = with_breaks(text[:TEXT_CHARACTERS], "\n").replace("\r\n", "\n")
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

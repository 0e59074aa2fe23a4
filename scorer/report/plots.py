"""Plots of an evaluation as inline SVG, drawn by matplotlib and coloured by the page.

Every function returns one ``<svg>`` element as safe markup. Colours are classes, so that the style sheet of
the page decides them, in dark mode and in print too; texts stay texts. The same data give the same bytes, without
a date or random ids. Names chosen by users are never drawn; legends belong to the page.
"""

from __future__ import annotations

import io
import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from scorer.evaluation.sections import Histogram
from scorer.metrics.values import Curves, ReliabilityBin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = 10
"""Number of series with a colour of their own; their classes are ``series-0`` to ``series-9``."""

_SVG = "http://www.w3.org/2000/svg"

_POINTING = ("{http://www.w3.org/1999/xlink}href", "href", "clip-path")

_POINTER = re.compile(r"(?:url\()?#([^)]+)\)?")

_INK, _MUTED, _GRID = "#010100", "#010200", "#010300"

# Colours that take the place of classes of the style sheet until the drawing is done.
_ROLES = {_INK: "ink", _MUTED: "muted", _GRID: "grid"} | {
    f"#0200{number:02x}": f"series-{number}" for number in range(SERIES)
}

_LINES = ("-", "--", "-.", ":")

# matplotlib writes style="…"; as attributes these pass a content security policy without inline styles.
_ATTRIBUTES = re.compile(r"fill(-opacity|-rule)?|opacity|text-anchor|stroke(-(dash|line|miter|opacity|width).*)?")

_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "review-scorer",
    "svg.id": None,
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.8,
    "hatch.linewidth": 0.6,
}


@dataclass(frozen=True)
class Words:
    """Text alternative of a picture.

    Attributes:
        name: prefix of the ids in the picture, unique in the page.
        title: in a few words.
        description: in a sentence or two.
    """

    name: str
    title: str
    description: str


def roc(curves: Sequence[Curves], words: Words) -> Markup:
    """The ROC curve of every label in ``curves``, with the diagonal of random guesses."""
    with _drawing() as (figure, axes):
        _diagonal(axes)
        for number, curve in enumerate(curves[:SERIES]):
            axes.plot(curve.false_positive_rate, curve.true_positive_rate, **_line(number))
        _unit_square(axes, "false positive rate", "true positive rate")
        return _svg(figure, words)


def precision_recall(curves: Sequence[Curves], words: Words) -> Markup:
    """The precision-recall curve of every label in ``curves``, as steps without interpolation."""
    with _drawing() as (figure, axes):
        for number, curve in enumerate(curves[:SERIES]):
            axes.plot(curve.recall, curve.precision, drawstyle="steps-post", **_line(number))
        _unit_square(axes, "recall", "precision")
        return _svg(figure, words)


def reliability(bins: Sequence[ReliabilityBin], words: Words) -> Markup:
    """Accuracy over mean confidence, a point for each bin with rows, its area proportional to their number."""
    filled = [one for one in bins if one.rows and one.confidence is not None and one.accuracy is not None]
    confidence = [one.confidence or 0.0 for one in filled]
    accuracy = [one.accuracy or 0.0 for one in filled]
    most = max((one.rows for one in filled), default=1)
    with _drawing() as (figure, axes):
        _diagonal(axes)
        axes.vlines(confidence, confidence, accuracy, color=_role(1), linewidth=1.2)
        axes.plot(confidence, accuracy, color=_role(0), linewidth=1.2)
        for one, x, y in zip(filled, confidence, accuracy, strict=True):
            axes.plot([x], [y], "o", clip_on=False, color=_role(0), markersize=3 + 7 * (one.rows / most) ** 0.5)
        _unit_square(axes, "mean confidence", "share that is right")
        return _svg(figure, words)


def histogram(scores: Histogram, words: Words) -> Markup:
    """Rows by score, one outline for each series."""
    return _outlines(scores.edges, list(scores.series.values()), _axis(scores.of), "rows", words)


def shares(edges: Sequence[float], counts: Sequence[Sequence[int]], of: str, words: Words) -> Markup:
    """Histograms of data sets of different sizes: each bin as a share of its set."""
    totals = [max(1, sum(one)) for one in counts]
    parts = [[count / total for count in one] for one, total in zip(counts, totals, strict=True)]
    return _outlines(edges, parts, _axis(of), "share of rows", words)


def _axis(of: str) -> str:
    # "probability of …" holds the name of a label; the caption has it.
    return "confidence" if of == "confidence" else "probability"


def _outlines(edges: Sequence[float], series: Sequence[Sequence[float]], x: str, y: str, words: Words) -> Markup:
    heights = [height for one in series for height in one if height > 0]
    # Most rows lie at the ends; a linear scale would hide the uncertain ones between.
    logarithmic = bool(heights) and max(heights) > 30 * min(heights)
    with _drawing() as (figure, axes):
        if logarithmic:
            axes.set_yscale("log")
        floor = min(heights, default=0) / 2 if logarithmic else 0.0
        for number, one in enumerate(series[:SERIES]):
            raised = [max(height, floor) for height in one]
            axes.stairs(raised, edges, baseline=floor, fill=True, color=_role(number), alpha=0.16, linewidth=0)
            axes.stairs(raised, edges, baseline=None, color=_role(number), linestyle=_LINES[number % 4], linewidth=1.5)
        if logarithmic:
            axes.set_ylim(bottom=floor)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axes.yaxis.minorticks_off()
        axes.set_xlim(min(edges), max(edges))
        axes.set_xlabel(x)
        axes.set_ylabel(f"{y}, log scale" if logarithmic else y)
        return _svg(figure, words)


@contextmanager
def _drawing() -> Iterator[tuple[Figure, Axes]]:
    """An empty plot with our own settings instead of the user's."""
    # It would report its font cache and its folders on stderr.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.figure import Figure

    # The stubs of matplotlib type every setting by name, which a dict of strings does not satisfy.
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(4.6, 3.5), layout="constrained", frameon=False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        yield figure, axes


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, linestyle=(0, (2, 3)))


def _line(number: int) -> dict[str, Any]:
    return {"color": _role(number), "linestyle": _LINES[number % len(_LINES)], "clip_on": False}


def _role(number: int) -> str:
    return f"#0200{number % SERIES:02x}"


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.005)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _svg(figure: Figure, words: Words) -> Markup:
    """The figure as an ``<svg>`` element without generated ids, inline styles, metadata or colours."""
    written = io.BytesIO()
    figure.savefig(written, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawn = ET.fromstring(written.getvalue())
    box = drawn.attrib["viewBox"]
    drawn.attrib.clear()
    for tag in ("metadata", "defs"):
        for part in drawn.findall(f"{{{_SVG}}}{tag}"):
            if tag == "metadata" or part.find(f"{{{_SVG}}}style") is not None:
                drawn.remove(part)
    _rename_ids(drawn, words.name)
    for element in drawn.iter():
        _use_classes(element)
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    for place, (tag, text) in enumerate((("title", words.title), ("desc", words.description))):
        element = ET.Element(tag, {"id": f"{words.name}-{tag}"})
        element.text = text
        drawn.insert(place, element)
    labels = f"{words.name}-title {words.name}-desc"
    drawn.attrib.update({"class": "plot", "viewBox": box, "role": "img", "aria-labelledby": labels})
    return Markup(ET.tostring(drawn, encoding="unicode"))


def _rename_ids(drawn: ET.Element, name: str) -> None:
    """Remove ids without a reference, and make the others unique in a page."""
    pointing = [
        (element, key, match[1])
        for element in drawn.iter()
        for key, value in element.attrib.items()
        if (match := _POINTER.fullmatch(value)) and key in _POINTING
    ]
    new = {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(old for _, _, old in pointing))}
    for element in drawn.iter():
        old = element.attrib.pop("id", None)
        if old in new:
            element.attrib["id"] = new[old]
    for element, key, old in pointing:
        del element.attrib[key]
        name, value = (key, f"url(#{new[old]})") if key == "clip-path" else ("href", f"#{new[old]}")
        element.attrib[name] = value


def _use_classes(element: ET.Element) -> None:
    """Turn an inline style into attributes, and colours of :data:`_ROLES` into classes."""
    classes = []
    for declaration in element.attrib.pop("style", "").split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if _ATTRIBUTES.fullmatch(key):
            element.attrib[key] = value
    for key in ("fill", "stroke"):
        role = _ROLES.get(element.attrib.get(key, ""))
        if role is not None:
            del element.attrib[key]
            classes.append(f"{key}-{role}")
    if classes:
        element.attrib["class"] = " ".join(classes)

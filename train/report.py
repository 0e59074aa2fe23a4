"""A training's history as one page: table, curves, data, settings. It needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from scorer.report.pictures import Picture, draw_curve, look_of
from scorer.report.svg import Axis, Plot
from train.data import unnamed
from train.history import History
from train.verdict import collapse_of, way_out

REPORT_FILE = "report.html"

_ENVIRONMENT = ("versions", "machine")

_EACH_EPOCH = {"validation": 3.2, "accuracy": 4.2, "F1": 2.4}
"""Lines with a dot for every epoch, and its radius: F1 is often close to accuracy, which is seen around it."""


def save_report(history: History, folder: Path, *, name: str) -> None:
    """Write :data:`REPORT_FILE` into ``folder``; ``name`` is the checkpoint's."""
    (folder / REPORT_FILE).write_text(render_report(history, name=name), encoding="utf-8")


def render_report(history: History, *, name: str) -> str:
    """The page as HTML, with every text of the user escaped."""
    sections = [
        ("Data", _flat(history.data)),
        ("Start", _flat(history.start)),
        ("Made before", [(step["makes"], step["command"] or "no command recorded") for step in history.lineage]),
        ("Settings", _flat({key: value for key, value in history.settings.items() if key not in _ENVIRONMENT})),
        ("Environment", _flat({key: history.settings[key] for key in _ENVIRONMENT if key in history.settings})),
    ]
    return (
        _environment()
        .get_template("training.html")
        .render(
            name=name,
            history=history,
            unnamed=unnamed(history.data.get("labels", ())),
            collapse=collapse_of(history),
            way_out=way_out(history) if history.rows else "",
            metric={"f1": "F1"}.get(history.metric, history.metric),
            pictures=list(_pictures(history)),
            sections=[(title, rows) for title, rows in sections if rows],
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        # The colours and the macro of pictures are those of an evaluation's page.
        loader=ChoiceLoader([PackageLoader("train"), PackageLoader("scorer.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _pictures(history: History) -> Iterator[Picture]:
    epochs = [row.epoch for row in history.rows]
    losses = {
        "training": _along(history, "loss"),
        "validation": (epochs, [row.validation_loss for row in history.rows]),
    }
    yield from _picture(
        "Loss",
        "of training: the mean since the point before, of 25 steps at most; in validation after each epoch",
        "loss",
        losses,
    )
    shares = {
        "accuracy": (epochs, [row.accuracy for row in history.rows]),
        "F1": (epochs, [row.f1 for row in history.rows]),
    }
    if history.baseline is not None and epochs:
        shares["baseline's accuracy"] = ([0.0, epochs[-1]], [history.baseline.accuracy] * 2)
    yield from _picture("Accuracy and F1", "in validation", "share", shares)
    for title, caption, y, key in (
        ("Learning rate", "of the head", "learning rate", "learning_rate"),
        ("Speed", "tokens in training, padding not counted", "tokens/s", "tokens_per_second"),
    ):
        yield from _picture(title, caption, y, {y: _along(history, key)})


def _along(history: History, key: str) -> tuple[list[float], list[float]]:
    steps = [step for step in history.steps if key in step]
    return [step["epoch"] for step in steps], [step[key] for step in steps]


def _picture(title: str, caption: str, y: str, lines: dict[str, tuple[list[float], list[float]]]) -> Iterator[Picture]:
    """The ``lines`` over epochs, if there is one; values that are not finite, as of a divergence, are left out."""
    finite = {}
    for name, line in lines.items():
        # Larger values would overflow in the margin of the axis.
        points = [point for point in zip(*line, strict=True) if abs(point[1]) < 1e300]
        if points:
            finite[name] = tuple(zip(*points, strict=True))
    if finite:
        columns = ("epoch", y)
        plot = Plot(*(_axis(columns[n], [one for line in finite.values() for one in line[n]]) for n in (0, 1)))
        tables = [
            draw_curve(plot, look_of(n), name, columns, *line, dots=_EACH_EPOCH.get(name, 3.2 * (len(line[0]) == 1)))
            for n, (name, line) in enumerate(finite.items())
        ]
        description = f"{title} {caption}, over epochs."
        yield Picture(title.lower().replace(" ", "-"), title, caption, description, plot, list(finite), tables)


def _axis(label: str, values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    margin = (high - low) / 20 or abs(high) / 20 or 0.05
    return Axis(label, low - margin, high + margin)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested keys as ``a.b``, each with its value as text; without empty values."""
    rows: list[tuple[str, str]] = []
    for key, item in value.items():
        if isinstance(item, dict):
            rows += _flat(item, f"{prefix}{key}.")
        elif isinstance(item, (list, tuple)):
            if item:
                rows.append((prefix + key, ", ".join(map(str, item))))
        elif item is not None:
            rows.append((prefix + key, str(item)))
    return rows

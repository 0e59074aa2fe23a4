"""A training's history as one page: table, curves, data, settings. It needs no network and no script."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from train.history import History

REPORT_FILE = "report.html"

_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "review-scorer",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


@dataclass(frozen=True)
class _Line:
    label: str
    x: Sequence[float]
    y: Sequence[float]
    points: bool = False


@dataclass(frozen=True)
class _Curve:
    svg: Markup
    caption: str


def save_report(history: History, folder: Path, *, name: str) -> None:
    """Write :data:`REPORT_FILE` into ``folder``; ``name`` is the checkpoint's."""
    (folder / REPORT_FILE).write_text(render_report(history, name=name), encoding="utf-8")


def render_report(history: History, *, name: str) -> str:
    """The page as HTML, with every text of the user escaped."""
    environment = Environment(
        loader=PackageLoader("train"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sections = [
        ("Data", _flat(history.data)),
        ("Start", _flat(history.start)),
        ("Made before", [(step["makes"], step["command"] or "no command recorded") for step in history.lineage]),
        ("Settings", _flat({key: value for key, value in history.settings.items() if key not in _ENVIRONMENT})),
        ("Environment", _flat({key: history.settings[key] for key in _ENVIRONMENT if key in history.settings})),
    ]
    return environment.get_template("training.html").render(
        name=name,
        history=history,
        curves=_curves(history),
        sections=[(title, rows) for title, rows in sections if rows],
    )


_ENVIRONMENT = ("versions", "machine")


def _curves(history: History) -> list[_Curve]:
    epochs = [row.epoch for row in history.rows]
    curves = []
    if history.steps or history.rows:
        curves.append(
            _curve(
                [
                    _Line("training", *_along(history, "loss")),
                    _Line("validation", epochs, [row.validation_loss for row in history.rows], points=True),
                ],
                "loss",
                "Loss along the training, and after each epoch in validation.",
            )
        )
    if history.rows:
        metrics = [
            _Line("accuracy", epochs, [row.accuracy for row in history.rows], points=True),
            _Line("F1", epochs, [row.f1 for row in history.rows], points=True),
        ]
        if history.baseline is not None:
            metrics.append(_Line("baseline's accuracy", [0, epochs[-1]], [history.baseline.accuracy] * 2))
        curves.append(_curve(metrics, "share", "Accuracy and F1 in validation."))
    for key, y, caption in (
        ("learning_rate", "learning rate", "Learning rate of the head."),
        ("tokens_per_second", "tokens/s", "Speed: tokens in training, padding not counted."),
    ):
        x, values = _along(history, key)
        if x:
            curves.append(_curve([_Line(y, x, values)], y, caption))
    return curves


def _along(history: History, key: str) -> tuple[list[float], list[float]]:
    steps = [step for step in history.steps if key in step]
    return [step["epoch"] for step in steps], [step[key] for step in steps]


def _curve(lines: Sequence[_Line], y: str, caption: str) -> _Curve:
    with rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.add_subplot()
        for line in lines:
            axes.plot(line.x, line.y, "o-" if line.points else "-", label=line.label, markersize=4, linewidth=1.4)
        axes.set_xlabel("epoch")
        axes.set_ylabel(y)
        if len(lines) > 1:
            axes.legend(frameon=False)
        drawn = io.StringIO()
        # Without a date the same history gives the same page.
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    svg = drawn.getvalue()
    return _Curve(Markup(svg[svg.index("<svg") :]), caption)  # safe: drawn from numbers and from our own words


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

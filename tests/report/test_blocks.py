"""Texts that the reports share."""

from __future__ import annotations

import pytest

from scorer.metrics.values import Figure, Interval
from scorer.report.blocks import approximate, approximate_lines


def figure(warning: str | None) -> Figure:
    return Figure(0.5, interval=Interval(0.4, 0.6, "logit", warning))


@pytest.mark.parametrize(
    ("warnings", "said"),
    [
        ({"accuracy": None, "F1": None}, ""),
        (
            {"accuracy": None, "ROC AUC": "the area rests on about 8 rows", "AP": "the area rests on …"},
            "~ approximate, not 95 %: the area rests on about 8 rows (ROC AUC); the area rests on … (AP)",
        ),
        (
            dict.fromkeys("abcd", "fewer than 50 rows") | {"ROC AUC": "a ranking with 2 rows of one kind"},
            "~ approximate, not 95 %: fewer than 50 rows; a ranking with 2 rows of one kind (ROC AUC)",
        ),
        (dict.fromkeys("abc", "few"), "~ approximate, not 95 %: few (a, b, c)"),
    ],
)
def test_a_reason_of_few_figures_names_them(warnings: dict[str, str | None], said: str) -> None:
    figures = {name: figure(warning) for name, warning in warnings.items()} | {"none": Figure(None, "no rows")}
    assert approximate(figures) == said
    assert approximate_lines(figures) == (((said, "yellow"),) if said else ())

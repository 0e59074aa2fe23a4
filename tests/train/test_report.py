"""The page of a training: what stands in it, and that it stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from train.calibration import Calibration
from train.history import Baseline, EpochRow, History
from train.report import render_report, save_report

HISTORY = History(
    rows=(EpochRow(1.0, 0.5, 0.3747, 0.845, 0.8447), EpochRow(2.0, 0.2, 0.501, 0.85, 0.8501)),
    best_epoch=2.0,
    metric="f1",
    settings={"model": "<b>base</b>", "learning_rate": 2e-5, "patience": None, "versions": {"torch": "2.13.0"}},
    baseline=Baseline("TF-IDF, linear SVM", 0.24, 0.9058, 0.9017, 74.0, 25000, 25000),
    calibration=Calibration(1.37, 0.051, 0.012),
    data={"split": {"held_out_sha256": "ab12"}, "duplicates": {"validation_rows_in_training": 3}},
    steps=tuple(
        {"step": 25 * n, "epoch": n / 4, "loss": 1 / n, "learning_rate": 1e-5, "tokens_per_second": 900.0}
        for n in range(1, 9)
    ),
)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_everything_stands_in_it() -> None:
    page = render_report(HISTORY, name="my <model>")
    assert "Training of my &lt;model&gt;" in page
    assert "&lt;b&gt;base&lt;/b&gt;" in page
    for text in ("0.3747", "0.8501", "0.9058", "74 s", "1.370", "0.0510", "0.0120", "ab12", "torch", "2e-05"):
        assert text in page, text
    assert page.count('<svg class="plot"') == 4
    assert re.search(r'<tr class="kept">\s*<td class="figure">2</td>', page)
    assert "patience" not in page


def test_curves_have_their_values_and_a_dot_for_every_epoch() -> None:
    page = render_report(HISTORY, name="m")
    assert re.findall(r'class="dot series-(\d)"[^>]*><title>([^<]*)', page) == [
        ("1", "validation: epoch 1.0000, loss 0.3747"),
        ("1", "validation: epoch 2.0000, loss 0.5010"),
        ("0", "accuracy: epoch 1.0000, share 0.8450"),
        ("0", "accuracy: epoch 2.0000, share 0.8500"),
        ("1", "F1: epoch 1.0000, share 0.8447"),
        ("1", "F1: epoch 2.0000, share 0.8501"),
    ]
    assert page.count("learning rate 1e-05</title>") == len(HISTORY.steps)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids)) == 8


def test_a_training_that_diverged_has_a_page() -> None:
    losses = (float("nan"), float("inf"), 1e308, 3.0, 2.0)
    steps = tuple({"step": n, "epoch": n / 5, "loss": loss} for n, loss in enumerate(losses))
    rows = (EpochRow(1.0, float("inf"), float("nan"), 0.5, 0.0),)
    page = render_report(replace(HISTORY, steps=steps, rows=rows, baseline=None), name="m")
    assert re.findall(r"<title>training: epoch ([\d.]+), loss ([\d.]+)<", page) == [
        ("0.6000", "3.0000"),
        ("0.8000", "2.0000"),
    ]
    assert not re.search(r'="[^"]*(nan|inf)', page)
    nothing = replace(HISTORY, steps=(steps[0],), rows=())
    assert "<svg" not in render_report(nothing, name="m")


def test_it_loads_nothing_and_runs_nothing() -> None:
    tags = Tags()
    tags.feed(render_report(HISTORY, name="m"))
    assert not [tag for tag, _ in tags.found if tag in ("script", "link", "img", "iframe", "object")]
    for _, attributes in tags.found:
        for key in ("href", "xlink:href", "src"):
            assert (attributes.get(key) or "#").startswith("#")


def test_the_same_history_gives_the_same_page(tmp_path: Path) -> None:
    save_report(HISTORY, tmp_path, name="m")
    assert (tmp_path / "report.html").read_text() == render_report(HISTORY, name="m")


def test_a_history_with_little_in_it() -> None:
    little = replace(HISTORY, rows=(), steps=(), baseline=None, calibration=None, data={}, best_epoch=None)
    page = render_report(little, name="m")
    assert "<svg" not in page
    assert "Calibration" not in page


def test_after_one_epoch_every_value_has_a_point_that_is_seen() -> None:
    page = render_report(replace(HISTORY, rows=HISTORY.rows[:1], steps=HISTORY.steps[:1], best_epoch=1.0), name="m")
    dots = re.findall(r'<circle class="dot [^"]*" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"><title>([^:]*)', page)
    assert [name for *_, name in dots] == ["training", "validation", "accuracy", "F1", "learning rate", "tokens/s"]
    assert all(float(radius) >= 2 for _, _, radius, _ in dots)
    # Accuracy and F1 lie in one place: the one drawn first is larger.
    (_, _, outer, _), (_, _, inner, _) = dots[2:4]
    assert float(outer) > float(inner) + 1


def test_labels_that_are_numbers_get_a_word() -> None:
    data = {**HISTORY.data, "labels": ["LABEL_0", "LABEL_1"]}
    page = " ".join(render_report(replace(HISTORY, data=data), name="m").split())
    assert "the labels of the data are numbers, so they are called LABEL_0, LABEL_1" in page
    assert "<code>--label-names</code>" in page
    for names in (["negative", "positive"], ["LABEL_1", "LABEL_0"], ["LABEL_0", "good"], []):
        page = render_report(replace(HISTORY, data={**HISTORY.data, "labels": names}), name="m")
        assert "--label-names" not in page


def test_the_metric_is_named_as_people_write_it() -> None:
    assert "Epoch 2 was kept: the best in F1 on" in " ".join(render_report(HISTORY, name="m").split())

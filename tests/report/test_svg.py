"""The drawings of a page, read back: how many points there are, where they lie, and what they say under the pointer."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Histogram
from scorer.metrics.values import Curves, Figure, ReliabilityBin
from scorer.report import pictures as pictures_module
from scorer.report.blocks import excerpt
from scorer.report.html import to_html
from scorer.report.pictures import Picture, draw_curve, pictures_of, pictures_of_drift
from scorer.report.svg import HEIGHT, SERIES, WIDTH, Axis, Plot
from scorer.safe_text import visible
from tests.helpers.hostile import payloads

DRAWN = {"d", "x", "y", "cx", "cy", "r", "width", "height"}
"""Attributes with coordinates."""

Points = list[tuple[float, float]]


def parsed(plot: Plot) -> ET.Element:
    return ET.fromstring(f"<svg>{plot.drawn}</svg>")


def points_of(path: str) -> Points:
    """The corners of a path of M, L, H and V."""
    points: Points = []
    for command, numbers in re.findall(r"([MLHV])([\d.,]+)", path):
        values = [float(number) for number in numbers.split(",")]
        if command in "ML":
            points.append((values[0], values[1]))
        else:
            points.append((values[0], points[-1][1]) if command == "H" else (points[-1][0], values[0]))
    return points


class Drawing:
    """A drawing in the coordinates of its axes, which go from 0 to 1 unless ``ends`` says otherwise."""

    def __init__(self, plot: Plot, ends: tuple[float, float] = (1.0, 1.0)) -> None:
        self.root = parsed(plot)
        axis = points_of(self.paths("axis")[0])
        (self.left, self.top), (_, self.bottom), (self.right, _) = axis[:3]
        self.ends = ends

    def paths(self, look: str) -> list[str]:
        return [one.attrib["d"] for one in self.root.iter("path") if one.attrib["class"] == look]

    def place(self, x: float, y: float) -> tuple[float, float]:
        return (
            (x - self.left) / (self.right - self.left) * self.ends[0],
            (self.bottom - y) / (self.bottom - self.top) * self.ends[1],
        )

    def points(self, look: str) -> Points:
        (path,) = self.paths(look)
        return [self.place(x, y) for x, y in points_of(path)]

    def circles(self, look: str) -> list[tuple[tuple[float, float], float, str]]:
        """Middle, radius and title of each circle."""
        found = [one for one in self.root.iter("circle") if one.attrib["class"] == look]
        return [
            (self.place(*(float(one.attrib[key]) for key in ("cx", "cy"))), float(one.attrib["r"]), titles(one)[0])
            for one in found
        ]


def titles(element: ET.Element) -> list[str]:
    return [one.text or "" for one in element.iter("title")]


def close(found: Points, expected: Points) -> bool:
    return found == [pytest.approx(point, abs=2e-4) for point in expected]


CURVE = Curves(
    label="good",
    roc_auc=Figure(0.8),
    average_precision=Figure(0.75),
    false_positive_rate=(0.0, 0.0, 0.25, 0.25, 1.0),
    true_positive_rate=(0.0, 0.5, 0.5, 0.9, 1.0),
    roc_threshold=(None, 0.99, 0.7, 0.4, 0.00002),
    recall=(1.0, 0.9, 0.5, 0.0),
    precision=(0.5, 0.6, 0.8, 1.0),
    precision_recall_threshold=(0.1, 0.4, 0.9, None),
)

BINS = (
    ReliabilityBin(0.0, 0.5, 0, None, None),
    ReliabilityBin(0.5, 0.75, 25, 0.7, 0.4),
    ReliabilityBin(0.75, 1.0, 100, 0.95, 1.0),
)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    """Figures and drift of a small file beside itself."""
    path = tmp_path_factory.mktemp("report") / "preds.parquet"
    names = ["bad", "good"] * 6
    probabilities = {"pred_prob_bad": [0.6, 0.1] * 6, "pred_prob_good": [0.4, 0.9] * 6}
    pq.write_table(pa.table({"label": names, "pred_label": names, **probabilities}), path)
    return evaluate_labels(path, drift=path)


@pytest.fixture
def report(evaluated: EvaluationReport) -> EvaluationReport:
    return replace(
        evaluated,
        curves=(CURVE,),
        reliability=BINS,
        histogram=Histogram("probability of good", (0.0, 0.25, 0.5, 1.0), {"bad": (9, 3, 0), "good": (0, 2, 10)}),
    )


def pictures(report: EvaluationReport) -> dict[str, Picture]:
    return {one.name: one for one in pictures_of(report)}


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        (Axis("share"), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Axis("rows", 0, 44.1, 1), ["0", "10", "20", "30", "40"]),
        (Axis("rows", 0, 2.1, 1), ["0", "1", "2"]),
        (Axis("rows", 0, 1.05, 1), ["0", "1"]),
        (Axis("rows", 0, 5_250_000, 1), ["0", "2,000,000", "4,000,000"]),
        (Axis("share", 0, 0.0123), ["0.000", "0.005", "0.010"]),
        (Axis("rate", 0, 2.1e-5), ["0", "5e-06", "1e-05", "1.5e-05", "2e-05"]),
        (Axis("loss", -0.3, 0.6), ["-0.2", "0.0", "0.2", "0.4", "0.6"]),
        (Axis("loss", 0, 3e20), ["0", "1e+20", "2e+20", "3e+20"]),
        (Axis("rows", 0.5, 52, 1, logarithmic=True), ["1", "2", "5", "10", "20", "50"]),
        (Axis("rows", 0.5, 14_400, 1, logarithmic=True), ["1", "10", "100", "1,000", "10,000"]),
        (Axis("share", 0.00005, 1.2, logarithmic=True), ["0.0001", "0.001", "0.01", "0.1", "1"]),
    ],
)
def test_ticks_are_round(axis: Axis, texts: list[str]) -> None:
    assert [text for _, text in axis.ticks()] == texts
    assert [float(text.replace(",", "")) for text in texts] == pytest.approx([value for value, _ in axis.ticks()])


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e12))
def test_any_axis_has_a_few_ticks_between_its_ends(low: float, width: float) -> None:
    if low < low + width:
        assert_few_ticks(Axis("", low, low + width))


@given(st.floats(1e-9, 1e9), st.floats(30, 1e12), st.sampled_from([0.0, 1.0]))
def test_any_logarithmic_axis_has_a_few_ticks_between_its_ends(low: float, times: float, unit: float) -> None:
    assert_few_ticks(Axis("", low, low * times, unit, logarithmic=True))


def assert_few_ticks(axis: Axis) -> None:
    values = [value for value, _ in axis.ticks()]
    assert len(values) <= 12
    assert values == sorted(values)
    slack = 1e-6 * max(abs(axis.low), abs(axis.high))
    assert all(axis.low - slack <= value <= axis.high + slack for value in values)
    beyond = axis.low - 1, axis.high + 1
    assert all(0 <= axis.share(value) <= 1 for value in (*values, *beyond))


def test_a_roc_curve_has_its_corners_and_the_diagonal(report: EvaluationReport) -> None:
    drawing = Drawing(pictures(report)["roc"].plot)
    corners = list(zip(CURVE.false_positive_rate, CURVE.true_positive_rate, strict=True))
    assert close(drawing.points("line series-0"), corners)
    assert close(drawing.points("guess"), [(0, 0), (1, 1)])
    spots = drawing.circles("spot")
    assert close([place for place, _, _ in spots], corners)
    assert spots[1][2] == "good: threshold 0.9900, false positive rate 0.0000, true positive rate 0.5000"
    assert spots[4][2].startswith("good: threshold 2e-05, ")


def test_precision_lasts_until_the_next_recall(report: EvaluationReport) -> None:
    drawing = Drawing(pictures(report)["precision-recall"].plot)
    expected = [(1, 0.5), (0.9, 0.5), (0.9, 0.6), (0.5, 0.6), (0.5, 0.8), (0, 0.8), (0, 1)]
    assert close(drawing.points("line series-0"), expected)


def test_the_area_of_the_drawn_curve_is_average_precision(report: EvaluationReport) -> None:
    points = Drawing(pictures(report)["precision-recall"].plot).points("line series-0")
    area = sum((now[0] - then[0]) * now[1] for now, then in pairwise(points))
    assert area == pytest.approx(0.1 * 0.5 + 0.4 * 0.6 + 0.5 * 0.8, abs=1e-3)


def test_reliability_has_a_dot_for_each_bin_with_rows(report: EvaluationReport) -> None:
    drawing = Drawing(pictures(report)["reliability"].plot)
    dots = drawing.circles("dot series-0")
    assert close([place for place, _, _ in dots], [(0.7, 0.4), (0.95, 1.0)])
    # The areas, beside a smallest radius that can be seen, are as the rows.
    assert [radius - 1.5 for _, radius, _ in dots] == pytest.approx([3.5 / 2, 3.5])
    assert dots[0][2] == "confidence 0.500 to 0.750, rows 25, mean confidence 0.7000, share that is right 0.4000"
    gaps = [[drawing.place(*point) for point in points_of(path)] for path in drawing.paths("line gap")]
    assert close(gaps[0], [(0.7, 0.7), (0.7, 0.4)])
    assert len(gaps) == 2


def test_a_histogram_stands_on_its_bins(report: EvaluationReport) -> None:
    drawing = Drawing(pictures(report)["histogram"].plot, (1.0, 10.5))
    outline = [(0, 0), (0, 9), (0.25, 9), (0.25, 3), (0.5, 3), (0.5, 0), (1, 0)]
    assert drawing.points("line area series-0") == [pytest.approx(point, abs=1e-2) for point in outline]
    strips = list(drawing.root.iter("rect"))
    assert [titles(strip)[0] for strip in strips] == [
        "score 0.000 to 0.250, bad 9, good 0",
        "score 0.250 to 0.500, bad 3, good 2",
        "score 0.500 to 1.000, bad 0, good 10",
    ]
    edges = [drawing.place(float(strip.attrib["x"]), 0)[0] for strip in strips]
    assert edges == pytest.approx([0, 0.25, 0.5], abs=2e-4)


def test_counts_that_differ_much_get_a_log_scale(report: EvaluationReport) -> None:
    scores = Histogram("confidence", (0.0, 0.5, 1.0), {"right": (0, 1000), "wrong": (10, 1)})
    drawing = Drawing(pictures(replace(report, histogram=scores))["histogram"].plot)
    assert "rows, log scale" in [one.text for one in drawing.root.iter("text")]
    # From 0.5 to 1200: log(20) and log(2) over log(2400); an empty bin lies on the floor.
    heights = [y for _, y in drawing.points("line area series-1")]
    assert heights == pytest.approx([0, 0.3849, 0.3849, 0.0891, 0.0891, 0], abs=2e-3)
    assert min(y for _, y in drawing.points("line area series-0")) == 0


def test_empty_and_single_values_are_drawn(report: EvaluationReport) -> None:
    empty = Histogram("confidence", (0.0, 1.0), {"right": (0,), "wrong": (0,)})
    one = (ReliabilityBin(0.9, 1.0, 1, 0.95, 0.0),)
    found = pictures(replace(report, histogram=empty, reliability=one, curves=()))
    assert list(found) == ["reliability", "histogram"]
    assert len(Drawing(found["reliability"].plot).circles("dot series-0")) == 1
    table = draw_curve(Plot(Axis("x"), Axis("y")), "series-0", "one", ("x", "y"), [0.5], [0.5], steps=True)
    assert table.rows == [["0.5000", "0.5000"]]


def test_nothing_lies_outside_the_box_and_numbers_are_short(report: EvaluationReport) -> None:
    many = {f"label {n}": tuple(10 ** ((n + k) % 7) for k in range(20)) for n in range(SERIES)}
    wide = replace(report, histogram=Histogram("confidence", tuple(k / 20 for k in range(21)), many))
    for picture in pictures(wide).values():
        root = parsed(picture.plot)
        for one in root.iter():
            numbers = " ".join(value for key, value in one.attrib.items() if key in DRAWN)
            assert not re.search(r"\d\.\d{3}|e-|nan|inf", numbers)
            spots = points_of(one.attrib.get("d", ""))
            if one.tag == "circle":
                spots.append((float(one.attrib["cx"]), float(one.attrib["cy"])))
            if one.tag == "rect":
                x, y, width, height = (float(one.attrib[key]) for key in ("x", "y", "width", "height"))
                spots += [(x, y), (x + width, y + height)]
            if one.tag == "text":
                spots.append((float(one.attrib["x"]), float(one.attrib["y"])))
                # Digits are about 6 wide in the font of a phone.
                length = 6 * len(one.text or "")
                if one.attrib.get("text-anchor") == "end":
                    spots.append((float(one.attrib["x"]) - length, 0))
            assert all(-0.01 <= x <= WIDTH + 0.01 and 0 <= y <= HEIGHT for x, y in spots)


def test_hostile_names_are_texts_of_the_drawing(report: EvaluationReport) -> None:
    for payload in [
        *payloads("http://127.0.0.1:9"),
        "</title></svg><script>alert(1)</script>",
        '"><img src=x>',
        "a\x00b",
    ]:
        label = payload[:30] + "\x1b[31m"
        curve = replace(CURVE, label=label)
        scores = Histogram(f"probability of {label}", (0.0, 0.5, 1.0), {label: (1, 2), "other": (3, 4)})
        hostile = replace(report, curves=(curve,), histogram=scores)
        for picture in pictures(hostile).values():
            root = parsed(picture.plot)
            assert {one.tag for one in root.iter()} <= {"svg", "path", "text", "circle", "rect", "title", "g"}
            assert not re.search("[\x00-\x08\x0b-\x1f]", str(picture.plot.drawn))
        spot = Drawing(pictures(hostile)["roc"].plot).circles("spot")[0][2]
        assert spot.startswith(visible(excerpt(label, 40)) + ": threshold")
        page = to_html(hostile)
        assert page.count("<script>") == 1
        assert "<img" not in page


def test_long_names_are_cut_under_the_pointer(report: EvaluationReport) -> None:
    found = pictures(replace(report, curves=(replace(CURVE, label="long " * 1000),)))
    title = Drawing(found["roc"].plot).circles("spot")[0][2]
    assert title.startswith("long " * 8 + "…: threshold –, ")
    assert len(title) < 150


def test_ten_of_many_labels_are_drawn(report: EvaluationReport) -> None:
    curves = tuple(replace(CURVE, label=f"label {number}") for number in range(SERIES + 5))
    found = pictures(replace(report, curves=curves))["roc"]
    assert len(found.legend) == len(found.tables) == SERIES
    looks = [one.attrib["class"] for one in parsed(found.plot).iter("path") if "line" in one.attrib["class"]]
    assert looks == [f"line series-{number}" for number in range(SERIES)]


def test_the_curve_of_a_baseline_lies_beside_ours(report: EvaluationReport) -> None:
    then = replace(CURVE, true_positive_rate=(0.0, 0.3, 0.4, 0.8, 1.0), roc_auc=Figure(0.7))
    picture = pictures_module._roc([CURVE], [then], 2)
    drawing = Drawing(picture.plot)
    assert close(
        drawing.points("line series-0"), list(zip(CURVE.false_positive_rate, CURVE.true_positive_rate, strict=True))
    )
    assert close(
        drawing.points("line series-1"), list(zip(then.false_positive_rate, then.true_positive_rate, strict=True))
    )
    assert picture.keys == [("series-0", "good: area 0.8000"), ("series-1", "baseline, good: area 0.7000")]
    assert picture.caption == "the baseline is dashed; best is the upper left corner"


def test_of_many_labels_ours_and_the_baseline_have_one_colour_each(report: EvaluationReport) -> None:
    curves = [replace(CURVE, label=f"label {number}") for number in range(SERIES)]
    picture = pictures_module._precision_recall(curves, curves, 40)
    looks = [look for look, _ in picture.keys]
    assert looks[:2] == ["series-0", "series-1"]
    assert looks[SERIES:] == [f"{look} then" for look in looks[:SERIES]]
    assert picture.caption.startswith("each of the first 10 labels against the others; the baseline is dotted; ")


def test_drift_compares_shares_of_sets_of_different_sizes(report: EvaluationReport) -> None:
    assert report.drift is not None
    drift = replace(
        report.drift, of="confidence", edges=(0.0, 0.5, 1.0), baseline_scores=(10, 30), current_scores=(1, 1)
    )
    (picture,) = pictures_of_drift(drift)
    drawing = Drawing(picture.plot, (1.0, 0.75 * 1.05))
    assert close(drawing.points("line area series-0"), [(0, 0), (0, 0.25), (0.5, 0.25), (0.5, 0.75), (1, 0.75), (1, 0)])
    assert close(drawing.points("line area series-1"), [(0, 0), (0, 0.5), (0.5, 0.5), (1, 0.5), (1, 0)])
    assert picture.legend == ("baseline", "now")
    assert not list(pictures_of_drift(replace(drift, current_scores=())))

"""The page of a report in use: with the pointer, clicks and keys, on a phone, on paper and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.report.html import to_html
from scorer.report.reading_list import entries_of
from tests.helpers.chromium import BINARY, Page, chromium

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium here: apt-get install chromium")

ROWS = 600

SHOPS = ("north", "south", "east")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as page:
        yield page


def predictions(noise: float, labels: tuple[str, ...] = ("negative", "positive")) -> pa.Table:
    """The same rows each time, predicted with more or less noise."""
    draw = np.random.default_rng(8)
    gold = draw.integers(0, len(labels), ROWS)
    logits = draw.normal(0, 1, (ROWS, len(labels)))
    logits[np.arange(ROWS), gold] += draw.normal(2.5, 1, ROWS)
    logits += np.random.default_rng(9).normal(0, noise, logits.shape)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = shares.argmax(axis=1)
    columns: dict[str, Any] = {
        "id": [f"r{row}" for row in range(ROWS)],
        "text": [
            f"the {('lid', 'box', 'cup')[row % 3]} of order {row} came {'late ' * (row % 7)}" for row in range(ROWS)
        ],
        "shop": [SHOPS[row % len(SHOPS)] for row in range(ROWS)],
        "label": [labels[one] for one in gold],
        "pred_label": [labels[one] for one in predicted],
    }
    columns |= {f"pred_prob_{name}": shares[:, place] for place, name in enumerate(labels)}
    return pa.table(columns)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    """Two labels beside a worse baseline."""
    folder = tmp_path_factory.mktemp("report")
    pq.write_table(predictions(0.0), folder / "now.parquet")
    pq.write_table(predictions(1.5), folder / "then.parquet")
    return evaluate_labels(
        folder / "now.parquet",
        baseline=folder / "then.parquet",
        drift=folder / "then.parquet",
        on="id",
        slice_by=("shop",),
        cost_fp=5,
        cost_fn=2,
    )


@pytest.fixture(scope="module")
def page(report: EvaluationReport, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def of_labels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Path]:
    """Pages of three and of forty labels."""
    folder = tmp_path_factory.mktemp("labels")
    for n in (3, 40):
        pq.write_table(predictions(0.0, tuple(f"label {k}" for k in range(n))), folder / f"{n}.parquet")
        report = evaluate_labels(folder / f"{n}.parquet", slice_by=("shop",))
        (folder / f"{n}.html").write_text(to_html(report), encoding="utf-8")
    return {n: folder / f"{n}.html" for n in (3, 40)}


def test_every_curve_says_its_values_under_the_pointer(browser: Page, page: Path, report: EvaluationReport) -> None:
    browser.open(page)
    browser.run("""(() => {
        window.held = [...document.querySelectorAll('svg.plot .values')];
        window.spot = (n, at) => {
            const [x, y, ...values] = held[n].dataset.points.split(';')[at].split(' ');
            const plot = held[n].closest('svg');
            plot.scrollIntoView({block: 'center'});
            const place = new DOMPoint(x, y).matrixTransform(plot.getScreenCTM());
            return [place.x, place.y, values];
        };
        window.meeting = (n, at) => {
            const place = held[n].dataset.points.split(';')[at].split(' ').slice(0, 2).join(' ') + ' ';
            const columns = held[n].dataset.columns.split('|');
            return [...held[n].closest('svg').querySelectorAll('.values')].flatMap(({dataset}) =>
                dataset.points.split(';').filter(one => one.startsWith(place)).map(one => dataset.name + ': ' +
                    one.split(' ').slice(2).map((value, k) => columns[k] + ' ' + value).join(', ')));
        };
        window.said = n => held[n].closest('figure').querySelector('.readout').textContent;
    })()""")
    names = browser.run("held.map(one => one.dataset.name)")
    assert names == ["positive", "baseline, positive"] * 2 + ["accuracy"]
    for number, name in enumerate(names):
        points = browser.run(f"held[{number}].dataset.points.split(';').length")
        columns = browser.run(f"held[{number}].dataset.columns.split('|')")
        assert points > 50
        for at in (points // 5, points // 2, points - 1):
            x, y, values = browser.run(f"spot({number}, {at})")
            browser.point(x, y)
            said = browser.run(f"said({number})")
            pairs = ", ".join(f"{column} {value}" for column, value in zip(columns, values, strict=True))
            # Where curves meet, the pointer is as near to each of them.
            assert said in [f"{name}: {pairs}", *browser.run(f"meeting({number}, {at})")]
            assert browser.run(f"held[{number}].closest('svg').querySelectorAll('.mark').length") == 1
    # The values are those of the report.
    curve = report.curves[0]
    held = browser.run("held[0].dataset.points.split(';').map(one => one.split(' ').slice(2))")
    assert [float(row[1]) for row in held] == pytest.approx(curve.false_positive_rate, abs=5e-5)
    assert [float(row[2]) for row in held] == pytest.approx(curve.true_positive_rate, abs=5e-5)
    # Away from every plot the hint stands there again.
    browser.point(1, 1)
    assert browser.run("said(0)") == "Point at the plot for its values."
    assert browser.complaints == []


def test_bars_and_dots_say_their_values_under_the_pointer(browser: Page, page: Path) -> None:
    browser.open(page)
    plots = "[...document.querySelectorAll('svg.plot')].filter(one => !one.querySelector('.values'))"
    assert browser.run(f"{plots}.length") == 3  # reliability, scores, scores then and now
    for number in range(3):
        plot = f"{plots}[{number}]"
        for mark in (0, browser.run(f"{plot}.querySelectorAll('title').length") - 2):
            element = f"{plot}.querySelectorAll('circle, rect')[{mark}]"
            browser.point(*browser.place(element))
            said = browser.run(f"{plot}.closest('figure').querySelector('.readout').textContent")
            assert said == browser.run(f"{element}.querySelector('title').textContent")


def test_every_heading_of_every_table_sorts_it(browser: Page, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
    browser.run("""window.cells = button => {
        const head = button.closest('th'), rows = [...button.closest('table').tBodies[0].rows];
        return rows.map(row => row.cells[head.cellIndex].textContent.trim());
    }""")
    buttons = "[...document.querySelectorAll('button.sort')]"
    number = browser.run(f"{buttons}.length")
    tables = browser.run(
        "[...document.querySelectorAll('main table:not(.matrix)')].filter(one => one.tBodies[0].rows.length > 1).length"
    )
    assert tables == browser.run(f"new Set({buttons}.map(one => one.closest('table'))).size") > 15
    for place in range(0, number, 3):
        button = f"{buttons}[{place}]"
        before = browser.run(f"cells({button})")
        browser.click(button)
        up = browser.run(f"cells({button})")
        assert up == sorted(before, key=sort_key), before
        browser.click(button)
        down = browser.run(f"cells({button})")
        assert [sort_key(one) for one in down] == in_descent([sort_key(one) for one in before])
        browser.click(button)
        assert browser.run(f"cells({button})") == before
    assert browser.complaints == []


def sort_key(text: str) -> tuple[int, float, str]:
    """Numbers by value, then texts by the alphabet."""
    found = re.match(r"[-+\u2212]?\d[\d,.]*(e[-+]\d+)?", text.removeprefix("~ "))
    return (0, float(found[0].replace(",", "").replace("\u2212", "-")), "") if found else (1, 0.0, text.lower())


def in_descent(keys: list[tuple[int, float, str]]) -> list[tuple[int, float, str]]:
    """Numbers from the largest, and behind them texts from the end of the alphabet."""
    return [one for kind in (0, 1) for one in sorted((key for key in keys if key[0] == kind), reverse=True)]


def test_kind_labels_slice_and_words_choose_reviews_together(
    browser: Page, page: Path, report: EvaluationReport
) -> None:
    browser.open(page)
    entries = entries_of(report)

    def choose(name: str, text: str) -> None:
        browser.run(f"""(() => {{
            const choice = document.querySelector('#mistakes [name={name}]');
            const option = [...choice.options].find(one => one.textContent === {text!r});
            choice.value = option.value;
            choice.dispatchEvent(new Event('change'));
        }})()""")

    def shown() -> list[str]:
        where = "[...document.querySelectorAll('#mistakes .review')].filter(one => one.checkVisibility())"
        return [re.search(r"id (r\d+)", one)[1] for one in browser.run(f"{where}.map(one => one.textContent)")]

    left = entries
    choose("kind", "mistakes")
    left = [one for one in left if "mistake" in one.kinds]
    assert shown() == [one.review.id for one in left]
    choose("gold", "positive")
    left = [one for one in left if one.review.gold == "positive"]
    assert shown() == [one.review.id for one in left]
    choose("predicted", "negative")
    assert shown() == [one.review.id for one in left]
    choose("slice", "south")
    left = [one for one in left if any(part.value == "south" for part in one.review.slices)]
    assert shown() == [one.review.id for one in left] != []
    browser.type("document.querySelector('#mistakes [type=search]')", "LATE box")
    left = [one for one in left if "late" in (one.review.text or "") and "box" in (one.review.text or "")]
    assert shown() == [one.review.id for one in left] != []
    assert (
        browser.run("document.querySelector('#mistakes-count').textContent") == f"{len(left)} of {len(entries)} shown"
    )
    browser.click("document.querySelector('#mistakes .search button')")
    assert browser.run("document.querySelectorAll('#mistakes .review[open]').length") == len(left)
    choose("predicted", "positive")
    assert shown() == []
    assert browser.complaints == []


def told(browser: Page) -> dict[str, str]:
    """What stands at the slider."""
    outs = "[...document.querySelectorAll('[data-out]')].map(one => [one.dataset.out, one.textContent])"
    return dict(browser.run(outs))


def test_the_slider_starts_at_the_predictions_at_hand_and_moves_by_keys(
    browser: Page, page: Path, report: EvaluationReport
) -> None:
    browser.open(page)
    said = told(browser)
    (tn, fp), (fn, tp) = report.matrix.tolist()
    assert [said[key] for key in ("tp", "fp", "fn", "tn")] == [str(tp), str(fp), str(fn), str(tn)]
    assert said["change"] == "These are the predictions at hand."
    assert said["threshold"] == "0.5000"
    browser.run("document.querySelector('[name=threshold]').focus()")
    for _ in range(40):
        browser.press("ArrowRight")
    moved = told(browser)
    assert float(moved["threshold"]) > float(said["threshold"])
    assert int(moved["fp"]) <= fp
    assert int(moved["tp"]) < tp
    more, fewer = tp - int(moved["tp"]), fp - int(moved["fp"])
    assert moved["change"] == f"Beside the predictions at hand: {more} more missed, {fewer} fewer wrongly labelled."
    assert moved["precision"] == f"{int(moved['tp']) / (int(moved['tp']) + int(moved['fp'])):.4f}"


def test_a_click_finds_the_threshold_of_a_precision(browser: Page, page: Path, report: EvaluationReport) -> None:
    browser.open(page)
    assert report.thresholds is not None
    offered = {one.wanted: one.row for one in report.thresholds.offered if one.figure == "precision"}
    for wanted in (0.9, 0.95):
        browser.type("document.querySelector('[name=precision]')", str(wanted))
        browser.click("document.querySelector('[name=find]')")
        said, row = told(browser), offered[wanted]
        assert row is not None
        assert float(said["precision"]) == pytest.approx(row.precision.value, abs=5e-5)
        assert float(said["precision"]) >= wanted
        assert float(said["recall"]) == pytest.approx(row.recall.value, abs=5e-5)
        assert float(said["threshold"]) == pytest.approx(row.threshold, rel=1e-3)
    browser.type("document.querySelector('[name=precision]')", "1.5")
    browser.click("document.querySelector('[name=find]')")
    assert told(browser)["found"] == "No threshold reaches a precision of 1.5."


def test_a_click_finds_the_least_cost(browser: Page, page: Path, report: EvaluationReport) -> None:
    browser.open(page)
    assert report.thresholds is not None
    assert report.thresholds.least_cost is not None
    assert browser.run("document.querySelector('[name=cost-fp]').value") == "5"
    browser.click("document.querySelector('[name=cheapest]')")
    assert told(browser)["cost"] == f"{report.thresholds.least_cost.cost:g}"
    counts = report.thresholds.counts
    assert counts is not None
    browser.type("document.querySelector('[name=cost-fp]')", "0.5")
    browser.type("document.querySelector('[name=cost-fn]')", "4")
    browser.click("document.querySelector('[name=cheapest]')")
    least = min(
        0.5 * false + 4 * (counts.positives - hits) for hits, false in zip(counts.hits, counts.false, strict=True)
    )
    assert told(browser)["cost"] == f"{least:g}"
    assert browser.complaints == []


def test_a_threshold_that_is_typed_is_the_nearest_from_above(browser: Page, page: Path) -> None:
    browser.open(page)
    browser.type("document.querySelector('[name=exact]')", "0.75")
    said = told(browser)
    assert 0.75 <= float(said["threshold"]) < 0.77


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_runs_off_a_phone_shows_that_it_scrolls(browser: Page, page: Path, scheme: str) -> None:
    browser.open(page, width=390, scheme=scheme)
    boxes = "[...document.querySelectorAll('.scroll')].filter(one => one.checkVisibility())"
    hidden = f"{boxes}.filter(one => one.scrollWidth > one.clientWidth + 2)"
    marked = f"{boxes}.filter(one => one.dataset.more === 'true')"
    assert browser.run(f"{hidden}.length") > 3
    assert browser.run(f"{hidden}.every(one => one.dataset.more === 'true')")
    assert browser.run(f"{marked}.every(one => getComputedStyle(one, '::after').content.includes('scroll for more'))")
    # Names of rows and captions stay where they are; at the end nothing more is promised.
    browser.run(f"{boxes}.forEach(one => {{ one.scrollLeft = 10000; }})")
    browser.run("new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))")
    names = f"{boxes}.flatMap(one => [...one.querySelectorAll('tbody th, caption > span')])"
    assert browser.run(f"{names}.every(one => one.getBoundingClientRect().left >= 0)")
    assert browser.run(f"{marked}.length") == 0


def test_it_prints_on_a_few_pages(browser: Page, page: Path, of_labels: Mapping[int, Path]) -> None:
    for path, most in ((page, 4), (of_labels[3], 3), (of_labels[40], 4)):
        browser.open(path)
        assert len(re.findall(rb"/Type\s*/Page\b(?!s)", browser.print())) <= most, path


def test_numbers_are_not_broken_on_paper(browser: Page, page: Path) -> None:
    browser.open(page, width=700, media="print")
    lines = """[...document.querySelectorAll('td.number, td.interval, .probability')]
        .filter(one => one.checkVisibility() && one.textContent.trim()).map(one => {
            const text = document.createRange();
            text.selectNodeContents(one);
            return new Set([...text.getClientRects()].map(box => Math.round(box.bottom / 4))).size;
        })"""
    found = browser.run(lines)
    assert len(found) > 100
    assert set(found) == {1}


def test_every_table_and_plot_has_a_caption(browser: Page, page: Path, of_labels: Mapping[int, Path]) -> None:
    for path in (page, *of_labels.values()):
        browser.open(path)
        assert browser.run("[...document.querySelectorAll('main table')].every(one => one.caption?.textContent.trim())")
        assert browser.run(
            "[...document.querySelectorAll('figure')].every(one => one.querySelector('figcaption strong'))"
        )


def test_without_scripts_all_is_there_to_be_read(browser: Page, page: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page, width=1180)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    tools = "[...document.querySelectorAll('.search, .tool, button.sort')].filter(one => one.checkVisibility()).length"
    assert browser.run(tools) == 0
    assert browser.run("[...document.querySelectorAll('.readout')].every(one => one.textContent === '')")
    assert browser.run("document.querySelectorAll('.review').length") > 20
    browser.click("document.querySelector('.review summary')")
    assert browser.run("document.querySelector('.review blockquote').checkVisibility()")
    browser.click("document.querySelector('#figures details summary')")
    assert browser.run("document.querySelector('#figures details table').checkVisibility()")


def test_of_many_labels_the_weakest_are_shown_and_all_unfold(browser: Page, of_labels: Mapping[int, Path]) -> None:
    browser.open(of_labels[40])
    column = "[...{}.tBodies[0].rows].map(row => row.cells[5].textContent)"
    shown = browser.run(column.format("document.querySelector('#figures table')"))
    assert len(shown) == 12
    assert [float(one) for one in shown] == sorted(map(float, shown))
    browser.click("document.querySelector('#figures details summary')")
    assert browser.run("document.querySelector('#figures details table').tBodies[0].rows.length") == 40


def test_a_page_without_a_threshold_says_why(browser: Page, of_labels: Mapping[int, Path]) -> None:
    browser.open(of_labels[3])
    assert browser.run("document.querySelector('#thresholds p').textContent") == (
        "There is no threshold to move: none of the 3 labels is the positive one, and each row gets its most probable"
        " label. Pass --positive LABEL to look at one label against the others."
    )
    assert browser.run("document.querySelectorAll('.tool').length") == 0

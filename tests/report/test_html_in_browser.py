"""The page of a report as a browser sees it: quiet, closed to the outside, whole on a phone and on paper."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.options import EvaluateOptions
from scorer.report.html import to_html
from tests.helpers.chromium import BINARY, Page, chromium
from tests.helpers.hostile import payloads, write_hostile

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium here: apt-get install chromium")


@dataclass
class Site:
    """A server on this machine that hostile texts point at, and the paths it was asked for."""

    address: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium") / "profile") as page:
        yield page


@pytest.fixture(scope="module")
def hostile_page(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every section, of files whose names, labels, columns, ids and texts are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    now, then = folder / "<img src=x onerror=alert(1)>.parquet", folder / "then.parquet"
    write_hostile(now, site.address)
    write_hostile(then, site.address, shift=1)
    report = evaluate_labels(
        now,
        options=EvaluateOptions(
            baseline=then,
            on="id",
            drift=then,
            slice_by=("</th><script>document.title='pwned'</script>",),
            min_accuracy=0.99,
            max_drop=0.0,
            at_precision=0.95,
            at_recall=0.9,
            mistakes=60,
        ),
    )
    path = folder / "report.html"
    path.write_text(to_html(report), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def six_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("six")
    labels = tuple(f"label {number} of several, with a name that is rather long" for number in range(6))
    write_hostile(folder / "six.parquet", "http://127.0.0.1:9", labels=labels)
    path = folder / "report.html"
    path.write_text(to_html(evaluate_labels(folder / "six.parquet")), encoding="utf-8")
    return path


def test_the_traps_work_on_a_page_without_protection(browser: Page, site: Site, tmp_path: Path) -> None:
    path = tmp_path / "open.html"
    trouble = "<script>console.error('told'); throw Error('thrown')</script>"
    path.write_text(f"<title>calm</title>{trouble}{''.join(payloads(site.address)[:2])}", encoding="utf-8")
    site.asked.clear()
    browser.open(path)
    assert browser.run("document.title") == "pwned"
    assert browser.requests[1:] == [f"{site.address}/img"]
    assert site.asked == ["/img"]
    assert {"told", "Uncaught"} <= set(browser.complaints)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_nothing_runs_and_nothing_is_fetched(browser: Page, site: Site, hostile_page: Path, scripts: bool) -> None:
    site.asked.clear()
    browser.call("Emulation.setScriptExecutionDisabled", value=not scripts)
    try:
        browser.open(hostile_page)
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert browser.requests == [hostile_page.as_uri()]
    assert browser.complaints == []
    assert site.asked == []
    assert str(browser.run("document.title")).startswith("Evaluation of ")
    # Only what the templates hold is there, and no element took an attribute from a text.
    assert (
        browser.run("document.querySelectorAll('img, iframe, link, base, script[src], [style], [onload]').length") == 0
    )
    assert browser.run("[document.scripts.length, document.styleSheets.length].join()") == "1,1"
    assert browser.run("document.querySelectorAll('.review').length") > 50
    assert browser.run("document.querySelector('.search').hidden") is not scripts


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (360, "dark"), (768, "light"), (1400, "light")])
@pytest.mark.parametrize("page", ["hostile_page", "six_labels"])
def test_the_page_fits_its_window(
    browser: Page, page: str, width: int, scheme: str, request: pytest.FixtureRequest
) -> None:
    browser.open(request.getfixturevalue(page), width=width, scheme=scheme)
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    # What is wider than the window scrolls inside a box of its own; texts never do.
    outside = """[...document.querySelectorAll('h1, h2, h3, p, dd, dt, li, blockquote, summary, figure, svg.plot')]
        .filter(one => !one.closest('.scroll') && one.getBoundingClientRect().right > innerWidth + 1)
        .map(one => one.outerHTML.slice(0, 300))"""
    assert browser.run(outside) == []
    assert browser.complaints == []


def test_texts_can_be_read_on_every_ground(browser: Page, hostile_page: Path) -> None:
    contrast = """(() => {
        const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
        const light = (paper, colour) => {
            context.fillStyle = paper; context.fillRect(0, 0, 1, 1);
            context.fillStyle = colour; context.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map(
                value => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const paper = one => {
            const colour = getComputedStyle(one).backgroundColor;
            return colour === 'rgba(0, 0, 0, 0)' && one.parentElement ? paper(one.parentElement) : colour;
        };
        let worst = 99;
        const texts = 'h1, p, td, th, dt, dd, a, summary span, svg text, figcaption, .gates *';
        for (const one of document.querySelectorAll(texts)) {
            const ground = paper(one), style = getComputedStyle(one);
            const pair = [light(ground, ground), light(ground, one.tagName === 'text' ? style.fill : style.color)];
            worst = Math.min(worst, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05));
        }
        return worst;
    })()"""
    for scheme in ("light", "dark"):
        browser.open(hostile_page, scheme=scheme)
        assert browser.run(contrast) >= 4.5, scheme
    # The two really differ, and the plots go along.
    browser.look(scheme="light")
    ink = "getComputedStyle(document.querySelector('svg text')).fill"
    by_day = browser.run(ink)
    browser.look(scheme="dark")
    assert browser.run(ink) != by_day


def test_values_are_under_the_pointer(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page, width=390)
    found = browser.run("""[...document.querySelectorAll('svg.plot')].map(plot => {
        const marks = [...plot.querySelectorAll('circle, rect')];
        return marks.filter(one => {
            one.scrollIntoView({block: 'center'});
            const box = one.getBoundingClientRect();
            const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
            return top.querySelector('title') && marks.includes(top);
        }).length / marks.length;
    })""")
    assert found == [1] * 6


def test_wide_tables_fit_the_paper(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page, width=700, media="print")
    assert browser.run("document.documentElement.scrollWidth") <= 700


def test_print_is_dark_on_white_and_shows_each_review_on_a_line(browser: Page, six_labels: Path) -> None:
    browser.open(six_labels, width=800, scheme="dark", media="print")
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert browser.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert browser.run("document.querySelector('.review .excerpt').getBoundingClientRect().height") > 0


def test_search_leaves_the_reviews_that_have_the_words(browser: Page, six_labels: Path) -> None:
    browser.open(six_labels)
    visible = "[...document.querySelectorAll('#mistakes .review')].filter(one => !one.hidden).length"
    every = browser.run(visible)
    write = """(text => {
        const input = document.querySelector('#mistakes input');
        input.value = text;
        input.dispatchEvent(new Event('input'));
        return document.querySelector('#mistakes-count').textContent;
    })"""
    said = browser.run(f"{write}('BELL escape')")
    found = browser.run(visible)
    assert 0 < found < every
    assert said == f"{found} of {every} shown"
    assert browser.run(f"{write}('no such words')") == f"0 of {every} shown"
    assert browser.run(visible) == 0
    browser.run(f"{write}('')")
    assert browser.run(visible) == every
    browser.run("document.querySelector('#mistakes button').click()")
    assert browser.run("document.querySelectorAll('#mistakes .review[open]').length") == every
    assert browser.complaints == []


def test_a_click_on_a_heading_sorts_its_table(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page)
    column = "[...document.querySelector('#comparison tbody').rows].map(row => row.cells[1].textContent)"
    before = browser.run(column)
    click = "document.querySelectorAll('#comparison thead')[0].rows[0].cells[1].querySelector('button').click()"
    for wanted in (sorted(before, key=float), sorted(before, key=float, reverse=True), before):
        browser.run(click)
        assert browser.run(column) == wanted


def test_the_slider_moves_every_figure_from_counts(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page)
    counts = browser.run("JSON.parse(document.querySelector('.tool').dataset.thresholds)")
    for place in (0, len(counts["threshold"]) // 2, len(counts["threshold"]) - 1):
        browser.run(f"""(() => {{
            const slider = document.querySelector('[name=threshold]');
            slider.value = {len(counts["threshold"]) - 1 - place};
            document.querySelector('[name=cost-fn]').value = 3;
            slider.dispatchEvent(new Event('input'));
        }})()""")
        said = browser.run(
            "Object.fromEntries([...document.querySelectorAll('[data-out]')]"
            ".map(one => [one.dataset.out, one.textContent]))"
        )
        hits, false = counts["hits"][place], counts["false"][place]
        missed = counts["positives"] - hits
        cells = (str(hits), str(false), str(missed), str(counts["negatives"] - false))
        assert (said["tp"], said["fp"], said["fn"], said["tn"]) == cells
        assert said["precision"] == f"{hits / (hits + false):.4f}"
        assert said["recall"] == f"{hits / counts['positives']:.4f}"
        assert said["f1"] == f"{2 * hits / (counts['positives'] + hits + false):.4f}"
        assert said["cost"] == f"{false + 3 * missed}"
    assert browser.complaints == []


def test_kinds_labels_and_slices_choose_reviews(browser: Page, hostile_page: Path) -> None:
    browser.open(hostile_page)
    for name in ("kind", "gold", "slice"):
        found = browser.run(f"""(() => {{
            const choice = document.querySelector('#mistakes [name={name}]');
            choice.selectedIndex = 1;
            choice.dispatchEvent(new Event('change'));
            const shown = [...document.querySelectorAll('#mistakes .review')].filter(one => !one.hidden);
            const held = shown.every(one => '{name}' === 'gold' ? one.dataset.gold === choice.value
                : one.dataset.{name}.split(' ').includes(choice.value));
            choice.selectedIndex = 0;
            choice.dispatchEvent(new Event('change'));
            return [shown.length, held];
        }})()""")
        assert found[0] > 0, name
        assert found[1], name
    assert browser.complaints == []

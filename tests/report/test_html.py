"""The page of a report as a file: its content, its safety, and when it is written."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.commands.evaluate_labels import evaluate_labels as command
from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport
from scorer.evaluation.sections import Review
from scorer.report.blocks import excerpt
from scorer.report.html import TEXT_CHARACTERS, cut_note, review_text, to_html
from scorer.report.tables import MATRIX_LABELS
from scorer.report.verdict import digits_of
from scorer.safe_text import visible
from tests.conftest import Call, InProcess
from tests.helpers.hostile import payloads, write_hostile

VOID = {"meta", "input", "br", "link", "img", "base"}


@pytest.fixture
def call(in_process: InProcess) -> Call:
    """`evaluate-labels` in this process: exit code, stdout, stderr."""

    return in_process(command)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """60 predictions, 45 of them right."""
    rows = [
        {
            "text": f"text {number} with words in it",
            "label": ("no", "yes")[number % 2],
            "pred_label": ("no", "yes")[(number + (number % 4 == 0)) % 2],
            "pred_prob_no": 0.9 - number / 200 if (number + (number % 4 == 0)) % 2 == 0 else 0.1 + number / 200,
            "pred_prob_yes": 0.1 + number / 200 if (number + (number % 4 == 0)) % 2 == 0 else 0.9 - number / 200,
        }
        for number in range(60)
    ]
    path = tmp_path / "preds.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


class Outline(HTMLParser):
    """Elements with their attributes and ids; fails if an element is closed that is not open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_shows_what_the_report_found(predictions: Path) -> None:
    report = evaluate_labels(predictions)
    page = to_html(report)
    outline = Outline(page)
    assert "<strong>45</strong> of 60 rows" in page
    assert outline.texts["h2"] == [
        "How good",
        "Curves",
        "Where it is weak",
        "Threshold",
        "What to hand to people",
        "Reviews to read first",
        "Provenance",
    ]
    assert outline.texts["h1"] == [str(predictions)]
    for figure in report.figures.values():
        digits = digits_of(figure)
        assert figure.value is None or f"{figure.value:.{digits}f}" in page
        if figure.interval is not None:
            assert f"{figure.interval.low:.{digits}f} to {figure.interval.high:.{digits}f}" in page
    rows = {one.row for one in (*report.mistakes, *report.suspects)}
    assert page.count('<details class="review"') == len(rows)
    for mistake in report.mistakes:
        assert f'<blockquote dir="auto">{mistake.text}</blockquote>' in page
    assert str(report.provenance.inputs[0].sha256) in page


def test_the_same_report_is_the_same_page(predictions: Path) -> None:
    assert to_html(evaluate_labels(predictions)) == to_html(evaluate_labels(predictions))


def test_every_picture_has_a_name_and_its_data(predictions: Path) -> None:
    page = to_html(evaluate_labels(predictions))
    outline = Outline(page)
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pictures = outline.all("svg")
    assert sum(one.get("class") == "plot" for one in pictures) == 5
    for one in pictures:
        assert one["role"] == "img"
        assert one.get("aria-label") or all(name in ids for name in str(one["aria-labelledby"]).split())
    assert page.count("as a table</summary>") == len(outline.all("figure"))
    referred = re.findall(r'(?:href="#|url\(#)([\w-]+)', page)
    assert set(referred) <= set(ids)


def test_only_its_own_style_and_script_may_run(predictions: Path) -> None:
    page = to_html(evaluate_labels(predictions))
    policy = next(
        one["content"] for one in Outline(page).all("meta") if one.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert allowed == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert not re.search(r"(src|href)=\"(?!#)", page)


def test_hostile_names_and_texts_stay_texts(tmp_path: Path) -> None:
    now, then = tmp_path / "<script>.parquet", tmp_path / "then.parquet"
    write_hostile(now, "http://127.0.0.1:9")
    write_hostile(then, "http://127.0.0.1:9", shift=1)
    column = "</th><script>document.title='pwned'</script>"
    page = to_html(
        evaluate_labels(now, baseline=then, on="id", drift=then, slice_by=(column,), mistakes=100, min_accuracy=1)
    )
    outline = Outline(page)
    assert len(outline.all("script")) == len(outline.all("style")) == 1
    assert {tag for tag, _ in outline.elements}.isdisjoint({"img", "iframe", "link", "base"})
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", page)
    assert r'bell <span class="control">\x07</span>, escape <span class="control">\x1b</span>[31m' in page
    assert "x" * (TEXT_CHARACTERS + 1) not in page
    assert "These are the first" in page


def test_a_figure_without_a_value_says_why(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"label": ["a", "b", "c"] * 4, "pred_label": ["b", "a", "c"] * 4}), tmp_path / "preds.parquet"
    )
    page = to_html(evaluate_labels(tmp_path / "preds.parquet"))
    assert "none of the 3 labels is the positive one" in page
    assert '<h2 id="curves-heading">' not in page  # there are no probabilities


def test_no_mistakes_and_none_shown_read_well(predictions: Path, tmp_path: Path) -> None:
    page = to_html(evaluate_labels(predictions, mistakes=0))
    assert "15 rows are wrong; none was kept to be shown." in page
    assert "with words in it" not in page
    table = pq.read_table(predictions)
    right = table.set_column(table.schema.get_field_index("label"), "label", table["pred_label"])
    pq.write_table(right, tmp_path / "right.parquet")
    assert "No row is wrong." in to_html(evaluate_labels(tmp_path / "right.parquet"))


def test_the_page_says_how_to_get_the_mistakes_that_it_does_not_show(predictions: Path) -> None:
    assert "<code>--mistakes-file FILE</code> writes all" in to_html(evaluate_labels(predictions, mistakes=3))
    assert "--mistakes-file" not in to_html(evaluate_labels(predictions, mistakes=100))


def test_the_environment_can_ask_for_the_page(
    call: Call, predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORER_REPORT", str(tmp_path / "report.html"))
    assert call(predictions)[0] == 0
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_many_labels_become_pairs(tmp_path: Path) -> None:
    names = [f"label {number:02}" for number in range(MATRIX_LABELS + 4)]
    pq.write_table(
        pa.table({"label": names * 3, "pred_label": names * 2 + names[1:] + names[:1]}), tmp_path / "preds.parquet"
    )
    page = to_html(evaluate_labels(tmp_path / "preds.parquet"))
    assert "20 labels are too many for a table" in page
    assert "Labels that are confused most often" in page
    assert '<table class="matrix">' not in page


def test_drift_alone_needs_no_labels(tmp_path: Path, predictions: Path) -> None:
    table = pq.read_table(predictions).drop_columns(["label"])
    texts = pa.array([f"other <b> {number}" for number in range(table.num_rows)])
    table = table.set_column(table.schema.get_field_index("text"), "text", texts)
    pq.write_table(table, tmp_path / "tonight.parquet")
    report = evaluate_labels(tmp_path / "tonight.parquet", drift=predictions)
    page = to_html(report)
    assert Outline(page).texts["h2"] == ["What to expect", "What to hand to people", "Drift", "Provenance"]
    assert "population stability index" in page
    drift = report.drift
    assert drift is not None
    assert drift.length is not None
    assert drift.vocabulary is not None
    for share in drift.label_shares:
        shown = f"<td>{100 * share.baseline:.2f}\u00a0%</td><td>{100 * share.current:.2f}\u00a0%</td>"
        assert f"<tr><td>{share.label}</td>{shown}</tr>" in page
    for word in drift.vocabulary.words:
        shown = f"<td>{100 * word.baseline:.3f}\u00a0%</td><td>{100 * word.current:.3f}\u00a0%</td>"
        assert f"<tr><td>{word.word}</td>{shown}</tr>" in page
    then, now = drift.length.baseline.p90, drift.length.current.p90
    assert f"<tr><td>90 % are shorter than</td><td>{then:,.0f}</td><td>{now:,.0f}</td></tr>" in page


def test_failed_gates_are_shown_and_the_page_is_written(call: Call, predictions: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    code, _, err = call(predictions, "--report", target, "--min-accuracy", "0.99", "--min-f1", "0.1")
    assert code == 8
    assert "accuracy 0.7500 is below --min-accuracy 0.99" in err
    page = target.read_text(encoding="utf-8")
    assert re.findall(r'<li class="(\w+)"><strong>([\w ]+)</strong>', page) == [("failed", "not met"), ("met", "met")]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("before", [None, b"what stood there"])
def test_bad_data_leaves_the_page_as_it_was(
    call: Call, predictions: Path, tmp_path: Path, before: bytes | None
) -> None:
    target = tmp_path / "report.html"
    if before is not None:
        target.write_bytes(before)
    table = pq.read_table(predictions)
    broken = pa.array([None, *["no"] * (table.num_rows - 1)], pa.string())
    pq.write_table(table.set_column(table.schema.get_field_index("label"), "label", broken), tmp_path / "bad.parquet")
    code, out, err = call(tmp_path / "bad.parquet", "--report", target)
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--report", "{folder}"], 2, "is a folder"),
        (["--report", "{folder}/preds.parquet"], 2, "--report names a file that is read"),
        (["--report", "{folder}/rep.txt"], 2, "--report writes HTML"),
        (["--report", "{folder}/none/report.html"], 5, "no such folder"),
        (["--report", "{folder}/a", "--json", "{folder}/a"], 2, "--json and --report name the same file"),
        (["--report", "{folder}/a", "--markdown", "{folder}/./a"], 2, "--markdown and --report name the same file"),
    ],
)
def test_places_that_cannot_be(
    call: Call, predictions: Path, tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    before = sorted(tmp_path.iterdir())
    found, out, err = call(predictions, *(option.format(folder=tmp_path) for option in options))
    assert (found, out) == (code, "")
    assert said in err
    assert sorted(tmp_path.iterdir()) == before


def test_jinja_is_loaded_for_the_page_alone_and_no_library_of_plots(predictions: Path, tmp_path: Path) -> None:
    def loaded(*options: str) -> str:
        script = (
            "import sys\nfrom scorer.commands.console import run\n"
            "from scorer.commands.evaluate_labels import evaluate_labels\n"
            "try:\n    run(evaluate_labels, sys.argv[1:], env_prefix='SCORER')\nexcept SystemExit as left:\n"
            "    assert left.code == 0\nprint(*sys.modules)"
        )
        command = [sys.executable, "-c", script, str(predictions), *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]

    assert "jinja2" not in loaded().split()
    with_page = set(loaded("--report", str(tmp_path / "report.html")).split())
    assert "jinja2" in with_page
    assert not {"matplotlib", "scipy", "sklearn"} & with_page


def test_hidden_characters_are_shown() -> None:
    assert visible("a\x00b\x1b[0m\x7f\x9b\u202e\u2028\ud800") == r"a\x00b\x1b[0m\x7f\x9b\u202e\u2028\ud800"
    assert visible("one\r\ntwo\tthree\rfour") == "one\ntwo\tthree\\rfour"
    assert (
        visible("\N{WOMAN}\u200d\N{ROCKET} \u0646\u200c\u0627 e\u0301")
        == "\N{WOMAN}\u200d\N{ROCKET} \u0646\u200c\u0627 e\u0301"
    )
    assert review_text("<b>\x07 \\x07") == '&lt;b&gt;<span class="control">\\x07</span> \\x07'


def test_long_texts_are_cut_and_the_page_says_where() -> None:
    review = Review("f", 1, None, "a", "b", 0.9, "é" * 50_000, cut=False)
    assert review_text(review.text or "") == "é" * TEXT_CHARACTERS
    assert cut_note(review) == "These are the first 4,000 of 50,000 characters."
    assert cut_note(replace(review, text="é" * 10)) == ""
    assert (
        cut_note(replace(review, text="é" * 1000, cut=True))
        == "These are the first 1,000 characters; the review is longer."
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" a\n\n b ", "a b"),
        ("word " * 3, "word word word"),
        ("word " * 10_000, "word word word w…"),
        (" " * 99 + "a", "…"),
    ],
)
def test_an_excerpt_is_one_line_and_says_that_it_is_cut(text: str, shown: str) -> None:
    assert excerpt(text, 16) == shown


def test_every_payload_is_shown_as_it_is(predictions: Path) -> None:
    report = evaluate_labels(predictions)
    texts = payloads("http://127.0.0.1:9")
    mistakes = tuple(
        replace(report.mistakes[0], row=row, text=text, gold=text[:100], id=text[:100])
        for row, text in enumerate(texts, start=1000)
    )
    page = to_html(replace(report, mistakes=mistakes))
    assert len(Outline(page).all("script")) == 1
    for text in texts:
        assert str(review_text(text)) in page


def test_a_report_made_by_hand_with_nothing_in_it(predictions: Path) -> None:
    full = evaluate_labels(predictions)
    bare = EvaluationReport(
        provenance=full.provenance,
        labels=full.labels,
        positive=full.positive,
        rows=full.rows,
        unscored=0,
        rows_unmatched=0,
        labels_unmatched=0,
        matrix=full.matrix,
        figures={"accuracy": full.figures["accuracy"]},
        by_label=(),
    )
    assert Outline(to_html(bare)).texts["h2"] == ["How good", "Threshold", "Reviews to read first", "Provenance"]

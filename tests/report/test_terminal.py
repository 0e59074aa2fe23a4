"""The tables on a terminal of 80 columns: texts are cut, numbers never, and no column is lost."""

from __future__ import annotations

import io
import re
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from scorer import evaluate_labels
from scorer.report.full import full_report
from scorer.report.summary import summary
from scorer.report.terminal import print_report, to_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(report, monkeypatch, columns: int, *, in_full: bool = True) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    print_report(report, stream, in_full=in_full)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


@pytest.fixture
def predictions(tmp_path, monkeypatch):
    """Predictions of so many labels with long names and ids, and others to compare with."""
    monkeypatch.chdir(tmp_path)

    def write(n_labels: int) -> None:
        rng = np.random.default_rng(5)
        names = np.array([f"label with a long name {number}" for number in range(n_labels)])
        gold = rng.integers(n_labels, size=4000)
        for file, share in (("new", 0.7), ("old", 0.6)):
            probabilities = rng.dirichlet(np.ones(n_labels), 4000) + np.eye(n_labels)[gold] * share
            probabilities = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
            predicted = probabilities.argmax(axis=1)
            columns = {"id": [f"review-{number:030}" for number in range(4000)], "text": ["a film " * 40] * 4000}
            columns |= {"kind": rng.choice(["a", "a kind that has a very long name, as people give them"], 4000)}
            columns |= {"label": names[gold], "pred_label": names[predicted]}
            columns |= {f"pred_prob_{name}": probabilities[:, place] for place, name in enumerate(names)}
            columns["pred_score"] = probabilities.max(axis=1)
            pq.write_table(pa.table(columns), f"{file}.parquet")

    return write


@pytest.mark.parametrize(("blocks", "in_full"), [(full_report, True), (summary, False)])
@pytest.mark.parametrize("n_labels", [2, 3, 12])
def test_every_number_of_every_table_fits_80_columns(predictions, monkeypatch, n_labels, blocks, in_full):
    predictions(n_labels)
    asked = {"at_recall": 0.9} if n_labels == 2 else {}
    report = evaluate_labels(
        "new.parquet", slice_by="kind", baseline="old.parquet", drift="old.parquet", on="id", **asked
    )
    lines = shown(report, monkeypatch, 80, in_full=in_full)
    assert max(map(cell_len, lines)) <= 80
    words = " ".join(lines)
    for block in blocks(report):
        for place, column in enumerate(block.columns):
            for row in block.rows:
                if column.right and row[place][:1].isdigit():
                    assert row[place] in words, (block.title, column.name)
        if block.columns and block.columns[-1].wide:  # reviews: the texts leave room for the labels
            heading = next(line for line in lines if re.match(rf" {block.columns[0].name} .* text *$", line))
            assert [name for name in ("gold", "predicted") if name not in heading] == []
    assert "…" in words


@pytest.mark.parametrize(("blocks", "in_full"), [(full_report, True), (summary, False)])
@pytest.mark.parametrize("columns", [30, 40, 60])
@pytest.mark.parametrize("n_labels", [2, 3, 12])
def test_every_number_is_whole_on_a_narrow_terminal(predictions, monkeypatch, n_labels, columns, blocks, in_full):
    predictions(n_labels)
    asked = {"at_recall": 0.9} if n_labels == 2 else {}
    report = evaluate_labels(
        "new.parquet", slice_by="kind", baseline="old.parquet", drift="old.parquet", on="id", **asked
    )
    lines = shown(report, monkeypatch, columns, in_full=in_full)
    assert max(map(cell_len, lines)) <= columns
    seen = Counter(word.strip("~,:%()") for line in lines for word in line.split())
    numbers = (
        word.strip("~,:%()")
        for block in blocks(report)
        for row in block.rows
        for place, (cell, column) in enumerate(zip(row, block.columns, strict=True))
        for word in (cell.split() if column.right else cell.split()[:1] if column.name == "row" and not place else [])
        if word[:1].isdigit()
    )
    assert Counter(numbers) - seen == Counter()


BEGINNING = "an extraordinarily long label of"


@pytest.mark.parametrize(
    "labels",
    [
        [f"{BEGINNING} {kind}" for kind in ("joy here", "rage now", "fear yes")],
        [f"{BEGINNING} {kind} that goes on for long" for kind in ("joy", "rage", "fear")],
        [f"長い名前の評価ラベルの種類その番号{kind}" for kind in "一二三"],
    ],
    ids=["at the end", "in the middle", "of wide characters"],
)
def test_labels_that_begin_alike_are_told_apart(tmp_path, monkeypatch, labels):
    monkeypatch.chdir(tmp_path)
    gold = labels * 40
    pq.write_table(pa.table({"label": gold, "pred_label": gold[1:] + gold[:1]}), "p.parquet")
    report = evaluate_labels("p.parquet")
    for in_full in (False, True):
        lines = shown(report, monkeypatch, 80, in_full=in_full)
        assert max(map(cell_len, lines)) <= 80
        matrix = lines[next(place for place, line in enumerate(lines) if "confusion matrix" in line) + 1 :]
        rows = [line.strip() for line in matrix if re.search(r" [0-9]+( +[0-9]+){2} *$", line)][:3]
        names = {re.sub(r"( +[0-9]+){3}$", "", row) for row in rows}
        assert len(names) == 3
        assert all("…" in name for name in names)


def test_an_emoji_of_joined_characters_is_whole_in_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    family = "👨\u200d👩\u200d👧\u200d👦"
    gold = [family, "sad"] * 40
    pq.write_table(pa.table({"label": gold, "pred_label": gold}), "p.parquet")
    lines = shown(evaluate_labels("p.parquet"), monkeypatch, 80)
    assert any(line.strip().startswith(f"{family} ") for line in lines)
    assert "u200d" not in "".join(lines)


def test_a_wide_terminal_cuts_nothing_but_reviews(predictions, monkeypatch):
    predictions(2)
    report = evaluate_labels("new.parquet", slice_by="kind", on="id", baseline="old.parquet")
    words = " ".join(shown(report, monkeypatch, 250))
    assert "a kind that has a very long name, as people give them" in words
    assert re.search(r"\(review-\d{30}\)", words)


def test_the_short_report_fits_a_screen_and_a_pipe_of_80_columns(predictions):
    predictions(2)
    report = evaluate_labels("new.parquet", slice_by="kind", on="id", baseline="old.parquet", drift="old.parquet")
    lines = to_text(report).splitlines()
    assert len(lines) <= 65
    assert max(map(cell_len, lines)) <= 80
    assert len(to_text(report, in_full=True).splitlines()) > 100


def test_the_short_report_has_what_people_decide_with(predictions):
    predictions(2)
    report = evaluate_labels("new.parquet", slice_by="kind", at_precision=0.95, max_psi=0.1, drift="old.parquet")
    text = to_text(report)
    assert "4,000 rows evaluated, gold labels from column 'label'\n" in text
    assert f"Accuracy is {report.figures['accuracy'].value:.3f} (95 %: " in text
    found = dict(re.findall(r"^(\S+(?: \S+)?)  +(\d\.\d{4})", text, re.MULTILINE))
    for name, shown in (("accuracy", "accuracy"), ("f1", "F1"), ("roc_auc", "ROC AUC"), ("ece", "calibration error")):
        assert found[shown] == f"{report.figures[name].value:.4f}"
    assert f"most confident of {report.n_mistakes:,} mistakes" in text
    assert "precision of 0.95" in text
    assert "scores" in found
    assert "\nmore: -v prints all tables; --report FILE.html and --json FILE hold everything\n" in text
    assert text.splitlines()[-1].startswith("gate met: psi of scores ")


def test_a_long_path_is_whole_in_a_pipe(predictions, tmp_path):
    predictions(2)
    long = tmp_path / ("a folder with a long name " * 5) / "predictions.parquet"
    long.parent.mkdir()
    (tmp_path / "new.parquet").rename(long)
    flat = tmp_path / ("x" * 120 + ".parquet")
    flat.symlink_to(long)
    assert f"\n  {flat.name}\n" in "\n  " + to_text(evaluate_labels(flat.name))


def test_breaks_in_html_are_spaces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = {
        "text": ["good.<br /><br />Really<BR>good", "bad<br/>film"],
        "label": ["a", "b"],
        "pred_label": ["b", "a"],
    }
    pq.write_table(pa.table(columns), "p.parquet")
    report = evaluate_labels("p.parquet")
    assert report.mistakes[0].text == "good.<br /><br />Really<BR>good"
    for text in (to_text(report), to_text(report, in_full=True)):
        assert "good. Really good\n" in text
        assert "bad film\n" in text

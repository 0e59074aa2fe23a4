"""The tables on a terminal of 80 columns: texts are cut, numbers never, and no column is lost."""

from __future__ import annotations

import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from scorer import evaluate_labels
from scorer.report.blocks import blocks
from scorer.report.terminal import print_report


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(report, monkeypatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = Terminal()
    print_report(report, stream)
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


@pytest.mark.parametrize("n_labels", [2, 3, 12])
def test_every_number_of_every_table_fits_80_columns(predictions, monkeypatch, n_labels):
    predictions(n_labels)
    asked = {"at_recall": 0.9} if n_labels == 2 else {}
    report = evaluate_labels(
        "new.parquet", slice_by="kind", baseline="old.parquet", drift="old.parquet", on="id", **asked
    )
    lines = shown(report, monkeypatch, 80)
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


def test_a_wide_terminal_cuts_nothing_but_reviews(predictions, monkeypatch):
    predictions(2)
    report = evaluate_labels("new.parquet", slice_by="kind", on="id", baseline="old.parquet")
    words = " ".join(shown(report, monkeypatch, 250))
    assert "a kind that has a very long name, as people give them" in words
    assert re.search(r"\(review-\d{30}\)", words)

"""A report that several tests of the page look at."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.findings import EvaluationReport


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds ``preds.parquet``: 120 rows of two labels; most films have few of them."""
    gold = [row % 2 for row in range(120)]
    positive = [(0.25 + row / 400 if row % 7 else 0.9 - row / 400) + 0.4 * gold[row] for row in range(120)]
    positive = [min(0.99, one) for one in positive]
    rows = {
        "label": [("no", "yes")[one] for one in gold],
        "pred_label": [("no", "yes")[one >= 0.5] for one in positive],
        "pred_prob_no": [1 - one for one in positive],
        "pred_prob_yes": positive,
        "film": ["big" if row < 60 else f"film {row}" for row in range(120)],
        "day": [f"day {row % 20}" for row in range(120)],
    }
    folder = tmp_path_factory.mktemp("tables")
    pq.write_table(pa.table(rows), folder / "preds.parquet")
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> EvaluationReport:
    return evaluate_labels(folder / "preds.parquet", slice_by=("film", "day"), cost_fp=3, at_precision=0.9)

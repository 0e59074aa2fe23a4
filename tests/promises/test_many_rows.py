"""A million rows: the promise of seconds and gigabytes, kept by a process of its own; seconds are of the CPU."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.helpers.processes import PEAK, needs_peak

ROWS = 1_000_000

CODE = f"""{PEAK}
import sys, time
from scorer import evaluate_labels
started = time.process_time()
report = evaluate_labels("rows.parquet", slice_by="kind")
assert report.evaluated == int(sys.argv[1])
assert all(figure.interval is not None for figure in report.figures.values())
print(time.process_time() - started, peak() / 2**20)
"""


@needs_peak
def test_a_million_rows_take_less_than_30_seconds_and_2_gib(tmp_path):
    rng = np.random.default_rng(1)
    gold = rng.random(ROWS) < 0.5
    positive = (1 / (1 + np.exp(-rng.normal(np.where(gold, 2.0, -2.0), 2)))).astype(np.float32)
    names = pa.array(["negative", "positive"])
    held = {
        "kind": pa.array(list("abcd")).take(pa.array(rng.integers(4, size=ROWS))),
        "label": names.take(pa.array(gold.astype(int))),
        "pred_label": names.take(pa.array((positive >= 0.5).astype(int))),
        "pred_prob_negative": 1 - positive,
        "pred_prob_positive": positive,
    }
    pq.write_table(pa.table(held), tmp_path / "rows.parquet")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(ROWS)],
        cwd=tmp_path,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seconds, gigabytes = map(float, done.stdout.split())
    assert seconds < 30
    assert gigabytes < 2

"""The model of predictions, as their file states it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.evaluation.evaluate import evaluate_labels
from scorer.evaluation.scored_by import KEY, ScoredBy, scored_by, stated
from scorer.files.beside_outputs import PROVENANCE_KEY, PROVENANCE_SUFFIX
from scorer.files.opening import open_source
from scorer.report.html import to_html
from tests.conftest import Call

PROVENANCE = {
    "bundle": {"precision": "int8", "fingerprint": "ab12", "threshold": 0.625, "labels": ["bad", "good"]},
    "device": "cpu",
    "lineage": [{"makes": "first"}, {"makes": "small-model", "command": None}],
}

MODEL = ScoredBy("small-model", "int8", "cpu", "ab12", 0.625)


def saved(path: Path, metadata: dict[bytes, bytes] | None = None) -> Path:
    table = pa.table({"id": ["a", "b"], "label": ["bad", "good"], "pred_label": ["bad", "good"]})
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_the_provenance_in_the_file_names_the_model(tmp_path: Path) -> None:
    path = saved(tmp_path / "preds.parquet", {PROVENANCE_KEY: orjson.dumps(PROVENANCE)})
    assert scored_by(open_source(path)) == MODEL


def test_so_does_the_provenance_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "preds.csv"
    path.write_text("label,pred_label\nbad,bad\ngood,good\n")
    assert scored_by(open_source(path)) is None
    Path(f"{path}{PROVENANCE_SUFFIX}").write_bytes(orjson.dumps(PROVENANCE))
    assert scored_by(open_source(path)) == MODEL


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b'{"bundle": []}',
        b'{"bundle": {"fingerprint": 7}}',
        b'{"bundle": {"fingerprint": ""}}',
        b'{"bundle": null, "lineage": {}}',
    ],
)
def test_what_names_no_model_is_none(tmp_path: Path, text: bytes) -> None:
    assert scored_by(open_source(saved(tmp_path / "preds.parquet", {PROVENANCE_KEY: text}))) is None
    Path(tmp_path / f"preds.parquet{PROVENANCE_SUFFIX}").write_bytes(text)
    assert scored_by(open_source(saved(tmp_path / "preds.parquet"))) is None


@pytest.mark.parametrize("lineage", [None, [], {}, ["text"], [{"makes": 3}], [{}]])
def test_a_model_without_a_name(tmp_path: Path, lineage: object) -> None:
    bare = {"bundle": {"fingerprint": "ab12", "precision": None, "threshold": "high"}, "lineage": lineage}
    path = saved(tmp_path / "preds.parquet", {PROVENANCE_KEY: orjson.dumps(bare)})
    assert scored_by(open_source(path)) == ScoredBy(None, None, None, "ab12", None)


def test_a_kept_baseline_remembers_the_model(tmp_path: Path) -> None:
    first = saved(tmp_path / "first.parquet", {PROVENANCE_KEY: orjson.dumps(PROVENANCE)})
    evaluate_labels(first, on="id", write_baseline=tmp_path / "kept.parquet")
    kept = open_source(tmp_path / "kept.parquet")
    assert scored_by(kept) == MODEL
    assert stated(kept) == {KEY: orjson.dumps(MODEL.to_json())}
    # And a baseline that is kept of it does too.
    evaluate_labels(tmp_path / "kept.parquet", on="id", write_baseline=tmp_path / "again.parquet")
    assert scored_by(open_source(tmp_path / "again.parquet")) == MODEL
    report = evaluate_labels(first, on="id", baseline=tmp_path / "again.parquet")
    assert [one.model for one in report.provenance.inputs] == [MODEL, MODEL]


def test_a_file_to_compare_without_gold_labels_names_its_model(tmp_path: Path) -> None:
    now, then = saved(tmp_path / "now.parquet"), tmp_path / "then.csv"
    then.write_text("pred_label\nbad\ngood\n")
    report = evaluate_labels(now, drift=then)
    assert [(one.role, one.model) for one in report.provenance.inputs] == [("evaluated", None), ("drift", None)]
    Path(f"{then}{PROVENANCE_SUFFIX}").write_bytes(orjson.dumps(PROVENANCE))
    report = evaluate_labels(now, drift=then)
    assert [(one.role, one.model) for one in report.provenance.inputs] == [("evaluated", None), ("drift", MODEL)]
    assert "Drift baseline: small-model, int8 on cpu, fingerprint ab12." in to_html(report)


def test_a_scored_file_names_the_model_that_scored_it(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text\nA warm film.\n")
    assert call_score("reviews.csv", "-o", "preds.parquet")[0] == 0
    found = scored_by(open_source(tmp_path / "preds.parquet"))
    assert found is not None
    assert found.precision == "int8"
    assert len(found.fingerprint) == 64

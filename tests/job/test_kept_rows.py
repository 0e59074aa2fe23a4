"""`--on-bad-row keep`: a bad row stays in its place, without a prediction, where its columns can be carried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer import score_file
from scorer.errors import InputError, UsageError
from scorer.job.options import ScoreOptions
from scorer.job.verification import verify_output
from tests.conftest import Call

ROWS: list[dict[str, Any]] = [
    {"id": 1, "text": "warm and funny"},
    {"id": 2, "text": 5},
    {"id": 3, "text": None},
    {"id": 4, "text": ["a", {"b": "é"}], "more": True},
    {"id": 5, "text": "dull"},
    {"id": 6, "text": {"nested": "text"}},
    {"id": 7, "text": False},
]
STATUSES = ["ok", "error", "empty", "error", "ok", "error", "error"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven rows that can be kept, two that cannot, and a blank line."""
    lines = [json.dumps(row) for row in ROWS]
    lines[3:3] = ["{broken", "", "[1]"]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(bundle: Path, **more: Any) -> ScoreOptions:
    return ScoreOptions(model=str(bundle), threads=1, **{"on_bad_row": "keep", **more})


def test_jsonl_keeps_every_value(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    summary = score_file(source, output, options=options(tiny_bundle, chunk_rows=2))
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS]
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["pred_status"] for row in rows] == STATUSES
    for row in rows:
        is_scored = row["pred_status"] == "ok"
        assert all((row[name] is not None) is is_scored for name in row if name.startswith(("pred_l", "pred_p")))
    rejects = [json.loads(line) for line in Path(f"{output}.rejects.jsonl").read_text().splitlines()]
    assert [(reject["row"], reject["line"]) for reject in rejects] == [(4, 4), (5, 6)]
    assert summary.counts.to_json() == {"in": 9, "out": 7, "scored": 2, "empty": 1, "error": 4, "rejected": 2}
    assert "1 empty, 4 error, 2 rejected" in summary.line()
    assert verify_output(output).endswith("7 rows, 2 rejected; checksums match, written by review-scorer 0.1.0")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_other_formats_hold_the_text_as_json(source: Path, tiny_bundle: Path, tmp_path: Path, kind: str) -> None:
    output = tmp_path / f"out.{kind}"
    score_file(source, output, options=options(tiny_bundle))
    table = pl.read_csv(output) if kind == "csv" else pl.read_parquet(output)
    texts = ["warm and funny", "5", None, '["a",{"b":"é"}]', "dull", '{"nested":"text"}', "false"]
    assert table["text"].to_list() == texts
    assert table["pred_status"].to_list() == STATUSES
    assert "whole" in verify_output(output)


def test_good_rows_have_the_scores_of_a_run_without_bad_ones(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    kept, rejected = tmp_path / "kept.parquet", tmp_path / "rejected.parquet"
    score_file(source, kept, options=options(tiny_bundle))
    score_file(source, rejected, options=options(tiny_bundle, on_bad_row="reject"))
    good = pl.read_parquet(kept).filter(pl.col("pred_status") != "error").drop("more")
    assert good.equals(pl.read_parquet(rejected))


def test_a_limit_counts_kept_rows_too(source: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    score_file(source, tmp_path / "a.csv", options=options(tiny_bundle, max_bad="6"))
    with pytest.raises(InputError, match="6 of 9 rows are bad, more than --max-bad 5"):
        score_file(source, tmp_path / "b.csv", options=options(tiny_bundle, max_bad="5"))
    with pytest.raises(UsageError, match="--max-bad does nothing with --on-bad-row fail"):
        options(tiny_bundle, max_bad="5", on_bad_row="fail")


def test_a_resumed_run_gives_the_same_bytes(
    source: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scorer.job import resumable_job

    whole, resumed = tmp_path / "whole.jsonl", tmp_path / "resumed.jsonl"
    score_file(source, whole, options=options(tiny_bundle, chunk_rows=2))

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(resumable_job, "assemble", stop)
        with pytest.raises(KeyboardInterrupt):
            score_file(source, resumed, options=options(tiny_bundle, chunk_rows=2))
    summary = score_file(source, resumed, options=options(tiny_bundle, chunk_rows=2))
    assert summary.counts.rows_before == 9
    assert resumed.read_bytes() == whole.read_bytes()
    assert summary.counts.error == 4


def test_the_command_and_its_reports(call_score: Call, source: Path) -> None:
    reports = ("--summary", "s.json", "--metrics-file", "m.prom")
    code, _, err = call_score(source, "-o", "out.csv", "--on-bad-row", "keep", *reports)
    assert code == 0, err
    assert json.loads(Path("s.json").read_text())["rows"]["error"] == 4
    assert 'score_rows{status="error"} 4.0' in Path("m.prom").read_text()
    code, _, err = call_score(source, "-o", "out.jsonl", "--on-bad-row", "keep", "--columns", "id")
    assert code == 0, err
    assert [json.loads(line)["pred_status"] for line in Path("out.jsonl").read_text().splitlines()] == STATUSES

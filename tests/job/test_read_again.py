"""Parts hold the added columns alone: the others come from the input once more, which must be what it was."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.job import resumable_job
from tests.conftest import Call

ROWS = pa.table({"id": range(20), "text": [f"a warm film, number {number}" for number in range(20)]})
OPTIONS = ("--chunk-rows", "6", "--overwrite")


def write(path: Path, table: pa.Table) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        path.write_text("id,text\n" + "".join(f'{row["id"]},"{row["text"]}"\n' for row in table.to_pylist()))
    else:
        path.write_text("".join(f'{{"id":{row["id"]},"text":"{row["text"]}"}}\n' for row in table.to_pylist()))


@pytest.mark.parametrize("change", ["longer", "shorter", "removed", "broken"])
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_an_input_that_changes_before_its_rows_are_put_together(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, change: str
) -> None:
    reviews, output = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    write(reviews, ROWS)
    output.write_bytes(b"what stood here before")
    assemble = resumable_job.assemble

    def change_and_assemble(*arguments: Any) -> Any:
        if change == "removed":
            reviews.unlink()
        elif change == "broken":
            reviews.write_bytes(b'"')
        else:
            write(reviews, ROWS.slice(0, 13) if change == "shorter" else pa.concat_tables([ROWS, ROWS]))
        return assemble(*arguments)

    monkeypatch.setattr(resumable_job, "assemble", change_and_assemble)
    code, _, err = call_score(reviews.name, "-o", output.name, *OPTIONS, "-q")
    what, until = ("was removed", "back") if change == "removed" else ("has changed", "complete")
    assert code == 3
    assert err == f"error: in.{kind}: {what} since this run began; run again once it is {until}\n"
    assert output.read_bytes() == b"what stood here before"
    assert {path.name for path in tmp_path.iterdir()} <= {reviews.name, output.name}


def test_the_parts_of_an_earlier_layout_are_dropped(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in.csv", ROWS)
    assert call_score("in.csv", "-o", "out.csv", *OPTIONS, "-q")[0] == 0
    expected = (tmp_path / "out.csv").read_bytes()

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(resumable_job, "assemble", stop)
        assert call_score("in.csv", "-o", "out.csv", *OPTIONS)[0] == 130
    journal = tmp_path / "out.csv.partial" / "journal.jsonl"
    head, *parts = journal.read_bytes().splitlines(keepends=True)
    value = head.partition(b'"line":')[2][:-2].replace(b'"format":5', b'"format":4')
    journal.write_bytes(b"".join([b'{"crc32":"%08x","line":%s}\n' % (zlib.crc32(value), value), *parts]))
    code, _, err = call_score("in.csv", "-o", "out.csv", *OPTIONS)
    assert code == 0
    assert "out.csv: dropping unfinished work of another input, model, option or version" in err
    assert "resuming" not in err
    assert (tmp_path / "out.csv").read_bytes() == expected

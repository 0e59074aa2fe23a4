"""The parts of an engine on other machines, without Ray: rows on the wire, workers, the order of outcomes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer import ScoreOptions, errors
from scorer.cluster.wire import chunk_of, chunk_row, failure_row, part_of, part_row
from scorer.cluster.worker import ChunkJob, ChunkReading, ChunkWorker, load_model, model_files
from scorer.errors import InputError, ModelError, OutOfMemoryError, ScorerError
from scorer.files.bad_rows import Reject
from scorer.files.opening import open_source
from scorer.files.source import Chunk
from scorer.job.chunk_work import ChunkWork, ModelIdentity
from scorer.job.engine import ChunkFailure, RemainingChunks
from scorer.job.in_order import InOrder
from scorer.job.local_engine import LocalEngine, new_scorer
from scorer.job.parts import ChunkResult, PackedPart
from scorer.job.summary import ChunkCounts
from scorer.model.bundle import ModelBundle

ERRORS = [
    *(kind("is wrong", path="a.csv", row=7, hint="fix the row") for kind in vars(errors).values()
      if isinstance(kind, type) and issubclass(kind, ScorerError)),
    MemoryError("no more"), ValueError("x"), KeyError("x"), ZeroDivisionError(""),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_on_the_other_side(error: Exception) -> None:
    for read in (chunk_of, part_of):
        told = read(failure_row(3, error))
        assert isinstance(told, ChunkFailure)
        assert (told.number, type(told.error)) == (3, type(error))
        if isinstance(error, ScorerError):
            assert (str(told.error), told.error.exit_code) == (str(error), error.exit_code)


def test_an_error_of_others_is_told_by_its_name() -> None:
    told = part_of(failure_row(0, pa.ArrowInvalid("no")))
    assert isinstance(told, ChunkFailure)
    assert (type(told.error), str(told.error)) == (RuntimeError, "ArrowInvalid: no")
    told = part_of(failure_row(0, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")))
    assert isinstance(told, ChunkFailure)
    assert str(told.error).startswith("UnicodeDecodeError: ")


def test_chunks_and_parts_are_the_same_on_the_other_side() -> None:
    schema = pa.schema([pa.field("t", pa.string(), metadata={"a": "b"})], metadata={"c": "d"})
    rows = pa.table([["x", None, "é😀"]], schema=schema)
    rejects = (Reject("a.csv", 3, 17, "why", "raw \N{REPLACEMENT CHARACTER}"), Reject("a.csv", 5, None, "why"))
    lines = (Reject("a.jsonl", 3, 17, "why", None, 5),)
    for sent in (Chunk(2, rows, rejects), Chunk(0, rows.slice(0, 0), ()), Chunk(1, rows, lines, kept=(0, 2))):
        back = chunk_of(chunk_row(sent))
        assert isinstance(back, Chunk)
        assert back.rows.equals(sent.rows, check_metadata=True)
        assert dataclasses.replace(back, rows=sent.rows) == sent
    part = ChunkResult(4, ChunkCounts(5, 3, 2, 9, {"ok": 3}), rows, rejects).packed()
    back_part = part_of(pa.concat_tables([part_row(part)]))
    assert isinstance(back_part, PackedPart)
    assert back_part == part


def part(number: int) -> PackedPart:
    """A part that reads as many tokens as its number says, to be known by."""
    return PackedPart(number, ChunkCounts(1, 1, 0, number, {}), pa.py_buffer(b""))


def in_order(outcomes: Sequence[PackedPart | ChunkFailure], done: Sequence[int] = ()) -> list[int]:
    order = InOrder(RemainingChunks(next(n for n in range(99) if n not in done), frozenset(done)))
    given = [counts.tokens for outcome in outcomes for counts in order.ready(outcome)]
    order.end()
    return given


def test_outcomes_are_given_on_in_the_order_of_the_input() -> None:
    assert in_order([part(n) for n in (2, 0, 1, 4, 3)]) == [0, 1, 2, 3, 4]
    assert in_order([part(n) for n in (6, 3, 1)], done=(0, 2, 4, 5)) == [1, 3, 6]


def test_the_first_error_counts_whichever_comes_first() -> None:
    late, early = ChunkFailure(3, InputError("late")), ChunkFailure(1, InputError("early"))
    with pytest.raises(InputError, match="early"):
        in_order([late, part(2), part(0), early])
    with pytest.raises(InputError, match="late"):
        in_order([late, part(2), part(0), part(1)])
    with pytest.raises(InputError, match="late"):  # what is read behind an error never comes
        in_order([late, part(2)])
    with pytest.raises(ScorerError, match="chunk 1 was never scored"):
        in_order([part(0), part(2)])


@pytest.fixture
def work(tiny_bundle: Path, tmp_path: Path) -> ChunkWork:
    table = pa.table({"id": range(100), "text": [f"good film {k}" for k in range(100)]})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=9)
    options = ScoreOptions(model=str(tiny_bundle), threads=1, precision="fp32", chunk_rows=30)
    return ChunkWork.plan(open_source(tmp_path / "in.parquet"), options, LocalEngine(options).model)


@pytest.mark.parametrize("chunk_rows", [1, 4, 7, 9, 30, 100, 1000])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pieces_are_all_chunks_once(
    work: ChunkWork, monkeypatch: pytest.MonkeyPatch, chunk_rows: int, size: int
) -> None:
    monkeypatch.setattr("scorer.cluster.worker._PIECE_CHUNKS", size)
    work = dataclasses.replace(work, chunk_rows=chunk_rows)
    expected = {chunk.number: chunk.rows for chunk in work.chunks()}
    for done in ((), (0, 1), (3, 4, 5)):
        first = next(n for n in range(999) if n not in done)
        readings = ChunkReading.of(work, RemainingChunks(first, frozenset(done)))
        found = [chunk_of(row) for reading in readings for row in reading.rows()]
        chunks = {chunk.number: chunk.rows for chunk in found if isinstance(chunk, Chunk)}
        assert len(chunks) == len(found)
        assert chunks == {number: rows for number, rows in expected.items() if number not in done}
    if size == 1 and chunk_rows < 10:
        assert len(ChunkReading.of(work, RemainingChunks(0, frozenset()))) > 8


def test_reading_tells_what_is_wrong_in_its_place(work: ChunkWork, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text\n" + "1,good\n" * 10 + "1,2,3\n" + "1,good\n" * 10)
    options = ScoreOptions(model=None, threads=1, chunk_rows=4)
    source = open_source(tmp_path / "in.csv", options.reading())
    plan = ChunkWork.plan(source, options, lambda: work.model)
    (reading,) = ChunkReading.of(plan, RemainingChunks(0, frozenset()))
    *chunks, failure = [chunk_of(row) for row in reading.rows()]
    assert [chunk.number for chunk in chunks] == [0, 1]
    assert isinstance(failure, ChunkFailure)
    assert failure.number == 2
    with pytest.raises(InputError) as local:
        list(source.chunks(4))
    assert str(failure.error) == str(local.value)
    (tmp_path / "in.csv").unlink()
    (gone,) = [chunk_of(row) for row in reading.rows()]
    assert isinstance(gone, ChunkFailure)
    assert str(gone.error).startswith(f"{tmp_path / 'in.csv'}: no such file")


def test_a_worker_scores_as_the_local_engine(tiny_bundle: Path, work: ChunkWork) -> None:
    options = ScoreOptions(model=str(tiny_bundle), threads=1, precision="fp32")
    files = model_files(ModelBundle.load(tiny_bundle), "fp32")
    assert "model_int8.onnx" not in files
    worker, job = ChunkWorker(files, options, work.model), ChunkJob(work.columns, None)
    assert load_model(files, options)[1] == work.model
    scorer = new_scorer(options)
    for chunk in work.chunks():
        local = work.columns.score(
            scorer, encoded := work.columns.encode(scorer, chunk), scorer.session.logits(encoded.tokens)
        )
        assert part_of(worker.score(job, chunk_row(chunk))) == local.packed()
    row = failure_row(0, InputError("x"))
    assert worker.score(job, row) is row


def test_a_worker_whose_model_is_another(tiny_bundle: Path, work: ChunkWork) -> None:
    options = ScoreOptions(model=str(tiny_bundle), threads=1, precision="fp32")
    files = model_files(ModelBundle.load(tiny_bundle), "fp32")
    chunk = chunk_row(next(work.chunks()))

    def says(expected: ModelIdentity, files: dict[str, bytes] = files) -> str:
        told = part_of(ChunkWorker(files, options, expected).score(ChunkJob(work.columns, None), chunk))
        assert isinstance(told, ChunkFailure)
        assert isinstance(told.error, ModelError)
        return str(told.error)

    other = dataclasses.replace(work.model, versions={**work.model.versions, "onnxruntime": "0.1"})
    assert "this run began with 0.1; install the same versions on every node" in says(other)
    other = dataclasses.replace(work.model, provider="CUDAExecutionProvider")
    assert "this run began with fp32 on cpu with CUDAExecutionProvider; use nodes of one kind" in says(other)
    line = says(work.model, {**files, "model.onnx": b"changed"})
    assert line.startswith(f"{tiny_bundle}/model.onnx: does not have the checksum")


def test_a_worker_tells_what_fails_in_the_model(
    tiny_bundle: Path, work: ChunkWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = model_files(ModelBundle.load(tiny_bundle), "fp32")
    worker = ChunkWorker(files, ScoreOptions(threads=1, precision="fp32"), work.model)
    chunk = chunk_row(next(work.chunks()))
    for error in (OutOfMemoryError("memory ran out on cuda:0"), MemoryError("no more")):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr("scorer.job.chunk_work.ChunkColumns.score", fail)
        told = part_of(worker.score(ChunkJob(work.columns, None), chunk))
        assert isinstance(told, ChunkFailure)
        assert (type(told.error), str(told.error)) == (type(error), str(error))

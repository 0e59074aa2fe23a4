"""Outputs in a store that fsspec reaches: fsspec's own file system in memory stands for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest

from scorer import score_file
from scorer.commands.outcomes import exit_code_of
from scorer.errors import InputError, MissingInputError, OutputError, OutputExistsError, UsageError
from scorer.files.inputs import expand_inputs
from scorer.job.options import ScoreOptions
from scorer.progress import NoProgress
from scorer.run.options import RunOptions
from scorer.run.report_files import ReportFiles
from scorer.run.score_inputs import score_inputs


@pytest.fixture
def store() -> fsspec.AbstractFileSystem:
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


def test_an_output_is_sent_with_what_belongs_beside_it(
    store: fsspec.AbstractFileSystem, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\nbad,bad\n")
    options = {"model": str(tiny_bundle), "on_bad_row": "reject"}
    summary = score_file(tmp_path / "a.csv", "memory://bucket/scored/a.csv", **options)
    assert summary.output == "memory://bucket/scored/a.csv"
    assert {name.rpartition("/")[2] for name in store.find("/bucket")} == {
        "a.csv", "a.csv.provenance.json", "a.csv.rejects.jsonl",
    }  # fmt: skip
    with pytest.raises(OutputExistsError, match="already exists"):
        score_file(tmp_path / "a.csv", "memory://bucket/scored/a.csv", **options)
    score_file(tmp_path / "a.csv", "memory://bucket/scored/a.parquet", overwrite=True, **options)
    # Rows that are good now have no rejects any more; those of the run before would tell of others.
    (tmp_path / "a.csv").write_text("text\ngood\nbad\n")
    score_file(tmp_path / "a.csv", "memory://bucket/scored/a.csv", overwrite=True, **options)
    assert {name.rpartition("/")[2] for name in store.find("/bucket")} == {
        "a.csv", "a.csv.provenance.json", "a.parquet", "a.parquet.rejects.jsonl",
    }  # fmt: skip
    with store.open("/bucket/scored/a.parquet") as file:
        assert pq.read_table(file).num_rows == 1


def test_an_input_in_a_store_is_no_output(store: fsspec.AbstractFileSystem, tiny_bundle: Path, tmp_path: Path) -> None:
    for name in ("in/a.csv", "in/in/a.csv"):
        store.pipe(f"/bucket/{name}", f"text\n{name}\n".encode())
    options = ScoreOptions(model=str(tiny_bundle), overwrite=True)
    with pytest.raises(UsageError, match=r"memory://bucket/in/a\.csv: is the input itself"):
        score_file("memory://bucket/in/a.csv", "memory://bucket/in/a.csv", options=options)
    for output in ("memory://bucket/in", "memory://bucket"):
        with pytest.raises(UsageError, match=r"is also an input of this run|files could not be scored"):
            score_inputs(
                ["memory://bucket/in"], f"{output}/", options, NoProgress(), run=RunOptions(), files=ReportFiles(),
                exit_code_of=exit_code_of,
            )  # fmt: skip
    assert store.cat("/bucket/in/a.csv") == b"text\nin/a.csv\n"
    assert store.cat("/bucket/in/in/a.csv") == b"text\nin/in/a.csv\n"


def test_a_folder_in_a_store_without_data_is_missing(store: fsspec.AbstractFileSystem) -> None:
    store.pipe("/bucket/notes/readme.txt", b"hello")
    with pytest.raises(MissingInputError, match="memory://bucket/notes: holds no file of a known format"):
        expand_inputs(["memory://bucket/notes"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_in_a_store_is_written_as_make_would(
    store: fsspec.AbstractFileSystem, tiny_bundle: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        (tmp_path / "in" / f"{name}.csv").write_text(f"text\n{name}\nbad,bad\n")

    def run(**more: Any) -> list[bool]:
        options = ScoreOptions(model=str(tiny_bundle), on_bad_row="reject", output_format=kind, **more)
        arguments = ([str(tmp_path / "in")], "memory://bucket/out", options, NoProgress())
        report = score_inputs(*arguments, run=RunOptions(), files=ReportFiles(), exit_code_of=exit_code_of)
        assert report.exit_code == 0
        return [summary.skipped for summary in report.summaries]

    assert run() == [False, False]
    assert run() == [True, True]
    (tmp_path / "in" / "a.csv").write_text("text\nother\nbad,bad\n")
    assert run() == [False, True]
    assert run() == [True, True]
    store.rm_file(f"/bucket/out/b.{kind}.rejects.jsonl")
    assert run() == [True, False]
    assert run(long_text="window") == [False, False]
    # What no run has written there is left alone.
    store.pipe(f"/bucket/out/a.{kind}", b"mine")
    with pytest.raises(OutputExistsError, match="1 of 2 files could not be scored"):
        run()
    assert store.cat(f"/bucket/out/a.{kind}") == b"mine"


def test_a_run_that_fails_sends_nothing(
    store: fsspec.AbstractFileSystem, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.csv").write_text('text\n"open\n')
    with pytest.raises(InputError):
        score_file(tmp_path / "bad.csv", "memory://bucket/b.csv", model=str(tiny_bundle))
    assert store.find("/bucket") == []
    (tmp_path / "a.csv").write_text("text\ngood\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("key=SECRET")

    monkeypatch.setattr(type(store), "put_file", refuse)
    with pytest.raises(OutputError, match=r"could not be written \(PermissionError\)") as failed:
        score_file(tmp_path / "a.csv", "memory://user:secret@bucket/b.csv", model=str(tiny_bundle))
    assert "ecret" not in str(failed.value).lower()

"""One bad file, or folder, of many: it fails with its name, the others are done, and the metrics say so."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import weakref
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.disk.locking import locked
from scorer.files import inputs, parquet_source
from scorer.files.input_state import InputState
from scorer.files.inputs import InputFile
from scorer.job import resumable_job, to_stdout
from tests.conftest import Call
from tests.helpers.faults import fail_at
from tests.helpers.processes import with_limits, without_rights
from tests.helpers.prometheus import metrics

REPORT = ("--metrics-file", "m.prom", "--chunk-rows", "20")


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (folder / f"{name}.csv").write_text("text\ngood\n")
    return folder


def scored(tmp_path: Path) -> set[str]:
    return {str(path.relative_to(tmp_path / "scored")) for path in (tmp_path / "scored").rglob("*.csv")}


FAILURES = {
    "out of memory": (MemoryError(), 7, "memory ran out"),
    "out of memory in a library": (RuntimeError("std::bad_alloc"), 7, "memory ran out"),
    "no memory from the system": (OSError(errno.ENOMEM, "Cannot allocate memory"), 7, "memory ran out"),
    "an error of ours": (KeyError("no such key"), 1, "internal error (please report it): KeyError: 'no such key'"),
}


@pytest.mark.parametrize(("error", "code", "says"), FAILURES.values(), ids=FAILURES)
def test_what_no_one_foresaw_stops_one_file(
    call_score: Call, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    error: Exception, code: int, says: str,
) -> None:  # fmt: skip
    fail_at("b.csv", error, monkeypatch)
    got, _, err = call_score("incoming", "-o", "scored", *REPORT)
    assert got == code
    assert f"error: incoming/b.csv: {says}" in err
    assert "error: 1 of 3 files could not be scored: incoming/b.csv; the other 2 are done\n" in err
    assert scored(tmp_path) == {"a.csv", "sub/c.csv"}
    values = metrics(tmp_path / "m.prom")
    assert (values[("score_exit_code",)], values["score_files", "failed"]) == (code, 1)


def test_two_inputs_for_one_output_stop_each_other_alone(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (incoming / "b.jsonl").write_text('{"text": "good"}\n')
    code, _, err = call_score("incoming", "-o", "scored", "--output-format", "csv", *REPORT)
    assert code == 2
    for one, other in (("b.csv", "b.jsonl"), ("b.jsonl", "b.csv")):
        assert f"error: incoming/{one}: its output scored/b.csv would also be written by incoming/{other}; " in err
    assert scored(tmp_path) == {"a.csv", "sub/c.csv"}
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 2


@pytest.fixture
def unlisted(monkeypatch: pytest.MonkeyPatch) -> list[OSError]:
    """Errors with which the folder `sub` answers when it is listed; root may list every folder otherwise."""
    errors: list[OSError] = []
    scandir = os.scandir

    def listed(path: str) -> object:
        if errors and str(path).endswith("sub"):
            raise errors[0]
        return scandir(path)

    monkeypatch.setattr(inputs.os, "scandir", listed)
    return errors


def test_a_folder_that_cannot_be_listed(
    call_score: Call, incoming: Path, tmp_path: Path, unlisted: list[OSError]
) -> None:
    unlisted.append(PermissionError(errno.EACCES, "Permission denied", str(incoming / "sub")))
    code, _, err = call_score(incoming, "-o", "scored", *REPORT, "--on-missing-input", "ok")
    assert code == 3
    assert f"error: {incoming}/sub: cannot be listed: Permission denied; " in err
    assert scored(tmp_path) == {"a.csv", "b.csv"}
    assert metrics(tmp_path / "m.prom")["score_files", "failed"] == 1


def test_a_folder_that_vanishes(call_score: Call, incoming: Path, tmp_path: Path, unlisted: list[OSError]) -> None:
    unlisted.append(FileNotFoundError(errno.ENOENT, "No such file or directory", str(incoming / "sub")))
    code, _, err = call_score(incoming, "-o", "scored", *REPORT)
    assert (code, f"error: {incoming}/sub: was removed while it was listed" in err) == (3, True)
    assert scored(tmp_path) == {"a.csv", "b.csv"}
    code, _, err = call_score(incoming, "-o", "scored", *REPORT, "--on-missing-input", "ok")
    assert (code, f"{incoming}/sub: was removed while it was listed: left out\n" in err) == (0, True)


def test_a_file_that_goes_away_after_the_listing(
    call_score: Call, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = resumable_job.InputState.of.__func__  # type: ignore[attr-defined]

    def gone(kind: type, file: inputs.InputFile) -> object:
        if file.name == "b.csv":
            (incoming / "b.csv").unlink(missing_ok=True)
        return state(kind, file)

    monkeypatch.setattr(resumable_job.InputState, "of", classmethod(gone))
    code, _, err = call_score("incoming", "-o", "scored", *REPORT)
    assert (code, "error: incoming/b.csv: no such file; check the path\n" in err) == (3, True)
    (incoming / "b.csv").write_text("text\ngood\n")
    code, _, err = call_score("incoming", "-o", "again", *REPORT, "--on-missing-input", "ok")
    assert (code, "incoming/b.csv: no such file: left out\n" in err) == (0, True), err


MOMENTS = ["open_source", "UnfinishedWork.open", "UnfinishedWork.add", "assemble"]
"""Calls of a job before which its input is removed."""


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("output", ["scored/", "one.{kind}"])
def test_an_input_that_is_removed_while_its_job_runs(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, kind: str, output: str
) -> None:
    input, rows = tmp_path / f"a.{kind}", ["good", "bad"] * 40
    owner, name = resumable_job, moment
    if "." in moment:
        owner, name = resumable_job.UnfinishedWork, moment.partition(".")[2]  # type: ignore[assignment]
    called = getattr(owner, name)

    def removes(*arguments: object, **named: object) -> object:
        input.unlink(missing_ok=True)
        return called(*arguments, **named)

    command = (input.name, "-o", output.format(kind=kind), "--chunk-rows", "20", "--metrics-file", "m.prom")
    for policy, code in (("ok", 0), ("empty", 0), ("fail", 3)):
        write_rows(input, rows)
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, removes)
            got, _, err = call_score(*command, "--on-missing-input", policy)
        left_out = f"{input.name}: was removed since this run began: left out\n" in err
        failed = f"error: {input.name}: was removed since this run began; run again once it is back\n" in err
        assert (got, left_out, failed) == (code, code == 0, code == 3), err
        assert not list(tmp_path.rglob(f"*{kind}*"))
    write_rows(input, rows)
    assert call_score(*command)[0] == 0


@pytest.mark.usefixtures("incoming")
def test_rows_on_standard_output_are_never_those_of_an_input_that_is_left_out(
    call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = to_stdout.ChunkWork.chunks

    def removes(work: to_stdout.ChunkWork, **named: int) -> object:
        yield from plan(work, **named)
        (tmp_path / "incoming" / "a.csv").unlink()

    monkeypatch.setattr(to_stdout.ChunkWork, "chunks", removes)
    with (tmp_path / "stdout").open("wb") as stdout:
        monkeypatch.setattr(to_stdout, "_file_number", lambda _stream: stdout.fileno())
        code, _, err = call_score("incoming/a.csv", "-o", "-", "--on-missing-input", "ok")
    assert (code, "a.csv: was removed since this run began; " in err) == (3, True), err


def write_rows(path: Path, texts: list[str]) -> None:
    """Write a file of the format of its extension."""
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts}), path)
    else:
        lines = texts if path.suffix == ".csv" else [f'{{"text": "{text}"}}' for text in texts]
        path.write_text("\n".join(["text"] * (path.suffix == ".csv") + lines) + "\n")


def test_one_of_several_arguments_that_is_not_there(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    code, _, err = call_score("nowhere", "incoming", "-o", "scored", *REPORT)
    assert code == 3
    assert re.search(r"error: 1 of 4 files could not be scored: nowhere; the other 3 are done\n$", err)
    assert scored(tmp_path) == {"a.csv", "b.csv", "sub/c.csv"}


REFUSED = [
    ("--no-such-option",),
    ("--since", "soon"),
    ("--chunk-rows", "0"),
    ("--max-bad", "1%"),
    ("--summary", "incoming/a.csv"),
    ("-o", "-"),
]


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
@pytest.mark.usefixtures("incoming")
def test_a_run_that_is_refused_has_metrics(call_score: Call, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert call_score("incoming", "-o", "scored", *REPORT)[0] == 0
    before = metrics(tmp_path / "m.prom")
    assert call_score("incoming", "-o", "scored", *REPORT, *options)[0] == 2
    values = metrics(tmp_path / "m.prom")
    last = ("score_last_success_timestamp_seconds",)
    assert (values[("score_exit_code",)], values[last]) == (2, before[last])


def test_metrics_of_a_refused_run_take_the_place_of_nothing_else(
    call_score: Call, incoming: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("mine\n")
    before = (incoming / "a.csv").read_bytes()
    for name in ("notes", "incoming/a.csv"):
        assert call_score("incoming", "-o", "scored", "--no-such-option", "--metrics-file", name)[0] == 2
    assert (tmp_path / "notes").read_text() == "mine\n"
    assert (incoming / "a.csv").read_bytes() == before


def test_a_name_too_long_for_the_files_beside_an_output(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    long = "b" * 240 + ".csv"
    (incoming / "b.csv").rename(incoming / long)
    foreseen = call_score("incoming", "-o", "scored", "--dry-run")
    code, _, err = call_score("incoming", "-o", "scored", *REPORT)
    assert (code, foreseen[0], "and 234 are possible" in foreseen[2]) == (2, 2, True)
    assert f"error: scored/{long}: its name has 244 bytes, and 234 are possible with those of the files" in err
    assert scored(tmp_path) == {"a.csv", "sub/c.csv"}


def with_address_space(folder: Path, mib: int, bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run whose address space ends there, with metrics."""
    options = ("--model", str(bundle), "--threads", "1", "--metrics-file", "m.prom")
    return with_limits(folder, *arguments, *options, mib=mib)


@pytest.mark.parametrize("mib", [60, 200, 300, 420, 500])
def test_a_limit_of_address_space_is_said(tmp_path: Path, incoming: Path, tiny_bundle: Path, mib: int) -> None:
    done = with_address_space(tmp_path, mib, tiny_bundle, "incoming", "-o", "scored")
    assert done.returncode == 7, done.stderr
    assert re.search(r"error: .*memory ran out: \d+ MiB more are needed, ulimit -v leaves \d+ MiB; raise", done.stderr)
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 7
    assert incoming.exists()


@pytest.mark.torture
@pytest.mark.parametrize("mib", range(340, 1100, 20))
def test_no_limit_of_address_space_crashes_a_run(tmp_path: Path, tiny_bundle: Path, mib: int) -> None:
    (tmp_path / "in").mkdir()
    huge, many = "a warm film " * 3_000_000, [f"a dull film {number}" for number in range(40_000)]
    for name, texts in (("a", ["good"]), ("huge", ["good", huge]), ("many", many), ("z", ["good"])):
        (tmp_path / "in" / f"{name}.csv").write_text("\n".join(["text", *texts, ""]))
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    done = with_address_space(tmp_path, mib, tiny_bundle, "in", "-o", "out")
    assert done.returncode in (0, 7), done.stderr
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == done.returncode
    n_done = len(re.findall(r"^out/.*: [0-9,]+ rows?( \([^)]*\))? in ", done.stderr, re.MULTILINE))
    assert n_done + len(re.findall("^error: in/.*: memory ran out", done.stderr, re.MULTILINE)) in (0, 8)


def test_what_a_failed_file_held_is_free_for_the_next(
    call_score: Call, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = resumable_job.open_source
    held: list[weakref.ref[InputState]] = []

    def fails(path: str, *rest: object) -> object:
        if path.endswith("b.csv"):
            large = InputState.of(InputFile(path, "b.csv"))
            held.append(weakref.ref(large))
            raise MemoryError
        if path.endswith("c.csv"):
            assert [one() for one in held] == [None]
        return opened(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(resumable_job, "open_source", fails)
    code, _, err = call_score("incoming", "-o", "scored")
    assert (code, "sub/c.csv: 1 row in" in err) == (7, True), err


def test_a_row_group_larger_than_memory(
    tmp_path: Path, tiny_bundle: Path, call_score: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name, rows in (("a", 3), ("big", 3000), ("c", 3)):
        table = pa.table({"text": [f"good {number}" for number in range(rows)]})
        pq.write_table(table, tmp_path / "in" / f"{name}.parquet")
    monkeypatch.setattr(parquet_source, "memory_left", lambda: 2**13)
    code, _, err = call_score("in", "-o", "scored", "--metrics-file", "m.prom")
    assert code == 7
    assert re.search(r"error: in/big\.parquet: memory ran out: row group 0 fills \d+ MiB, 0 MiB are left; ", err)
    assert {path.name for path in (tmp_path / "scored").glob("*.parquet")} == {"a.parquet", "c.parquet"}
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 7


DENIED = [
    (("closed/x", "-o", "out/", "--on-missing-input", "ok"), 3, "closed/x: cannot be read: Permission denied; "),
    (
        ("closed/x/*.csv", "-o", "out/", "--on-missing-input", "ok"),
        3,
        "closed/x: cannot be listed: Permission denied",
    ),
    (("*/*.csv", "-o", "out/"), 3, "closed: cannot be listed: Permission denied; give this user the right to read it"),
    (("cl*/x/*.csv", "-o", "out/", "--on-missing-input", "ok"), 3, "closed: cannot be listed: Permission denied; "),
    (("**/*.csv", "-o", "out/"), 3, "1 of 4 files could not be scored: closed; the other 3 are done"),
    (("incoming", "-o", "closed/x/out/"), 5, "closed/x: the folder cannot be reached: Permission denied; "),
    (("incoming", "-o", "foreign/"), 5, "foreign: the folder cannot be written to: Permission denied; choose another"),
    (("incoming/a.csv", "-o", "foreign/a.csv"), 5, "foreign: the folder cannot be written to: Permission denied; "),
]


@pytest.mark.parametrize(("arguments", "code", "says"), DENIED, ids=[case[2] for case in DENIED])
def test_what_is_denied_is_said_to_be(
    incoming: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "closed" / "x").mkdir(parents=True)
    (tmp_path / "closed" / "x" / "b.csv").write_text("text\ngood\n")
    (tmp_path / "foreign").mkdir()
    for name, mode in (("closed", 0o700), ("foreign", 0o755)):
        os.chown(tmp_path / name, 1234, 1234)
        (tmp_path / name).chmod(mode)
    done = without_rights(tmp_path, *arguments)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert incoming.exists()


@pytest.mark.parametrize("pattern", ["incoming/*/*.csv", "incoming/**/*.csv", "incoming/**"])
def test_a_folder_that_a_pattern_cannot_look_into_prunes_nothing(
    call_score: Call, incoming: Path, tmp_path: Path, pattern: str
) -> None:
    (incoming / "half").mkdir()
    (incoming / "half" / "d.csv").write_text("text\ngood\n")
    assert call_score(pattern, "-o", "scored")[0] == 0
    before = scored(tmp_path)
    (incoming / "sub").chmod(0)
    (incoming / "_aside").mkdir(mode=0)
    for options in ((), ("--dry-run",), ("--prune", "--yes")):
        done = without_rights(tmp_path, pattern, "-o", "scored", *options)
        assert done.returncode == 3, done.stderr
        assert done.stderr.count("cannot be listed") == 1
        assert "error: incoming/sub: cannot be listed: Permission denied; give this user" in done.stderr
    assert scored(tmp_path) == before


@pytest.mark.parametrize("closed", ["a.csv", "a.csv.provenance.json", "b.parquet"])
def test_an_output_that_may_not_be_read_is_said_to_be(call_score: Call, tmp_path: Path, closed: str) -> None:
    for name in ("a.csv", "b.parquet"):
        (tmp_path / "in").mkdir(exist_ok=True)
        write_rows(tmp_path / "in" / name, ["good"])
    assert call_score("in", "-o", "scored")[0] == 0
    (tmp_path / "scored" / closed).chmod(0)
    says = f"error: scored/{closed}: cannot be read: Permission denied; give this user the right to read it, or move it"
    for options in ((), ("--dry-run",), ("--overwrite",)):
        done = without_rights(tmp_path, "in", "-o", "scored", *options)
        assert (done.returncode, says in done.stderr, "pass --overwrite" in done.stderr) == (5, True, False), (
            done.stderr
        )
    (tmp_path / "scored" / closed).chmod(0o400)
    assert without_rights(tmp_path, "in", "-o", "scored").returncode == 0


def test_a_second_start_leaves_the_metrics_of_the_first_alone(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    for output, lock in (("scored", "scored/.score.lock"), ("one.csv", ".one.csv.lock")):
        inputs = ("incoming/a.csv",) if output == "one.csv" else ("incoming",)
        assert call_score(*inputs, "-o", output, *REPORT)[0] == 0
        before = (tmp_path / "m.prom").read_bytes()
        with locked(tmp_path / output, lock=tmp_path / lock):
            assert call_score(*inputs, "-o", output, *REPORT, "--overwrite")[0] == 6
        assert (tmp_path / "m.prom").read_bytes() == before
    assert incoming.exists()


def test_rejected_rows_stay_until_the_next_run_that_scores(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (incoming / "b.csv").write_text("text\ngood\nbad,row\n")
    command = ("incoming", "-o", "scored", *REPORT, "--on-bad-row", "reject")
    assert call_score(*command)[0] == 0
    assert metrics(tmp_path / "m.prom")["score_rows", "rejected"] == 1
    assert call_score(*command)[0] == 0  # nothing new
    values = metrics(tmp_path / "m.prom")
    assert (values["score_rows", "rejected"], values["score_rows", "ok"]) == (1, 0)
    (incoming / "b.csv").write_text("text\ngood\n")
    assert call_score(*command)[0] == 0
    values = metrics(tmp_path / "m.prom")
    assert values["score_rows", "rejected"] == 0
    assert values[("score_last_start_seconds",)] < values[("score_last_run_timestamp_seconds",)]

"""The end of a log answers whoever is woken by it: what happened, what to do, and whether anything was lost."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scorer.disk import publishing
from scorer.files import store_errors
from scorer.job.journal import UnfinishedWork
from tests.conftest import Call
from tests.helpers.faults import fail_at
from tests.helpers.forks import Forks
from tests.helpers.processes import CODE, without_rights

N_FILES = 12


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(N_FILES):
        (folder / f"{number:02}.csv").write_text("text\n" + "good\n" * 30)
    return folder


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a store that refuses every connection; it is asked once."""
    monkeypatch.setattr(store_errors, "_WAITS", ())
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def last_lines(call_score: Call, *options: str) -> tuple[int, list[str]]:
    """Exit code and the last ten lines of a nightly run."""
    code, out, err = call_score("in/", "-o", "out/", "--chunk-rows", "10", *options)
    assert out == ""
    return code, err.splitlines()[-10:]


def test_a_bad_row_in_the_first_of_many_files(call_score: Call, incoming: Path) -> None:
    (incoming / "00.csv").write_text("text\ngood\ngood,more\n")
    code, lines = last_lines(call_score)
    assert code == 3
    assert lines[-4:] == [
        "failed: in/00.csv: row 2 (line 3): 2 fields, but the header has 1; fix the row, or pass --on-bad-row reject",
        "nothing is lost: 11 files scored",
        "next: fix that; the same command scores the 1 file that is left",
        "error: 1 of 12 files could not be scored: in/00.csv; the other 11 are done",
    ]
    # It is the only one that is tried again, and in sight of the end.
    code, lines = last_lines(call_score)
    assert [line.partition(":")[0] for line in lines[-4:]] == ["error", "nothing is lost", "next", "error"]
    assert "nothing is lost: 11 files up to date" in lines


def test_a_bad_file_that_was_good_last_night(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    assert call_score("in/", "-o", "out/")[0] == 0
    before = (tmp_path / "out" / "00.csv").read_bytes()
    (incoming / "00.csv").write_text('text\n"good\n')
    code, lines = last_lines(call_score)
    assert (code, lines[-3]) == (3, "nothing is lost: 11 files up to date, 1 earlier output left as it was")
    assert (tmp_path / "out" / "00.csv").read_bytes() == before


KINDS: dict[str, tuple[Exception, int, str]] = {
    "memory": (MemoryError(), 7, "next: another try can help: the same command scores the 1 file that is left"),
    "internal error": (
        KeyError("x"), 1, "next: report the internal error; the same command scores the 1 file that is left",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("error", "code", "says"), KINDS.values(), ids=KINDS)
def test_an_error_in_the_middle(
    call_score: Call, incoming: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, says: str
) -> None:
    fail_at("05.csv", error, monkeypatch)
    got, lines = last_lines(call_score)
    assert (got, lines[-3:-1]) == (code, ["nothing is lost: 11 files scored", says])
    assert lines[-4].startswith("failed: in/05.csv: ")
    assert incoming.exists()


def test_failures_of_several_kinds_are_one_line_each(call_score: Call, incoming: Path) -> None:
    for name in ("00", "01", "02"):
        (incoming / f"{name}.csv").write_text("text\ngood,more\n")
    (incoming / f"{'x' * 245}.csv").write_text("text\ngood\n")
    code, lines = last_lines(call_score)
    assert code == 3
    failed = [line for line in lines if line.startswith("failed: ")]
    assert [line.endswith("(and 2 more with exit code 3)") for line in failed] == [True, False]
    assert "its name has 249 bytes" in failed[1]


def limited(forks: Forks, folder: Path, bundle: Path, bytes_: int, *arguments: str) -> tuple[int, list[str]]:
    """The run of a process that cannot write larger files: as on a full disk, in the middle of a file."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_}, {bytes_})); {CODE}"
    done = forks.run(code, *arguments, "--model", bundle, "--threads", 1, "--chunk-rows", 10, folder=folder)
    return done.returncode, done.stderr.splitlines()[-10:]


def test_a_full_disk(call_score: Call, score_forks: Forks, incoming: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    (incoming / "00.csv").write_text("text\n" + "good\n" * 3000)
    code, lines = limited(score_forks, tmp_path, tiny_bundle, 40_000, "in/", "-o", "out/")
    assert code == 5
    assert "failed: out/00.csv: could not be written: File too large" in lines
    assert lines[-3] == "nothing is lost: 11 files scored"
    assert lines[-2] == (
        "next: another try can help: the same command scores the 1 file that is left, from where it stopped"
    )
    code, _, err = call_score("in/", "-o", "out/", "--chunk-rows", "10")
    assert (code, "out/00.csv: resuming after " in err) == (0, True)


def test_a_full_disk_under_one_output(score_forks: Forks, tmp_path: Path, incoming: Path, tiny_bundle: Path) -> None:
    (incoming / "00.csv").write_text("text\n" + "good\n" * 3000)
    (tmp_path / "out.csv").write_text("before")
    code, lines = limited(score_forks, tmp_path, tiny_bundle, 40_000, "in/00.csv", "-o", "out.csv", "--overwrite")
    assert (code, lines[-2]) == (
        5,
        "nothing is lost: out.csv is as it was, and the same command resumes what was scored",
    )
    assert (tmp_path / "out.csv").read_text() == "before"


WAITS_FOR_A_PERSON = {
    "the folder of the outputs": ((), "the same command scores what is new of 12 files"),
    "the folder of the metrics": (("--metrics-file", "nowhere/m.prom"), "the same command does what is left"),
}


@pytest.mark.parametrize(("options", "does"), WAITS_FOR_A_PERSON.values(), ids=WAITS_FOR_A_PERSON)
def test_another_try_is_of_no_use_where_nothing_may_be_written(
    call_score: Call, incoming: Path, tmp_path: Path, tiny_bundle: Path, options: tuple[str, ...], does: str
) -> None:
    assert call_score("in/", "-o", "out/")[0] == 0
    (tmp_path / "out").chmod(0o555)
    done = without_rights(tmp_path, "in/", "-o", "out/", "--model", str(tiny_bundle), *options)
    assert (done.returncode, done.stderr.splitlines()[-2]) == (5, f"next: fix that; {does}")
    foreseen = without_rights(tmp_path, "in/", "-o", "out/", "--model", str(tiny_bundle), "--dry-run", *options)
    assert (foreseen.returncode, foreseen.stderr.splitlines()[-1]) == (5, done.stderr.splitlines()[-1])
    assert incoming.exists()


def test_an_output_that_may_not_be_written(tmp_path: Path, incoming: Path, tiny_bundle: Path) -> None:
    (incoming / "sub").mkdir()
    (incoming / "00.csv").rename(incoming / "sub" / "00.csv")
    (tmp_path / "out" / "sub").mkdir(parents=True, mode=0o555)
    done = without_rights(tmp_path, "in/", "-o", "out/", "--model", str(tiny_bundle))
    assert (done.returncode, done.stderr.splitlines()[-2]) == (
        5, "next: fix that; the same command scores the 1 file that is left",
    )  # fmt: skip


def test_a_disk_that_is_full_before_any_work(
    call_score: Call, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("in/", "-o", "out/", "--metrics-file", "m.prom")
    assert call_score(*command)[0] == 0
    before = (tmp_path / "m.prom").read_bytes()

    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def create(path: Path, **_like: object) -> Full:
        path.touch()
        return Full()

    monkeypatch.setattr(publishing, "create", create)
    code, _, err = call_score(*command)
    assert (code, err.splitlines()) == (5, [
        "nothing is lost: 12 earlier outputs left as they were",
        "next: another try can help: the same command scores what is new of 12 files",
        "error: m.prom: could not be written: No space left on device",
    ])  # fmt: skip
    assert (tmp_path / "m.prom").read_bytes() == before
    assert not list(tmp_path.glob(".m.prom*"))
    assert incoming.exists()


@pytest.mark.usefixtures("incoming")
def test_a_store_that_does_not_answer(call_score: Call, closed_port: str) -> None:
    code, lines = last_lines(call_score, f"{closed_port}/a.csv")
    assert code == 9
    assert lines[-4].startswith(f"failed: {closed_port}/a.csv: cannot be reached: ")
    assert lines[-3] == "nothing is lost: 12 files scored"
    assert lines[-2] == "next: another try can help: the same command looks at 1 input again"
    code, _, err = call_score(f"{closed_port}/*.csv", "-o", "out/")
    assert (code, err.splitlines()[0]) == (9, "nothing is lost: no output was touched")


def test_a_signal(call_score: Call, incoming: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (incoming / "00.csv").write_text("text\ngood,more\n")
    add = UnfinishedWork.add

    def terminated(work: UnfinishedWork, part: object) -> object:
        if "05.csv" in str(work.folder) and len(work.records) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return add(work, part)  # type: ignore[arg-type]

    monkeypatch.setattr(UnfinishedWork, "add", terminated)
    code, lines = last_lines(call_score)
    assert code == 143
    assert lines[-4].startswith("failed: in/00.csv: row 1")
    assert lines[-3] == "nothing is lost: 4 files scored"
    assert lines[-2].startswith("next: the same command scores the 8 files that are left, 1 of them from where")
    assert lines[-1] == "error: terminated"


def test_the_run_after_a_kill_says_that_nothing_is_lost(
    call_score: Call, score_forks: Forks, incoming: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    killed = f"""
import os, signal
from scorer.job.journal import UnfinishedWork
add = UnfinishedWork.add
def add_or_die(work, part):
    if "05.csv" in str(work.folder) and len(work.records) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(work, part)
UnfinishedWork.add = add_or_die
{CODE}"""
    command = ("in/", "-o", "out/", "--model", tiny_bundle, "--threads", 1, "--chunk-rows", 10)
    done = score_forks.run(killed, *command, folder=tmp_path)
    assert done.returncode == -signal.SIGKILL
    code, lines = last_lines(call_score)
    assert code == 0
    assert "in/05.csv: a run was killed at this file, and nothing is lost; it goes last now" in lines
    assert any(line.startswith("out/05.csv: resuming after ") for line in lines)
    assert incoming.exists()


def test_the_model_cannot_be_used(call_score: Call, incoming: Path) -> None:
    code, lines = last_lines(call_score, "--model", "nowhere")
    assert code == 4
    assert lines[:2] == [
        "nothing is lost: no output was touched",
        "next: fix that; the same command scores the 12 files that are left",
    ]
    assert incoming.exists()


def test_three_files_that_fail_and_a_row_that_is_set_aside(call_score: Call, incoming: Path) -> None:
    (incoming / "00.csv").write_bytes("text\ncafé\n".encode("latin-1"))
    (incoming / "01.jsonl").write_text('{"text": "good"}\n{"text": \n')
    (incoming / "02.csv").write_text('text\ngood\n"never closed\n')
    (incoming / "03.csv").write_text("text\n" + "good\n" * 200 + "good,more\n")
    code, lines = last_lines(call_score, "--on-bad-row", "reject", "--max-bad", "1%")
    assert code == 3
    assert [line.split(": ")[:2] for line in lines[-6:-3]] == [
        ["failed", f"in/{name}"] for name in ("00.csv", "01.jsonl", "02.csv")
    ]
    # The encoding would count for the files that are well in UTF-8 too.
    assert lines[-6].endswith("; convert it to UTF-8, or raise --max-bad, or take it out of this run")
    assert lines[-3] == "nothing is lost: 10 files scored; 1 row set aside in out/03.csv.rejects.jsonl"
    assert lines[-2] == "next: fix them; the same command scores the 3 files that are left"
    assert lines[-1].endswith("; the other 10 are done")


def test_programs_know_the_lines_by_their_event(call_score: Call, incoming: Path) -> None:
    (incoming / "00.csv").write_text("text\ngood,more\n")
    code, lines = last_lines(call_score, "--log-format", "json")
    assert code == 3
    assert [json.loads(line)["event"] for line in lines[-5:]] == ["file_scored", *["ending"] * 3, "error"]
    assert last_lines(call_score, "-q")[1][-1].startswith("error: 1 of 12 files")


@pytest.mark.usefixtures("incoming")
def test_a_run_that_is_refused_says_its_error_alone(call_score: Call) -> None:
    assert last_lines(call_score, "--since", "soon")[1][0].startswith("error: ")


def test_outputs_of_odd_names_and_links_are_not_left(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (incoming / os.fsdecode(b"\xff.csv")).write_text("text\ngood\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "01.csv").symlink_to(tmp_path / "elsewhere.csv")
    (incoming / "00.csv").write_text("text\ngood\ngood,more\n")
    for done in ("12 files scored", "12 files up to date"):
        code, lines = last_lines(call_score)
        assert (code, lines[-3:-1]) == (
            3, [f"nothing is lost: {done}", "next: fix that; the same command scores the 1 file that is left"],
        )  # fmt: skip

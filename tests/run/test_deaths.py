"""A file at which the system kills runs: it goes last, is named, and after three deaths is passed over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Call
from tests.helpers.forks import Forks
from tests.helpers.processes import CODE
from tests.helpers.stores import s3_store

# What a machine without memory does to a process that reads many rows of this file at a time.
KILLED = f"""
import os, signal, sys
from scorer.job import resumable_job
opened = resumable_job.open_source
def open_or_die(path, *rest):
    if path.endswith("big.csv") and "--chunk-rows" not in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return opened(path, *rest)
resumable_job.open_source = open_or_die
{CODE}"""


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming"
    folder.mkdir()
    for name in ("a", "big", "c"):
        (folder / f"{name}.csv").write_text("text\ngood\n")
    return folder


Run = Callable[..., subprocess.CompletedProcess[str]]
Kill = Callable[..., None]


@pytest.fixture
def run(score_forks: Forks, tmp_path: Path, tiny_bundle: Path) -> Run:
    """`score` on such a machine, with these arguments."""
    return partial(score_forks.run, KILLED, folder=tmp_path, SCORER_MODEL=str(tiny_bundle), SCORER_THREADS="1")


@pytest.fixture
def killed(run: Run) -> Kill:
    """The same, which has to die."""

    def kill(input: str = "incoming", output: str = "scored") -> None:
        done = run(input, "-o", output)
        assert done.returncode == -signal.SIGKILL, done.stderr

    return kill


def scored(folder: Path) -> set[str]:
    return {path.name for path in (folder / "scored").glob("[!.]*.csv")}


def test_three_deaths(call_score: Call, run: Run, killed: Kill, incoming: Path, tmp_path: Path) -> None:
    killed()
    assert "c.csv" not in scored(tmp_path)
    killed()
    assert {"a.csv", "c.csv"} <= scored(tmp_path)  # it went last
    killed()
    code, _, err = call_score("incoming", "-o", "scored")
    assert code == 7
    assert "error: incoming/big.csv: passed over: the system has killed 3 runs at this file, most likely" in err
    assert "error: 1 of 3 files could not be scored: incoming/big.csv; the other 2 are done\n" in err
    says = "next: fix that; the same command passes over 1 file that has not changed"
    assert err.splitlines()[-2] == says
    code, _, err = call_score("incoming", "-o", "scored")
    assert (code, err.splitlines()[-2]) == (7, says)  # the count outlives runs that end well
    # Whoever does one of what the hint says is done with it, and so is whoever changes the file.
    note = ".scored.score.running"
    hint = f"score it alone with more memory or a lower --chunk-rows, or remove {tmp_path / note} to try again here"
    assert err.count(f"; {hint}\n") == 1
    noted = (tmp_path / note).read_bytes()
    (tmp_path / note).unlink()
    killed()  # tried again, on the same machine
    alone = ("incoming/big.csv", "-o", "scored/big.csv")
    for scored_alone in (
        lambda: run(*alone, "--chunk-rows", "1").returncode,
        lambda: call_score(*alone)[0],  # where there is more memory
    ):
        (tmp_path / note).write_bytes(noted)
        (tmp_path / "scored" / "big.csv").unlink(missing_ok=True)
        assert scored_alone() == 0
        code, _, err = call_score("incoming", "-o", "scored")
        assert (code, "nothing new: 0 files scored, 3 up to date" in err) == (0, True), err
    killed_again = (incoming / "big.csv").stat()
    (tmp_path / "scored" / "big.csv").unlink()
    for _ in range(3):
        killed()
    assert (incoming / "big.csv").stat() == killed_again
    assert call_score("incoming", "-o", "scored", "--dry-run")[0] == 7
    (incoming / "big.csv").write_text("text\nbetter\n")
    code, _, err = call_score("incoming", "-o", "scored")
    assert (code, scored(tmp_path)) == (0, {"a.csv", "big.csv", "c.csv"}), err


def test_one_death_is_named_and_forgotten(call_score: Call, killed: Kill, incoming: Path, tmp_path: Path) -> None:
    killed()
    code, _, err = call_score("incoming", "-o", "scored")
    assert code == 0
    lines = err.splitlines()
    assert "incoming/big.csv: a run was killed at this file, and nothing is lost; it goes last now" in lines
    done = [line.partition(":")[0] for line in lines if re.match(r"scored/.*: [0-9]+ rows? in ", line)]
    assert done == ["scored/c.csv", "scored/big.csv"]
    assert scored(tmp_path) == {"a.csv", "big.csv", "c.csv"}
    (incoming / "big.csv").write_text("text\nbetter\n")
    assert "was killed" not in call_score("incoming", "-o", "scored")[2]


def test_what_a_death_leaves_lies_beside_the_folder(
    call_score: Call, killed: Kill, incoming: Path, tmp_path: Path
) -> None:
    """Readers of the whole folder refuse a strange file inside."""
    killed()
    note = tmp_path / ".scored.score.running"
    assert b"big.csv" in note.read_bytes()
    assert not list((tmp_path / "scored").glob(".score.[ir]*"))
    (incoming / "big.csv").rename(tmp_path / "gone.csv")
    assert call_score("incoming", "-o", "scored")[0] == 0
    assert b"big.csv" in note.read_bytes()
    assert call_score("incoming", "-o", "scored", "--prune", "--yes")[0] == 0
    assert note.read_bytes() == b""


def test_what_is_left_of_a_torn_record_is_no_error(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (tmp_path / ".scored.score.running").write_bytes(os.urandom(64))
    assert call_score("incoming", "-o", "scored")[0] == 0
    assert incoming.exists()
    assert scored(tmp_path) == {"a.csv", "big.csv", "c.csv"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 with the bucket ``night`` that holds the three files under ``in/``."""
    import boto3

    with s3_store() as settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=settings["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="night")
        for name in ("a", "big", "c"):
            client.put_object(Bucket="night", Key=f"in/{name}.csv", Body=b"text\ngood\n")
        yield client


def keys(store: Any) -> set[str]:
    return {one["Key"] for one in store.list_objects_v2(Bucket="night")["Contents"]}


NOTE = "out/.score.running"


@pytest.mark.parametrize("input", ["s3://night/in/", "incoming"])
def test_deaths_at_a_file_whose_output_lies_in_a_store(
    call_score: Call, killed: Kill, incoming: Path, store: Any, input: str
) -> None:
    command = (input, "-o", "s3://night/out/")
    for outputs in ({"out/a.csv"}, {"out/a.csv", "out/c.csv"}, {"out/a.csv", "out/c.csv"}):
        killed(*command[::2])
        assert {key for key in keys(store) if re.fullmatch("out/[a-z]+.csv", key)} == outputs
        assert NOTE in keys(store)
    code, _, err = call_score(*command, "--dry-run")
    assert (code, "big.csv: passed over" in err) == (7, True), err
    for _ in range(2):
        code, _, err = call_score(*command)
        assert code == 7
        assert f"error: {input.rstrip('/')}/big.csv: passed over: the system has killed 3 runs at this file" in err
        assert "or remove s3://night/out/.score.running to try again here" in err
    (incoming / "big.csv").write_text("text\nbetter\n")
    store.put_object(Bucket="night", Key="in/big.csv", Body=b"text\nbetter\n")
    code, _, err = call_score(*command)
    assert (code, "1 file scored, 2 up to date" in err) == (0, True), err
    assert NOTE not in keys(store)


def test_deaths_at_an_object(call_score: Call, killed: Kill, tmp_path: Path, store: Any) -> None:
    command = ("s3://night/in/", "-o", "scored")
    for _ in range(3):
        killed(*command[::2])
    assert scored(tmp_path) == {"a.csv", "c.csv"}
    code, _, err = call_score(*command)
    assert (code, "error: s3://night/in/big.csv: passed over: the system has killed 3 runs" in err) == (7, True), err
    store.put_object(Bucket="night", Key="in/big.csv", Body=b"text\nbetter\n")
    assert call_score(*command)[0] == 0
    assert scored(tmp_path) == {"a.csv", "big.csv", "c.csv"}


def test_a_store_that_fails_at_the_note_stops_nothing(
    call_score: Call, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    put = s3fs.S3FileSystem._pipe_file

    async def refuses(self: object, path: str, *rest: object, **named: object) -> None:
        if path.endswith(NOTE):
            raise PermissionError("AccessDenied")
        await put(self, path, *rest, **named)

    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", refuses)
    code, _, err = call_score("s3://night/in/", "-o", "s3://night/out/")
    assert (code, "3 files scored" in err) == (0, True), err
    assert NOTE not in keys(store)

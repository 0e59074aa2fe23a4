"""A night and the two after it, as the timer runs them: processes of their own over a folder that others fill."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.forks import Forks
from tests.helpers.processes import CODE, EVALUATE
from tests.helpers.prometheus import metrics

# The process dies when five chunks of a file are done: only the long one has as many.
KILLED = """
import os, signal
from scorer.job.journal import UnfinishedWork
add = UnfinishedWork.add
def add_or_die(work, part):
    if len(work.records) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(work, part)
UnfinishedWork.add = add_or_die
"""
COMMANDS = {"score": CODE, "evaluate-labels": EVALUATE, "killed": f"{KILLED}{CODE}"}
N_LONG = 400


@dataclass(frozen=True)
class Night:
    """A folder in which the commands run, with `incoming/` and `scored/`.

    Attributes:
        folder: the working folder of the commands.
        bundle: the model.
        forks: their processes.
    """

    folder: Path
    bundle: Path
    forks: Forks

    def run(self, *words: str) -> tuple[int, str, str]:
        """A command, run to its end: exit code, stdout, stderr."""
        done = self.forks.run(
            COMMANDS[words[0]], *words[1:], folder=self.folder, SCORER_MODEL=str(self.bundle), SCORER_THREADS="1"
        )
        return done.returncode, done.stdout, done.stderr

    def score(self) -> tuple[int, list[dict[str, Any]]]:
        """The nightly command: its exit code, and the objects of its log."""
        code, out, err = self.run(*SCORE)
        assert out == ""
        return code, [json.loads(line) for line in err.splitlines()]

    def scored(self, folder: str = "scored") -> dict[str, bytes]:
        """Every file in a folder of outputs but the hidden index, by its path in it."""
        root = self.folder / folder
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("[!.]*") if path.is_file()}

    def metrics(self) -> dict[tuple[str, ...], float]:
        """The metrics that Prometheus would read now."""
        return metrics(self.folder / "score.prom")


SCORE = (
    "score", "incoming/", "-o", "scored/", "--chunk-rows", "20", "--metrics-file", "score.prom",
    "--summary", "summary.json", "--log-format", "json", "--exit-code-nothing-new", "99",
)  # fmt: skip


def long_csv(path: Path) -> None:
    path.write_text("id,text\n" + "".join(f"{number},A warm film number {number}\n" for number in range(N_LONG)))


def labelled(path: Path) -> None:
    texts = [("A warm film", "dull and loud", "wonderful music", "awful story")[k % 4] + f" {k}" for k in range(80)]
    labels = [("positive", "negative")[k % 2] for k in range(80)]
    pq.write_table(pa.table({"id": range(80), "text": texts, "label": labels}), path)


@contextmanager
def growing(path: Path) -> Iterator[None]:
    """Somebody appends to ``path`` all the time."""
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.002):
            with path.open("a") as file:
                file.write("9999,one more\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def files_of(value: dict[tuple[str, ...], float]) -> dict[str, float]:
    return {labels[1]: count for labels, count in value.items() if labels[0] == "score_files"}


@pytest.fixture
def night(tmp_path: Path, tiny_bundle: Path, score_forks: Forks) -> Night:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    (tmp_path / "scored").mkdir()
    (incoming / "monday.csv").write_text("id,text\n1,good\n2,\n")
    found = Night(tmp_path, tiny_bundle, score_forks)
    first = found.run(*SCORE)
    assert first[0] == 0, first  # the night before
    return found


def test_a_night_and_the_two_after_it(night: Night) -> None:
    incoming, before = night.folder / "incoming", night.scored()
    monday = (night.folder / "scored" / "monday.csv").stat()
    last_success = night.metrics()[("score_last_success_timestamp_seconds",)]

    # New files have come: two good ones, a corrupt one, and one that is still being copied.
    labelled(incoming / "tuesday.parquet")
    (incoming / "sub").mkdir()
    (incoming / "sub" / "reviews.jsonl").write_text('{"text":"good"}\n{"text":null}\n')
    whole = (incoming / "tuesday.parquet").read_bytes()
    (incoming / "corrupt.parquet").write_bytes(whole[: len(whole) // 2])
    long_csv(incoming / "growing.csv")
    with growing(incoming / "growing.csv"):
        code, lines = night.score()
    assert code == 3
    failed = {line["file"]: line["message"] for line in lines if line["event"] == "file_failed"}
    assert failed.keys() == {"incoming/corrupt.parquet", "incoming/growing.csv"}
    assert "has changed since this run began; run again once it is complete" in failed["incoming/growing.csv"]
    assert {line["file"] for line in lines if line["event"] == "file_scored"} == {
        "incoming/tuesday.parquet", "incoming/sub/reviews.jsonl",
    }  # fmt: skip
    assert lines[-1]["exit_code"] == 3
    assert lines[-1]["message"].startswith("2 of 5 files could not be scored: ")
    after = night.scored()
    assert after.keys() == {
        "monday.csv", "monday.csv.provenance.json", "tuesday.parquet", "sub/reviews.jsonl",
        "sub/reviews.jsonl.provenance.json",
    }  # fmt: skip
    assert {name: after[name] for name in before} == before
    value = night.metrics()
    assert files_of(value) == {"done": 2, "up_to_date": 1, "failed": 2, "older": 0}
    assert (value["score_rows", "ok"], value["score_rows", "empty"], value[("score_exit_code",)]) == (81, 1, 3)
    assert value[("score_last_success_timestamp_seconds",)] == last_success
    assert value[("score_last_scored_timestamp_seconds",)] > last_success
    summary = json.loads((night.folder / "summary.json").read_text())
    assert {failure["input"] for failure in summary["failures"]} == failed.keys()

    # The next night the corrupt file has been sent again and the copy is whole; a kill comes in between.
    (incoming / "corrupt.parquet").write_bytes(whole)
    long_csv(incoming / "growing.csv")
    assert night.run("killed", *SCORE[1:])[0] == -signal.SIGKILL
    killed = night.scored()
    assert {name: killed[name] for name in after} == after
    assert "growing.csv" not in killed
    code, lines = night.score()
    assert code == 0
    assert [line["file"] for line in lines if line["event"] == "file_scored"] == ["incoming/growing.csv"]
    assert any("resuming after" in line["message"] for line in lines)
    value = night.metrics()
    assert files_of(value) == {"done": 1, "up_to_date": 4, "failed": 0, "older": 0}
    assert (value["score_rows", "ok"], value[("score_exit_code",)]) == (N_LONG, 0)
    assert value[("score_last_success_timestamp_seconds",)] > last_success
    state = (night.folder / "scored" / "monday.csv").stat()
    assert (state.st_ino, state.st_mtime_ns) == (monday.st_ino, monday.st_mtime_ns)

    # The third night has nothing to do.
    code, lines = night.score()
    assert (code, lines[-1]["event"], lines[-1]["exit_code"]) == (99, "run_ended", 99)
    assert night.metrics()[("score_exit_code",)] == 99
    assert files_of(night.metrics()) == {"done": 0, "up_to_date": 5, "failed": 0, "older": 0}

    # In the end all is as if nothing had ever gone wrong.
    assert night.run("score", "incoming/", "-o", "straight/", "-q") == (0, "", "")
    assert night.scored("straight") == night.scored()
    assert night.run("score", "--verify", "scored")[0] == 0


def test_the_gate_after_a_night(night: Night, three_label_bundle: Path, tiny_bundle: Path) -> None:
    shutil.rmtree(night.folder / "scored")
    labelled(night.folder / "incoming" / "kept.parquet")
    assert night.score()[0] == 0
    assert night.run("score", "incoming/", "-o", "last/", "--threshold", "1", "-q")[0] == 0  # never positive
    arguments = ("evaluate-labels", "scored/kept.parquet", "--baseline", "last/kept.parquet", "--on", "id")
    code, out, err = night.run(*arguments, "--min-f1", "0.01", "--max-drop", "0.2")
    assert (code, "80 rows evaluated" in out) == (0, True), err
    code, _, err = night.run(*arguments, "--min-f1", "0.999", "--log-format", "json")
    assert code == 8
    value = json.loads(err.splitlines()[-1])
    assert (value["error"], value["exit_code"], "--min-f1" in value["message"]) == ("QualityGateError", 8, True)
    code, _, err = night.run(
        "evaluate-labels", "last/kept.parquet", "--baseline", "scored/kept.parquet", "--on", "id", "--max-drop", "0.001"
    )
    assert code == 8, err

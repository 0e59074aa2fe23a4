"""A run that is killed leaves the old output or the complete new one, and the next run ends in the same bytes."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.faults import (
    OLD,
    Job,
    all_chunks_done,
    check_after_a_kill,
    csv_job,
    parquet_job,
    require_strace,
    reusing_job,
    whole,
)
from tests.helpers.processes import base_environment, tell

CALLS = ("write", "fsync", "rename")
KILLED = -signal.SIGKILL

Make = Callable[[Path], Job]


def kill_at(job: Job, expected: dict[str, bytes], call: str, number: int, before: Path | None = None) -> bool:
    """Kill a run at the Nth ``call`` of one of its threads; returns False if it ended before."""
    job.reset(OLD)
    if before is not None:
        shutil.copytree(before, job.output.with_name(f"{job.output.name}.partial"))
    done = job.run(f"{call}:signal=KILL:when={number}")
    if done.returncode == 0:
        return False
    assert done.returncode in (KILLED, 128 + signal.SIGKILL), done.stderr
    check_after_a_kill(job, expected, f"{call} {number}{' of publishing' if before else ''}")
    return True


def sweep(make: Make, folder: Path, workers: int) -> int:
    """Kill at every write, fsync and rename, in the chunks and in the publishing; returns the number of points.

    strace counts the calls of each thread apart. Chunks are made durable in a thread of their own,
    so a second sweep begins where all chunks are done: there the main thread does everything.
    """
    jobs = [make(folder / str(number)) for number in range(workers)]
    expected = whole(jobs[0])
    kept = all_chunks_done(jobs[0], expected, folder / "kept")
    lanes = [(call, before) for before in (None, kept) for call in (*CALLS, "unlink", "linkat")]

    def lane(worker: int) -> int:
        points = 0
        for call, before in lanes[worker::workers]:
            number = 1
            while kill_at(jobs[worker], expected, call, number, before):
                number += 1
            points += number - 1
        return points

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(lane, range(workers)))


def make_job(kind: str, bundle: Path, folder: Path) -> Job:
    if kind == "parquet that reuses":
        return reusing_job(folder, bundle)
    return parquet_job(folder, bundle) if kind == "parquet" else csv_job(folder, bundle, "preds.csv.gz")


def test_a_few_kills(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = parquet_job(tmp_path / "job", tiny_bundle)
    expected = whole(job)
    kept = all_chunks_done(job, expected, tmp_path / "kept")
    points = [("write", 2), ("fsync", 30), ("rename", 12), ("write", 23)]
    publishing = [("write", 2), ("write", 3), ("write", 4), ("fsync", 1), ("fsync", 2), ("fsync", 3), ("rename", 1)]
    for call, number in points:
        assert kill_at(job, expected, call, number)
    for call, number in [*publishing, ("unlink", 9)]:
        assert kill_at(job, expected, call, number, kept)


def test_kills_of_a_run_that_reuses_end_in_the_bytes_of_one_that_does_not(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = reusing_job(tmp_path / "job", tiny_bundle)
    expected = whole(replace(job, options=()))
    job.reset(OLD)
    again = subprocess.run(
        [option for option in job.command if option != "-q"],
        cwd=job.folder, env=base_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "240 rows, 120 reused" in again.stderr
    assert job.outputs() == expected
    for call, number in [("write", 2), ("fsync", 10), ("rename", 12), ("write", 23)]:
        assert kill_at(job, expected, call, number)


def test_kills_of_an_output_with_files_beside_it(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = csv_job(tmp_path / "job", tiny_bundle, "preds.csv")
    expected = whole(job)
    assert sorted(expected) == ["preds.csv", "preds.csv.provenance.json", "preds.csv.rejects.jsonl"]
    kept = all_chunks_done(job, expected, tmp_path / "kept")
    for call, number in [("rename", 1), ("rename", 2), ("rename", 3), ("linkat", 1)]:
        assert kill_at(job, expected, call, number, kept)


def test_a_resumed_run_does_not_score_again(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = parquet_job(tmp_path / "job", tiny_bundle)
    job.reset(OLD)
    assert job.run("rename:signal=KILL:when=12").returncode != 0
    done = subprocess.run(
        [option for option in job.command if option != "-q"],
        cwd=job.folder, env=base_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "resuming after 1" in done.stderr
    assert "of them by an earlier run" in done.stderr


@pytest.mark.parametrize(
    ("number", "code", "says"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_leaves_the_rest_to_a_resume(
    tiny_bundle: Path, tmp_path: Path, number: signal.Signals, code: int, says: str
) -> None:
    job = parquet_job(tmp_path / "job", tiny_bundle)
    expected = whole(job)
    job.reset(OLD)
    with subprocess.Popen(
        job.command, cwd=job.folder, env=base_environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        unfinished = job.output.with_name("preds.parquet.partial")
        while process.poll() is None and len(list(unfinished.glob("chunk-*.arrow"))) < 3:
            time.sleep(0.002)
        begun = time.monotonic()
        process.send_signal(number)
        left = process.wait(timeout=10)
        assert time.monotonic() - begun < 10
        assert process.stderr is not None
        err = process.stderr.read()
    if left != 0:  # on a fast machine it had ended
        assert (left, err) == (code, f"error: {says}\n")
        assert job.output.read_bytes() == OLD
        assert {path.name for path in job.folder.iterdir()} == {
            "preds.parquet",
            "preds.parquet.partial",
            "reviews.parquet",
        }
    check_after_a_kill(job, expected, says)


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["parquet", "csv.gz with rejects", "parquet that reuses"])
def test_every_write_fsync_and_rename(tiny_bundle: Path, tmp_path: Path, kind: str) -> None:
    require_strace()
    points = sweep(partial(make_job, kind, tiny_bundle), tmp_path, workers=2)
    tell(f"{kind}: {points} kill points, 0 exceptions")
    assert points >= 150


@pytest.mark.torture
def test_random_times(tiny_bundle: Path, tmp_path: Path) -> None:
    jobs = [parquet_job(tmp_path / str(number), tiny_bundle) for number in range(2)]
    expected = whole(jobs[0])
    jobs[0].reset(OLD)
    begun = time.monotonic()
    assert jobs[0].run().returncode == 0
    longest = time.monotonic() - begun
    times = random.Random(3)

    def lane(worker: int) -> int:
        killed = runs = 0
        while killed < 100:
            jobs[worker].reset(OLD)
            # The first part of a run is the loading of libraries.
            after = longest * times.uniform(0.3, 1)
            runs += 1
            if jobs[worker].run_and_kill(after) != 0:
                killed += jobs[worker].output.with_name("preds.parquet.partial").exists()
                check_after_a_kill(jobs[worker], expected, f"after {after:.4f} s")
            assert runs < 2000
        return runs

    with ThreadPoolExecutor(2) as pool:
        runs = sum(pool.map(lane, range(2)))
    tell(f"200 kills of a job at work, at random times, 0 exceptions; {runs - 200} runs more before or after its work")

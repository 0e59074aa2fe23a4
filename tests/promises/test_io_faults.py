"""A disk that fails: exit 5, the old output untouched, nothing that sounds like success, and a resume that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.faults import OLD, Job, all_chunks_done, csv_job, parquet_job, require_strace, whole
from tests.helpers.processes import base_environment, tell

ERRORS = ("ENOSPC", "EIO", "EDQUOT")
SAYS = {"ENOSPC": "No space left on device", "EIO": "Input/output error", "EDQUOT": "Disk quota exceeded"}


def fail_at(job: Job, expected: dict[str, bytes], call: str, error: str, when: str, before: Path | None = None) -> bool:
    """Let a call fail; returns False if the run ended before. It must end with exit 5, and the next one heal."""
    where = f"{call} {error} {when}"
    job.reset(OLD)
    if before is not None:
        shutil.copytree(before, job.output.with_name(f"{job.output.name}.partial"))
    done = job.run(f"{call}:error={error}:when={when}")
    if done.returncode == 0:
        assert job.outputs() == expected, where
        return False
    assert done.returncode == 5, f"{where}: {done.returncode} {done.stderr}"
    assert job.output.read_bytes() == OLD, where
    if not job.stderr_failed():
        assert done.stderr.startswith("error: "), where
        assert SAYS[error] in done.stderr, where
        assert done.stderr.count("\n") == 1, where
    beside = {name for name in job.outputs() if ".partial/" not in name}
    assert beside == {job.output.name}, where
    assert job.run_here().returncode == 0, where
    assert job.outputs() == expected, where
    return True


def test_a_few_failures(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = parquet_job(tmp_path / "job", tiny_bundle)
    expected = whole(job)
    kept = all_chunks_done(job, expected, tmp_path / "kept")
    for call, error, when in [("write", "ENOSPC", "5"), ("fsync", "EIO", "20"), ("rename", "EDQUOT", "9+")]:
        assert fail_at(job, expected, call, error, when)
    for call, error, when in [("write", "EDQUOT", "1"), ("write", "ENOSPC", "1+"), ("fsync", "EIO", "3")]:
        assert fail_at(job, expected, call, error, when, kept)


def test_failures_between_the_files_of_one_output(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = csv_job(tmp_path / "job", tiny_bundle, "preds.csv")
    expected = whole(job)
    kept = all_chunks_done(job, expected, tmp_path / "kept")
    for call, when in [("rename", "2"), ("rename", "3"), ("rename", "3+"), ("fsync", "5")]:
        assert fail_at(job, expected, call, "EIO", when, kept)


def test_a_disk_that_really_is_full(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can be mounted by root alone")
    try:
        job = parquet_job(folder, tiny_bundle)
        job.reset(OLD)
        done = job.run()
        assert done.returncode == 5
        assert "No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1
        assert job.output.read_bytes() == OLD
        subprocess.run(["mount", "-o", "remount,size=8m", str(folder)], check=True)
        again = subprocess.run(
            [option for option in job.command if option != "-q"],
            cwd=folder, env=base_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "by an earlier run" in again.stderr
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_is_read_only(tiny_bundle: Path, tmp_path: Path) -> None:
    job = parquet_job(tmp_path / "job", tiny_bundle)
    bound = subprocess.run(["mount", "--bind", str(job.folder), str(job.folder)], capture_output=True, check=False)
    if bound.returncode != 0:
        if os.geteuid() == 0:
            pytest.skip("root may write everywhere, and nothing can be mounted here")
        job.folder.chmod(0o500)
        assert job.run().returncode == 5
        job.folder.chmod(0o700)
        return
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(job.folder)], check=True)
        done = job.run()
        assert done.returncode == 5
        assert "cannot be written to" in done.stderr
    finally:
        subprocess.run(["umount", str(job.folder)], check=True)


@pytest.mark.torture
def test_every_write_fsync_and_rename(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    jobs = [parquet_job(tmp_path / "parquet", tiny_bundle), csv_job(tmp_path / "csv", tiny_bundle, "preds.csv.gz")]

    def lane(job: Job) -> int:
        expected = whole(job)
        kept = all_chunks_done(job, expected, tmp_path / f"{job.folder.name}-kept")
        points = 0
        for before in (None, kept):
            for call in ("write", "fsync", "rename"):
                number = 1
                # The errors take turns, so that each meets a third of the places.
                while fail_at(job, expected, call, ERRORS[number % 3], str(number), before):
                    number += 1
                points += number - 1
        return points

    with ThreadPoolExecutor(2) as pool:
        points = sum(pool.map(lane, jobs))
    tell(f"{points} failing calls, 0 exceptions")
    assert points >= 250

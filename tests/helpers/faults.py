"""Faults from outside: ``strace`` kills a run, or lets a call fail, at the Nth write, fsync or rename."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.processes import CODE, base_environment, score_here

N_ROWS = 240
CHUNK_ROWS = 10
OLD = b"what stood here before"
"""Content of the output before a run."""


@cache
def why_no_strace() -> str:
    """The reason for which calls cannot be made to fail here, or an empty text."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", "inject=fsync:error=EIO:when=1", "true"],
        capture_output=True,
        check=False,
    )
    return "" if done.returncode == 0 else "strace may not trace here"


def require_strace() -> None:
    """Skip the test, with the reason, if strace does not work here."""
    if reason := why_no_strace():
        pytest.skip(reason)


def fail_at(name: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the opening of inputs whose paths end in ``name`` raise ``error``."""
    from scorer.job import resumable_job

    opened = resumable_job.open_source

    def fails(path: str, *rest: object) -> object:
        if path.endswith(name):
            raise error
        return opened(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(resumable_job, "open_source", fails)


@dataclass(frozen=True)
class Job:
    """A job of 24 chunks in a folder of its own, with an old output at its destination.

    Attributes:
        folder: where its files lie.
        input: the reviews.
        output: the destination.
        bundle: the model.
        options: more options of the command.
    """

    folder: Path
    input: Path
    output: Path
    bundle: Path
    options: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The command as a user would type it."""
        return [sys.executable, "-c", CODE, *self.arguments]

    @property
    def arguments(self) -> list[str]:
        """Those of ``score``."""
        return [
            self.input.name, "-o", self.output.name, "--model", str(self.bundle),
            "--chunk-rows", str(CHUNK_ROWS), "--threads", "1", "--overwrite", "-q", *self.options,
        ]  # fmt: skip

    def run(self, inject: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end in a process of its own, with a fault as ``inject`` describes it to strace."""
        return subprocess.run(
            self._traced(inject),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=base_environment(),
            timeout=120,
        )

    def run_here(self) -> subprocess.CompletedProcess[str]:
        """Run it to its end in this process; beside others that run at a time, in one of its own."""
        if threading.current_thread() is threading.main_thread():
            return score_here(self.arguments, self.folder)
        return self.run()

    def run_and_kill(self, after: float) -> int:
        """Run it and kill it ``after`` a number of seconds; returns its exit status."""
        with subprocess.Popen(
            self.command, cwd=self.folder, env=base_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                return process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _traced(self, inject: str | None) -> list[str]:
        if inject is None:
            return self.command
        # With --seccomp-bpf, which stops at these calls alone, injected signals do not arrive.
        stops = [] if "signal=" in inject else ["--seccomp-bpf"]
        calls = f"trace={inject.partition(':')[0]}"
        options = ["-f", "-qq", "-o", str(self._trace), "-e", calls, "-e", f"inject={inject}"]
        return ["strace", *stops, *options, *self.command]

    @property
    def _trace(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.strace")

    def stderr_failed(self) -> bool:
        """True if the last fault hit a line on stderr: strace counts the calls of each thread apart."""
        calls = self._trace.read_text(encoding="utf-8", errors="replace").splitlines()
        return any("write(2," in call and "(INJECTED)" in call for call in calls)

    def outputs(self) -> dict[str, bytes]:
        """Every file of the folder but the input, by name."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path != self.input
        }

    def reset(self, old: bytes) -> None:
        """The folder as it was before any run, with ``old`` at the destination."""
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != self.input:
                path.unlink()
        self.output.write_bytes(old)


def csv_job(folder: Path, bundle: Path, output: str, options: Sequence[str] = ()) -> Job:
    """A job over a CSV file in which every 40th row is bad."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{number},A warm film number {number}, good" for number in range(N_ROWS)]
    lines = [line.replace(", ", " ") if number % 40 else line for number, line in enumerate(lines)]
    (folder / "reviews.csv").write_text("id,text\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return Job(folder, folder / "reviews.csv", folder / output, bundle, ("--on-bad-row", "reject", *options))


def parquet_job(folder: Path, bundle: Path) -> Job:
    """A job over a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    texts = [f"A warm film number {number}, good and loud." for number in range(N_ROWS)]
    pq.write_table(pa.table({"id": range(N_ROWS), "text": texts}), folder / "reviews.parquet")
    return Job(folder, folder / "reviews.parquet", folder / "preds.parquet", bundle)


def reusing_job(folder: Path, bundle: Path) -> Job:
    """The job of :func:`parquet_job` that takes every second prediction from an earlier output outside its folder."""
    import pyarrow.parquet as pq

    job = parquet_job(folder, bundle)
    earlier = folder.with_name(f"{folder.name}-earlier")
    earlier.mkdir()
    known = Job(earlier, earlier / "known.parquet", earlier / "known-preds.parquet", bundle)
    pq.write_table(pq.read_table(job.input).take(list(range(0, N_ROWS, 2))), known.input)
    done = known.run_here()
    assert done.returncode == 0, done.stderr
    return replace(job, options=("--reuse", str(known.output)))


def whole(job: Job) -> dict[str, bytes]:
    """The files after a run without a fault."""
    job.reset(OLD)
    done = job.run_here()
    assert done.returncode == 0, done.stderr
    outputs = job.outputs()
    assert outputs[job.output.name] != OLD
    return outputs


def check_after_a_kill(job: Job, expected: dict[str, bytes], where: str) -> None:
    """Check the two promises in a folder in which a run has just been killed."""
    name = job.output.name
    assert job.output.read_bytes() in (OLD, expected[name]), where
    again = job.run_here()
    assert again.returncode == 0, f"{where}: {again.stderr}"
    assert job.outputs() == expected, where


def all_chunks_done(job: Job, expected: dict[str, bytes], kept: Path) -> Path:
    """Copy the unfinished work of a run that scored everything and could not publish."""
    job.reset(OLD)
    assert job.run("linkat:error=EIO").returncode == 5
    unfinished = job.output.with_name(f"{job.output.name}.partial")
    assert len(list(unfinished.glob("chunk-*.arrow"))) == 23  # the first one lies in the journal
    shutil.copytree(unfinished, kept)
    check_after_a_kill(job, expected, "the publishing")
    return kept

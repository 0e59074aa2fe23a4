"""Faults from outside: ``strace`` kills a run, or lets a call fail, at the Nth write, fsync or rename."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
N_ROWS = 240
CHUNK_ROWS = 10
CODE = "from scorer.commands.score import score_main; score_main()"

# For a program of its own: the most memory that it has held, in KiB. Not ru_maxrss: the kernel hands the peak of
# the process that forks on to its child, and that of the tests is larger than what is measured.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
needs_peak = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@cache
def why_no_strace() -> str:
    """Why calls cannot be made to fail here, or nothing."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    done = subprocess.run(
        ["strace", "-f", "-o", os.devnull, "-e", "inject=fsync:error=EIO:when=1", "true"],
        capture_output=True,
        check=False,
    )
    return "" if done.returncode == 0 else "strace may not trace here"


def require_strace() -> None:
    """Skip the test, with the reason, where there is no strace that works."""
    if reason := why_no_strace():
        pytest.skip(reason)


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
        """What a user would type."""
        return [
            sys.executable, "-c", CODE, self.input.name, "-o", self.output.name, "--model", str(self.bundle),
            "--chunk-rows", str(CHUNK_ROWS), "--threads", "1", "--overwrite", "-q", *self.options,
        ]  # fmt: skip

    def run(self, inject: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with a fault where ``inject`` says so."""
        return subprocess.run(
            self._traced(inject),
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            env=environment(),
            timeout=120,
        )

    def run_and_kill(self, after: float) -> int:
        """Run it and kill it ``after`` so many seconds; its exit status."""
        with subprocess.Popen(
            self.command, cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                return process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _traced(self, inject: str | None) -> list[str]:
        if inject is None:
            return self.command
        # Not --seccomp-bpf, which is faster: with it, injected signals do not arrive.
        calls = f"trace={inject.partition(':')[0]}"
        options = ["-f", "-qq", "-o", str(self._trace), "-e", calls, "-e", f"inject={inject}"]
        return ["strace", *options, *self.command]

    @property
    def _trace(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.strace")

    def stderr_failed(self) -> bool:
        """Whether the last fault that was let in hit a line on stderr: each thread's calls are counted apart."""
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


def environment() -> dict[str, str]:
    """The environment of a run: this source tree, few threads."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


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


def seconds_of(job: Job) -> float:
    """How long a whole run takes."""
    begun = time.monotonic()
    assert job.run().returncode == 0
    return time.monotonic() - begun

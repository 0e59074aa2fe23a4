"""One run per output, however many start; what a dead run leaves locks nothing."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scorer.disk.locking import lock_file, locked
from scorer.errors import BusyError, OutputError
from tests.helpers.processes import CODE as SCORE
from tests.helpers.processes import base_environment


def start(folder: Path, bundle: Path) -> subprocess.Popen[bytes]:
    """A run that reads standard input: it holds the output until that ends."""
    import sys

    command = [sys.executable, "-c", SCORE, "-", "--format", "csv", "-o", "preds.parquet", "--model", str(bundle), "-q"]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=base_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_of_twenty_starts_one_runs(tiny_bundle: Path, tmp_path: Path) -> None:
    runs = [start(tmp_path, tiny_bundle) for _ in range(20)]
    while sum(run.poll() is None for run in runs) > 1:
        time.sleep(0.01)
    winner = next(run for run in runs if run.poll() is None)
    late = start(tmp_path, tiny_bundle)
    _, err = late.communicate()
    assert late.returncode == 6
    assert err == b"error: preds.parquet: another run holds this output; wait for it to end\n"
    out, err = winner.communicate(b"text\ngood\nbad\n")
    assert (winner.returncode, out, err) == (0, b"", b"")
    losers = [run for run in runs if run is not winner]
    assert [run.returncode for run in losers] == [6] * 19
    for run in losers:
        run.communicate()
    assert pq.read_table(tmp_path / "preds.parquet").num_rows == 2
    assert [path.name for path in tmp_path.iterdir()] == ["preds.parquet"]


@pytest.mark.parametrize(("input", "code"), [("a.csv", 6), ("mistyped.csv", 3)])
def test_what_needs_no_library_is_told_before_one_is_loaded(tmp_path: Path, input: str, code: int) -> None:
    import sys

    (tmp_path / "a.csv").write_text("text\ngood\n")
    program = (
        "import sys, atexit\nfrom scorer.commands.score import score_main\n"
        "atexit.register(lambda: print(sorted({'pyarrow', 'onnxruntime', 'numpy'} & set(sys.modules))))\nscore_main()"
    )
    with locked(tmp_path / "b.csv") if code == 6 else nullcontext():
        done = subprocess.run(
            [sys.executable, "-c", program, input, "-o", "b.csv"],
            cwd=tmp_path, env=base_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "[]\n")


def test_the_lock_goes_with_its_holder(tmp_path: Path) -> None:
    output = tmp_path / "a.csv"
    with locked(output):
        assert lock_file(output).exists()
        with pytest.raises(BusyError), locked(output):
            pass
        assert lock_file(output).exists()
    assert not lock_file(output).exists()
    lock_file(output).write_text("left by a dead run")
    with locked(output):
        pass
    assert not list(tmp_path.iterdir())


def test_removing_the_file_lets_no_two_in(tmp_path: Path) -> None:
    output = tmp_path / "a.csv"
    inside: list[int] = []
    most = [0]
    entered = [0]

    def work() -> None:
        for _ in range(300):
            try:
                with locked(output):
                    inside.append(1)
                    most[0] = max(most[0], len(inside))
                    entered[0] += 1
                    os.sched_yield()
                    inside.pop()
            except BusyError:
                continue

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert entered[0] > 8


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such folder"), locked(tmp_path / "no" / "a.csv"):
        pass


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    lock_file(tmp_path / "a.csv").symlink_to(tmp_path / "precious")
    with pytest.raises(OutputError), locked(tmp_path / "a.csv"):
        pass
    assert (tmp_path / "precious").read_text() == "x"

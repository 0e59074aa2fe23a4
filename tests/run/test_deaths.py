"""A file at which the system kills runs: it goes last, is named, and after three deaths is passed over."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.helpers.processes import CODE, environment

# What a machine without memory does to a process that reads this file.
KILLED = f"""
import os, signal
from scorer.job import resumable_job
opened = resumable_job.open_source
def open_or_die(path, *rest):
    if path.endswith("big.csv"):
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


def killed(folder: Path, bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "incoming", "-o", "scored", "--model", str(bundle), "--threads", "1"],
        cwd=folder, env=environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


def scored(folder: Path) -> set[str]:
    return {path.name for path in (folder / "scored").iterdir() if not path.name.endswith(".provenance.json")}


def test_three_deaths(call_score: Call, incoming: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    killed(tmp_path, tiny_bundle)
    assert "c.csv" not in scored(tmp_path)
    killed(tmp_path, tiny_bundle)
    assert {"a.csv", "c.csv"} <= scored(tmp_path)  # it went last
    killed(tmp_path, tiny_bundle)
    code, _, err = call_score("incoming", "-o", "scored")
    assert code == 7
    assert "error: incoming/big.csv: passed over: the system has killed 3 runs at this file, most likely" in err
    assert "error: 1 of 3 files could not be scored: incoming/big.csv; the other 2 are done\n" in err
    assert call_score("incoming", "-o", "scored")[0] == 7  # the count outlives runs that end well
    # Another file under the name is another matter.
    (incoming / "big.csv").write_text("text\nbetter\n")
    code, _, err = call_score("incoming", "-o", "scored")
    assert (code, scored(tmp_path)) == (0, {"a.csv", "big.csv", "c.csv"}), err


def test_one_death_is_named_and_forgotten(call_score: Call, incoming: Path, tmp_path: Path, tiny_bundle: Path) -> None:
    killed(tmp_path, tiny_bundle)
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
    call_score: Call, incoming: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    """Readers of the whole folder refuse a strange file inside."""
    killed(tmp_path, tiny_bundle)
    note = tmp_path / ".scored.score.running"
    assert b"big.csv" in note.read_bytes()
    assert not list((tmp_path / "scored").glob(".score.[ir]*"))
    (incoming / "big.csv").rename(tmp_path / "gone.csv")
    assert call_score("incoming", "-o", "scored")[0] == 0
    assert note.exists()
    assert call_score("incoming", "-o", "scored", "--prune", "--yes")[0] == 0
    assert not note.exists()


def test_what_is_left_of_a_torn_record_is_no_error(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (tmp_path / ".scored.score.running").write_bytes(os.urandom(64))
    assert call_score("incoming", "-o", "scored")[0] == 0
    assert incoming.exists()
    assert scored(tmp_path) == {"a.csv", "big.csv", "c.csv"}

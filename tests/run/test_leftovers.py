"""What earlier runs left: said with -v, removed by the next run or by --prune, and never what belongs to somebody."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from scorer.disk.temporary import remove_dead_folders, temporary_folder
from tests.conftest import Call

RUN = ("in/", "-o", "out/")


@pytest.fixture
def night(call_score: Call, tmp_path: Path) -> Path:
    """Two files that are scored, one of which then goes, and what killed runs leave."""
    (tmp_path / "in").mkdir()
    for name in ("a", "gone"):
        (tmp_path / "in" / f"{name}.csv").write_text("text\ngood\n")
    assert call_score(*RUN)[0] == 0
    (tmp_path / "in" / "gone.csv").unlink()
    out = tmp_path / "out"
    for name in ("lost.csv.partial", "a.csv.partial"):
        (out / name).mkdir()
        (out / name / "journal.jsonl").write_text("")
    (out / ".lost.csv.lock").write_text("")
    (out / "mine.csv").write_text("text\nnot an output\n")
    (out / "notes.partial").mkdir()
    return out


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".score.")} - {"a.csv.partial"}


def test_what_is_left_is_said_and_pruned(call_score: Call, night: Path) -> None:
    before = names(night)
    code, _, err = call_score(*RUN, "-v")
    assert code == 0
    assert "1 output without an input: " in err
    assert "1 folder of unfinished work without an input: " in err
    assert "1 lock that no run holds: " in err
    assert "gone.csv" in err
    assert names(night) == before
    code, _, err = call_score(*RUN, "--prune")
    assert (code, "--prune asks before it removes" in err) == (2, True)
    assert call_score(*RUN, "--prune", "--yes")[0] == 0
    assert names(night) == before - {"gone.csv", "gone.csv.provenance.json", "lost.csv.partial", ".lost.csv.lock"}


def test_a_run_that_is_not_whole_prunes_nothing(call_score: Call, night: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "bad.csv").write_text("id,text\n1,2,3\n")
    code, _, err = call_score(*RUN, "--prune", "--yes")
    assert (code, "nothing is pruned" in err) == (3, True)
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    call_score(*RUN, "--prune", "--yes", "--on-missing-input", "ok")
    assert {"gone.csv", "a.csv"} <= names(night)


@pytest.mark.parametrize("other", ["missing.csv", "empty/"])
def test_nothing_is_pruned_beside_an_input_that_is_left_out(
    call_score: Call, night: Path, tmp_path: Path, other: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = call_score("in/", other, "-o", "out/", "--prune", "--yes", "--on-missing-input", "ok")
    assert (code, f"{Path(other)}: " in err, "nothing is pruned" in err) == (0, True, True)
    assert "gone.csv" in names(night)


def test_locks_of_others_stay(call_score: Call, night: Path) -> None:
    (night / ".notes.lock").write_text("")
    (night / ".lost.csv.lock").write_text("mine")
    assert call_score(*RUN, "--prune", "--yes")[0] == 0
    assert {".notes.lock", ".lost.csv.lock"} <= names(night)


def test_what_is_held_stays(call_score: Call, night: Path) -> None:
    with (night / ".lost.csv.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert call_score(*RUN, "--prune", "--yes")[0] == 0
        assert {".lost.csv.lock", "lost.csv.partial"} <= names(night)


def test_older_inputs_still_have_their_outputs(call_score: Call, night: Path, tmp_path: Path) -> None:
    os.utime(tmp_path / "in" / "a.csv", (0, 0))
    assert call_score(*RUN, "--since", "24h", "--prune", "--yes")[0] == 0
    assert "a.csv" in names(night)


def test_temporary_folders_of_dead_runs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "score-dead").mkdir()
    (tmp_path / "score-dead" / "big").write_text("x")
    (tmp_path / "scorecard").mkdir()
    with temporary_folder() as alive:
        remove_dead_folders()
        assert alive.exists()
        assert {path.name for path in tmp_path.iterdir()} == {alive.name, "scorecard"}
    assert not alive.exists()


def test_temporary_files_of_dead_metrics_go(call_score: Call, night: Path, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead, alive = tmp_path / f".m.prom.{process.pid}.tmp", tmp_path / f".m.prom.{os.getppid()}.tmp"
    for path in (dead, alive):
        path.write_text("")
    assert call_score(*RUN, "--metrics-file", "m.prom")[0] == 0
    assert (dead.exists(), alive.exists()) == (False, True)


@pytest.mark.parametrize("output", ["out/", "memory://rescored/out/"])
def test_a_mass_rescore_is_announced(call_score: Call, tmp_path: Path, output: str) -> None:
    run = (RUN[0], "-o", output)
    (tmp_path / "in").mkdir()
    for number in range(4):
        (tmp_path / "in" / f"{number}.csv").write_text("text\ngood\nbad\n")
    assert call_score(*run)[0] == 0
    code, _, err = call_score(*run, "--threshold", "0.7")
    assert code == 0
    line = next(line for line in err.splitlines() if "scored again" in line)
    assert "4 files with 8 rows are scored again: 4 for other options" in line
    assert err.index("scored again") < err.index("out/0.csv: ")
    assert "scored again" not in call_score(*run, "--threshold", "0.7")[2]

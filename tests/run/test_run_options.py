"""Nightly runs over inputs that are missing or not new: outcomes, lines and exit codes."""

from __future__ import annotations

import json
import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest

from tests.conftest import Call
from tests.helpers.prometheus import metrics

NOTHING = "nothing new: 0 files scored, 0 up to date, 0 rows in "

UNTOUCHED = ["nothing is lost: no output was touched", "next: fix that; the same command does what is left"]


def review(path: Path, *, age_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text\ngood\n")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


MISSING = [
    ("empty", "scored", "empty: holds no file of a known format"),
    ("empty/", "scored/", "empty: holds no file of a known format"),
    ("nowhere", "scored", "nowhere: no such file or folder"),
    ("nowhere/", "scored/", "nowhere/: no such file or folder"),
    ("nowhere/*.csv", "scored", "nowhere/*.csv: matches no file of a known format"),
    ("gone.csv", "out.csv", "gone.csv: no such file"),
    ("gone.csv/deep.csv", "out.csv", "gone.csv/deep.csv: no such file"),
]


@pytest.mark.parametrize(("name", "output", "says"), MISSING, ids=[f"{name} to {out}" for name, out, _ in MISSING])
def test_a_missing_input_is_borne_only_where_it_was_asked(
    call_score: Call, tmp_path: Path, name: str, output: str, says: str
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = (name, "-o", output, "--metrics-file", "m.prom")
    code, out, err = call_score(*arguments)
    assert (code, out) == (3, "")
    *ending, error = err.splitlines()
    assert error.startswith(f"error: {says}")
    into_folder = name.endswith(("/", ".csv")) and output != "out.csv"
    assert ending == (UNTOUCHED if name.startswith("empty") or into_folder else [])
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 3
    assert ("score_last_success_timestamp_seconds",) not in metrics(tmp_path / "m.prom")

    code, out, err = call_score(*arguments, "--on-missing-input", "ok", "--summary", "s.json")
    assert (code, out) == (0, "")
    assert err.startswith(f"{says}: left out\n{NOTHING}")
    value = metrics(tmp_path / "m.prom")
    assert (value[("score_exit_code",)], value["score_files", "failed"]) == (0, 0)
    # A night without its input is no success, though nothing failed: it may be a mount that did.
    is_listed = name.startswith("empty")
    assert (("score_last_success_timestamp_seconds",) in value) == is_listed
    assert ("score_last_scored_timestamp_seconds",) not in value
    assert json.loads((tmp_path / "s.json").read_text())["outputs"] == []
    code, _, err = call_score(*arguments, "--on-missing-input", "ok", "--exit-code-nothing-new", "99", "-q")
    assert (code, err) == (99, "")
    assert metrics(tmp_path / "m.prom")[("score_exit_code",)] == 99
    assert not (tmp_path / "out.csv").exists()
    code, _, err = call_score(*arguments, "--on-missing-input", "empty", "--exit-code-nothing-new", "99")
    assert code == (99 if is_listed else 3)
    assert says in err


def test_a_missing_one_of_many(call_score: Call, tmp_path: Path) -> None:
    review(tmp_path / "a.csv")
    code, _, err = call_score(
        "a.csv", "nowhere", "-o", "scored", "--on-missing-input", "ok", "--exit-code-nothing-new", "99"
    )
    assert code == 0, err
    assert "nowhere: no such file or folder: left out\n" in err
    assert (tmp_path / "scored" / "a.csv").exists()


def test_what_cannot_be_read_is_not_missing(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorer.files.store_errors._WAITS", ())
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.csv").write_bytes(b"")
    for arguments in (("in", "-o", "scored"), ("in/empty.csv", "-o", "out.csv")):
        code, _, err = call_score(*arguments, "--on-missing-input", "ok", "--exit-code-nothing-new", "99")
        assert (code, "is empty (0 bytes)" in err) == (3, True)
    assert call_score("s3://no-such-host.invalid/a.csv", "-o", "out.csv", "--on-missing-input", "ok")[0] == 9
    code, _, err = call_score("in", "-o", "in", "--on-missing-input", "ok")
    assert (code, "is the folder of the inputs itself" in err) == (2, True)
    code, _, err = call_score("in", "-o", "no/such", "--on-missing-input", "ok")
    assert (code, "no such folder" in err) == (5, True)


def test_a_folder_that_holds_outputs_alone_is_missing(call_score: Call, tmp_path: Path) -> None:
    review(tmp_path / "in" / "a.csv")
    assert call_score("in", "-o", "in/scored")[0] == 0
    (tmp_path / "in" / "a.csv").unlink()
    code, _, err = call_score("in", "-o", "in/scored")
    assert (code, err.splitlines()) == (3, [*UNTOUCHED, "error: in: holds only files of the output; check the path"])
    assert call_score("in", "-o", "in/scored", "--on-missing-input", "ok", "--exit-code-nothing-new", "99")[0] == 99


def test_a_store_without_the_file(call_score: Call) -> None:
    root = f"memory://{uuid.uuid4().hex}"
    assert call_score(f"{root}/in/", "-o", "scored")[0] == 3
    code, _, err = call_score(f"{root}/in/", "-o", "scored", "--on-missing-input", "ok")
    assert (code, err.startswith(f"{root}/in/: no such file: left out\n")) == (0, True)


def test_nothing_new_is_what_is_up_to_date(call_score: Call, tmp_path: Path) -> None:
    review(tmp_path / "in" / "a.csv")
    arguments = ("in", "-o", "scored", "--metrics-file", "m.prom", "--exit-code-nothing-new", "99")
    assert call_score(*arguments)[0] == 0
    scored = metrics(tmp_path / "m.prom")[("score_last_scored_timestamp_seconds",)]
    code, _, err = call_score(*arguments)
    assert (code, "nothing new: 0 files scored, 1 up to date" in err) == (99, True)
    value = metrics(tmp_path / "m.prom")
    assert value[("score_last_scored_timestamp_seconds",)] == scored
    assert value[("score_last_success_timestamp_seconds",)] > scored
    (tmp_path / "in" / "bad.csv").write_bytes(b"")
    assert call_score(*arguments)[0] == 3  # a failure counts more
    (tmp_path / "in" / "bad.csv").unlink()
    review(tmp_path / "in" / "b.csv")
    assert call_score(*arguments)[0] == 0


@pytest.mark.parametrize("code", [-1, 1, 2, 3, 7, 8, 120, 124, 126, 130, 137, 141, 143, 255, 256])
def test_a_code_that_means_something_else(call_score: Call, tmp_path: Path, code: int) -> None:
    review(tmp_path / "in" / "a.csv")
    got, _, err = call_score("in", "-o", "scored", "--exit-code-nothing-new", code)
    assert got == 2
    assert err == (
        f"error: --exit-code-nothing-new {code} could be taken for another outcome; "
        "pass 0 or a code from 10 to 119, such as 99\n"
    )
    assert not (tmp_path / "scored").exists()


def test_since(call_score: Call, tmp_path: Path) -> None:
    review(tmp_path / "in" / "old.csv", age_s=3 * 3600)
    review(tmp_path / "in" / "sub" / "new.csv", age_s=60)
    arguments = ("in", "-o", "scored", "--metrics-file", "m.prom", "--summary", "s.json")
    code, _, err = call_score(*arguments, "--since", "2h")
    assert (code, "1 file scored, 0 up to date, 1 older than --since, 1 row" in err) == (0, True)
    assert {path.name for path in (tmp_path / "scored").rglob("*.csv")} == {"new.csv"}
    assert metrics(tmp_path / "m.prom")["score_files", "older"] == 1
    assert json.loads((tmp_path / "s.json").read_text())["files"] == {
        "done": 1, "up_to_date": 0, "failed": 0, "older": 1,
    }  # fmt: skip
    # Nothing is newer than a moment ago.
    code, _, err = call_score(*arguments, "--since", "1s", "--exit-code-nothing-new", "99")
    assert (code, "nothing new: 0 files scored, 0 up to date, 2 older than --since" in err) == (99, True)
    whole_second = int(time.time()) - 3 * 3600
    os.utime(tmp_path / "in" / "old.csv", (whole_second, whole_second))
    at = datetime.fromtimestamp(whole_second, UTC)
    code, _, err = call_score(*arguments, "--since", at.isoformat())  # the very moment counts
    assert (code, "1 file scored, 1 up to date, 1 row" in err) == (0, True)


def test_since_of_one_file(call_score: Call, tmp_path: Path) -> None:
    review(tmp_path / "a.csv", age_s=3600)
    code, _, err = call_score("a.csv", "-o", "b.csv", "--since", "30m")
    assert (code, "1 older than --since" in err) == (0, True)
    assert not (tmp_path / "b.csv").exists()
    assert call_score("a.csv", "-o", "b.csv", "--since", "2h")[0] == 0
    code, _, err = call_score("-", "--format", "csv", "-o", "c.csv", "--since", "2h")
    assert (code, err) == (2, "error: standard input has no modification time; drop --since\n")
    code, _, err = call_score("a.csv", "-o", "c.csv", "--since", "soon")
    assert (code, err.startswith("error: --since 'soon' is neither a time nor an age; ")) == (2, True)


def test_since_of_a_store(call_score: Call) -> None:
    root = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{root}/in/a.csv", "w") as file:
        file.write("text\ngood\n")
    code, _, err = call_score(f"{root}/in/", "-o", "scored", "--since", "1h")
    assert (code, "1 file scored" in err) == (0, True)
    files = fsspec.filesystem("memory")
    files.store[next(name for name in files.store if root.removeprefix("memory:/") in name)].modified = datetime(
        2020, 1, 1, tzinfo=UTC
    )
    code, _, err = call_score(f"{root}/in/", "-o", "scored", "--since", "1h", "--exit-code-nothing-new", "99")
    assert (code, "1 older than --since" in err) == (99, True)


def test_by_environment_variables(call_score: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SCORER_ON_MISSING_INPUT": "ok",
        "SCORER_SINCE": "24h",
        "SCORER_EXIT_CODE_NOTHING_NEW": "99",
        "SCORER_KEEP_REJECTS": "30d",
        "SCORER_LOG_FORMAT": "json",
    }.items():
        monkeypatch.setenv(name, value)
    code, _, err = call_score("nowhere", "-o", "scored")
    assert code == 99
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["missing_input", "run_ended"]

"""Rejects of earlier runs are kept as long as was asked, and no longer."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from scorer import score_file
from scorer.errors import OutputError, UsageError
from scorer.options import ScoreOptions
from scorer.rejects import KeepRejects, prune
from scorer.verification import verify_output
from tests.faults import csv_job, require_strace
from tests.test_run_options import Call, call, metrics

__all__ = ["call"]  # the fixture

BAD, WORSE, GOOD = "text\ngood\na,b\n", "text\ngood\na,b\na,b\n", "text\ngood\n"


def names(folder: Path) -> list[str]:
    """Of the files with rejects, the times cut out."""
    found = [path.name.split(".") for path in folder.glob("*.rejects.jsonl")]
    return sorted(".".join(part if not part.endswith("Z") and "T" not in part else "T" for part in n) for n in found)


def run_over(text: str, folder: Path, bundle: Path, *, keep: str | None = "30d") -> None:
    (folder / "in.csv").write_text(text)
    score_file(
        folder / "in.csv", folder / "out.csv", model=str(bundle), on_bad_row="reject", overwrite=True, keep_rejects=keep
    )


def test_rejects_of_a_rerun_do_not_vanish(tiny_bundle: Path, tmp_path: Path) -> None:
    run_over(BAD, tmp_path, tiny_bundle)
    first = (tmp_path / "out.csv.rejects.jsonl").read_bytes()
    run_over(BAD, tmp_path, tiny_bundle)
    assert names(tmp_path) == ["out.csv.rejects.jsonl"]  # the same ones need no second file
    run_over(WORSE, tmp_path, tiny_bundle)
    (earlier,) = tmp_path.glob("out.csv.2*.rejects.jsonl")
    assert earlier.read_bytes() == first
    run_over(GOOD, tmp_path, tiny_bundle)
    assert len(list(tmp_path.glob("out.csv.2*.rejects.jsonl"))) == 2
    assert not (tmp_path / "out.csv.rejects.jsonl").exists()
    assert verify_output(tmp_path / "out.csv")
    assert not list(tmp_path.glob(".*"))
    # Without the option it is as it was: the rejects are those of the output, and nothing is removed.
    run_over(BAD, tmp_path, tiny_bundle, keep=None)
    run_over(GOOD, tmp_path, tiny_bundle, keep=None)
    assert len(list(tmp_path.glob("*.rejects.jsonl"))) == 2


def made(folder: Path, name: str, *, age_s: float, text: str = "") -> Path:
    path = folder / name
    path.write_text(text or '{"file":"a","row":1,"byte_offset":null,"reason":"r"}\n')
    os.utime(path, (time.time() - age_s,) * 2)
    return path


DAY = 86400


def test_only_what_is_older_goes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.csv").write_text("text\n")
    old = made(tmp_path, "a.csv.20250101T000000.000000Z.rejects.jsonl", age_s=31 * DAY)
    deep = made(tmp_path / "sub", "b.csv.20250101T000000.000000Z.rejects.jsonl", age_s=31 * DAY)
    orphan = made(tmp_path, "gone.csv.rejects.jsonl", age_s=31 * DAY)
    made(tmp_path, "a.csv.20250201T000000.000000Z.rejects.jsonl", age_s=29 * DAY)
    made(tmp_path, "new-orphan.csv.rejects.jsonl", age_s=29 * DAY)
    made(tmp_path, "a.csv.rejects.jsonl", age_s=400 * DAY)  # its output stands
    made(tmp_path, "precious.rejects.jsonl", age_s=400 * DAY, text='{"mine":1}\n')
    made(tmp_path, "notes.20250101T000000.000000Z.rejects.jsonl", age_s=400 * DAY, text="not JSON")
    (tmp_path / "link.csv.rejects.jsonl").symlink_to(tmp_path / "a.csv.rejects.jsonl")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert prune(KeepRejects.parse("30d"), tmp_path, whole_folder=True) == 3
    assert before - {path for path in tmp_path.rglob("*") if path.is_file()} == {old, deep, orphan}
    assert prune(KeepRejects.parse("30d"), tmp_path, whole_folder=True) == 0


def test_so_many_of_each_output(tmp_path: Path) -> None:
    for output in ("a.csv", "b.csv"):
        for day in range(4):
            made(tmp_path, f"{output}.2025010{day + 1}T000000.000000Z.rejects.jsonl", age_s=(10 - day) * DAY)
    assert prune(KeepRejects.parse("3"), tmp_path / "a.csv", whole_folder=False) == 1
    assert len(list(tmp_path.glob("*.jsonl"))) == 7  # of one output alone
    assert prune(KeepRejects.parse("2"), tmp_path, whole_folder=True) == 3
    assert sorted(path.name[:14] for path in tmp_path.glob("*.jsonl")) == [
        "a.csv.20250103", "a.csv.20250104", "b.csv.20250103", "b.csv.20250104",
    ]  # fmt: skip
    assert prune(KeepRejects.parse("0"), tmp_path, whole_folder=True) == 4


def test_as_a_nightly_run(call: Call, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(BAD)
    arguments = ("in", "-o", "scored", "--on-bad-row", "reject", "--metrics-file", "m.prom", "--keep-rejects")
    assert call(*arguments, "30d")[0] == 0
    (tmp_path / "in" / "a.csv").write_text(WORSE)
    assert call(*arguments, "30d")[0] == 0
    (earlier,) = (tmp_path / "scored").glob("a.csv.2*.rejects.jsonl")
    # Nothing that lies there is taken for an input, or for an output.
    assert call("scored", "-o", "again", "--prefix", "p_")[0] == 0
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["a.csv", "a.csv.provenance.json"]
    assert call("--verify", "scored")[0] == 0
    # Its age counts from when it was set aside, whenever it was written.
    assert call(*arguments, "1h")[0] == 0
    assert earlier.exists()
    os.utime(earlier, (time.time() - 7200,) * 2)
    code, _, err = call(*arguments, "1h")
    assert (code, "scored: 1 files of old rejects removed" in err) == (0, True)
    assert not earlier.exists()
    assert metrics(tmp_path / "m.prom")[("score_rejects_files_removed",)] == 1


def test_of_one_file(call: Call, tmp_path: Path) -> None:
    arguments = ("a.csv", "-o", "b.csv", "--on-bad-row", "reject", "--overwrite", "--metrics-file", "m.prom")
    for number, text in enumerate((BAD, WORSE, GOOD, BAD, GOOD)):
        (tmp_path / "a.csv").write_text(text)
        assert call(*arguments, "--keep-rejects", "2")[0] == 0
        time.sleep(0.02)
        assert len(list(tmp_path.glob("b.csv.2*.rejects.jsonl"))) == (0, 1, 2, 2, 2)[number]
    assert metrics(tmp_path / "m.prom")[("score_rejects_files_removed",)] == 1


def test_a_failure_leaves_the_rejects_where_they_were(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_over(BAD, tmp_path, tiny_bundle)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out.*")}
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "out.csv":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run_over(WORSE, tmp_path, tiny_bundle)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out.*") if path.is_file()} == before
    run_over(WORSE, tmp_path, tiny_bundle)
    assert len(list(tmp_path.glob("out.csv.2*.rejects.jsonl"))) == 1


def test_a_kill_at_any_rename_of_the_publishing(tiny_bundle: Path, tmp_path: Path) -> None:
    require_strace()
    job = csv_job(tmp_path / "job", tiny_bundle, "preds.csv", ("--keep-rejects", "30d", "--chunk-rows", "500"))
    old = b'{"file":"x","row":1,"byte_offset":null,"reason":"of an earlier run"}\n'
    rejects = job.output.with_name("preds.csv.rejects.jsonl")
    for number in range(1, 12):
        job.reset(b"old")
        rejects.write_bytes(old)
        if job.run(f"rename:signal=KILL:when={number}").returncode == 0:
            break
        done = job.run()
        assert done.returncode == 0, done.stderr
        (earlier,) = job.folder.glob("preds.csv.2*.rejects.jsonl")
        assert earlier.read_bytes() == old, number
        assert rejects.read_bytes().count(b"\n") == 6
        assert not [path.name for path in job.folder.iterdir() if path.name.startswith(".")]
    assert number > 4


@pytest.mark.parametrize("text", ["", "30", "x", "-1", "1.5d", "30 d", "1y", "d", "99999999999"])
def test_what_it_takes(text: str) -> None:
    if text == "30":
        assert KeepRejects.parse(text).number == 30
        return
    with pytest.raises(UsageError, match="is no age and no number; pass an age such as 30d, or 10"):
        ScoreOptions(keep_rejects=text)


def test_where_it_makes_no_sense(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(GOOD)
    for output in ("-", "s3://bucket/b.csv"):
        code, _, err = call("a.csv", "-o", output, "--keep-rejects", "30d")
        assert (code, err.startswith("error: --keep-rejects is for outputs on this machine; ")) == (2, True)

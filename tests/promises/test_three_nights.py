"""Three nights of a folder: all of it, nothing new, 1 % grown with one huge file; here and on Ray.

The third has a store that hangs up, a full disk and a kill.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.forks import Forks
from tests.helpers.processes import CODE
from tests.helpers.settling import settle
from tests.helpers.stores import MortalStore, mortal_store

NO_WAITS = """
from scorer.files import store_errors
store_errors._WAITS = ()
"""

AT_THE_FIFTH_CHUNK = """
import os, resource, signal
from scorer.job.journal import UnfinishedWork
add = UnfinishedWork.add
def add_or_fail(work, part):
    if len(work.records) == 4 and "huge" in work.folder.name:
        return fail(work, part)
    return add(work, part)
UnfinishedWork.add = add_or_fail
"""

KILLED = f"""{NO_WAITS}{AT_THE_FIFTH_CHUNK}
def fail(work, part):
    os.kill(os.getpid(), signal.SIGKILL)
{CODE}
"""

FULL_DISK = f"""{NO_WAITS}{AT_THE_FIFTH_CHUNK}
def fail(work, part):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        return add(work, part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
{CODE}
"""

N = 300


@dataclass(frozen=True)
class Nights:
    """The nightly command in a folder with ``incoming/``.

    Attributes:
        folder: the working folder.
        model: the bundle.
        engine: ``local`` or ``ray``.
        forks: its processes.
    """

    folder: Path
    model: Path
    engine: str
    forks: Forks

    def run(
        self, *options: str, more: tuple[str, ...] = (), output: str = "scored/", code: str = CODE
    ) -> tuple[int, str]:
        """Run the command over ``incoming/`` and the inputs ``more``; exit code and stderr."""
        command = ["incoming/", *more, "-o", output, "--model", str(self.model), "--threads", "1", "--chunk-rows", "40"]
        done = self.forks.run(code, *command, *options, folder=self.folder)
        assert done.stdout == ""
        return done.returncode, done.stderr

    def night(self, **how: Any) -> tuple[int, str]:
        """Run the command as the timer does."""
        ray = ("--engine", "ray", "--actors", "1") if self.engine == "ray" else ()
        return self.run("--exit-code-nothing-new", "99", "--summary", "summary.json", *ray, **how)

    def scored(self, folder: str = "scored") -> dict[str, bytes]:
        """Every output, by its path."""
        root = self.folder / folder
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("[!.]*") if path.is_file()}

    def summary(self) -> dict[str, Any]:
        """The summary of the last night."""
        value: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return value


def texts(begin: int, end: int) -> list[str]:
    return [f"A warm film number {k}, " + "good " * (k % 9) for k in range(begin, end)]


@pytest.fixture(params=["local", "ray"])
def nights(request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path, score_forks: Forks) -> Nights:
    if request.param == "ray":
        pytest.importorskip("ray", reason="the extra [ray] is not installed")
    incoming = tmp_path / "incoming"
    (incoming / "sub").mkdir(parents=True)
    pq.write_table(pa.table({"id": range(N), "text": texts(0, N)}), incoming / "a.parquet")
    (incoming / "b.csv").write_text("id,text\n" + "".join(f'{k},"{text}"\n' for k, text in enumerate(texts(0, N))))
    (incoming / "sub" / "c.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(50, 90)))
    settle(incoming)
    return Nights(tmp_path, tiny_bundle, request.param, score_forks)


def test_three_nights(nights: Nights) -> None:
    incoming = nights.folder / "incoming"
    code, err = nights.night()
    assert code == 0, err
    assert {one["why"] for one in nights.summary()["outputs"]} == {"new"}
    first = nights.scored()

    # Nothing new: no model, no cluster, no byte.
    code, err = nights.night()
    assert (code, "scoring with" in err, nights.scored() == first) == (99, False, True), err
    assert "0 files scored, 3 up to date" in err

    # 1 % more rows in two files, and one file of ten times their size; the night is killed at it.
    with (incoming / "b.csv").open("a") as file:
        file.write('900,"one more film"\n901,"and another"\n902,"and a third"\n')
    grown = pa.table({"id": range(N + 3), "text": [*texts(0, N), "new one", "new two", "new three"]})
    pq.write_table(grown, incoming / "a.parquet")
    pq.write_table(pa.table({"id": range(10 * N), "text": texts(2_000, 2_000 + 10 * N)}), incoming / "huge.parquet")
    with mortal_store("d.csv", b"text\n" + b"a film of the store\n" * 20) as store:
        third_night(nights, first, store)


def third_night(nights: Nights, first: dict[str, bytes], store: MortalStore) -> None:
    # The store hangs up, and the disk is full in the middle of the huge file: two codes, and the log's end says all.
    store.is_dead = True
    more = (store.url,)
    code, err = nights.night(more=more, code=FULL_DISK)
    assert code == 5, err
    lines = err.splitlines()[-10:]
    assert any(line.startswith("failed: scored/huge.parquet: could not be written: ") for line in lines), err
    assert any(line.startswith(f"failed: {store.url}: cannot be reached: the connection ") for line in lines), err
    assert lines[-3:] == [
        "nothing is lost: 2 files scored, 1 file up to date",
        "next: another try can help: the same command looks at 1 input again and scores the 1 file that is left, "
        "from where it stopped",
        f"error: 2 of 5 files could not be scored: {store.url}, incoming/huge.parquet; the other 3 are done",
    ]
    failures = {one["input"]: one["exit_code"] for one in nights.summary()["failures"]}
    assert failures == {store.url: 9, "incoming/huge.parquet": 5}
    by_input = {Path(one["input"]).name: one for one in nights.summary()["outputs"]}
    assert [by_input[name]["why"] for name in ("a.parquet", "b.csv")] == ["changed", "changed"]
    assert [by_input[name]["rows_reused"] for name in ("a.parquet", "b.csv")] == [N, N]
    assert by_input["c.jsonl"]["skipped"]
    second = nights.scored()

    # There is room again, and the store still silent; then the run is killed.
    code, err = nights.night(more=more, code=KILLED)
    assert code == -signal.SIGKILL, err
    for name, data in nights.scored().items():
        assert ".partial/" in name or data == second[name], name

    # All is well, and it goes on from where it was.
    store.is_dead = False
    code, err = nights.night(more=more)
    assert code == 0, err
    assert "scored/huge.parquet: resuming after 160 rows of an earlier run" in err
    assert "incoming/huge.parquet: a run was killed at this file, and nothing is lost; it goes last now" in err
    by_input = {Path(one["input"]).name: one for one in nights.summary()["outputs"]}
    assert [by_input[name]["why"] for name in ("d.csv", "huge.parquet")] == ["new", "new"]
    assert [by_input[name]["skipped"] for name in ("a.parquet", "b.csv", "c.jsonl")] == [True] * 3

    # As if every night had been whole, and nothing reused.
    assert nights.run("--no-reuse", "-q", more=more, output="straight/") == (0, "")
    assert nights.scored("straight") == nights.scored()
    assert first.keys() < nights.scored().keys()
    assert nights.night(more=more)[0] == 99

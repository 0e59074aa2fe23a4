"""Three nights of a folder: all of it, nothing new, 1 % grown with one huge file and a kill; here and on Ray."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.processes import CODE, environment

KILLED = f"""
import os, signal
from scorer.job.journal import UnfinishedWork
add = UnfinishedWork.add
def add_or_die(work, part):
    if len(work.records) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return add(work, part)
UnfinishedWork.add = add_or_die
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
    """

    folder: Path
    model: Path
    engine: str

    def run(self, *options: str, output: str = "scored/", code: str = CODE) -> tuple[int, str]:
        """Run the command; exit code and stderr."""
        command = [sys.executable, "-c", code, "incoming/", "-o", output, "--model", str(self.model), "--threads", "1"]
        done = subprocess.run(
            [*command, "--chunk-rows", "40", *options],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
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
def nights(request: pytest.FixtureRequest, tmp_path: Path, tiny_bundle: Path) -> Nights:
    if request.param == "ray":
        pytest.importorskip("ray", reason="the extra [ray] is not installed")
    incoming = tmp_path / "incoming"
    (incoming / "sub").mkdir(parents=True)
    pq.write_table(pa.table({"id": range(N), "text": texts(0, N)}), incoming / "a.parquet")
    (incoming / "b.csv").write_text("id,text\n" + "".join(f'{k},"{text}"\n' for k, text in enumerate(texts(0, N))))
    (incoming / "sub" / "c.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts(50, 90)))
    return Nights(tmp_path, tiny_bundle, request.param)


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
    code, err = nights.night(code=KILLED)
    assert code == -signal.SIGKILL, err
    for name, data in nights.scored().items():
        assert ".partial/" in name or data == first[name], name
    code, err = nights.night()
    assert code == 0, err
    assert "resuming after" in err
    by_input = {Path(one["input"]).name: one for one in nights.summary()["outputs"]}
    assert [by_input[name]["why"] for name in ("a.parquet", "b.csv", "huge.parquet")] == ["changed", "changed", "new"]
    assert [by_input[name]["rows_reused"] for name in ("a.parquet", "b.csv", "huge.parquet")] == [N, N, 0]
    assert by_input["c.jsonl"]["skipped"]

    # As if every night had been whole, and nothing reused.
    assert nights.run("--no-reuse", "-q", output="straight/") == (0, "")
    assert nights.scored("straight") == nights.scored()
    assert nights.night()[0] == 99

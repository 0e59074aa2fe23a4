"""The index of seen files: a night with nothing new looks at states alone, and only at those that prove something."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scorer.files.file_marks import is_settled, mark_in_store, mark_of
from scorer.files.input_state import InputState
from scorer.job.options import ScoreOptions
from scorer.job.request import _is_for_cpus
from scorer.run.seen_files import INDEX
from tests.conftest import Call
from tests.helpers.processes import CODE_WITH_PEAK, base_environment, needs_peak

SECOND = 1_000_000_000


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    """Four inputs that were written a minute ago, as their times say."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text("id,text\n1,good\n2,bad\n")
    (folder / "sub" / "b.jsonl").write_text('{"text": "good"}\n{"text": 7}\n')
    (folder / "c.tsv").write_text("text\nfine\n")
    (folder / "d.csv").write_text("text\nloud\n")
    return folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the index is a minute ahead, so that files of now are old enough to be trusted."""
    now = time.time_ns
    monkeypatch.setattr("scorer.run.seen_files.time.time_ns", lambda: now() + 60 * SECOND)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the inputs that a run looks at."""
    names: list[str] = []
    of = InputState.of

    def noted(file: object) -> InputState:
        names.append(file.name)  # type: ignore[attr-defined]
        return of(file)  # type: ignore[arg-type]

    monkeypatch.setattr(InputState, "of", noted)
    return names


ON_RAY = ("--engine", "ray", "--actors", "2")
ONE_BY_ONE = ("--threads", "2", "--chunk-rows", "1")
RUN = ("in/", "-o", "out/", "--on-bad-row", "reject")


def test_what_was_seen_is_not_looked_at(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str], tmp_path: Path
) -> None:
    assert call_score(*RUN)[0] == 0
    assert sorted(looked_at) == ["a.csv", "c.tsv", "d.csv", "sub/b.jsonl"]
    looked_at.clear()
    code, _, err = call_score(*RUN, "--summary", "summary.json")
    assert (code, looked_at) == (0, [])
    assert err.startswith("nothing new: 0 files scored, 4 up to date")
    outputs = json.loads((tmp_path / "summary.json").read_text())["outputs"]
    assert {(one["skipped"], one["device"], one["precision"]) for one in outputs} == {(True, "cpu", "int8")}
    assert call_score(*RUN, "--checksum")[0] == 0
    assert len(looked_at) == 4


def test_files_of_this_very_moment_prove_nothing(call_score: Call, incoming: Path, looked_at: list[str]) -> None:
    future = time.time_ns() + 3600 * SECOND
    for name in ("a.csv", "c.tsv"):
        os.utime(incoming / name, ns=(future, future))
    assert call_score(*RUN)[0] == 0
    looked_at.clear()
    assert call_score(*RUN)[0] == 0
    assert {"a.csv", "c.tsv"} <= set(looked_at)


def rewrite(path: Path) -> None:
    """Other text of the same size in the same file, with the time that it had."""
    state = path.stat()
    path.write_text(path.read_text().replace("good", "evil"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_text(path.read_text().replace("good", "evil"))
    other.replace(path)


@pytest.mark.parametrize("change", [rewrite, replaced, lambda path: path.write_text("text\nnew\n")])
def test_a_changed_input_is_scored(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str], change: Callable[[Path], None]
) -> None:
    assert call_score(*RUN)[0] == 0
    looked_at.clear()
    change(incoming / "a.csv")
    code, _, err = call_score(*RUN)
    assert (code, looked_at) == (0, ["a.csv"])
    assert "1 file scored, 3 up to date" in err


def test_a_touched_input_is_hashed_and_left(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str]
) -> None:
    assert call_score(*RUN)[0] == 0
    looked_at.clear()
    os.utime(incoming / "a.csv")
    for expected in (["a.csv"], []):
        assert "nothing new" in call_score(*RUN)[2]
        assert looked_at == expected
        looked_at.clear()


@pytest.mark.parametrize(
    "name",
    ["a.csv", "a.csv.provenance.json", "sub/b.jsonl.rejects.jsonl", "sub/b.jsonl", "sub/b.jsonl.provenance.json"],
)
@pytest.mark.parametrize("how", ["gone", "changed"])
def test_an_output_that_was_touched_is_looked_at(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str], tmp_path: Path, name: str, how: str
) -> None:
    assert call_score(*RUN)[0] == 0
    expected = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*[a-z]") if path.is_file()}
    looked_at.clear()
    if how == "gone":
        (tmp_path / "out" / name).unlink()
    else:
        os.utime(tmp_path / "out" / name)
    code, _, err = call_score(*RUN, *(["--overwrite"] if name.endswith("provenance.json") else []))
    assert code == 0, err
    assert (Path(name).name.split(".")[0] in "".join(looked_at)) is True
    for path, data in expected.items():
        if path.name != INDEX:
            assert path.read_bytes() == data, path


@pytest.mark.parametrize("damage", [b"", b"x", b"review-scorer index 1 00000000 2\n{}", None])
def test_an_index_that_is_damaged_or_gone_costs_time_alone(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str], tmp_path: Path, damage: bytes | None
) -> None:
    assert call_score(*RUN)[0] == 0
    index = tmp_path / f".out{INDEX}"
    data = index.read_bytes()
    looked_at.clear()
    if damage is None:
        index.unlink()
    else:
        index.write_bytes(damage + data[len(damage) + 9 :])
    for expected in (4, 0):
        assert "nothing new" in call_score(*RUN)[2]
        assert len(looked_at) == expected
        looked_at.clear()


def test_another_request_is_another_matter(
    call_score: Call, incoming: Path, settled: None, looked_at: list[str], three_label_bundle: Path
) -> None:
    assert call_score(*RUN)[0] == 0
    for other in (("--prefix", "p_"), ("--model", three_label_bundle), ("--threshold", "0.9"), ()):
        code, _, err = call_score(*RUN, *other)
        assert (code, "4 files scored" in err) == (0, True), (other, err)
        assert "nothing new" in call_score(*RUN, *other)[2]
    for neutral in (
        ("--no-reuse",),
        ("--max-bad", "9"),
        ("--versions", "pinned"),
        ("--no-resume",),
        ON_RAY,
        ONE_BY_ONE,
    ):
        looked_at.clear()
        assert "nothing new" in call_score(*RUN, *neutral)[2]
        assert looked_at == []


@pytest.mark.parametrize(
    ("options", "files", "is_for_cpus"),
    [
        ({}, ["model.onnx"], True),
        ({"engine": "ray"}, ["model.onnx"], True),
        ({"engine": "ray", "ray_address": "head:6379"}, ["model.onnx"], False),
        ({"engine": "ray", "ray_address": "head:6379"}, ["onnx/model_int8.onnx"], True),
        ({"engine": "ray", "ray_address": "head:6379", "device": "cpu"}, ["model.onnx"], True),
        ({"engine": "ray", "gpus_per_actor": 1.0}, ["model_int8.onnx"], False),
        ({"device": "cuda"}, ["model.onnx"], False),
    ],
)
def test_when_engines_give_the_same(
    options: dict[str, Any], files: list[str], is_for_cpus: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("scorer.job.request._gpus", list)
    assert _is_for_cpus(ScoreOptions(**options), files) is is_for_cpus


def test_versions_that_count_are_part_of_it(
    call_score: Call, incoming: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call_score(*RUN)[0] == 0
    version = importlib.metadata.version

    def later(name: str) -> str:
        return "9.9.9" if name == "numpy" else version(name)

    monkeypatch.setattr("importlib.metadata.version", later)
    monkeypatch.setattr("scorer.job.request.installed_version", later)
    assert "nothing new" in call_score(*RUN, "--versions", "ignore")[2]
    code, _, err = call_score(*RUN)
    assert (code, err.count("int8 on cpu, scored again for other versions"), "4 files scored" in err) == (0, 4, True), (
        err
    )


@needs_peak
def test_a_night_with_nothing_new_is_light(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(300):
        (tmp_path / "in" / f"{number}.csv").write_text(f"text\nfilm {number}\n")
    listed = f"import atexit, sys\natexit.register(lambda: print(*sys.modules))\n{CODE_WITH_PEAK}"
    command = ["in/", "-o", "out/", "--model", str(tiny_bundle), "--exit-code-nothing-new", "99"]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", listed, *command],
            cwd=tmp_path,
            env=base_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 99, done.stderr
    peak, modules = done.stdout.split("\n", 1)
    assert int(peak) < 60 * 1024
    assert not {"onnxruntime", "pyarrow", "numpy", "polars", "tokenizers"} & set(modules.split())


@pytest.mark.parametrize(
    ("modified", "changed", "now", "settled"),
    [
        (5 * SECOND + 1, 5 * SECOND + 1, 6 * SECOND, True),
        (5 * SECOND + 1, 5 * SECOND + 1, 5 * SECOND + 50_000_000, False),
        (5 * SECOND, 5 * SECOND, 6 * SECOND, False),  # a file system of whole seconds
        (5 * SECOND, 5 * SECOND, 8 * SECOND, True),
        (5 * SECOND + 1, 7 * SECOND + 1, 7 * SECOND + 50_000_000, False),
        (9 * SECOND + 1, 5 * SECOND + 1, 6 * SECOND, False),  # a clock that was ahead
    ],
)
def test_when_a_state_proves_something(modified: int, changed: int, now: int, settled: bool) -> None:
    assert is_settled([7, modified, changed, 1], now) is settled


def test_marks_of_stores() -> None:
    assert mark_in_store({"size": 3, "ETag": "x", "LastModified": "now"}) == [3, ["ETag", "x"]]
    assert mark_in_store({"size": 3, "LastModified": "now"}) is None
    assert mark_of("no\0name") is None


def test_a_relative_folder_is_that_of_the_present_directory(
    call_score: Call,
    incoming: Path,
    settled: None,
    looked_at: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert call_score(*RUN)[0] == 0
    elsewhere = tmp_path / "a" / "longer" / "path"
    shutil.copytree(incoming, elsewhere / incoming.name)
    monkeypatch.chdir(elsewhere)
    assert call_score(*RUN)[0] == 0
    looked_at.clear()
    assert (call_score(*RUN)[0], looked_at) == (0, [])


@pytest.mark.usefixtures("settled")
def test_a_night_that_scores_little_or_reuses_most_leaves_the_rate(call_score: Call, tmp_path: Path) -> None:
    def rate_after(name: str, *texts: str) -> float:
        (tmp_path / "in").mkdir(exist_ok=True)
        with (tmp_path / "in" / name).open("a") as file:
            file.write("".join(f"{text}\n" for text in texts))
        code, _, err = call_score("in", "-o", "out", "--chunk-rows", "500")
        assert (code, f"out/{name}: " in err) == (0, True), err
        _, _, body = (tmp_path / f".out{INDEX}").read_bytes().partition(b"\n")
        rate: float = json.loads(body)["rate"]
        return rate

    first = rate_after("a.csv", "text", *(f"good {number}" for number in range(1200)))
    assert first > 0
    assert rate_after("a.csv", "one more") == first
    assert rate_after("b.csv", "text", "good", "bad") == first
    assert rate_after("c.csv", "text", *(f"bad {number}" for number in range(1000))) != first

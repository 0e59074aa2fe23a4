"""`score --dry-run`: it says what a run would do, leaves with its code, and writes nothing."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import fsspec
import pytest

from scorer.disk.locking import locked
from scorer.disk.paths import note_on
from scorer.files import store_errors
from scorer.run.dry_run import in_words
from tests.conftest import Call


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("id,text\n" + "".join(f"{n},film number {n}\n" for n in range(40)))
    (folder / "b.jsonl").write_text('{"text": "good"}\n')
    return folder


def everything(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def test_what_a_run_would_do(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    code, out, err = call_score("in/", "-o", "out/", "--dry-run", "--metrics-file", "m.prom", "--summary", "s.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:2] == ["in/a.csv -> out/a.csv: new, 40 rows", "in/b.jsonl -> out/b.jsonl: new, 1 row"]
    assert re.fullmatch(
        r"2 files to score, 0 up to date; 41 rows, about \d+ tokens; about \d+ s at [\d,]+ rows/s", lines[2]
    )
    assert everything(tmp_path) == before
    assert not (tmp_path / "out").exists()

    assert call_score("in/", "-o", "out/")[0] == 0
    before = everything(tmp_path)
    code, out, err = call_score("in/", "-o", "out/", "--dry-run", "--exit-code-nothing-new", "99")
    assert (code, out, err) == (99, "nothing new: 0 files to score, 2 up to date\n", "")
    with (incoming / "a.csv").open("a") as file:
        file.write("40,film number 40\n41,film number 1\n")
    code, out, _ = call_score("in/", "-o", "out/", "--dry-run")
    assert code == 0
    assert "in/a.csv -> out/a.csv: changed, 42 rows, 41 of them reused\n1 file to score, 1 up to date; 42 rows" in out
    code, out, _ = call_score("in/", "-o", "out/", "--dry-run", "--threshold", "0.9")
    assert out.count(": options, 1 row") == 1
    code, out, _ = call_score("in/", "-o", "out/", "--dry-run", "--prefix", "p_")
    assert out.count(": options, 1 row, 1 of them reused") == 1
    (incoming / "a.csv").write_text((incoming / "a.csv").read_text()[: -len("40,film number 40\n41,film number 1\n")])
    assert everything(tmp_path).keys() == before.keys()


def test_a_file_that_would_fail(call_score: Call, incoming: Path) -> None:
    (incoming / "c.csv").write_text("text\ngood,more\n")
    line = "error: in/c.csv: row 1 (line 2): 2 fields, but the header has 1; fix the row, or pass --on-bad-row reject\n"
    code, out, err = call_score("in/", "-o", "out/", "--dry-run")
    assert (code, err) == (3, f"{line}error: 1 of 3 files could not be scored: in/c.csv; see the lines above\n")
    assert out.splitlines()[-1].startswith("2 files to score, 0 up to date; 41 rows, about ")
    assert call_score("in/c.csv", "-o", "c.csv", "--dry-run") == (3, "", line)


def test_its_code_is_that_of_the_run(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    (incoming / "bad.csv").write_text("id,text\n1,good,more\n")
    (tmp_path / "b.csv").write_text("mine")
    for arguments, expected in [
        (("in/", "-o", "out/"), 3),
        (("in/a.csv", "-o", "b.csv"), 2),
        (("in/a.csv", "-o", "b.csv", "--overwrite"), 0),
        (("in/b.jsonl", "-o", "c.csv", "--text-column", "no"), 3),
        (("in/b.jsonl", "-o", "c.csv", "--model", "nowhere"), 4),
        (("gone.csv", "-o", "c.csv"), 3),
    ]:
        code, _, err = call_score(*arguments, "--dry-run")
        assert code == expected, (arguments, err)
        assert err.startswith("error: ") is (expected != 0)
        assert (tmp_path / "b.csv").read_text() == "mine"
    code, out, err = call_score("in/", "-o", "out/", "--dry-run")
    assert "in/a.csv -> out/a.csv: new" in out
    assert "in/bad.csv: row 1" in err


CASES = {
    "in/ -o out/": 0,
    "in/a.csv -o no/x.csv": 5,
    "in/ -o no/such/": 5,
    "in/a.csv -o in/a.csv": 2,
    "in/ -o in/": 2,
    "in/ -o own.csv": 2,
    "in/a.csv -o own.csv": 2,
    "in/a.csv -o own.csv/x.csv": 5,
    "in/a.csv in/b.jsonl own.csv -o held/": 6,
    "in/a.csv -o link.csv --overwrite --linked-output refuse": 2,
    "many.jsonl -o x.jsonl --on-bad-row reject --max-bad 1": 3,
    "many.jsonl -o x.jsonl --on-bad-row reject --max-bad 2": 0,
    "in/a.csv many.jsonl -o out/": 3,
    "gone.csv -o x.csv --on-missing-input ok --exit-code-nothing-new 99": 99,
    "in/a.csv -o x.csv --metrics-file no/m.prom": 5,
    "in/a.csv -o x.csv --summary in/a.csv": 2,
    "in/a.csv -o x.csv --no-such-option --metrics-file m.prom": 2,
    "in/a.csv -o x.csv --since soon --metrics-file m.prom": 2,
    "in/ -o out/ --device cuda:99": 4,
    "in/ -o out/ --reuse own.csv": 3,
    "in/a.csv -o x.csv --columns nope": 3,
    "in/a.csv -o https://127.0.0.1:9/x.csv": 9,
    "in/a.csv -o x.csv --engine ray --ray-address nonsense.invalid": 4,
    "in/ -o once/ --exit-code-nothing-new 99": 99,
    "in/ -o theirs/": 2,
    "in/ -o cut/": 0,
    "in/a.csv -o memory://dry/own.csv": 2,
    "in/a.csv in/b.jsonl -o memory://dry/once/ --exit-code-nothing-new 99": 99,
}


@pytest.mark.parametrize(("words", "expected"), CASES.items(), ids=CASES)
def test_it_leaves_with_the_code_of_the_run_and_without_a_trace(
    call_score: Call, incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, expected: int
) -> None:
    if "--engine ray" in words:
        pytest.importorskip("ray", reason="the extra [ray] is not installed")
    monkeypatch.setattr(store_errors, "_WAITS", ())
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "many.jsonl").write_text('{"text": "a"}\nb\nc\n')
    (tmp_path / "own.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("own.csv")
    (tmp_path / "held").mkdir()
    for folder in ("once", "theirs", "cut"):
        if folder in words:
            folder = "memory://dry/once" if "memory" in words else folder
            assert call_score(incoming / "a.csv", incoming / "b.jsonl", "-o", f"{folder}/")[0] == 0
    if "theirs" in words:
        (tmp_path / "theirs" / "a.csv").write_text("mine, and longer than it was before" * 100)
    if "cut" in words:
        (tmp_path / "cut" / "a.csv").write_bytes(b"")
    files = fsspec.filesystem("memory")
    files.pipe("/dry/own.csv", b"mine")
    before = everything(tmp_path), files.find("/dry")
    with locked(tmp_path / "held", lock=tmp_path / "held" / ".score.lock"):
        before_held = everything(tmp_path)
        code, _, err = call_score(*words.split(), "--dry-run")
        assert code == expected, err
        assert "nothing is lost" not in err
        assert everything(tmp_path) == before_held
        assert (before[0].keys() <= before_held.keys(), files.find("/dry")) == (True, before[1])
        code, _, err = call_score(*words.split())
        assert code == expected, err


def test_standard_output(call_score: Call, incoming: Path) -> None:
    assert call_score("in/a.csv", "-o", "-", "--dry-run")[1].startswith("in/a.csv -> -: new, 40 rows\n")
    assert incoming.exists()


def test_a_file_at_which_runs_have_died_is_foreseen(call_score: Call, incoming: Path, tmp_path: Path) -> None:
    state = (incoming / "a.csv").stat()
    deaths = {"a.csv": {"mark": [state.st_size, state.st_mtime_ns], "times": 3}}
    note = note_on(tmp_path / "out", ".score.running")
    note.write_text(json.dumps({"in_hand": None, "deaths": deaths}))
    for more in (("--dry-run",), ()):
        code, _, err = call_score("in/", "-o", "out/", *more)
        assert (code, "in/a.csv: passed over: the system has killed 3 runs" in err) == (7, True), err
        assert note.exists()


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (119, "119 s"), (150, "2.5 min"), (9000, "2.5 h")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words

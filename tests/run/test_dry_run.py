"""`score --dry-run`: it says what a run would do, leaves with its code, and writes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
    assert lines[:2] == ["in/a.csv -> out/a.csv: new, 40 rows", "in/b.jsonl -> out/b.jsonl: new, 1 rows"]
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
    assert "in/a.csv -> out/a.csv: changed, 42 rows, 41 of them reused\n1 files to score, 1 up to date; 42 rows" in out
    code, out, _ = call_score("in/", "-o", "out/", "--dry-run", "--threshold", "0.9")
    assert out.count(": model, 1 rows") == 1
    code, out, _ = call_score("in/", "-o", "out/", "--dry-run", "--prefix", "p_")
    assert out.count(": options, 1 rows, 1 of them reused") == 1
    (incoming / "a.csv").write_text((incoming / "a.csv").read_text()[: -len("40,film number 40\n41,film number 1\n")])
    assert everything(tmp_path).keys() == before.keys()


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


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (119, "119 s"), (150, "2.5 min"), (9000, "2.5 h")])
def test_times_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words

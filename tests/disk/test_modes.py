"""A file that takes the place of another keeps its mode, its group and, where that is allowed, its owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Call


def state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return (found.st_mode & 0o7777, found.st_uid, found.st_gid)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_an_output_keeps_what_it_was(call_score: Call, tmp_path: Path, mode: int, name: str) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\nbad,row\n")
    command = ("a.csv", "-o", name, "--on-bad-row", "reject", "--summary", "s.json")
    assert call_score(*command)[0] == 0
    owned = [tmp_path / one for one in (name, f"{name}.rejects.jsonl", "s.json")]
    for path in owned:
        if os.geteuid() == 0:
            os.chown(path, 1234, 1235)
        path.chmod(mode)
    before = [state(path) for path in owned]
    assert call_score(*command, "--overwrite")[0] == 0
    assert [state(path) for path in owned] == before


def test_what_comes_beside_a_private_output_is_private(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    assert call_score("a.csv", "-o", "out.csv")[0] == 0
    (tmp_path / "out.csv").chmod(0o600)
    (tmp_path / "out.csv.provenance.json").unlink()
    (tmp_path / "a.csv").write_text("text\ngood\nbad,row\n")
    assert call_score("a.csv", "-o", "out.csv", "--overwrite", "--on-bad-row", "reject")[0] == 0
    for suffix in ("", ".rejects.jsonl", ".provenance.json"):
        assert state(tmp_path / f"out.csv{suffix}")[0] == 0o600, suffix


def test_an_output_that_is_new_follows_the_umask(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    before = os.umask(0o027)
    try:
        assert call_score("a.csv", "-o", "out.csv")[0] == 0
    finally:
        os.umask(before)
    assert state(tmp_path / "out.csv")[0] == 0o640


def test_a_link_is_followed_or_refused_and_never_replaced(call_score: Call, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\ngood\n")
    (tmp_path / "there").mkdir()
    (tmp_path / "out.csv").symlink_to("there/real.csv")
    code, _, err = call_score("a.csv", "-o", "out.csv", "--linked-output", "refuse")
    assert (code, err) == (2, "error: out.csv: is a symbolic link; remove it, or pass --linked-output follow\n")
    for _ in range(2):
        assert call_score("a.csv", "-o", "out.csv", "--overwrite")[0] == 0
        assert (tmp_path / "out.csv").is_symlink()
        assert {path.name for path in (tmp_path / "there").iterdir()} == {"real.csv", "real.csv.provenance.json"}

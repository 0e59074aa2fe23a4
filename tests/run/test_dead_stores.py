"""A store that dies in the midst of a run costs the tries of a few files, not those of each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import fsspec
import pytest

from scorer.errors import UnreachableError
from scorer.files import store_errors
from tests.conftest import Call

N = 8


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Objects in a store in memory, and how often each is opened; of those in `b` it gives no answer."""
    monkeypatch.setattr(store_errors, "_WAITS", (0.0, 0.0))
    monkeypatch.setattr(store_errors, "_silent", {})
    files = fsspec.filesystem("memory")
    for number in range(N):
        files.pipe(f"/dying/in/{'a' if number < 2 else 'b'}{number}.csv", b"text\ngood\n")
    found: Counter[str] = Counter()
    opened = type(files)._open

    def dead(self: Any, path: str, *arguments: Any, **more: Any) -> Any:
        name = path.rpartition("/")[2]
        found[name] += 1
        if name.startswith("b"):
            raise ConnectionRefusedError
        return opened(self, path, *arguments, **more)

    monkeypatch.setattr(type(files), "_open", dead)
    return found


def test_a_store_that_dies_is_not_waited_for_at_each_file(
    call_score: Call, tries: Counter[str], tmp_path: Path
) -> None:
    (tmp_path / "here.csv").write_text("text\ngood\n")
    code, _, err = call_score("memory://dying/in/", "here.csv", "-o", "out/")
    assert code == 9
    assert {name: number for name, number in tries.items() if name.startswith("b")} == {
        "b2.csv": 3,
        "b3.csv": 1,
        "b4.csv": 1,
    }
    assert err.count(": is not tried: its store did not answer for 3 files one after another; run again later") == 3
    assert "3 files scored, 6 failed" in err or "nothing is lost: 3 files scored" in err, err
    assert (tmp_path / "out" / "here.csv").exists()


def test_a_store_that_did_not_answer_is_waited_for_again_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(store_errors, "_WAITS", (0.0,) * 3)
    monkeypatch.setattr(store_errors, "_silent", {})
    monkeypatch.setattr(store_errors.time, "monotonic", lambda: clock[0])

    def tries(url: str) -> int:
        calls = []

        def fails() -> None:
            calls.append(url)
            raise TimeoutError

        with pytest.raises(UnreachableError):
            store_errors.asked(url, fails)
        return len(calls)

    assert [tries("s3://silent/a.csv"), tries("s3://silent/b.csv"), tries("s3://another/a.csv")] == [4, 1, 4]
    clock[0] += 61
    assert tries("s3://silent/a.csv") == 4

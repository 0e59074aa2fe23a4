"""Threads of work in parallel end with their block, whatever happens in it and whoever keeps the error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scorer import score_file
from scorer.overlap import one_ahead


def ahead() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("ahead", "behind"))]


def test_items_come_in_order_from_another_thread() -> None:
    def names() -> Iterator[str]:
        for _ in range(3):
            yield threading.current_thread().name

    with one_ahead(names()) as items:
        assert [name.startswith("ahead") for name in items] == [True] * 3
    assert ahead() == []


def test_an_error_that_is_kept_keeps_no_thread() -> None:
    kept: list[BaseException] = []

    def consume() -> None:
        with one_ahead(iter(range(9))) as items:
            for item in items:
                raise ValueError(item)

    try:
        consume()
    except ValueError as error:
        kept.append(error)  # with the frames of the iterators in its traceback
    assert ahead() == []


@pytest.mark.parametrize("batching", ["alone", "tokens"])
def test_a_job_that_fails_in_its_midst_leaves_no_thread(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batching: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "good film\n" * 500)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scorer.job.journal.UnfinishedWork.add", fail)
    with pytest.raises(OSError, match="No space") as caught:
        score_file(path, tmp_path / "b.csv", model=str(tiny_bundle), chunk_rows=10, batching=batching)
    assert ahead() == [], caught.value

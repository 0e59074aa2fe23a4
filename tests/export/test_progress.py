"""The progress of an export: every text of every comparison is counted, no more and no less."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from export.exporting import export_model
from export.options import ExportOptions
from export.parity import texts_to_run
from export.proof_texts import PROOF_TEXTS
from scorer.progress import LineProgress, NoProgress


class Counted(NoProgress):
    def __init__(self) -> None:
        self.total: int | None = None
        self.texts = self.tokens = 0.0

    def start(self, total_rows: int | None) -> None:
        self.total = total_rows

    def tick(self, rows: float, tokens: float) -> None:
        self.texts += rows
        self.tokens += tokens


@pytest.mark.parametrize("precisions", [("int8",), ("fp16", "int8")])
def test_as_many_texts_are_run_as_are_announced(
    tiny_checkpoint: Path, tmp_path: Path, precisions: tuple[str, ...]
) -> None:
    progress = Counted()
    export_model(ExportOptions(str(tiny_checkpoint), tmp_path / "bundle", precisions, threads=1), progress)
    assert progress.total == texts_to_run(len(PROOF_TEXTS), ("fp32", *precisions))
    assert progress.texts == pytest.approx(progress.total)
    assert progress.tokens > progress.texts


def test_a_line_counts_texts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("scorer.progress._LINE_EVERY_SECONDS", 0)
    caplog.set_level(logging.INFO, "scorer")
    logging.getLogger("scorer").addHandler(caplog.handler)
    progress = LineProgress("texts")
    progress.start(10)
    progress.tick(1, 5)
    logging.getLogger("scorer").removeHandler(caplog.handler)
    assert caplog.messages[0].startswith("1 of 10 texts, ")
    assert " texts/s" in caplog.messages[0] or " text/s" in caplog.messages[0]

"""Counts of a chunk and of a job, and the summary of a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scorer.files.beside_outputs import REJECTS_SUFFIX
from scorer.safe_text import counted, in_utf8

if TYPE_CHECKING:
    from scorer.disk.publishing import Move


AGAIN_FOR = {
    "changed": "a changed input",
    "model": "another model or device",
    "options": "other options",
    "versions": "other versions",
    "damaged": "a damaged output",
    "overwrite": "--overwrite",
}
"""Reasons why a file is scored again, in words; see :data:`scorer.job.up_to_date.Reason`."""


@dataclass(frozen=True, slots=True)
class ChunkCounts:
    """Counts of one chunk. orjson writes it as an object with these names; ``ChunkCounts(**value)`` reads it back.

    Attributes:
        rows_in: rows that the reader took from the input, bad ones included.
        rows: rows of the output.
        rejected: bad rows that were set aside.
        tokens: tokens that the model read.
        by_status: rows of the output by ``pred_status``.
        reused: rows whose predictions were taken from an earlier output.
    """

    rows_in: int
    rows: int
    rejected: int
    tokens: int
    by_status: Mapping[str, int]
    reused: int = 0


@dataclass
class JobCounts:
    """Totals of a job.

    Attributes:
        rows_in, rows, rejected, tokens, by_status, reused: sums over its chunks, see :class:`ChunkCounts`.
        rows_before: rows of the input that an earlier, unfinished run had scored.
    """

    rows_in: int = 0
    rows: int = 0
    rejected: int = 0
    tokens: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    reused: int = 0
    rows_before: int = 0

    def add(self, counts: ChunkCounts | JobCounts) -> None:
        """Add a chunk or another job."""
        self.rows_in += counts.rows_in
        self.rows += counts.rows
        self.rejected += counts.rejected
        self.tokens += counts.tokens
        self.reused += counts.reused
        for status, count in counts.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + count

    @property
    def empty(self) -> int:
        """Rows without any text."""
        return self.by_status.get("empty", 0)

    @property
    def error(self) -> int:
        """Bad rows that are kept in the output."""
        return self.by_status.get("error", 0)

    @property
    def bad(self) -> int:
        """Bad rows, kept or set aside."""
        return self.rejected + self.error

    def to_json(self) -> dict[str, int]:
        """Rows as a summary and the provenance state them: ``in`` is ``scored + empty + error + rejected``."""
        return {
            "in": self.rows_in,
            "out": self.rows,
            "scored": self.rows - self.empty - self.error,
            "empty": self.empty,
            "error": self.error,
            "rejected": self.rejected,
        }


@dataclass(frozen=True)
class ScoreSummary:
    """Summary of a job.

    Attributes:
        output: the output as it was named.
        counts: rows in all and by status, and tokens.
        seconds: wall time, the loading of the model included.
        device, precision, provider: what really ran.
        input: the input as it was named.
        skipped: True if the output was up to date, so that there was nothing to do.
        why: why it was scored, see :data:`scorer.job.up_to_date.Reason`; empty for a stream.
    """

    output: str
    counts: JobCounts
    seconds: float
    device: str
    precision: str
    provider: str
    input: str = ""
    skipped: bool = False
    why: str = ""

    def line(self) -> str:
        """The summary for a person."""
        if self.skipped:
            return f"{self.output}: up to date"
        counts = self.counts
        by_status = {**counts.by_status, "rejected": counts.rejected}
        others = ", ".join(f"{count:,} {status}" for status, count in by_status.items() if count and status != "ok")
        reused = f", {counts.reused:,} reused" if counts.reused else ""
        before = f", {counts.rows_before:,} of them by an earlier run" if counts.rows_before else ""
        speed = (counts.rows_in - counts.rows_before) / max(self.seconds, 1e-9)
        again = AGAIN_FOR.get(self.why)
        why = "" if again is None else f", scored again for {again}"
        rejects = counts.rejected and self.output != "stdout"
        where = f"; the rejected: {self.output}{REJECTS_SUFFIX}" if rejects else ""
        return (
            f"{self.output}: {counted(counts.rows, 'row')}{f' ({others})' if others else ''}{reused}{before} "
            f"in {self.seconds:.1f} s, {counted(round(speed), 'row')}/s, {self.precision} on {self.device}{why}{where}"
        )

    def log_fields(self) -> dict[str, Any]:
        """The summary as fields of a line of the log."""
        return {
            "file": self.input,
            "output": self.output,
            "why": self.why,
            **{f"rows_{name}": count for name, count in self.counts.to_json().items()},
            "rows_resumed": self.counts.rows_before,
            "rows_reused": self.counts.reused,
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """The summary for a program."""
        return {
            "input": in_utf8(self.input),
            "output": in_utf8(self.output),
            "skipped": self.skipped,
            "why": self.why,
            "rows": self.counts.to_json(),
            "rows_resumed": self.counts.rows_before,
            "rows_reused": self.counts.reused,
            "by_status": dict(self.counts.by_status),
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
            "device": self.device,
            "precision": self.precision,
            "provider": self.provider,
        }


Reports = Callable[[ScoreSummary], "Sequence[Move]"]
"""Makes the reports that are published with an output, once its summary is known."""

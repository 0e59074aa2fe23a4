"""What a job did: counts, time, and what ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from scorer.safe_text import in_utf8

if TYPE_CHECKING:
    from scorer.disk.publishing import Move


class Part(Protocol):
    """What is counted of a chunk."""

    @property
    def n_rows(self) -> int:
        """Rows of the output."""

    @property
    def n_rejects(self) -> int:
        """Rows that were set aside."""

    @property
    def tokens(self) -> int:
        """Tokens that the model read."""

    @property
    def by_status(self) -> Mapping[str, int]:
        """Rows by ``pred_status``."""


@dataclass
class JobCounts:
    """Totals of a job.

    Attributes:
        rows: of the output.
        rejected: rows of the input that were set aside.
        tokens: that the model read.
        by_status: rows by ``pred_status``.
        rows_before: rows of the input that an earlier, unfinished run had scored.
    """

    rows: int = 0
    rejected: int = 0
    tokens: int = 0
    by_status: dict[str, int] = field(default_factory=dict)
    rows_before: int = 0

    def add(self, part: Part) -> None:
        """Count one more chunk, as it is or as the journal has it."""
        self.rows += part.n_rows
        self.rejected += part.n_rejects
        self.tokens += part.tokens
        for status, count in part.by_status.items():
            self.by_status[status] = self.by_status.get(status, 0) + count

    @property
    def rows_in(self) -> int:
        """Rows of the input."""
        return self.rows + self.rejected

    @property
    def empty(self) -> int:
        """Rows without any text."""
        return self.by_status.get("empty", 0)

    def to_json(self) -> dict[str, int]:
        """The counts as a summary and the provenance state them: ``in`` is ``scored + empty + rejected``."""
        return {
            "in": self.rows_in,
            "out": self.rows,
            "scored": self.rows - self.empty,
            "empty": self.empty,
            "rejected": self.rejected,
        }


@dataclass(frozen=True)
class ScoreSummary:
    """What a job did.

    Attributes:
        input: as it was named.
        counts: rows in all and by status, and tokens.
        seconds: wall time, the loading of the model included.
        device, precision, provider: what really ran.
        skipped: whether nothing had to be done, for the output was up to date.
    """

    output: str
    counts: JobCounts
    seconds: float
    device: str
    precision: str
    provider: str
    input: str = ""
    skipped: bool = False

    def line(self) -> str:
        """The summary for a person."""
        if self.skipped:
            return f"{self.output}: up to date"
        rows = self.counts.rows
        said = {**self.counts.by_status, "rejected": self.counts.rejected}
        others = ", ".join(f"{count:,} {status}" for status, count in said.items() if count and status != "ok")
        before = f", {self.counts.rows_before:,} of them by an earlier run" if self.counts.rows_before else ""
        speed = (self.counts.rows_in - self.counts.rows_before) / max(self.seconds, 1e-9)
        return (
            f"{self.output}: {rows:,} rows{f' ({others})' if others else ''}{before} in {self.seconds:.1f} s, "
            f"{speed:,.0f} rows/s, {self.precision} on {self.device}"
        )

    def log_fields(self) -> dict[str, Any]:
        """What a line of a log says of it in fields."""
        return {
            "file": self.input,
            "output": self.output,
            **{f"rows_{name}": count for name, count in self.counts.to_json().items()},
            "rows_resumed": self.counts.rows_before,
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """The summary for a program."""
        return {
            "input": in_utf8(self.input),
            "output": in_utf8(self.output),
            "skipped": self.skipped,
            "rows": self.counts.to_json(),
            "rows_resumed": self.counts.rows_before,
            "by_status": dict(self.counts.by_status),
            "tokens": self.counts.tokens,
            "seconds": round(self.seconds, 3),
            "device": self.device,
            "precision": self.precision,
            "provider": self.provider,
        }


FilesBeside = Callable[[ScoreSummary], "Sequence[Move]"]
"""Files that are to take their places together with an output, made once its summary is known."""

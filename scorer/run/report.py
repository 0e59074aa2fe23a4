"""The report of one call of ``score``, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from scorer.job.summary import JobCounts, ScoreSummary
from scorer.safe_text import counted


class Failure(NamedTuple):
    """An input that could not be scored, with its error line and exit code."""

    input: str
    error: str
    exit_code: int


@dataclass(frozen=True)
class RunReport:
    """Report of one call of ``score``, file by file.

    Attributes:
        exit_code: exit code of the run.
        summaries: summaries of the files that were scored or were up to date.
        failures: the other files.
        older: number of inputs that were left out because they were modified before ``--since``.
        seconds: wall time.
        of_one_file: True if the run is from one file to one, not into a folder.
        all_listed: True if every input is there, if only as an empty folder or bucket.
        begun_at: when the run began, Unix time; ``None`` if it was refused before.
    """

    exit_code: int = 0
    summaries: Sequence[ScoreSummary] = ()
    failures: Sequence[Failure] = ()
    older: int = 0
    seconds: float = 0.0
    of_one_file: bool = False
    begun_at: float | None = None
    all_listed: bool = True

    @property
    def nothing_new(self) -> bool:
        """True if there was no file to score, and nothing failed."""
        return not self.failures and not self._scored

    @property
    def _scored(self) -> list[ScoreSummary]:
        return [summary for summary in self.summaries if not summary.skipped]

    def counts(self) -> JobCounts:
        """Totals over all files."""
        total = JobCounts()
        for summary in self.summaries:
            total.add(summary.counts)
        return total

    def lines(self) -> list[str]:
        """The report for a person."""
        if self.of_one_file and self.summaries:
            return [self.summaries[0].line()]
        counts, scored = self.counts(), len(self._scored)
        older = f", {self.older} older than --since" if self.older else ""
        up_to_date = len(self.summaries) - scored
        some = {"reused": counts.reused, "rejected": counts.rejected}
        special = ", ".join(f"{count:,} {name}" for name, count in some.items() if count)
        done = f"{counted(scored, 'file')} scored, {up_to_date} up to date{older}"
        done += f", {counted(counts.rows, 'row')}{f' ({special})' if special else ''} in {self.seconds:.1f} s"
        return [f"nothing new: {done}" if self.nothing_new else done]

    def log_fields(self) -> dict[str, Any]:
        """The report as fields of the last line of the log."""
        value = self.to_json()
        rows = {f"rows_{name}": count for name, count in value["rows"].items()}
        files = {f"files_{name}": count for name, count in value["files"].items()}
        return {
            **files,
            **rows,
            "rows_reused": value["rows_reused"],
            "tokens": value["tokens"],
            "seconds": value["seconds"],
        }

    def to_json(self) -> dict[str, Any]:
        """The report for a program."""
        counts, scored = self.counts(), len(self._scored)
        return {
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "rows": counts.to_json(),
            "rows_reused": counts.reused,
            "tokens": counts.tokens,
            "files": {
                "done": scored,
                "up_to_date": len(self.summaries) - scored,
                "failed": len(self.failures),
                "older": self.older,
            },
            "outputs": [summary.to_json() for summary in self.summaries],
            "failures": [failure._asdict() for failure in self.failures],
        }

"""What one call of ``score`` did, for people and for programs."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from scorer.job.summary import ScoreSummary

log = logging.getLogger(__name__)


@dataclass
class RunReport:
    """What one call of ``score`` did, file by file.

    Attributes:
        summaries: of the files that were scored or were up to date.
        failures: input, error line and exit code of the others.
        may_be_written: whether it is sure that the files of the report are not among the inputs.
        older: inputs that were left out because they were modified before ``--since``.
        of_one_file: whether the run is from one file to one, not into a folder.
    """

    summaries: list[ScoreSummary] = field(default_factory=list)
    failures: list[tuple[str, str, int]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    may_be_written: bool = False
    older: int = 0
    of_one_file: bool = False

    @property
    def nothing_new(self) -> bool:
        """Whether there was no file to score, and nothing failed."""
        return not self.failures and all(summary.skipped for summary in self.summaries)

    def rows(self) -> dict[str, int]:
        """Rows by status, and those rejected, of all files that were scored."""
        total: Counter[str] = Counter()
        for summary in self.summaries:
            total.update(summary.counts.by_status)
            total["rejected"] += summary.counts.rejected
        return dict(total)

    def lines(self) -> list[str]:
        """The report for a person."""
        if self.of_one_file and self.summaries:
            return [self.summaries[0].line()]
        scored = [summary for summary in self.summaries if not summary.skipped]
        rows = sum(summary.counts.rows for summary in scored)
        up_to_date = len(self.summaries) - len(scored)
        seconds = time.monotonic() - self.begun
        older = f", {self.older} older than --since" if self.older else ""
        done = f"{len(scored)} files scored, {up_to_date} up to date{older}, {rows:,} rows in {seconds:.1f} s"
        return [f"nothing new: {done}" if self.nothing_new else done]

    def log_fields(self) -> dict[str, Any]:
        """What the last line of a log says of the run in fields."""
        value = self.to_json(0)
        rows = {f"rows_{name}": count for name, count in value["rows"].items()}
        files = {f"files_{name}": count for name, count in value["files"].items()}
        return {**files, **rows, "tokens": value["tokens"], "seconds": value["seconds"]}

    def to_json(self, exit_code: int) -> dict[str, Any]:
        """The summary of the run; seconds are wall time."""
        scored = [summary for summary in self.summaries if not summary.skipped]
        names = ("in", "out", "scored", "empty", "rejected")
        counts = [summary.counts.to_json() for summary in scored]
        return {
            "exit_code": exit_code,
            "seconds": round(time.monotonic() - self.begun, 3),
            "rows": {name: sum(count[name] for count in counts) for name in names},
            "tokens": sum(summary.counts.tokens for summary in scored),
            "files": {
                "done": len(scored),
                "up_to_date": len(self.summaries) - len(scored),
                "failed": len(self.failures),
                "older": self.older,
            },
            "outputs": [summary.to_json() for summary in self.summaries],
            "failures": [{"input": name, "error": line, "exit_code": code} for name, line, code in self.failures],
        }

"""Results of a run so far, from which its report is made."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from scorer.errors import OutputError, ScorerError
from scorer.files.inputs import InputFile
from scorer.job.summary import ScoreSummary
from scorer.run.options import RunOptions, modified_since
from scorer.run.report import Failure, RunReport
from scorer.run.report_files import ReportFiles

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """The results of a run so far, from which its report is made."""

    run: RunOptions
    files: ReportFiles
    exit_code_of: Callable[[BaseException], int]
    of_one_file: bool
    summaries: list[ScoreSummary] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    older: int = 0
    begun: float = field(default_factory=time.monotonic)

    def report(self, exit_code: int = 0) -> RunReport:
        """The report at this moment."""
        seconds = time.monotonic() - self.begun
        return RunReport(exit_code, tuple(self.summaries), tuple(self.failures), self.older, seconds, self.of_one_file)

    @contextmanager
    def failure_reported(self) -> Iterator[None]:
        """Write the report if the block fails; if the report cannot be written, only the log says so."""
        try:
            yield
        except BaseException as error:
            code = self.exit_code_of(error)
            if not isinstance(error, ScorerError):
                self.failures.append(Failure("", type(error).__name__, code))
            elif not self.failures:
                self.failures.append(Failure(error.path or "", str(error), code))
            try:
                self.files.write(self.report(code))
            except OutputError as failure:
                log.warning("%s", failure)
            raise

    def without_older(self, found: list[InputFile]) -> list[InputFile]:
        """``found`` without files that were last modified before ``--since``."""
        moment = self.run.moment()
        new = found if moment is None else [file for file in found if modified_since(file, moment)]
        self.older = len(found) - len(new)
        return new

    def finish(self, *, is_written: bool = False) -> RunReport:
        """Report a run that ended well; ``is_written`` if the report was published together with an output."""
        report = self.report()
        if report.nothing_new:
            report = replace(report, exit_code=self.run.exit_code_nothing_new)
        if not is_written:
            self.files.write(report)
        return report

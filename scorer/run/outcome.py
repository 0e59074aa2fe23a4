"""Results of a run so far, from which its report is made."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from scorer.errors import (
    BusyError,
    MissingBucketError,
    MissingInputError,
    OutputError,
    OutputExistsError,
    ScorerError,
    explained,
)
from scorer.files.inputs import InputFile, say_left_out
from scorer.job.summary import ScoreSummary
from scorer.run.ending import say_ending, say_one_ending, worst_of
from scorer.run.options import RunOptions, modified_since
from scorer.run.report import Failure, RunReport
from scorer.run.report_files import ReportFiles
from scorer.safe_text import counted

log = logging.getLogger(__name__)

_OF_EVERY_FILE = re.compile(r"--(encoding|delimiter|quote|escape|no-header)\b")


def log_failure(error: ScorerError, _name: str) -> None:
    """Log the error of one of many inputs."""
    log.error("%s", error)


def hint_for_one_of_many(hint: str | None) -> str | None:
    """``hint`` without options that would count for the other files too, which may be read well without them."""
    if hint is None or not _OF_EVERY_FILE.search(hint):
        return hint
    kept = [other for other in hint.split(", or ") if not _OF_EVERY_FILE.search(other)]
    return ", or ".join([*kept, "take it out of this run"])


@dataclass
class Outcome:
    """The results of a run so far, from which its report is made."""

    run: RunOptions
    files: ReportFiles
    exit_code_of: Callable[[BaseException], int]
    of_one_file: bool
    tell: Callable[[ScorerError, str], None]
    summaries: dict[str, ScoreSummary] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    errors: list[ScorerError] = field(default_factory=list)
    older: int = 0
    begun: float = field(default_factory=time.monotonic)
    begun_at: float = field(default_factory=time.time)
    files_are_checked: bool = False
    all_listed: bool = True
    has_left_out: bool = False
    targets: Mapping[str, InputFile] = field(default_factory=dict)
    _n_scored_before_failures: int | None = None

    def report(self, exit_code: int = 0) -> RunReport:
        """The report at this moment, its files in the order of the inputs."""
        seconds = time.monotonic() - self.begun
        places = {target: place for place, target in enumerate(self.targets)}
        done = sorted(self.summaries.items(), key=lambda item: places.get(item[0], 0))
        results = tuple(summary for _, summary in done), tuple(self.failures), self.older
        return RunReport(
            exit_code, *results, seconds, self.of_one_file, begun_at=self.begun_at, all_listed=self.all_listed
        )

    def failed(self, error: ScorerError, name: str | None = None) -> None:
        """Say, and keep for the report, that the input ``name`` could not be scored; default the path of ``error``."""
        name = name or error.path or ""
        if isinstance(error, OutputExistsError):
            error = error.with_hint("move it away, or take its input out of this run")
        elif not self.of_one_file:
            error = error.with_hint(hint_for_one_of_many(error.parts()["hint"]))
        self.tell(error, name)
        if self._n_scored_before_failures is None:
            self._n_scored_before_failures = self._n_scored()
        self.errors.append(error)
        self.failures.append(Failure(name, str(error), error.exit_code))

    def left_out(self, error: ScorerError) -> None:
        """Say, and keep in mind, that an input which is missing is left out."""
        say_left_out(error)
        self.has_left_out = True
        self.all_listed &= not isinstance(error, MissingBucketError)

    def skips(self, error: ScorerError) -> bool:
        """True for the error of an input that is gone if missing ones are left out."""
        allowed = self.run.on_missing_input == "ok" or (self.run.on_missing_input == "empty" and self.all_listed)
        return isinstance(error, MissingInputError) and allowed

    def raise_worst(self, *, n_good: int | None = None) -> None:
        """End a run in which some inputs failed; ``n_good`` is the number of all others in one that scores nothing.

        Raises:
            ScorerError: with the class, and so the exit code, of the worst failure.
        """
        if not self.errors:
            return
        worst = worst_of(self.errors)
        failed, done = len(self.errors), len(self.summaries)
        n_good = done if n_good is None else n_good
        names = ", ".join(failure.input for failure in self.failures[:3])
        more = f" and {failed - 3} more" if failed > 3 else ""
        others = f"; the other {done} {'is' if done == 1 else 'are'} done" if done else ""
        raise type(worst)(
            f"{failed} of {counted(failed + n_good, 'file')} could not be scored: {names}{more}{others}",
            hint=None if done else "see the lines above",
        ) from worst

    def check_files(self, inputs: Sequence[str], output: str, targets: Iterable[str] = ()) -> None:
        """Check the files of the report, see :meth:`ReportFiles.check`; only then is a failure written to all of them.

        Raises:
            UsageError, OutputError: one of the files cannot be written.
        """
        self.files_are_checked = False
        self.files.check(inputs, output, targets)
        self.files_are_checked = True

    def started(self) -> None:
        """Write the start of the run into the metrics: call it once no other run holds the output.

        Raises:
            OutputError: it could not be written.
        """
        self.files.remove_temporaries()
        self.files.write_start(self.begun_at)

    @contextmanager
    def failure_reported(self) -> Iterator[None]:
        """Write the report if the block fails; if the report cannot be written, only the log says so.

        A run that finds another one at work leaves the report of that one alone.
        """
        try:
            yield
        except BaseException as error:
            if self.run.dry_run:
                raise
            code = self.exit_code_of(error)
            self._say_ending(code, explained(error))
            if not isinstance(error, ScorerError):
                self.failures.append(Failure("", type(error).__name__, code))
            elif not self.failures:
                self.failures.append(Failure(error.path or "", str(error), code))
            if not isinstance(error, BusyError) or self.errors:
                try:
                    self.files.write(self.report(code), checked=self.files_are_checked)
                except OutputError as failure:
                    if str(failure) != str(error):
                        log.warning("%s", failure)
            raise

    def _n_scored(self) -> int:
        return sum(not summary.skipped for summary in self.summaries.values())

    def _say_ending(self, code: int, error: ScorerError) -> None:
        if not self.of_one_file:
            # What a person has before the eyes need not be said again.
            is_far = len(self.failures) > 3 or self._n_scored_before_failures != self._n_scored() or code > 100
            errors = self.errors or [error]
            say_ending(code, self.targets, self.summaries, self.failures, errors, repeat=is_far)
        elif self.targets:
            say_one_ending(code, next(iter(self.targets)))

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

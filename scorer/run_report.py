"""What a run leaves for programs: ``--summary`` as JSON, ``--metrics-file`` for Prometheus' textfile collector."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer.destinations import STDOUT, check_folder, refuse_input
from scorer.durable import sync_folder, write_errors
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.jobs import ScoreSummary
from scorer.locations import FORMATS, PROVENANCE_SUFFIX, REJECTS_SUFFIX, is_plain_file, is_there, is_url
from scorer.publishing import Move, made_ready

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)

LAST_SUCCESS = "score_last_success_timestamp_seconds"
LAST_SCORED = "score_last_scored_timestamp_seconds"


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


@dataclass(frozen=True)
class ReportFiles:
    """Where a run's report goes.

    Attributes:
        summary: JSON, or ``None``.
        metrics: text for Prometheus, or ``None``.
    """

    summary: Path | None = None
    metrics: Path | None = None

    def check(self, inputs: Sequence[str], output: str, targets: Iterable[str] = ()) -> None:
        """What can be known before any work; ``targets`` are the outputs where ``output`` is a folder.

        Raises:
            UsageError: one of the files is an input, an output, beside one, or the other, or no regular file.
            OutputError: its folder is missing or cannot be written to.
        """
        local = [name for name in inputs if not is_url(name)]
        outputs = [name for name in (output, *targets) if not is_url(name) and name != STDOUT]
        for target in self._targets():
            if is_there(target) and not is_plain_file(target):
                raise UsageError("is no regular file", path=target, hint="name a file")
            refuse_input(target, local)
            if is_there(target) and target.suffix.lower() in FORMATS:
                raise UsageError("stands already and has the name of data", path=target, hint="name another file")
            if any(_place(target) == _place(Path(name)) for name in _around(outputs, target.name)):
                raise UsageError("is an output itself, or lies beside one", path=target, hint="write to another file")
            check_folder(target)
        if self.summary is not None and self.metrics is not None and _place(self.summary) == _place(self.metrics):
            raise UsageError("--summary and --metrics-file name one file", path=self.summary)

    def moves(self, report: RunReport, exit_code: int) -> list[Move]:
        """The files under temporary names, durable.

        Raises:
            OutputError: one could not be written.
        """
        moves = []
        if self.summary is not None:
            import orjson

            text = orjson.dumps(report.to_json(exit_code), option=orjson.OPT_INDENT_2) + b"\n"
            moves.append(_for_all(made_ready(self.summary, text)))
        if self.metrics is not None:
            text = metrics_text(report, exit_code, before=self.metrics)
            moves.append(_for_all(made_ready(self.metrics, text)))
        return moves

    def write(self, report: RunReport, exit_code: int) -> None:
        """The files, in their places.

        Raises:
            OutputError: one could not be written.
        """
        for move in self.moves(report, exit_code):
            with write_errors(move.target):
                if move.temporary is not None:
                    move.temporary.replace(move.target)
                sync_folder(move.target.absolute().parent)

    def write_failure(self, report: RunReport, error: BaseException, exit_code: int) -> None:
        """Tell of a run that fails; what cannot be told then is a line in the log, for the failure counts more."""
        if not isinstance(error, ScorerError):
            report.failures.append(("", type(error).__name__, exit_code))
        elif not report.failures:
            report.failures.append((error.path or "", str(error), exit_code))
        if not report.may_be_written:
            return
        try:
            self.write(report, exit_code)
        except OutputError as failure:
            log.warning("%s", failure)

    def _targets(self) -> list[Path]:
        return [path for path in (self.summary, self.metrics) if path is not None]


def _around(outputs: Sequence[str], name: str) -> Iterator[str]:
    """Those of ``outputs``, and of the files beside them, that have the file name ``name``."""
    for suffix in ("", REJECTS_SUFFIX, PROVENANCE_SUFFIX):
        yield from (output + suffix for output in outputs if f"/{output}{suffix}".endswith(f"/{name}"))


def _place(path: Path) -> Path:
    """Where a file lies, by whatever way its folder is named."""
    return Path(os.path.realpath(path.parent)) / path.name


def metrics_text(report: RunReport, exit_code: int, *, before: Path) -> bytes:
    """The report in Prometheus' text format; the times of the last success and work stay when this run has none.

    ``before`` is the file of the run before. Written to a temporary name and renamed, as the
    ``write_to_textfile`` of prometheus-client does, so that no collector reads half of it.
    """
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    registry = CollectorRegistry()
    value = report.to_json(exit_code)
    rows = Gauge("score_rows", "Rows by status, and rejected ones, of the last run", ["status"], registry=registry)
    statuses = dict.fromkeys(("ok", "truncated", "windowed", "empty", "rejected"), 0)
    for status, count in {**statuses, **report.rows()}.items():
        rows.labels(status).set(count)
    files = Gauge("score_files", "Input files of the last run by result", ["result"], registry=registry)
    for result, count in value["files"].items():
        files.labels(result).set(count)
    _gauge(registry, "score_tokens", "Tokens that the model read in the last run", value["tokens"])
    _gauge(registry, "score_duration_seconds", "Wall time of the last run", value["seconds"])
    _gauge(registry, "score_exit_code", "Exit code of the last run", exit_code)
    now, stated = time.time(), _stated(before)
    _gauge(registry, "score_last_run_timestamp_seconds", "When the last run ended, Unix time", now)
    success = now if exit_code == 0 or report.nothing_new else stated.get(LAST_SUCCESS)
    if success is not None:
        _gauge(registry, LAST_SUCCESS, "When a run last ended well, with or without work, Unix time", success)
    scored = now if value["files"]["done"] else stated.get(LAST_SCORED)
    if scored is not None:
        _gauge(registry, LAST_SCORED, "When a run last scored a file, Unix time", scored)
    return bytes(generate_latest(registry))


def _gauge(registry: CollectorRegistry, name: str, help: str, value: float) -> None:
    from prometheus_client import Gauge

    Gauge(name, help, registry=registry).set(value)


def _stated(path: Path) -> dict[str, float]:
    """What the file of the run before says, by name; nothing where there is none, or it is not ours."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return {sample.name: float(sample.value) for family in families for sample in family.samples}


def _for_all(move: Move) -> Move:
    """``move`` of a file that a collector under another user can read."""
    if move.temporary is not None:
        with write_errors(move.target):
            move.temporary.chmod(0o644)
    return move

"""The files that a run leaves for programs: ``--summary`` and ``--metrics-file``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.durable import sync_folder, write_errors
from scorer.disk.paths import STDOUT, check_folder, is_plain_file, is_there, refuse_input
from scorer.disk.publishing import Move, made_ready
from scorer.errors import OutputError, ScorerError, UsageError
from scorer.files.formats import FORMATS
from scorer.files.inputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.urls import is_url
from scorer.run.prometheus import metrics_text
from scorer.run.report import RunReport

log = logging.getLogger(__name__)


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


def _for_all(move: Move) -> Move:
    """``move`` of a file that a collector under another user can read."""
    if move.temporary is not None:
        with write_errors(move.target):
            move.temporary.chmod(0o644)
    return move

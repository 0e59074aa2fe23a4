"""The report of a run as files for programs: ``--summary`` and ``--metrics-file``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.paths import STDOUT, check_folder, is_folder, is_plain_file, is_there, refuse_input
from scorer.disk.publishing import Move, publish, stage
from scorer.errors import UsageError
from scorer.files.beside_outputs import PROVENANCE_SUFFIX, REJECTS_SUFFIX
from scorer.files.formats import FORMATS
from scorer.files.urls import is_url
from scorer.run.leftovers import remove_temporaries
from scorer.run.prometheus import is_metrics, metrics_text, started_text
from scorer.run.report import RunReport


@dataclass(frozen=True)
class ReportFiles:
    """Paths of the files of a run's report.

    Attributes:
        summary: file for JSON, or ``None``.
        metrics: file for Prometheus, or ``None``.
    """

    summary: Path | None = None
    metrics: Path | None = None

    def check(self, inputs: Sequence[str], output: str, targets: Iterable[str] = ()) -> None:
        """Check everything that can be known before any work; ``targets`` are the outputs in the folder ``output``.

        Raises:
            UsageError: one of the files is an input, an output, beside one, the other file, or not a regular file.
            OutputError: its folder is missing or cannot be written to.
        """
        local = [name for name in inputs if not is_url(name)]
        outputs = [name for name in (output, *targets) if not is_url(name) and name != STDOUT]
        for target in self._targets():
            if is_there(target) and not is_plain_file(target):
                raise UsageError("is not a regular file", path=target, hint="name a file")
            refuse_input(target, local)
            # An older report is replaced, and may be named .json as data may.
            if is_there(target) and target.suffix.lower() in FORMATS and target.suffix.lower() != ".json":
                raise UsageError("already exists and looks like a data file", path=target, hint="name another file")
            if any(_place(target) == _place(Path(name)) for name in _around(outputs, target.name)):
                raise UsageError(
                    "is an output, or a file that belongs to one", path=target, hint="write to another file"
                )
            check_folder(target)
        if self.summary is not None and self.metrics is not None and _place(self.summary) == _place(self.metrics):
            raise UsageError("--summary and --metrics-file name the same file", path=self.summary)

    def moves(self, report: RunReport) -> list[Move]:
        """Write the files durably under temporary names.

        Raises:
            OutputError: one could not be written.
        """
        moves = []
        if self.summary is not None:
            import orjson

            moves.append(stage(self.summary, orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2) + b"\n"))
        if self.metrics is not None:
            moves.append(stage(self.metrics, metrics_text(report, before=self.metrics)))
        return _readable(moves)

    def write(self, report: RunReport, *, checked: bool = True) -> None:
        """Write the files to their places.

        Without ``checked``, nothing shows that they are no data of somebody: only metrics of an earlier run are
        replaced, or written where nothing is.

        Raises:
            OutputError: one could not be written.
        """
        files = self if checked else ReportFiles(metrics=self.metrics if self._may_take_metrics() else None)
        moves = files.moves(report)
        if moves:
            publish([], reports=moves, last=False)

    def remove_temporaries(self) -> None:
        """Remove what runs that were killed have left beside the files."""
        remove_temporaries(self._targets())

    def write_start(self, moment: float) -> None:
        """Put the start of a run, Unix time, into the metrics of the last one.

        Raises:
            OutputError: it could not be written.
        """
        if self.metrics is not None:
            start = stage(self.metrics, started_text(moment, before=self.metrics), durably=False)
            publish([], reports=_readable([start]), last=False)

    def _may_take_metrics(self) -> bool:
        path = self.metrics
        if path is None or path.suffix.lower() in FORMATS or not is_folder(path.absolute().parent):
            return False
        return not is_there(path) or (is_plain_file(path) and is_metrics(path))

    def _targets(self) -> list[Path]:
        return [path for path in (self.summary, self.metrics) if path is not None]


def _readable(moves: list[Move]) -> list[Move]:
    """``moves`` of files that everybody may read: a collector may run under another user."""
    for move in moves:
        if move.temporary is not None and not is_there(move.target):
            with write_errors(move.target):
                move.temporary.chmod(0o644)
    return moves


def _around(outputs: Sequence[str], name: str) -> Iterator[str]:
    """Those of ``outputs``, and of the files beside them, that have the file name ``name``."""
    for suffix in ("", REJECTS_SUFFIX, PROVENANCE_SUFFIX):
        yield from (output + suffix for output in outputs if f"/{output}{suffix}".endswith(f"/{name}"))


def _place(path: Path) -> Path:
    """Path of a file with the links in its folder resolved."""
    return Path(os.path.realpath(path.parent)) / path.name

"""Progress on stderr: a bar on a terminal, a plain line every 30 seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

log = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 30.0


class Progress(Protocol):
    """Receives the progress of a job; used as a context manager."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, total_rows: int | None) -> None:
        """Begin to work on ``total_rows`` rows; ``None`` if their number is unknown."""

    def advance(self, rows: int, tokens: int) -> None:
        """Add finished rows and their tokens."""


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self, total_rows: int | None) -> None:
        """Nothing."""

    def advance(self, rows: int, tokens: int) -> None:
        """Nothing."""


class LineProgress(NoProgress):
    """A log line every 30 seconds: for nightly jobs, whose stderr is a file."""

    def __init__(self) -> None:
        self._total: int | None = None
        self._rows = self._tokens = 0
        self._begun = self._said = time.monotonic()

    def start(self, total_rows: int | None) -> None:
        """Begin to count, for each of several files anew; the time between lines runs on."""
        self._total = total_rows
        self._rows = self._tokens = 0
        self._begun = time.monotonic()

    def advance(self, rows: int, tokens: int) -> None:
        """Count, and write a line when it is time."""
        self._rows += rows
        self._tokens += tokens
        now = time.monotonic()
        if now - self._said < _LINE_EVERY_SECONDS:
            return
        self._said = now
        seconds = now - self._begun
        of = f" of {self._total:,}" if self._total is not None else ""
        fields: dict[str, float | None] = {
            "rows": self._rows,
            "total_rows": self._total,
            "rows_per_second": round(self._rows / seconds, 1),
            "tokens_per_second": round(self._tokens / seconds, 1),
        }
        left = ""
        if self._total is not None and self._rows:
            fields["seconds_left"] = round((self._total - self._rows) * seconds / self._rows)
            left = f", about {fields['seconds_left']} s left"
        rates = f"{self._rows / seconds:,.0f} rows/s, {self._tokens / seconds:,.0f} tokens/s"
        about = {"event": "progress", "fields": fields}
        log.info("%s%s rows, %s%s", f"{self._rows:,}", of, rates, left, extra=about)


class BarProgress(NoProgress):
    """A bar with rows/s, tokens/s and the time left."""

    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._rows = self._tokens = 0
        self._begun = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, total_rows: int | None) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._begun = time.monotonic()
        self._rows = self._tokens = 0
        self._bar = RichProgress(
            TextColumn("scoring"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("scoring", total=total_rows, speed="")
        self._bar.start()

    def advance(self, rows: int, tokens: int) -> None:
        """Move the bar."""
        if self._bar is None or self._task is None:
            return
        self._rows += rows
        self._tokens += tokens
        seconds = max(time.monotonic() - self._begun, 1e-9)
        speed = f"{self._rows / seconds:,.0f} rows/s {self._tokens / seconds:,.0f} tokens/s"
        self._bar.update(self._task, advance=rows, speed=speed)


def progress_for_stderr(*, quiet: bool, lines: bool = False) -> Progress:
    """A bar if stderr is a terminal, else lines; ``lines`` forces lines, ``quiet`` shows nothing."""
    if quiet:
        return NoProgress()
    return BarProgress() if sys.stderr is not None and sys.stderr.isatty() and not lines else LineProgress()

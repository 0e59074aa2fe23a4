"""Progress on stderr: a bar on a terminal, a plain line every 30 seconds elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from scorer.safe_text import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

log = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 30.0
_BAR_EVERY_SECONDS = 0.1

_USUAL_WIDTH = 80

_LEAST_BAR = 4
"""Columns of the narrowest bar and the spaces around it."""


Total: TypeAlias = "int | Callable[[], int | None] | None"
"""A number of rows; a function that gives about how many there are by what is known when it is called; or ``None``."""


class Progress(Protocol):
    """Receives the progress of a job; used as a context manager."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, total_rows: Total) -> None:
        """Begin to work on ``total_rows`` rows."""

    def advance(self, rows: int, tokens: int) -> None:
        """Add a finished chunk: its rows and tokens."""

    def tick(self, rows: float, tokens: float) -> None:
        """Add a part of a chunk that the model has run; called from its threads, before the chunk is finished."""


class NoProgress:
    """Shows nothing."""

    def __enter__(self) -> NoProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self, total_rows: Total) -> None:
        """Nothing."""

    def advance(self, rows: int, tokens: int) -> None:
        """Nothing."""

    def tick(self, rows: float, tokens: float) -> None:
        """Nothing."""


SHOWS_NOTHING = NoProgress()
"""For who does not want to see any; it holds nothing, so all can share it."""


class Count:
    """Rows and tokens of one job so far: of finished chunks, and beyond them of the parts that were ticked."""

    def __init__(self, total: Total) -> None:
        self._total = total
        self._finished = self._ticked = (0.0, 0.0)
        self._begun = time.monotonic()
        self._lock = threading.Lock()  # the threads of a model tick

    def advance(self, rows: int, tokens: int) -> None:
        """Add a finished chunk, of which all, a part or nothing was ticked before."""
        with self._lock:
            self._finished = (self._finished[0] + rows, self._finished[1] + tokens)
            self._ticked = max(self._ticked, self._finished)

    def tick(self, rows: float, tokens: float) -> None:
        """Add a part of a chunk."""
        with self._lock:
            self._ticked = (self._ticked[0] + rows, self._ticked[1] + tokens)

    @property
    def total(self) -> int | None:
        """All rows, or about as many; ``None`` if that is unknown."""
        return self._total() if callable(self._total) else self._total

    def of_total(self, before: str) -> str:
        """The number of all rows behind ``before``; empty if it is unknown."""
        total = self.total
        return "" if total is None else f"{before}{'~' if callable(self._total) else ''}{total:,}"

    @property
    def rows(self) -> int:
        """Rows so far."""
        return int(self._ticked[0] + 1e-6)

    def per_second(self) -> tuple[float, float]:
        """Rows and tokens per second."""
        seconds = max(time.monotonic() - self._begun, 1e-9)
        return self._ticked[0] / seconds, self._ticked[1] / seconds

    def seconds_left(self) -> float | None:
        """Time that the rest takes at this speed; ``None`` if it is unknown."""
        rows, _ = self.per_second()
        total = self.total
        return None if total is None or not rows else max(0.0, (total - self._ticked[0]) / rows)

    def said(self, unit: str, width: int) -> str:
        """Count, speed and the time left, in one line; where it is wider than ``width``, with less of the speed."""
        rows, tokens = self.per_second()
        speed = f"{rows:,.0f} {unit}/s" if rows >= 10 or not rows else f"{rows:.1f} {unit}/s"
        if 0 < rows < 0.5:
            speed = f"{1 / rows:,.0f} s/{unit.removesuffix('s')}"
        seconds = self.seconds_left()
        count = f"{self.rows:,}{self.of_total('/')} {unit}"
        left = "" if seconds is None else f", {timedelta(seconds=round(seconds))} left"
        of_tokens = f", {counted(round(tokens), 'token')}/s" if tokens else ""
        lines = (f"{count}, {speed}{of_tokens}{left}", f"{count}, {speed}{left}", f"{count}{left}")
        return next((line for line in lines if len(line) <= width), lines[-1])


class LineProgress(NoProgress):
    """A log line every 30 seconds, for nightly jobs, whose stderr is a file; ``unit`` names what is counted."""

    def __init__(self, unit: str = "rows") -> None:
        self._unit = unit
        self._count = Count(None)
        self._said = time.monotonic()

    def start(self, total_rows: Total) -> None:
        """Begin to count, for each of several files anew; the time between lines runs on."""
        self._count = Count(total_rows)

    def advance(self, rows: int, tokens: int) -> None:
        """Count, and write a line when it is time."""
        self._count.advance(rows, tokens)
        self._tell()

    def tick(self, rows: float, tokens: float) -> None:
        """Count, and write a line when it is time."""
        self._count.tick(rows, tokens)
        self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._said < _LINE_EVERY_SECONDS:
            return
        self._said = now
        count = self._count
        rows, tokens = count.per_second()
        fields: dict[str, float | None] = {
            "rows": count.rows,
            "total_rows": count.total,
            "rows_per_second": round(rows, 1),
            "tokens_per_second": round(tokens, 1),
        }
        left = ""
        seconds = count.seconds_left()
        if seconds is not None:
            fields["seconds_left"] = round(seconds)
            left = f", about {fields['seconds_left']} s left"
        about = {"event": "progress", "fields": fields}
        rates = f"{counted(round(rows), self._unit.removesuffix('s'))}/s, {counted(round(tokens), 'token')}/s"
        log.info("%s%s %s, %s%s", f"{count.rows:,}", count.of_total(" of "), self._unit, rates, left, extra=about)


class BarProgress(NoProgress):
    """A bar with rows/s, tokens/s and the time left, as wide as its terminal or notebook.

    Attributes:
        what: the words before the bar.
        unit: name of what is counted.
    """

    def __init__(self, what: str = "scoring", unit: str = "rows", console: Console | None = None) -> None:
        self.what = what
        self.unit = unit
        self._console = console
        self._bar: RichProgress | None = None
        self._count = Count(None)
        self._moved = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def start(self, total_rows: Total) -> None:
        """Show the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        if self._bar is not None:
            self._bar.stop()
        self._count = Count(total_rows)
        self._console = self._console or Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[said]}"),
            console=self._console,
            transient=True,
            expand=True,
        )
        what, said = self._words()
        self._task = self._bar.add_task(what, total=self._count.total, said=said)
        self._bar.start()

    def advance(self, rows: int, tokens: int) -> None:
        """Move the bar."""
        self._count.advance(rows, tokens)
        self._move()

    def tick(self, rows: float, tokens: float) -> None:
        """Move the bar, several times a second: a small model runs thousands of texts in one."""
        self._count.tick(rows, tokens)
        if time.monotonic() - self._moved > _BAR_EVERY_SECONDS:
            self._move()

    def _move(self) -> None:
        self._moved = time.monotonic()
        if self._bar is not None:
            count = self._count
            what, said = self._words()
            self._bar.update(self._task, description=what, total=count.total, completed=count.rows, said=said)

    def _words(self) -> tuple[str, str]:
        """The words before the bar, none where they leave no room for the count and the time left, and those behind."""
        width = self._console.width if self._console is not None else _USUAL_WIDTH
        said = self._count.said(self.unit, width - len(self.what) - _LEAST_BAR)
        return self.what if len(self.what) + 1 + len(said) < width else "", said


def ticking(progress: Progress, rows: int, tokens: int) -> Callable[[float], None]:
    """A function that ticks ``progress`` by shares of a chunk of ``rows`` rows and ``tokens`` tokens."""
    return lambda share: progress.tick(share * rows, share * tokens)


def on_a_terminal() -> bool:
    """True if a bar on stderr can be seen."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress_for_stderr(*, quiet: bool, lines: bool = False, what: str = "scoring", unit: str = "rows") -> Progress:
    """A bar if stderr is a terminal, else lines; ``lines`` forces lines, ``quiet`` shows nothing.

    ``what`` and ``unit`` are those of :class:`BarProgress`.
    """
    if quiet:
        return NoProgress()
    return BarProgress(what, unit) if on_a_terminal() and not lines else LineProgress(unit)

"""Progress in the cell of a notebook."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from scorer.progress import Count, NoProgress, Progress, Total, progress_for_stderr

_CELL_EVERY_SECONDS = 0.5


class NotebookProgress(NoProgress):
    """The bar of a notebook, below the cell that runs."""

    def __init__(self) -> None:
        self._count = Count(None)
        self._moved = 0.0
        self._cell: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._cell is not None:
            self._show()

    def start(self, total_rows: Total) -> None:
        """Show the bar, in place of one of an earlier file."""
        from IPython.display import HTML, display

        self._count = Count(total_rows)
        self._cell = self._cell or display(HTML(""), display_id=True)
        self._show()

    def advance(self, rows: int, tokens: int) -> None:
        """Move the bar."""
        self._count.advance(rows, tokens)
        self._move()

    def tick(self, rows: float, tokens: float) -> None:
        """Move the bar, a few times a second."""
        self._count.tick(rows, tokens)
        self._move()

    def _move(self) -> None:
        if time.monotonic() - self._moved > _CELL_EVERY_SECONDS:
            self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        self._moved = time.monotonic()
        count = self._count
        share = "" if not count.total else f' value="{count.rows}" max="{count.total}"'
        self._cell.update(HTML(f"<progress{share}></progress> {count.said('rows', 80)}"))


def in_a_notebook() -> bool:
    """True if this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def progress_of_call(wanted: Progress | bool | None) -> Progress:
    """The progress of a call from Python: a bar in a notebook; True shows one elsewhere too, False nothing."""
    if wanted is None or isinstance(wanted, bool):
        if wanted is not False and in_a_notebook():
            return NotebookProgress()
        return progress_for_stderr(quiet=not wanted)
    return wanted

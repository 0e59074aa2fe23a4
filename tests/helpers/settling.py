"""Files whose states prove something: those of this very moment are looked at again by the next run, and rightly."""

from __future__ import annotations

import time
from pathlib import Path

from scorer.files.file_marks import is_settled, mark_of


def settle(folder: Path) -> None:
    """Let the clock go on until no file in ``folder`` is of this very moment."""
    while not all(is_settled(mark_of(path), time.time_ns()) for path in folder.rglob("*.*")):
        pass

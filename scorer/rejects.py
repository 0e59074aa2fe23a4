"""Rejects of earlier runs: set aside when an output is made anew, and removed when they are old.

``OUTPUT.rejects.jsonl`` belongs to ``OUTPUT``, whose provenance seals it; it stays as long as the
output does. What an earlier run had rejected is kept as ``OUTPUT.<time>.rejects.jsonl``, where the
time is that at which it was written, in UTC; its age counts from when it was set aside.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from filecmp import cmp
from pathlib import Path

import orjson

from scorer.ages import parse_age
from scorer.destinations import Destination
from scorer.durable import create, sync, write_errors
from scorer.errors import UsageError
from scorer.locations import REJECTS_SUFFIX
from scorer.publishing import Move

log = logging.getLogger(__name__)

_EARLIER = re.compile(r"(.+)\.\d{8}T\d{6}\.\d{6}Z\.rejects\.jsonl")
_FIELDS = {"file", "row", "byte_offset", "reason"}


@dataclass(frozen=True)
class KeepRejects:
    """How long rejects of earlier runs are kept: for a time, or so many of each output.

    >>> KeepRejects.parse("30d").age
    datetime.timedelta(days=30)
    """

    age: timedelta | None = None
    number: int | None = None

    @classmethod
    def parse(cls, text: str) -> KeepRejects:
        """Read an age such as ``30d``, or a number.

        Raises:
            UsageError: it is neither.
        """
        age = parse_age(text)
        if age is not None:
            return cls(age=age)
        if re.fullmatch(r"\d{1,9}", text.strip()) is None:
            raise UsageError(f"--keep-rejects {text!r} is no age and no number", hint="pass an age such as 30d, or 10")
        return cls(number=int(text))

    def too_old(self, newest_first: Sequence[tuple[Path, float]], *, now: float) -> list[Path]:
        """Which of the earlier rejects of one output, each with the Unix time it was set aside, are to go."""
        if self.number is not None:
            return [path for path, _ in newest_first[self.number :]]
        return [path for path, since in newest_first if self.age is not None and now - since > self.age.total_seconds()]


def set_aside(destination: Destination, moves: Sequence[Move]) -> list[Move]:
    """The rejects that ``moves`` are about to replace or remove, as a file that takes its place with them.

    Raises:
        OutputError: it could not be written.
    """
    old = destination.rejects
    new = next((move.temporary for move in moves if move.target == old), None)
    if not old.is_file() or (new is not None and cmp(old, new, shallow=False)):
        return []
    with write_errors(old):
        written = datetime.fromtimestamp(old.stat().st_mtime, UTC)
        target = old.with_name(f"{destination.path.name}.{written:%Y%m%dT%H%M%S.%fZ}{REJECTS_SUFFIX}")
        temporary = destination.temporary(target)
        try:
            with create(temporary) as copy, old.open("rb") as opened:
                shutil.copyfileobj(opened, copy)
                sync(copy)
        except BaseException:
            drop([Move(temporary, target)])
            raise
    return [Move(temporary, target)]


def drop(moves: Sequence[Move]) -> None:
    """Remove what was made ready by :func:`set_aside` and not moved."""
    for move in moves:
        if move.temporary is not None:
            with suppress(OSError):
                move.temporary.unlink(missing_ok=True)


def prune(keep: KeepRejects, output: Path, *, whole_folder: bool) -> int:
    """Remove what is older than it has to be; the number of files removed.

    These are the earlier rejects of ``output``, or, with ``whole_folder``, of every output in the
    folder ``output``, and rejects whose output is gone. Only files that such a program wrote are
    touched. What cannot be removed is a line in the log.
    """
    removed = 0
    found = output.rglob(f"*{REJECTS_SUFFIX}") if whole_folder else output.parent.glob(f"*{REJECTS_SUFFIX}")
    for name, files in _by_output(found).items():
        if whole_folder or name == output:
            for path in keep.too_old(files, now=time.time()):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    log.warning("%s: cannot be removed: %s", path, error.strerror)
                    continue
                removed += 1
                log.debug("%s: removed", path)
    if removed:
        about = {"event": "rejects_removed", "fields": {"files": removed}}
        log.info("%s: %d files of old rejects removed, as --keep-rejects says", output, removed, extra=about)
    return removed


def _by_output(found: Iterator[Path]) -> dict[Path, list[tuple[Path, float]]]:
    """Earlier rejects by their output, newest first, with the Unix time since when they are."""
    files: dict[Path, list[tuple[Path, float]]] = {}
    for path in sorted(found):
        if path.is_symlink() or not path.is_file():
            continue
        earlier = _EARLIER.fullmatch(path.name)
        output = path.with_name(earlier[1] if earlier is not None else path.name.removesuffix(REJECTS_SUFFIX))
        if earlier is None and (output.exists() or output.with_name(f"{output.name}.partial").exists()):
            continue  # its output seals it
        if _is_ours(path):
            files.setdefault(output, []).append((path, path.stat().st_mtime))
    return {output: sorted(group, key=lambda item: (-item[1], item[0])) for output, group in files.items()}


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            value = orjson.loads(opened.readline(2**20).rstrip(os.linesep.encode()))
    except (OSError, ValueError):
        return False
    return isinstance(value, dict) and value.keys() - {"raw"} == _FIELDS

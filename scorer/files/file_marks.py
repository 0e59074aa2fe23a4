"""Marks of files: what changes with the content and costs no reading of it, as git's index keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

Mark = list[Any]
"""A mark as JSON has it; two of one file are equal only if nobody has written it in between."""

_TICK = 100_000_000
"""Nanoseconds within which a file system may give two writes one time; none in use has longer ticks but those below."""

_LONG_TICK = 2_000_000_000
"""The same for file systems that keep whole seconds, such as FAT."""

_CONTENT = ("ETag", "etag", "md5Hash", "generation", "VersionId", "blob_id")
"""Marks of stores that change with every write; a time alone may stay."""


def mark_of(path: str | os.PathLike[str]) -> Mark | None:
    """Size, times of modification and of change in ns, and inode of a local file; ``None`` if there is none."""
    try:
        state = os.stat(path)  # noqa: PTH116 - also of names that are no path at all
    except (OSError, ValueError):
        return None
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def is_settled(mark: Mark, now: int) -> bool:
    """True if a write after ``now``, in ns of Unix time, would change the times of a file with this ``mark``.

    A file that was written within the same tick could be written again and keep them.
    """
    newest = max(mark[1], mark[2])
    return bool(newest + (_TICK if mark[1] % 1_000_000_000 else _LONG_TICK) < now)


def mark_in_store(about: Mapping[str, Any]) -> Mark | None:
    """Size and marks of an object, from what its store says of it; ``None`` if it has none that every write changes."""
    marks = [[name, str(about[name])] for name in _CONTENT if about.get(name)]
    return [about.get("size"), *marks] if marks else None

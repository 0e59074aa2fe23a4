"""What lies at a path of this machine; no answer is an error."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import OutputError, UsageError

STDIN = STDOUT = "-"
"""The name of standard input among inputs, and of standard output as an output."""


def is_missing(path: str) -> bool:
    """Whether nothing is there; what may not be looked at is there."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there; what may not be looked at, or has no possible name, is none."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises then


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there; what may not be looked at, or has no possible name, is not."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises then


def is_plain_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there that is no folder, pipe or device; what may not be looked at is none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises then


def refuse_input(target: Path, inputs: Sequence[str]) -> None:
    """Whether ``target`` is one of ``inputs``, by whatever name or link; ``-`` is what standard input is read from.

    Raises:
        UsageError: it is.
    """
    states = {identity for name in inputs if (identity := identity_of(0 if name == STDIN else name)) is not None}
    if states and identity_of(target) in states:
        raise UsageError("is the input itself", path=target, hint="write to another file")


def identity_of(file: str | os.PathLike[str] | int) -> tuple[int, int] | None:
    """What tells a regular file, or what a descriptor is open on, from all others; ``None`` where there is none."""
    try:
        state = os.stat(file)  # noqa: PTH116 - of a descriptor, too
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None


def check_folder(target: Path) -> None:
    """Whether a file can be made beside ``target``.

    Raises:
        OutputError: its folder is missing or cannot be written to.
    """
    folder = target.absolute().parent
    if not is_folder(folder):
        raise OutputError("no such folder", path=folder, hint="make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError("the folder cannot be written to", path=folder, hint="choose another or change its mode")

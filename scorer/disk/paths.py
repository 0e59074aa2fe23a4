"""Checks of paths on this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorer.errors import OutputError, UsageError

STDIN = STDOUT = "-"
"""The name of standard input among inputs, and of standard output as an output."""


def path_text(path: object) -> str:
    """A path that a caller gives, as text.

    Raises:
        UsageError: it is no path.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise UsageError(f"a path has type {type(path).__name__}, not str or Path")
    try:
        is_name = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_name = False
    if not is_name:
        raise UsageError(
            f"{text!r} is not a path", hint="a path cannot hold a null character or half of a surrogate pair"
        )
    return text


def path_texts(paths: Any) -> list[str]:
    """One path or several that a caller gives, as texts.

    Raises:
        UsageError: one is no path.
    """
    try:
        several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    except TypeError:
        several = [paths]
    return [path_text(path) for path in several]


def note_on(folder: Path, name: str) -> Path:
    """Path of a note on a folder of outputs: ``.FOLDER.NAME`` beside it, or in it if nothing can be written beside it.

    Readers of whole folders, as Polars, refuse a strange file inside.
    """
    folder = folder.resolve()
    if folder.name and os.access(folder.parent, os.W_OK | os.X_OK):
        return folder.with_name(f".{folder.name}{name}")
    return folder / name


def is_missing(path: str) -> bool:
    """True if nothing exists at ``path``; False if that cannot be found out."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """True for an existing folder; False if it is unreadable or the name is invalid."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises then


def is_there(path: str | os.PathLike[str]) -> bool:
    """True if anything exists at ``path``; False if it is unreadable or the name is invalid."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises then


def is_plain_file(path: str | os.PathLike[str]) -> bool:
    """True for an existing file; False for a folder, a pipe or a device, or if it is unreadable."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises then


def refuse_input(target: Path, inputs: Sequence[str]) -> None:
    """Check that ``target`` is none of ``inputs``, under any name or link; ``-`` is the file behind standard input.

    Raises:
        UsageError: it is one of them.
    """
    states = {identity for name in inputs if (identity := identity_of(0 if name == STDIN else name)) is not None}
    if states and identity_of(target) in states:
        raise UsageError("is the input itself", path=target, hint="write to another file")


def identity_of(file: str | os.PathLike[str] | int) -> tuple[int, int] | None:
    """Device and inode of a regular file, given by path or descriptor; ``None`` for anything else."""
    try:
        state = os.stat(file)  # noqa: PTH116 - of a descriptor, too
    except (OSError, ValueError):
        return None
    return (state.st_dev, state.st_ino) if stat.S_ISREG(state.st_mode) else None


def check_readable(target: Path) -> None:
    """Check that ``target`` can be read if it is a file: a new one has its mode, and is read before it is published.

    Raises:
        OutputError: it cannot.
    """
    if not is_plain_file(target):
        return
    try:
        with target.open("rb"):
            return
    except OSError as error:
        hint = "give this user the right to read it, or move it away"
        raise OutputError(f"cannot be read: {error.strerror}", path=target, hint=hint) from error


def check_folder(target: Path) -> None:
    """Check that a file can be created in the folder of ``target``.

    Raises:
        OutputError: the folder is missing or cannot be written to.
    """
    folder = target.absolute().parent
    require_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        why = os.strerror(errno.EROFS if _is_read_only(folder) else errno.EACCES)
        raise OutputError(
            f"the folder cannot be written to: {why}", path=folder, hint="choose another or change its mode"
        )


def require_folder(folder: Path) -> None:
    """Check that the folder of an output is there.

    Raises:
        OutputError: it is not, or may not be looked at.
    """
    try:
        if stat.S_ISDIR(folder.stat().st_mode):
            return
    except PermissionError as error:
        hint = "choose another or change the modes of the folders above it"
        raise OutputError(f"the folder cannot be reached: {error.strerror}", path=folder, hint=hint) from error
    except (OSError, ValueError):
        pass
    raise OutputError("no such folder", path=folder, hint="make it first")


def _is_read_only(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)

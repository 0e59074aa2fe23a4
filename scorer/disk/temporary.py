"""Temporary folders that a later run removes if their own dies: a kernel lock says which are alive."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

_PREFIX = "score-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder ``score-…`` in the temporary folder, which goes with the block."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = _held(folder)
        if sys.platform == "win32" or (held is not None and folder.exists()):
            break
        if held is not None:  # another run has taken it for one of a dead run
            os.close(held)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def remove_dead_folders() -> None:
    """Remove the folders of :func:`temporary_folder` that this user's dead runs have left."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        for folder in _root().glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
                    continue
                held = _held(folder)
                if held is not None:
                    log.debug("%s: removed, a dead run has left it", folder)
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(held)


def _root() -> Path:
    """The folder of temporary files, which :func:`tempfile.gettempdir` would first write to, to try it."""
    return Path(tempfile.tempdir or next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp"))


def _held(folder: Path) -> int | None:
    """A descriptor with the lock of ``folder``; ``None`` if another process has it, or there are no such locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor

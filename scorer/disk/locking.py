"""One kernel lock per output: the kernel drops it when its process dies, whatever kills it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.paths import is_folder
from scorer.errors import BusyError, OutputError


def lock_file(output: Path) -> Path:
    """Where the lock of ``output`` lies; a file that a dead run left there locks nothing."""
    return output.with_name(f".{output.name}.lock")


@contextmanager
def locked(output: Path, *, lock: Path | None = None) -> Iterator[None]:
    """Hold the lock of ``output`` for the time of the block; ``lock`` is another place for its file.

    Raises:
        BusyError: another run holds it, known at once.
        OutputError: the folder is missing or cannot be written to.
    """
    path = lock_file(output.absolute()) if lock is None else lock.absolute()
    if not is_folder(path.parent):
        raise OutputError("no such folder", path=path.parent, hint="make it first")
    held = _hold_by_filelock if sys.platform == "win32" else _hold_by_flock
    with held(path, output):
        yield


@contextmanager
def _hold_by_flock(path: Path, output: Path) -> Iterator[None]:
    """``flock`` itself, where there is one: importing filelock takes longer than a whole small job's start."""
    import fcntl

    while True:
        with write_errors(output):
            descriptor = _opened(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    raise BusyError("another run holds this output", path=output, hint="wait for it to end") from error
                raise OutputError(f"cannot be locked: {error.strerror}", path=output) from error
            # The run before removes the file while it still holds the lock. Who has opened that file
            # in between holds the lock of a file without a name, and has to open the new one.
            if _is_still(descriptor, path):
                try:
                    yield
                finally:
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)  # that a dead run of another user has left


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


@contextmanager
def _hold_by_filelock(path: Path, output: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0.2)
    try:
        with write_errors(output):
            lock.acquire(poll_interval=0.02)
    except Timeout as error:
        raise BusyError("another run holds this output", path=output, hint="wait for it to end") from error
    try:
        yield
    finally:
        lock.release()

"""One kernel lock per output: the kernel releases it when its process dies, however that dies."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scorer.disk.durable import write_errors
from scorer.disk.paths import require_folder
from scorer.errors import BusyError, OutputError


def lock_file(output: Path) -> Path:
    """Path of the lock file of ``output``; one that a dead run left there locks nothing."""
    return output.with_name(f".{output.name}.lock")


def is_held(lock: Path) -> bool:
    """True if a run holds the lock file ``lock``; where that cannot be found out, if it is there."""
    if sys.platform == "win32":
        return lock.exists()
    import fcntl

    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return lock.is_symlink() or lock.exists()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_free(output: Path, *, lock: Path | None = None) -> None:
    """Check that no run holds the lock of ``output``; arguments are those of :func:`locked`.

    Raises:
        BusyError: one does.
    """
    if is_held(lock_file(output.absolute()) if lock is None else lock):
        raise _busy(output)


@contextmanager
def locked(output: Path, *, lock: Path | None = None) -> Iterator[None]:
    """Hold the lock of ``output`` during the block; ``lock`` is another path for the lock file.

    Raises:
        BusyError: another run holds it; raised at once.
        OutputError: the folder is missing or cannot be written to.
    """
    path = lock_file(output.absolute()) if lock is None else lock.absolute()
    require_folder(path.parent)
    hold = _hold_by_filelock if sys.platform == "win32" else _hold_by_flock
    with hold(path, output):
        yield


@contextmanager
def _hold_by_flock(path: Path, output: Path) -> Iterator[None]:
    """Lock by ``flock`` itself where it exists: importing filelock takes longer than a small job's whole start."""
    import fcntl

    while True:
        with write_errors(output):
            descriptor = _open_lock_file(path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES):
                    raise _busy(output) from error
                raise OutputError(f"cannot be locked: {error.strerror}", path=output) from error
            # The previous holder removes the file while it still holds the lock. A run that opened the file just
            # before that now holds the lock of a file without a name, and has to open the new one.
            if _is_named(path, descriptor):
                try:
                    yield
                finally:
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
                return
        finally:
            os.close(descriptor)


def _open_lock_file(path: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o644)
    except PermissionError as error:
        try:
            return os.open(path, os.O_RDONLY | flags)  # left by a dead run of another user
        except FileNotFoundError:
            raise error from None


def _is_named(path: Path, descriptor: int) -> bool:
    """True while ``path`` names the file that ``descriptor`` is open on."""
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
        raise _busy(output) from error
    try:
        yield
    finally:
        lock.release()


def _busy(output: Path) -> BusyError:
    return BusyError("another run holds this output", path=output, hint="wait for it to end")

"""Bytes that are surely on the disk, and errors of writing as ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from scorer.errors import OutputError

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a disk, or a share of it, that holds no more."""


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """The boundary where failures to write become an :class:`OutputError` that names ``path``.

    Only what writes belongs inside: a failure to read is another error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OutputError(f"could not be written: {reason}", path=path) from error


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable: a renamed file is only safe after this."""
    if os.name == "nt":
        return  # Windows cannot open a folder
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync(file: BufferedRandom) -> None:
    """Make the content of an open file durable."""
    file.flush()
    os.fsync(file.fileno())


def create(path: Path) -> BufferedRandom:
    """A new file to read and write at ``path``; what a dead run left there goes, a link is not followed."""
    path.unlink(missing_ok=True)
    return path.open("x+b")


def write_durably(path: Path, data: bytes, *, locked: bool = True) -> None:
    """``data`` at ``path``, whole or not at all: write beside it, fsync, rename, fsync the folder.

    What a dead run left beside it goes, unless ``locked`` is false: another run may then be writing there.
    """
    temporary = path.with_name(f".{path.name}.tmp" if locked else f".{path.name}.{os.getpid()}.tmp")
    try:
        with create(temporary) as file:
            file.write(data)
            sync(file)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)

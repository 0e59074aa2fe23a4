"""Durable writes, and the one boundary where errors of writing become :class:`OutputError`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from scorer.errors import OutputError
from scorer.safe_text import first_line

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk or an exhausted quota."""


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Translate failures to write into an :class:`OutputError` that names ``path``.

    Only writing belongs inside the block: a failure to read is a different error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"could not be written: {error.strerror or first_line(error)}", path=path) from error


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
    """Open a new file for reading and writing; a dead run's leftover is removed, a link is not followed."""
    path.unlink(missing_ok=True)
    return path.open("x+b")


def write_durably(path: Path, data: bytes, *, locked: bool = True) -> None:
    """Write ``data`` to ``path``, whole or not at all: write beside it, fsync, rename, fsync the folder.

    The temporary file of a dead run is overwritten, unless ``locked`` is false: another run may then be using it.
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

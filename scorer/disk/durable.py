"""Durable writes, and the one boundary where errors of writing become :class:`OutputError`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from scorer.errors import OutputError
from scorer.safe_text import first_line

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk or an exhausted quota."""

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


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
        hint = "choose another folder or change its mode" if error.errno in _NOT_ALLOWED else None
        what = f"could not be written: {error.strerror or first_line(error)}"
        raise OutputError(what, path=path, hint=hint) from error


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


def create(path: Path, *, like: Sequence[Path] = ()) -> BufferedRandom:
    """Open a new file for reading and writing; a dead run's leftover is removed, a link is not followed.

    It has the mode and, as far as that is allowed, the group and the owner of the first file of ``like`` that is there.
    """
    remove_leftover(path)
    model = next((state for one in like if (state := _state_of(one)) is not None), None)
    if model is None or os.name == "nt":
        return path.open("x+b")
    file = open(path, "x+b", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    for owner, group in ((-1, model.st_gid), (model.st_uid, -1)):
        with suppress(OSError):  # a group of others, an owner: of root's giving alone
            os.fchown(file.fileno(), owner, group)
    has_group = os.fstat(file.fileno()).st_gid == model.st_gid
    # What the group of the old file may do is not for another one.
    os.fchmod(file.fileno(), stat.S_IMODE(model.st_mode) & (0o777 if has_group else 0o707))
    return file


def remove_leftover(path: Path) -> None:
    """Remove a file that a dead run may have left: looked for first, which costs the disk nothing."""
    if os.path.lexists(path):
        path.unlink(missing_ok=True)


def _state_of(path: Path) -> os.stat_result | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state if stat.S_ISREG(state.st_mode) else None


def sync_file(path: Path) -> None:
    """Make the content of the file at ``path`` durable."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def write_durably(path: Path, data: bytes, *, locked: bool = True) -> None:
    """Write ``data`` to ``path``, whole or not at all: write beside it, fsync, rename, fsync the folder.

    The temporary file of a dead run is overwritten, unless ``locked`` is false: another run may then be using it.
    """
    _write(path, data, f".{path.name}.tmp" if locked else f".{path.name}.{os.getpid()}.tmp", durably=True)
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that the end of this process leaves it whole or not there.

    A failure of the machine can still take it, until :func:`sync_file` and :func:`sync_folder`.
    """
    _write(path, data, f".{path.name}.tmp", durably=False)


def _write(path: Path, data: bytes, name: str, *, durably: bool) -> None:
    temporary = path.with_name(name)
    try:
        with create(temporary) as file:
            file.write(data)
            if durably:
                sync(file)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise

"""Files published together: all of them appear at their targets, or none does."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scorer.disk.durable import create, remove_leftover, sync, sync_folder, write_errors
from scorer.errors import OutputError
from scorer.interrupts import held_back

_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)


@dataclass(frozen=True)
class Move:
    """A finished file under a temporary name, to be renamed to ``target``; or the removal of ``target``.

    Attributes:
        temporary: the new content, durable, in the folder of ``target``; ``None`` removes ``target``.
        target: the final name.
    """

    temporary: Path | None
    target: Path

    @property
    def backup(self) -> Path:
        """Path of the old content until all files are published."""
        return self.target.with_name(f".{self.target.name}.old")

    def make(self) -> None:
        """Rename the file; one that is removed takes the name of its backup.

        Raises:
            OSError: that failed.
        """
        if self.temporary is not None:
            self.temporary.replace(self.target)
        else:
            with suppress(FileNotFoundError):
                self.target.replace(self.backup)


def stage(target: Path, data: bytes, *, durably: bool = True) -> Move:
    """Write ``data``, by default durably, under a temporary name beside ``target``.

    Raises:
        OutputError: it could not be written.
    """
    # No lock keeps another run away from it.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with write_errors(target), create(temporary, like=(target,)) as file:
            file.write(data)
            if durably:
                sync(file)
    except OutputError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return Move(temporary, target)


def publish(moves: Sequence[Move], *, reports: Sequence[Move] = (), last: bool = True) -> None:
    """Rename every file to its target, in order, and make the names durable; then those of the ``reports``.

    The output itself comes last, so that whoever sees it finds everything that belongs to it. On any error
    the old files are restored, but for reports, which are written anew then and need not outlast a failure of the
    machine. A signal waits until the end; if this is the ``last`` output of a run, it
    is then forgotten, and so are later ones: the work that they would stop is done.

    Raises:
        OutputError: a file could not be renamed, or the names could not be made durable.
    """
    done: list[Move] = []
    with held_back(forget=last), write_errors([*reports, *moves][-1].target):
        try:
            for move in moves:
                _back_up(move)
            for move in moves:
                done.append(move)
                move.make()
            for folder in {move.target.absolute().parent for move in moves}:
                sync_folder(folder)
            for move in reports:
                move.make()
        except BaseException:
            for move in reversed(done):
                _restore(move)
            raise
        finally:
            for move in moves:
                with suppress(OSError):
                    remove_leftover(move.backup)


def _back_up(move: Move) -> None:
    remove_leftover(move.backup)
    if move.temporary is None:
        return
    try:
        os.link(move.target, move.backup, follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        # A file system without hard links: the old content cannot be backed up, all else still holds.
        if error.errno not in _NO_LINKS:
            raise


def _restore(move: Move) -> None:
    """Put the old content back, or remove the new content if there was none."""
    with suppress(OSError):
        if move.backup.exists() or move.backup.is_symlink():
            move.backup.replace(move.target)
        elif move.temporary is not None and not move.temporary.exists():
            move.target.unlink(missing_ok=True)

"""A bundle is built beside its destination and takes its place in one rename, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.disk.durable import DISK_IS_FULL, sync, sync_folder
from scorer.errors import OutputError, OutputExistsError
from scorer.interrupts import held_back
from scorer.model.bundle import BUNDLE_FILE


def require_free(output: Path, *, overwrite: bool) -> None:
    """See to it, before any work, that ``output`` can be written.

    Raises:
        OutputExistsError: something stands there that may not be replaced.
        OutputError: the folder it should lie in is not there.
    """
    if output.is_symlink() or output.exists():
        if not overwrite:
            raise OutputExistsError("stands already", path=output, hint="pass --overwrite to replace it")
        if output.is_symlink() or not (output / BUNDLE_FILE).is_file():
            raise OutputExistsError(
                f"is no bundle (no {BUNDLE_FILE}) and is left alone", path=output, hint="choose another name"
            )
    parent = output.absolute().parent
    if not parent.is_dir():
        raise OutputError("no such folder", path=parent, hint="make it first")


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """An empty folder beside ``output`` that is gone afterwards, whatever happened.

    Raises:
        OutputError: it cannot be made, or the disk became full while it was in use.
    """
    folder = _beside(output, "exporting")
    try:
        folder.mkdir()
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", path=output) from error
    try:
        yield folder
    except Exception as error:
        reason = _full_disk(error)
        if reason is None:
            raise
        raise OutputError(f"the bundle could not be written: {reason}", path=output) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(finished: Path, output: Path, *, overwrite: bool) -> None:
    """Rename ``finished`` to ``output``; a bundle that stands there is removed once the new one is in place.

    A signal waits until that is done, and is then forgotten: what it was to stop is done.

    Raises:
        OutputExistsError: something has appeared there since :func:`require_free` looked.
        OutputError: it could not be done; what stood there stands there again.
    """
    old = _beside(output, "old")
    try:
        for path in (*finished.rglob("*"), finished):
            if path.is_dir():
                sync_folder(path)
            else:
                with path.open("r+b") as file:
                    sync(file)
        with held_back(forget=True):
            require_free(output, overwrite=overwrite)
            _exchange(finished, output, old)
    except OSError as error:
        hint = f"what stood there is {old} now" if old.exists() else None
        raise OutputError(f"the bundle could not be written: {error.strerror}", path=output, hint=hint) from error
    shutil.rmtree(old, ignore_errors=True)


def _exchange(finished: Path, output: Path, old: Path) -> None:
    """Put ``finished`` at ``output``, and what stands there at ``old``; on any error, all where it was."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in ((output, old), (finished, output)):
            if source.exists():
                source.rename(target)
                done.append((source, target))
        sync_folder(output.absolute().parent)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _beside(output: Path, what: str) -> Path:
    """A name beside ``output`` that no other run takes."""
    target = output.absolute()
    return target.with_name(f".{target.name}.{os.getpid()}.{what}")


def _full_disk(error: BaseException | None) -> str | None:
    """What the system says of a full disk, where the error came of one; some libraries pass it on in words alone."""
    while error is not None:
        for code in DISK_IS_FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code)
        error = error.__cause__ or error.__context__
    return None
